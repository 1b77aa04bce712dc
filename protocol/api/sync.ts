import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { count, folderId, hold, progressToken, runSummary } from "./model.ts";

export const syncApi = [
  method("sync/run", {
    params: z.strictObject({
      folder: folderId.nullable().optional().describe("Left out or null: every folder that is not paused."),
      scan: z.boolean().optional().describe("True (default): look at every file, so that all that happened before the call is covered."),
      wait: z.boolean().optional().describe("False: answer as soon as the runs are asked for, with an empty list. Default true."),
      progressToken: progressToken.optional(),
    }),
    result: z.object({ runs: z.array(runSummary) }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.FolderPaused, ErrorCode.NoRemote, ErrorCode.Auth],
    scope: "write",
    doc: "Syncs; answers with the first run begun after this call, one per folder (callers share it). What is being written gets up to 30 s to settle. A failed run is a result, not an error.",
    source: "SPEC §3 Time",
  }),
  method("sync/plan", {
    params: z.strictObject({ folder: folderId }),
    result: z.object({
      folder: folderId,
      hash: z.string(),
      actions: z.array(
        z.object({
          action: z.string(),
          path: z.string(),
          reason: z.string(),
          bytes: count.nullable().describe("To be moved; null: none, or not known."),
        }),
      ),
      holds: z.array(hold),
    }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Auth, ErrorCode.Unreachable, ErrorCode.NotOurServer, ErrorCode.Disk],
    scope: "read",
    doc: "What a run would do now and why. Looks at every file and reads the remote's feed; changes neither side.",
    source: "SPEC §3 Reconcile",
  }),
  method("sync/apply", {
    params: z.strictObject({
      folder: folderId,
      hash: z.string().min(1).max(128).describe("From `sync/plan`."),
      progressToken: progressToken.optional(),
    }),
    result: runSummary,
    errors: [ErrorCode.FolderNotFound, ErrorCode.PlanDrifted, ErrorCode.NoRemote, ErrorCode.Auth],
    scope: "write",
    doc: "Carries out the plan that was shown and nothing else, or refuses. Works in a paused folder, where a plan can be looked at in peace.",
    source: "SPEC §3 Reconcile",
  }),
  method("sync/cancel", {
    params: z.strictObject({ folder: folderId }),
    result: z.object({}),
    errors: [ErrorCode.FolderNotFound],
    scope: "write",
    doc: "Ends the run that is under way; what it finished stays.",
    source: "SPEC §2 N5",
  }),
  method("sync/pause", {
    params: z.strictObject({ folder: folderId }),
    result: z.object({}),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Disk],
    scope: "write",
    doc: "No runs until `sync/resume`, across restarts; only a plan that was looked at is still carried out (`sync/apply`).",
    source: "SPEC §3 Time",
  }),
  method("sync/resume", {
    params: z.strictObject({ folder: folderId }),
    result: z.object({}),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Disk],
    scope: "write",
    doc: "Runs again: ends what `sync/pause` began.",
    source: "SPEC §3 Time",
  }),
  method("sync/undo", {
    params: z.strictObject({
      folder: folderId,
      preview: z.boolean().optional().describe("True: only tells what would be taken back. Default false."),
    }),
    result: z.object({
      undone: z.array(z.string()),
      skipped: z.array(z.object({ path: z.string(), reason: z.string() })),
    }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.NothingToUndo, ErrorCode.Disk],
    scope: "write",
    doc: "Takes back the last run or command that replaced or removed files here: each path still as that step left it gets its kept bytes back as a new change. A conflict whose answer it takes back is open again. An undo can be undone.",
    source: "SPEC §2 S1",
  }),
  method("sync/runs", {
    params: z.strictObject({ folder: folderId, limit: z.int().min(1).max(1000).optional().describe("Default 20.") }),
    result: z.object({ runs: z.array(runSummary) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "Past runs, newest first. Runs that found nothing to do are not kept.",
    source: "SPEC §4",
  }),
] as const;
