/** One folder's disk side over the ports: tree, applier and ignore rules put together, the same for production and simulator. */
import { ignoreRules, type IgnoreRules } from "../core/ignore-rules.ts";
import type { Applier, LocalTree } from "../core/local.ts";
import { checkPath } from "../core/paths.ts";
import { DiskError, type Clock, type Compute, type Disk, type Faults, type Random } from "../core/ports.ts";
import type { FolderState } from "../core/state.ts";
import { toWire } from "../core/wire-names.ts";
import { OWN_DIRECTORY, type DiskCaps } from "./apply-context.ts";
import { openApplier } from "./apply.ts";
import { openLocalTree } from "./local-tree.ts";
import type { KeepingStore } from "./versions.ts";

export type RootOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  readonly versions: KeepingStore;
  /** Absolute, symlinks resolved; a directory. */
  readonly root: string;
  readonly rows: FolderState;
  readonly naming: "posix" | "windows";
  /** Larger files are problems. */
  readonly fileMaxBytes: number;
  /** Free space that is left alone. */
  readonly freeMinBytes?: number;
  readonly faults?: Faults;
};

/** More rules than this is not a rules file. */
const RULES_MAX_BYTES = 1024 * 1024;

/** @throws DiskError when the root can't be looked at */
export async function openRootParts(options: RootOptions): Promise<{
  readonly local: LocalTree;
  readonly applier: Applier;
  readonly ignoredBy: (path: string) => string | null;
  readonly ignoreRules: () => string;
}> {
  const { disk, clock, random, compute, versions, root, rows, naming } = options;
  const caps = await capsOf(disk, root);
  let rules = await rulesOf(disk, root, ignoreRules(null));
  const ignored = (diskPath: string, directory: boolean): boolean => rules.ignoredBy(diskPath.normalize("NFC"), directory) !== null;
  const tree = openLocalTree({
    disk,
    clock,
    root,
    entries: rows.entries,
    problems: () => localProblems(rows),
    ignored,
    judgeName: (path) => {
      const checked = checkPath(path, naming);
      const named = checked.kind === "problem" ? checked : toWire(path);
      return named.kind === "problem" ? { reason: named.reason, detail: named.detail } : null;
    },
    caps,
    sha1: (text) => compute.sha1(new TextEncoder().encode(text)),
    limits: { fileBytes: options.fileMaxBytes },
  });
  const local: LocalTree = {
    hint: (diskPath, agoMs) => tree.hint(diskPath, agoMs),
    dirtyCount: () => tree.dirtyCount(),
    needsScan: () => tree.needsScan(),
    settlesAtMs: () => tree.settlesAtMs(),
    observeDirty: async (signal) => await tree.observeDirty(signal),
    // An edit of the rules asks for a scan; every scan goes by the rules as they are when it begins.
    observeAll: async function* scan(how, signal) {
      rules = await rulesOf(disk, root, rules);
      yield* tree.observeAll(how, signal);
    },
    isRestless: (path) => tree.isRestless(path),
    checkRoot: async (how) => await tree.checkRoot(how),
    allStand: async (paths) => await tree.allStand(paths),
  };
  const applier = openApplier({
    disk,
    clock,
    random,
    compute,
    root,
    folder: rows.id,
    versions,
    caps,
    ...(options.faults === undefined ? {} : { faults: options.faults }),
    ...(options.freeMinBytes === undefined ? {} : { reserveBytes: options.freeMinBytes }),
  });
  return { local, applier, ignoredBy: (path) => rules.ignoredBy(path, false), ignoreRules: () => rules.text };
}

/**
 * Probed in our own directory where it is; in the root only before there is one. A disk that can't be written now is asked by our
 * directory's own name: to take it for one that tells names apart would cost one of two twins.
 * @throws DiskError when it can't be told
 */
async function capsOf(disk: Disk, root: string): Promise<DiskCaps> {
  const own = `${root}/${OWN_DIRECTORY}`;
  const marker = await disk.lstat(own);
  try {
    return await disk.caps(marker?.kind === "directory" ? own : root);
  } catch (error) {
    if (!(error instanceof DiskError) || marker === null) throw error;
    const capital = await disk.lstat(`${root}/${OWN_DIRECTORY.toUpperCase()}`);
    const folds = capital !== null && capital.fileId === marker.fileId;
    return { foldsCase: folds, foldsNormalization: folds };
  }
}

/** The folder's `.satchelignore`; rules that can't be read now stay as they were, for without them ignored files would be synced. */
async function rulesOf(disk: Disk, root: string, before: IgnoreRules): Promise<IgnoreRules> {
  const file = `${root}/${OWN_DIRECTORY}ignore`;
  if ((await disk.lstat(file)) === null) return ignoreRules(null);
  try {
    const read = await disk.read(file, RULES_MAX_BYTES);
    return read === "changed" ? before : ignoreRules(Buffer.from(read.bytes).toString("utf8"));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return before;
  }
}

function* localProblems(rows: FolderState): Generator<string> {
  for (const { side, path } of rows.problems.list()) if (side === "local") yield path;
}
