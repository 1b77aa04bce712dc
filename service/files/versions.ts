/**
 * The version store: bytes by hash in `<directory>/ab/<sha1>`, and `journal.ndjson` that says which file they were. What is kept now stands
 * in `new/` under a random name until its hash is known. Runs over the `Disk` port only, so that the simulator runs this very code.
 */
import type { VersionStore } from "../core/local.ts";
import type { Sha1, Version } from "../core/model.ts";
import { DiskError, type Clock, type Disk, type Random } from "../core/ports.ts";
import { forAll, isFault, openQueue, randomName, unlinkIfThere } from "./disk-steps.ts";
import { openJournal, type Journal, type Line } from "./version-journal.ts";

/** Bytes in safety under a random name: durable, journaled or about to be, not yet named by their hash. */
export type Kept = { readonly name: string; readonly path: string; readonly shared: boolean };

/** What the applier needs beside the engine's view. */
export type KeepingStore = VersionStore & {
  /** Links (or copies, `byCopy` or where links can't be made) the file into the store, fsynced; `settle` makes the name durable. */
  hold(diskPath: string, byCopy: boolean): Promise<Kept>;
  /** Makes what was held durable and writes its journal lines, all with one fsync: before anything is replaced (N1). */
  journalKept(kept: readonly { readonly kept: Kept; readonly version: Version }[]): Promise<void>;
  /** After the replace: names the bytes by their hash as they are now. Returns what was really kept, in order. */
  file(kept: readonly { readonly kept: Kept; readonly version: Version }[]): Promise<readonly Version[]>;
  /** Forgets what was held for a replace that did not happen. */
  release(kept: Kept): Promise<void>;
  /** Writes bytes straight in, durable. */
  put(bytes: Uint8Array, version: Version): Promise<Version>;
};

type Context = {
  readonly disk: Disk;
  readonly random: Random;
  readonly directory: string;
  readonly fresh: string;
  readonly journal: Journal;
  /** Shelves that got a name which is not durable yet. */
  readonly unsynced: Set<string>;
  /** Files come to their shelves, and directories are made durable, one after the other: nothing moves while `new/` is made durable. */
  readonly moving: ReturnType<typeof openQueue>;
};

const DIRECTORY_MODE = 0o700;

/** Opens the store at `directory` (absolute, made if absent) and files what a crash left unfiled. @throws DiskError */
export async function openVersionStore(options: {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly directory: string;
  /** See `openJournal`; a test's own. */
  readonly compactLinesMin?: number;
}): Promise<KeepingStore> {
  const { disk, clock, random, directory } = options;
  const context: Context = {
    disk,
    random,
    directory,
    fresh: `${directory}/new`,
    journal: openJournal(disk, directory, options.compactLinesMin),
    unsynced: new Set(),
    moving: openQueue(),
  };
  await disk.mkdir(context.fresh, DIRECTORY_MODE);
  await disk.fsyncDir(directory);
  // The store's own name too: bytes in a folder that a power cut takes away are kept nowhere.
  await disk.fsyncDir(directory.slice(0, Math.max(1, directory.lastIndexOf("/"))));
  await context.journal.recover();
  await recoverUnfiled(context, clock);
  return {
    locate: async (sha1) => ((await stands(context, sha1)) ? pathOf(context, sha1) : null),
    readRange: async (sha1, offsetBytes, lengthBytes) => await disk.readRange(pathOf(context, sha1), offsetBytes, lengthBytes),
    journal: () => versionsOf(context),
    remove: async (sha1) => await unlinkIfThere(disk, pathOf(context, sha1)),
    hold: async (diskPath, byCopy) => await hold(context, diskPath, byCopy),
    journalKept: async (kept) => {
      if (kept.length === 0) return;
      await context.moving(async () => await syncNames(context));
      await context.journal.append(kept.map((one) => ({ ...one.version, keep: one.kept.name })));
    },
    file: async (kept) => await fileAll(context, kept),
    release: async (kept) => await unlinkIfThere(disk, kept.path),
    put: async (bytes, version) => {
      const name = randomName(random);
      const path = `${context.fresh}/${name}`;
      await disk.create(path, bytes);
      await context.journal.append([{ ...version, keep: name }]);
      await context.moving(async () => {
        await moveToHash(context, path, version.sha1);
        await disk.fsyncDir(shelfOf(context, version.sha1));
        context.unsynced.delete(shelfOf(context, version.sha1));
      });
      return version;
    },
    scrub: async (signal) => await scrub(context, signal),
    compact: async () => await context.journal.compact(async () => await liveness(context)),
  };
}

