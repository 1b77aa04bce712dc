/** What usually goes wrong, looked at once and said in words. */
import type { Disk } from "../core/ports.ts";
import type { Engine, FolderStatus } from "../engine/facade.ts";
import type { RootProbe } from "../files/probe.ts";
import { failed, ok, warning, type Check } from "./doctor-check.ts";
import { examineRemote, type RemoteProbes } from "./doctor-remote.ts";

/** What a media folder's disk is asked. */
export type RootProbes = {
  readonly disk: Pick<Disk, "space">;
  /** Writes into the root's own directory and waits for the event. */
  readonly probeRoot: (root: string) => Promise<RootProbe>;
};

export type DoctorInput = RootProbes & {
  readonly engine: Engine;
  /** A directory of ours that must be writable. */
  readonly state: string;
  readonly sqliteVersion: string;
  /** Those of our own files that others may read or change. */
  readonly looseOnes: () => readonly string[];
  readonly remote: RemoteProbes;
};

/** Below this (or 2 %) it is told; at `freeMinBytes` (or 1 %) syncing stops. */
const SPACE_LOW_BYTES = 1_000_000_000;
/** A disk whose clock is further off is a network disk with a clock of its own. */
const DISK_CLOCK_MS = 2000;

/** Never rejects: what can't be looked at is a finding too. */
export async function examine(input: DoctorInput): Promise<readonly Check[]> {
  const { engine } = input;
  const folders = engine.folders.list();
  const remotes = engine.remotes.list();
  const perFolder = await Promise.all(folders.map(async (folder) => await folderChecks(input, folder)));
  const perRemote = await Promise.all(
    remotes.map(async (remote) => await examineRemote(remote, async () => await engine.remotes.test(remote.id), input.remote)),
  );
  return [
    ok("program", `Node ${process.versions.node}, SQLite ${input.sqliteVersion}, ${process.platform}-${process.arch}`),
    await space(input, "disk of Satchel's own state", input.state),
    permissions(input.looseOnes()),
    ...perFolder.flat(),
    ...perRemote.flat(),
    ...(folders.length === 0 ? [warning("folders", "None is looked after yet.", "Add one: satchel add FOLDER")] : []),
    ...(remotes.length === 0 ? [warning("remotes", "Nobody has signed in anywhere.", "Sign in: satchel login URL --user NAME")] : []),
  ];
}

async function folderChecks(input: DoctorInput, folder: FolderStatus): Promise<readonly Check[]> {
  // A root that is away is one finding, not four.
  if (folder.state === "held" || (folder.state === "error" && folder.fault !== "auth")) return [stateCheck(folder)];
  return [stateCheck(folder), ...(await rootChecks(input, folder.root, folder.watching === "timed"))];
}

/** `isTimed`: the service, which runs, has no events there. */
export async function rootChecks(input: RootProbes, root: string, isTimed = false): Promise<readonly Check[]> {
  const [probe, room] = [await input.probeRoot(root), await space(input, `disk of ${root}`, root)];
  // One that can't be written may be on a full disk; one that is not there has none to ask.
  if (probe.kind === "refused" && room.result === "failed")
    return [
      failed(
        `folder ${root}`,
        `It can't be looked at: ${probe.why}.`,
        "Is its disk there? If the folder is gone for good: satchel remove FOLDER",
      ),
    ];
  return [room, ...probeChecks(root, isTimed, probe)];
}

export async function space({ disk }: Pick<RootProbes, "disk">, name: string, directory: string): Promise<Check> {
  try {
    const { freeBytes, totalBytes } = await disk.space(directory);
    const detail = `${Math.round(freeBytes / 1e6)} MB of ${Math.round(totalBytes / 1e6)} MB free`;
    const low = freeBytes < Math.max(SPACE_LOW_BYTES, totalBytes * 0.02);
    return low ? warning(name, detail, "Free some space: syncing stops before the disk is full.") : ok(name, detail);
  } catch (error) {
    return failed(name, error instanceof Error ? error.message : String(error), "Check that the disk is there and may be read.");
  }
}

export function permissions(loose: readonly string[]): Check {
  const name = "permissions of Satchel's own files";
  if (loose.length === 0) return ok(name, "yours alone");
  return failed(name, `Others may read or change: ${loose.join(", ")}`, `Run: chmod go-rwx ${loose.join(" ")}`);
}

function stateCheck(folder: FolderStatus): Check {
  const name = `folder ${folder.root}`;
  if (folder.state === "error" || folder.state === "held")
    return failed(name, folder.detail ?? folder.state, folder.state === "held" ? "Answer it: satchel guard" : "See satchel status.");
  if (folder.state === "offline")
    return warning(name, folder.detail ?? "The remote can't be reached.", "Nothing is lost; it is tried again. See the remote below.");
  if (folder.problems > 0) return warning(name, `${folder.problems} files can't be synced.`, "See them: satchel problems");
  return ok(name, folder.detail ?? `${folder.files} files, ${folder.state === "insync" ? "in sync" : folder.state}`);
}

function probeChecks(root: string, isTimed: boolean, probe: RootProbe): readonly Check[] {
  if (probe.kind === "refused")
    return [
      failed(
        `writing in ${root}`,
        `Satchel can't write there: ${probe.why}.`,
        "Give yourself the right to write in the folder, or mount its disk writable.",
      ),
    ];
  const clock =
    Math.abs(probe.aheadMs) < DISK_CLOCK_MS
      ? []
      : [
          warning(
            `clock of ${root}`,
            `The disk's clock is ${Math.round(Math.abs(probe.aheadMs) / 1000)} s ${probe.aheadMs > 0 ? "ahead of" : "behind"} this machine's.`,
            "A network disk keeps its own time: set the clock of the machine that serves it.",
          ),
        ];
  return [watchCheck(`watching ${root}`, isTimed, probe), ...clock];
}

function watchCheck(name: string, isTimed: boolean, probe: Extract<RootProbe, { kind: "written" }>): Check {
  if (probe.eventMs === null)
    return warning(
      name,
      `A file was written, and the system told of no event${probe.why === null ? "" : `: ${probe.why}`}. The folder is looked at every minute instead.`,
      "Network and container disks give no events. On a local disk of Linux raise fs.inotify.max_user_watches.",
    );
  if (isTimed)
    return warning(
      name,
      "Events come, but the service does not watch here now; it looks every minute.",
      "It tries again every 5 minutes; `satchel service stop` and `start` does it at once.",
    );
  return ok(name, `an event came ${probe.eventMs} ms after a write`);
}
