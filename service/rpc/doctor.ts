/** What usually goes wrong, looked at once and said in words. */
import type { ResultOf } from "../../protocol/api/table.ts";
import type { Disk } from "../core/ports.ts";
import type { Engine, FolderStatus } from "../engine/facade.ts";

type Check = ResultOf<"service/doctor">["checks"][number];
export type DoctorInput = {
  readonly engine: Engine;
  readonly disk: Pick<Disk, "space" | "create" | "unlink" | "caps">;
  /** A directory of ours that must be writable. */
  readonly state: string;
  readonly sqliteVersion: string;
};

/** Below this (or 1 %) syncing stops, so it is told before. */
const SPACE_LOW_BYTES = 1_000_000_000;

/** Never rejects: what can't be looked at is a finding too. */
export async function examine(input: DoctorInput): Promise<readonly Check[]> {
  const { engine } = input;
  const folders = engine.folders.list();
  const remotes = engine.remotes.list();
  return [
    ok("program", `Node ${process.versions.node}, SQLite ${input.sqliteVersion}, ${process.platform}-${process.arch}`),
    await space(input, "state", input.state),
    ...(await Promise.all(folders.map(async (folder) => await space(input, `disk of ${folder.root}`, folder.root)))),
    ...folders.map(folderCheck),
    ...(await Promise.all(remotes.map(async ({ id, signedIn }) => await remoteCheck(engine, id, signedIn)))),
    ...(folders.length === 0 ? [warning("folders", "None is looked after yet.", "Add one: satchel add FOLDER")] : []),
    ...(remotes.length === 0 ? [warning("remotes", "Nobody has signed in anywhere.", "Sign in: satchel login URL --user NAME")] : []),
  ];
}

async function space({ disk }: DoctorInput, name: string, directory: string): Promise<Check> {
  try {
    const { freeBytes, totalBytes } = await disk.space(directory);
    const detail = `${Math.round(freeBytes / 1e6)} MB of ${Math.round(totalBytes / 1e6)} MB free`;
    const low = freeBytes < Math.max(SPACE_LOW_BYTES, totalBytes * 0.02);
    return low ? warning(name, detail, "Free some space: syncing stops before the disk is full.") : ok(name, detail);
  } catch (error) {
    return failed(name, error instanceof Error ? error.message : String(error), "Check that the disk is there and may be read.");
  }
}

function folderCheck(folder: FolderStatus): Check {
  const name = `folder ${folder.root}`;
  if (folder.state === "error" || folder.state === "held")
    return failed(name, folder.detail ?? folder.state, folder.state === "held" ? "Answer it: satchel guard" : "See satchel status.");
  if (folder.state === "offline")
    return warning(name, folder.detail ?? "The remote can't be reached.", "Nothing is lost; it is tried again. See the remote below.");
  if (folder.watching === "timed")
    return warning(name, "File events can't be had; it is looked at every minute.", "On Linux raise fs.inotify.max_user_watches.");
  if (folder.problems > 0) return warning(name, `${folder.problems} files can't be synced.`, "See them: satchel problems");
  return ok(name, folder.detail ?? `${folder.files} files, ${folder.state}`);
}

async function remoteCheck(engine: Engine, id: string, signedIn: boolean): Promise<Check> {
  const name = `remote ${id}`;
  if (!signedIn) return failed(name, "Nobody is signed in.", "Sign in again: satchel login");
  try {
    const { ok: answers, detail, roundTripMs } = await engine.remotes.test(id);
    return answers
      ? ok(name, `${detail}, ${roundTripMs} ms`)
      : failed(name, detail, "Check the address, the network, and the clock of this machine.");
  } catch (error) {
    return failed(name, error instanceof Error ? error.message : String(error), "Sign in again: satchel login");
  }
}

function ok(name: string, detail: string): Check {
  return { name, result: "ok", detail, advice: null };
}

function warning(name: string, detail: string, advice: string): Check {
  return { name, result: "warning", detail, advice };
}

function failed(name: string, detail: string, advice: string): Check {
  return { name, result: "failed", detail, advice };
}
