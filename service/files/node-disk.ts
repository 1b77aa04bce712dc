/**
 * The `Disk` port over Node. What waits for the platter (fsync, large reads and writes) runs in libuv's threads. What only touches memory
 * (a look, a small read, a new name) is done at once: a hop to a thread and back costs ten times the call. Slices let others in between.
 */
import * as fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";

import type { Stat } from "../core/model.ts";
import { DiskError, type Disk, type HashResult } from "../core/ports.ts";
import { diskError, faultOf, refuse } from "./disk-fault.ts";
import { DiskCrew, type NewFile, type NewName, type Reading } from "./disk-crew.ts";
import {
  appendTo,
  attempt,
  copyFile,
  createFile,
  createSmall,
  hashHere,
  linkFile,
  listNames,
  lookAt,
  patiently,
  probe,
  readPart,
  readWhole,
  replaceFileIf,
  SMALL_BYTES,
  spaceAt,
  syncDirectory,
  syncFile,
} from "./file-calls.ts";
import { walkTree } from "./node-walk.ts";
import { openTurns, type InTurn } from "./open-turns.ts";
import { openTogether, orHere } from "./together.ts";

const mkdir = promisify(fs.mkdir);
const rmdir = promisify(fs.rmdir);

/** Looks made one after another without a pause: then others have their turn. */
const BREATHE_MS = 6;
/** Up to this many small files are read here while no worker is up: starting one takes 30 ms. */
const HERE_FILES = 16;
/** A directory with more names than this is listed by a worker: below, hashing begins sooner when the names come from here. */
const NEAR_NAMES = 32_768;

export type NodeDisk = Disk & { close(): Promise<void> };

/** `diskWorker`: address of disk-worker.ts, or of its bundle. `nearNames`: a directory of up to so many names is listed on this thread; of a larger one, so
 * many parts at a time are looked at here: `nearParts`. `close` ends the workers. */
export function openNodeDisk(options: { readonly diskWorker: URL; readonly nearNames?: number; readonly nearParts?: number }): NodeDisk {
  const crew = new DiskCrew(options.diskWorker);
  const breathe = breather();
  const inTurn = openTurns();
  const opening = openingIn(inTurn);
  const many = calls(crew, breathe);
  return {
    close: async () => await crew.close(),
    lstat: async (path, together) => {
      if (together === true) return await many.look(path);
      await breathe();
      return lookAt(path);
    },
    walk: (root, skip, signal) =>
      walkTree(root, skip, signal, { listFar: (path) => crew.list(path, options.nearParts), nearNames: options.nearNames ?? NEAR_NAMES }),
    list: async (path) => await opening("list", path, async () => await listNames(path)),
    hash: async (paths, maxBytes, signal) => {
      signal.throwIfAborted();
      const away = crew.awake || paths.length > HERE_FILES;
      const here = away ? paths.map(() => null) : await Promise.all(paths.map(async (path) => await hashHere(path, maxBytes)));
      const large = away ? paths : paths.filter((_, index) => here[index] === null);
      const there = large.length === 0 ? [] : [...(await crew.hash(large, maxBytes, signal))];
      const results = away ? there : here.map((result): HashResult => result ?? there.shift() ?? { kind: "changed" });
      signal.throwIfAborted();
      if (!results.some(isRefusedOpen)) return results;
      return await hashAgain(results, inTurn, async (index) => {
        const [again] = await crew.hash(paths.slice(index, index + 1), maxBytes, signal);
        return again ?? { kind: "changed" };
      });
    },
    read: async (path, maxBytes, memory) => {
      if (memory !== undefined && isShared(memory) && memory.length <= Math.min(SMALL_BYTES, maxBytes))
        return await opening("read", path, async () => await many.read({ path, room: memory, maxBytes }));
      await breathe();
      return await opening("read", path, async () => await readWhole(path, maxBytes, memory));
    },
    readRange: async (path, offsetBytes, lengthBytes) =>
      await opening("read", path, async () => await readPart(path, offsetBytes, lengthBytes)),
    create: async (path, bytes, mode) =>
      await opening(
        "write",
        path,
        async () => await (bytes.length > SMALL_BYTES ? createFile(path, bytes, mode) : many.create({ path, bytes, mode })),
      ),
    append: async (path, bytes) => await opening("append to", path, async () => await appendTo(path, bytes)),
    copy: async (from, to) => await opening("copy", `${from} to ${to}`, async () => await copyFile(from, to)),
    link: async (from, to) => void (await many.link({ from, to })),
    rename: async (from, to) => {
      await breathe();
      await attempt("rename", `${from} to ${to}`, async () => await patiently(() => fs.renameSync(from, to)));
    },
    replaceIf: async (from, to, expected) => {
      await breathe();
      return await attempt("rename", `${from} to ${to}`, async () => await replaceFileIf(from, to, expected));
    },
    unlink: async (path) => void (await many.unlink(path)),
    mkdir: async (path, mode) =>
      await attempt("make the folder", path, async () => {
        await mkdir(path, { recursive: true, ...(mode === undefined ? {} : { mode }) });
      }),
    rmdir: async (path) => await attempt("remove the folder", path, async () => await rmdir(path)),
    fsyncFile: async (path) => await opening("make durable", path, async () => await syncFile(path)),
    fsyncDir: async (path) => await opening("make durable", path, async () => await syncDirectory(path)),
    space: spaceAt,
    caps: async (directory) => await opening("try names in", directory, async () => await probe(directory)),
  };
}

