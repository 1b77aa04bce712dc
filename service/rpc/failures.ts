/** What went wrong, as the API tells it: one code per fault, a sentence for people, never a stack. */
import { basename } from "node:path";

import * as z from "zod";

import { ErrorCode } from "../../protocol/errors.ts";
import { DiskError, RemoteError, type RemoteFault } from "../core/ports.ts";
import { EngineError } from "../engine/errors.ts";
import { Halt } from "../engine/halt.ts";
import { SettingsError } from "../files/json-file.ts";

const CODES: Readonly<Record<EngineError["fault"], ErrorCode>> = {
  folderNotFound: ErrorCode.FolderNotFound,
  folderPaused: ErrorCode.FolderPaused,
  noRemote: ErrorCode.NoRemote,
  remoteNotFound: ErrorCode.RemoteNotFound,
  notADirectory: ErrorCode.NotADirectory,
  nested: ErrorCode.Nested,
  remoteTaken: ErrorCode.RemoteTaken,
  rootLocked: ErrorCode.RootLocked,
  auth: ErrorCode.Auth,
  unreachable: ErrorCode.Unreachable,
  notOurServer: ErrorCode.NotOurServer,
  conflictNotFound: ErrorCode.ConflictNotFound,
  holdChanged: ErrorCode.HoldChanged,
  holdNotFound: ErrorCode.HoldNotFound,
  versionNotFound: ErrorCode.VersionNotFound,
  pathNotFound: ErrorCode.PathNotFound,
  badPath: ErrorCode.BadPath,
  changedMeanwhile: ErrorCode.ChangedMeanwhile,
  nothingToUndo: ErrorCode.NothingToUndo,
  planDrifted: ErrorCode.PlanDrifted,
  exists: ErrorCode.Exists,
  disk: ErrorCode.Disk,
  stopping: ErrorCode.Stopping,
};

/** Of a method that itself asks the remote (`sync/plan`). A run's failure is no error of a method but its result. */
const REMOTE_CODES: Readonly<Record<RemoteFault, ErrorCode>> = {
  auth: ErrorCode.Auth,
  offline: ErrorCode.Unreachable,
  retry: ErrorCode.Unreachable,
  changed: ErrorCode.Unreachable,
  quota: ErrorCode.Unreachable,
  tooLarge: ErrorCode.Unreachable,
  refused: ErrorCode.Unreachable,
  notFound: ErrorCode.Unreachable,
  notOurServer: ErrorCode.NotOurServer,
  protocol: ErrorCode.NotOurServer,
};

export type ErrorBody = { readonly code: ErrorCode; readonly message: string; readonly data?: Readonly<Record<string, unknown>> };

/** The request itself is at fault. */
export class RpcFailure extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "RpcFailure";
    this.code = code;
  }
}

/** `report`: gets what we can't explain to the peer, and returns the id under which the log has it (WS20). */
export function errorBody(error: unknown, signal: AbortSignal, report: (error: unknown) => string): ErrorBody {
  if (error instanceof RpcFailure) return { code: error.code, message: error.message };
  if (error instanceof EngineError) return { code: CODES[error.fault], message: error.message, data: { fault: error.fault } };
  if (error instanceof z.ZodError) return { code: ErrorCode.InvalidParams, message: `The parameters are not right: ${issuesOf(error)}.` };
  if (signal.aborted) return { code: ErrorCode.RequestCancelled, message: "The request was cancelled." };
  const outside = outsideBody(error);
  if (outside !== null) return outside;
  const id = report(error);
  return {
    code: ErrorCode.InternalError,
    message: `The service met a fault of its own. Nothing was lost. Its log tells more under the error id ${id}.`,
    data: { id },
  };
}

/** The remote, the disk, or a folder that waits for its user: no fault of ours, and its words are for people. */
function outsideBody(error: unknown): ErrorBody | null {
  if (error instanceof RemoteError) return { code: REMOTE_CODES[error.fault], message: error.message, data: { fault: error.fault } };
  if (error instanceof DiskError) return { code: ErrorCode.Disk, message: error.message, data: { fault: error.fault } };
  // Where our own directories are is nobody's business (WS20).
  if (error instanceof SettingsError)
    return { code: ErrorCode.Disk, message: error.message.replaceAll(error.file, basename(error.file)), data: { fault: error.fault } };
  if (!(error instanceof Halt)) return null;
  const code = error.fault === "otherServer" ? ErrorCode.NotOurServer : ErrorCode.Disk;
  return { code, message: error.message, data: { fault: error.fault } };
}

const ISSUES_SHOWN = 3;

function issuesOf(error: z.ZodError): string {
  const told = error.issues
    .slice(0, ISSUES_SHOWN)
    .map(({ path, message }) => `${path.length === 0 ? "" : `${path.join(".")}: `}${message}`);
  return told.join("; ").slice(0, 500);
}
