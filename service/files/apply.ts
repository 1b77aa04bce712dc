/** Puts bytes under one folder's root. Over the `Disk` port only, so that the simulator crashes this very code. */
import type { Applier, NewBytes } from "../core/local.ts";
import type { Entry, Sha1, Version } from "../core/model.ts";
import { DiskError, noFaults, type Clock, type Compute, type Disk, type Faults, type Random } from "../core/ports.ts";
import { commitSteps } from "./apply-commit.ts";
import { diskPathOf, isTwinEntry, OWN_DIRECTORY, tempBeside, tempPath, type ApplyContext, type DiskCaps } from "./apply-context.ts";
import { recoverApply } from "./apply-recover.ts";
import { dropStandIn, freeTwin } from "./free-twin.ts";
import { forAll, isFault, isSameFile, unlinkIfThere } from "./disk-steps.ts";
import type { KeepingStore } from "./versions.ts";

/** S17: the disk is not filled to the brim. The greater of the two is kept free. */
const RESERVE_BYTES = 500 * 1024 * 1024;
const RESERVE_SHARE = 0.01;
/** Up to here a file is hashed again before it is sent; above, its unmoved stat must do, for a hash would hold the event loop. */
const HASH_HERE_BYTES = 8 * 1024 * 1024;
const READ_MAX_BYTES = 512 * 1024 * 1024;

/**
 * One per folder. `root`: absolute. `reserveBytes`: free space under which nothing is staged any more (default: 500 MB), and
 * where it is not 0, at least 1 % of the disk.
 * `faults`: places where a test makes a step fail.
 */
export function openApplier(options: {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  readonly root: string;
  readonly folder: string;
  readonly versions: KeepingStore;
  readonly caps: DiskCaps;
  readonly faults?: Faults;
  readonly reserveBytes?: number;
}): Applier {
  const { reserveBytes, faults, ...rest } = options;
  const context: ApplyContext = { ...rest, faults: faults ?? noFaults, leftover: new Set(), staged: new Map() };
  return {
    stage: async (items) => await stage(context, items, reserveBytes),
    stageLocal: async (_path, sha1, entry) => {
      await makeRoom(context, 0, reserveBytes);
      return await stageLocal(context, sha1, entry);
    },
    commit: async (steps, run) => {
      await dropLeftovers(context);
      try {
        return await commitSteps(context, steps, run);
      } finally {
        for (const step of steps) if (step.kind === "put") context.staged.delete(step.temp);
      }
    },
    discard: async (temps) => {
      for (const temp of temps) context.staged.delete(temp);
      await forAll(temps, async (temp) => await unlinkIfThere(context.disk, temp));
    },
    foldsNames: context.caps.foldsCase || context.caps.foldsNormalization,
    freeTwin: async (entry, commit) => {
      if (isTwinEntry(entry)) return await freeTwin(context, entry, commit);
      return entry.diskPath === null && (await dropStandIn(context, entry));
    },
    read: async (entry, memory) => await read(context, entry, memory),
    readRange: async (entry, offsetBytes, lengthBytes) => await readSlice(context, entry, offsetBytes, lengthBytes),
    keep: async (path, bytes, sha1, why, run) => {
      await makeRoom(context, bytes.length, reserveBytes);
      const version: Version = { folder: context.folder, path, sha1, sizeBytes: bytes.length, why, run, atMs: context.clock.wallMs() };
      return await context.versions.put(bytes, version);
    },
    recover: async (intents) => {
      context.leftover.clear();
      context.staged.clear();
      return await recoverApply(context, intents);
    },
  };
}

async function dropLeftovers(context: ApplyContext): Promise<void> {
  await forAll([...context.leftover], async (temp) => {
    await unlinkIfThere(context.disk, temp);
    context.leftover.delete(temp);
  });
}

/** @throws DiskError noSpace: sync stops before the disk is full. */
async function makeRoom(context: ApplyContext, neededBytes: number, reserveBytes: number | undefined): Promise<void> {
  const { freeBytes, totalBytes } = await context.disk.space(context.root);
  const reserve = reserveBytes === 0 ? 0 : Math.max(reserveBytes ?? RESERVE_BYTES, totalBytes * RESERVE_SHARE);
  if (freeBytes - neededBytes >= reserve) return;
  const mib = (bytes: number): string => `${String(Math.floor(bytes / 1024 / 1024))} MiB`;
  throw new DiskError(
    "noSpace",
    `Could not write to ${context.root}: ${mib(neededBytes)} are needed, ${mib(freeBytes)} are free, and Satchel leaves ${mib(reserve)} of this disk free. Make room; sync goes on by itself.`,
  );
}