/** Retention of kept versions, as numbers a user may raise. */
export type Retention = { readonly keepMs: number; readonly capBytes: number };
export const RETENTION: Retention = { keepMs: 30 * 86_400_000, capBytes: 2 * 1024 ** 3 };

/** As the user set it; config.ts sees to the 30 days. */
export function retentionOf(settings: { readonly versionsKeepDays: number; readonly versionsMaxBytes: number }): Retention {
  return { keepMs: settings.versionsKeepDays * 86_400_000, capBytes: settings.versionsMaxBytes };
}

/**
 * Which bytes may go: the oldest while the store is over its cap, but none that any row kept within `keepMs`, whatever the cap says (S21).
 * `rows`: those of all folders. Pure.
 */
export function versionsToTrim(rows: Iterable<Version>, retention: Retention, nowMs: number): readonly Sha1[] {
  const blobs = new Map<Sha1, { sizeBytes: number; newestMs: number }>();
  let totalBytes = 0;
  for (const row of rows) {
    const known = blobs.get(row.sha1);
    if (known === undefined) {
      blobs.set(row.sha1, { sizeBytes: row.sizeBytes, newestMs: row.atMs });
      totalBytes += row.sizeBytes;
    } else known.newestMs = Math.max(known.newestMs, row.atMs);
  }
  const oldestFirst = [...blobs].toSorted(([, a], [, b]) => a.newestMs - b.newestMs);
  const going: Sha1[] = [];
  for (const [sha1, blob] of oldestFirst) {
    if (totalBytes <= retention.capBytes || nowMs - blob.newestMs < retention.keepMs) break;
    going.push(sha1);
    totalBytes -= blob.sizeBytes;
  }
  return going;
}

/**
 * Decides by the rows whose bytes stand (the journal, for one, names bytes that went long ago), then removes; the caller removes the rows of
 * what is returned. @throws DiskError
 */
export async function trimVersions(
  store: VersionStore,
  rows: Iterable<Version>,
  retention: Retention,
  clock: Clock,
): Promise<readonly Sha1[]> {
  const standing: Version[] = [];
  const known = new Map<Sha1, boolean>();
  for (const row of rows) {
    const there = known.get(row.sha1) ?? (await store.locate(row.sha1)) !== null;
    known.set(row.sha1, there);
    if (there) standing.push(row);
  }
  const going = versionsToTrim(standing, retention, clock.wallMs());
  for (const sha1 of going) await store.remove(sha1);
  return going;
}

function shelfOf(context: Context, sha1: Sha1): string {
  return `${context.directory}/${sha1.slice(0, 2)}`;
}

function pathOf(context: Context, sha1: Sha1): string {
  return `${shelfOf(context, sha1)}/${sha1}`;
}

async function stands(context: Context, sha1: Sha1): Promise<boolean> {
  return (await context.disk.lstat(pathOf(context, sha1)))?.kind === "file";
}

async function hold(context: Context, diskPath: string, byCopy: boolean): Promise<Kept> {
  const { disk } = context;
  const name = randomName(context.random);
  const path = `${context.fresh}/${name}`;
  if (!byCopy) {
    try {
      await disk.link(diskPath, path);
      // The bytes are a program's that may never have flushed them.
      await disk.fsyncFile(path);
      return { name, path, shared: true };
    } catch (error) {
      const linkless = error instanceof DiskError && ["crossDevice", "notSupported"].includes(error.fault);
      if (!linkless) {
        await unlinkIfThere(disk, path);
        throw error;
      }
    }
  }
  await disk.copy(diskPath, path);
  return { name, path, shared: false };
}