/** Runs what opens files, in its turn; a failure is told in our words. */
function openingIn(inTurn: InTurn) {
  return async <T>(what: string, path: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await inTurn(work);
    } catch (error) {
      throw diskError(what, path, error);
    }
  };
}

/** From here on the worker is worth its message. */
const TOGETHER_MIN = 16;

/** What is asked for many times in one breath is done by a worker; what it can't do is tried here, where it is told or waited for. */
function calls(crew: DiskCrew, breathe: () => Promise<void> | void) {
  const create = openTogether(
    async (files: readonly NewFile[]) => (await crew.create(files)).map((made) => (made instanceof DiskError ? made : { done: made })),
    async ({ path, bytes, mode }) => await createSmall(path, bytes, mode),
    (count) => count >= TOGETHER_MIN,
  );
  // These are over before a worker has started.
  const ifAwake = (count: number): boolean => count >= TOGETHER_MIN && crew.awake;
  const read = openTogether<Reading & { readonly maxBytes: number }, Awaited<ReturnType<Disk["read"]>>>(
    async (files) => await orHere(files.length, crew.read(files)),
    async ({ path, room, maxBytes }) => {
      await breathe();
      return await readWhole(path, maxBytes, room);
    },
    ifAwake,
  );
  const look = openTogether<string, Stat | null>(
    async (paths) => await orHere(paths.length, crew.look(paths)),
    async (path) => {
      await breathe();
      return lookAt(path);
    },
    ifAwake,
  );
  const link = openTogether<NewName, true>(
    async (names) => await orHere(names.length, crew.link(names)),
    async ({ from, to }) => {
      await breathe();
      linkFile(from, to);
      return true;
    },
    ifAwake,
  );
  const unlinkThem = openTogether<string, true>(
    async (paths) => await orHere(paths.length, crew.unlink(paths)),
    async (path) => {
      await breathe();
      await attempt("remove", path, async () => await patiently(() => fs.unlinkSync(path)));
      return true;
    },
    ifAwake,
  );
  return { create, read, look, link, unlink: unlinkThem };
}

function isShared(memory: Uint8Array): memory is Uint8Array<SharedArrayBuffer> {
  return memory.buffer instanceof SharedArrayBuffer;
}

/** A look takes 2 µs here and 40 in a thread, but thousands in a row must let others in between. */
function breather(): () => Promise<void> | void {
  let untilMs = 0;
  let resting: Promise<void> | null = null;
  const rest = async (): Promise<void> => {
    await setImmediate();
    untilMs = 0;
    resting = null;
  };
  return () => {
    if (resting !== null) return resting;
    const nowMs = performance.now();
    if (untilMs === 0) {
      untilMs = nowMs + BREATHE_MS;
      // The next turn of the loop starts a new slice by itself.
      globalThis.setImmediate(() => (untilMs = 0)).unref();
      return undefined;
    }
    if (nowMs < untilMs) return undefined;
    resting = rest();
    return resting;
  };
}

function isRefusedOpen(result: HashResult): boolean {
  return result.kind === "trouble" && result.fault === "tooManyOpen";
}

/** Those that could not be opened, as too many were open, one after another; what stays refused is the result. */
async function hashAgain(
  results: readonly HashResult[],
  inTurn: InTurn,
  one: (index: number) => Promise<HashResult>,
): Promise<readonly HashResult[]> {
  const all = [...results];
  for (const [index, result] of results.entries()) {
    if (!isRefusedOpen(result)) continue;
    try {
      all[index] = await inTurn(async () => {
        const again = await one(index);
        if (isRefusedOpen(again)) throw refuse("tooManyOpen", "read", "a file");
        return again;
      });
    } catch (error) {
      if (faultOf(error) !== "tooManyOpen") throw error;
    }
  }
  return all;
}