async function stage(context: ApplyContext, items: readonly NewBytes[], reserveBytes: number | undefined): Promise<readonly string[]> {
  if (items.length === 0) return [];
  const needed = items.reduce((sum, item) => sum + item.bytes.length, 0);
  await makeRoom(context, needed, reserveBytes);
  const made: string[] = [];
  try {
    const temps = await forAll(items, async (item) => {
      const temp = await createTemp(context, item);
      made.push(temp);
      return temp;
    });
    await syncTemps(context, temps);
    return temps;
  } catch (error) {
    for (const temp of made) context.staged.delete(temp);
    // Half a batch is none: what was written goes at once, for the disk may be full (DK01).
    if (error instanceof DiskError) await forAll(made, async (temp) => await unlinkIfThere(context.disk, temp));
    throw error;
  }
}

async function createTemp(context: ApplyContext, { path, bytes, fresh }: NewBytes): Promise<string> {
  const { disk, root } = context;
  const target = `${root}/${path}`;
  const mode = fresh === true ? undefined : (await disk.lstat(target))?.mode;
  const temp = tempPath(context);
  try {
    context.staged.set(temp, await disk.create(temp, bytes, mode));
    return temp;
  } catch (error) {
    // Gone is another matter: without its marker the root may be an empty mount point, and nothing may be put there (S14).
    if (!isFault(error, "readOnly", "crossDevice")) throw error;
  }
  // `.satchel/` is mounted read-only: beside the target then, where the root itself is the parent at worst.
  const beside = tempBeside(context, (await disk.lstat(target.slice(0, target.lastIndexOf("/")))) === null ? `${root}/x` : target);
  await disk.create(beside, bytes, mode);
  return beside;
}

/** Their names must outlive a power cut: a temp that is gone is the proof that its rename was done. */
async function syncTemps(context: ApplyContext, temps: readonly string[]): Promise<void> {
  const directories = new Set(temps.map((temp) => temp.slice(0, temp.lastIndexOf("/"))));
  await forAll([...directories], async (directory) => await context.disk.fsyncDir(directory));
}

async function stageLocal(context: ApplyContext, sha1: Sha1, entry: Entry | undefined): Promise<string | null> {
  const kept = await context.versions.locate(sha1);
  const beside = entry === undefined ? null : `${context.root}/${diskPathOf(entry.path, entry)}`;
  for (const source of [beside, kept]) {
    if (source === null) continue;
    const temp = await copyVerified(context, source, sha1);
    if (temp !== null) return temp;
  }
  return null;
}

async function copyVerified(context: ApplyContext, source: string, sha1: Sha1): Promise<string | null> {
  const { disk } = context;
  const temp = tempPath(context);
  try {
    await disk.copy(source, temp);
  } catch (error) {
    // The source moved, went or can't be read: the bytes must come from elsewhere. A target that refuses is another matter.
    if (isFault(error, "notFound", "notDirectory", "symlink", "isDirectory", "access", "io", "busy", "notSupported")) {
      await unlinkIfThere(disk, temp);
      return null;
    }
    throw error;
  }
  const [result] = await disk.hash([temp], Number.MAX_SAFE_INTEGER, new AbortController().signal);
  if (result?.kind === "hashed" && result.sha1 === sha1) {
    await disk.fsyncDir(`${context.root}/${OWN_DIRECTORY}`);
    return temp;
  }
  await unlinkIfThere(disk, temp);
  return null;
}

/** What a disk says when something else than the observed file stands at its path. */
const NOT_THE_FILE = ["notFound", "notDirectory", "symlink", "isDirectory", "tooLarge", "notSupported", "access", "busy"] as const;

async function read(context: ApplyContext, entry: Entry, memory?: Uint8Array): Promise<Uint8Array | "changed"> {
  try {
    const got = await context.disk.read(`${context.root}/${diskPathOf(entry.path, entry)}`, READ_MAX_BYTES, memory);
    if (got === "changed") return "changed";
    const unmoved = isSameFile(got.stat, entry, true) && !entry.racy;
    if (unmoved && got.bytes.length > HASH_HERE_BYTES) return got.bytes;
    return (got.sha1 ?? (await context.compute.sha1Fairly(got.bytes))) === entry.sha1 ? got.bytes : "changed";
  } catch (error) {
    // Whatever stands there now is not the file that was hashed; the next look says what it is.
    if (isFault(error, ...NOT_THE_FILE)) return "changed";
    throw error;
  }
}

/** The stat stands for the bytes here: a slice can't be compared with the hash of the whole. */
async function readSlice(context: ApplyContext, entry: Entry, offsetBytes: number, lengthBytes: number): Promise<Uint8Array | "changed"> {
  const path = `${context.root}/${diskPathOf(entry.path, entry)}`;
  const isSame = async (): Promise<boolean> => {
    const stat = await context.disk.lstat(path);
    return stat !== null && isSameFile(stat, entry, true);
  };
  try {
    if (!(await isSame())) return "changed";
    const bytes = await context.disk.readRange(path, offsetBytes, lengthBytes);
    return (await isSame()) ? bytes : "changed";
  } catch (error) {
    if (isFault(error, ...NOT_THE_FILE)) return "changed";
    throw error;
  }
}