async function fileAll(context: Context, kept: readonly { readonly kept: Kept; readonly version: Version }[]): Promise<readonly Version[]> {
  if (kept.length === 0) return [];
  const hashes = await context.disk.hash(
    kept.map((one) => one.kept.path),
    Number.MAX_SAFE_INTEGER,
    new AbortController().signal,
  );
  const versions = kept.map(({ version }, index) => {
    const result = hashes[index];
    // Somebody still writes to that very file: it stays under its random name, and the next start files it.
    if (result?.kind !== "hashed" || result.sha1 === version.sha1) return version;
    return { ...version, sha1: result.sha1, sizeBytes: result.stat.sizeBytes };
  });
  const late = versions.filter((version, index) => version !== kept[index]?.version);
  if (late.length > 0) await context.journal.append(late);
  await context.moving(async () => {
    await forAll(kept, async (one, index) => {
      const result = hashes[index];
      if (result?.kind === "hashed") await moveToHash(context, one.kept.path, result.sha1);
    });
  });
  return versions;
}

/** Freshly read bytes take the place of the stored ones: those may have rotted meanwhile. */
async function moveToHash(context: Context, from: string, sha1: Sha1): Promise<void> {
  const { disk } = context;
  const shelf = shelfOf(context, sha1);
  if ((await disk.lstat(shelf)) === null) {
    await disk.mkdir(shelf, DIRECTORY_MODE);
    await disk.fsyncDir(context.directory);
  }
  // Also where the rename fails: nobody knows then what was done.
  context.unsynced.add(shelf);
  await disk.rename(from, pathOf(context, sha1));
  // A rename onto another name of the same file does nothing at all (POSIX).
  await unlinkIfThere(disk, from);
}

/**
 * The shelves first: made durable alone, `new/` would have lost names that no shelf has yet, and a power cut would leave those bytes without any (N1).
 */
async function syncNames({ disk, fresh, unsynced }: Context): Promise<void> {
  await forAll([...unsynced], async (shelf) => {
    try {
      await disk.fsyncDir(shelf);
    } catch (error) {
      // Somebody emptied the store: no name is left that could be lost.
      if (!isFault(error, "notFound")) throw error;
    }
    unsynced.delete(shelf);
  });
  await disk.fsyncDir(fresh);
}

async function* versionsOf(context: Context): AsyncGenerator<Version> {
  for await (const { keep: _keep, ...version } of context.journal.lines()) yield version;
}

/** Which lines of the journal still say something: those whose bytes stand, by their hash or not yet filed. What is filed after this look was in it. */
async function liveness(context: Context): Promise<(line: Line) => Promise<boolean>> {
  const unfiled = new Set(await context.disk.list(context.fresh));
  const known = new Map<Sha1, boolean>();
  return async ({ sha1, keep }) => {
    if (keep !== undefined && unfiled.has(keep)) return true;
    const there = known.get(sha1) ?? (await stands(context, sha1));
    known.set(sha1, there);
    return there;
  };
}

/** What a crash left in `new/`: filed by its hash if the journal knows it, thrown away if not (then nothing was replaced). */
async function recoverUnfiled(context: Context, clock: Clock): Promise<void> {
  const { disk, fresh } = context;
  const left = new Set(await disk.list(fresh));
  if (left.size === 0) return;
  const known = new Map<string, Line>();
  for await (const line of context.journal.lines()) if (line.keep !== undefined && left.has(line.keep)) known.set(line.keep, line);
  for (const name of left) {
    const line = known.get(name);
    if (line === undefined) {
      await unlinkIfThere(disk, `${fresh}/${name}`);
      continue;
    }
    const { keep: _keep, ...version } = line;
    await fileAll(context, [{ kept: { name, path: `${fresh}/${name}`, shared: true }, version: { ...version, atMs: clock.wallMs() } }]);
  }
}

async function scrub(context: Context, signal: AbortSignal): Promise<readonly Sha1[]> {
  const { disk, directory } = context;
  const damaged: Sha1[] = [];
  for (const shelf of await disk.list(directory)) {
    if (!/^[0-9a-f]{2}$/.test(shelf)) continue;
    const names = await disk.list(`${directory}/${shelf}`);
    const paths = names.map((name) => `${directory}/${shelf}/${name}`);
    const results = await disk.hash(paths, Number.MAX_SAFE_INTEGER, signal);
    for (const [index, name] of names.entries()) {
      const result = results[index];
      if (result?.kind !== "hashed" || result.sha1 === name) continue;
      damaged.push(name);
      await unlinkIfThere(disk, `${directory}/${shelf}/${name}`);
    }
  }
  return damaged;
}
