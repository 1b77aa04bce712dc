/** The disk worker: whole batches of paths in, hashes or new files out; synchronous calls and one reused buffer, which is as fast as C. */
import { closeSync, fstatSync, fsync, lstatSync, openSync, readdirSync, unlinkSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { parentPort, type MessagePort } from "node:worker_threads";

import type { Stat } from "../core/model.ts";
import { codeOf, faultOf, statOf } from "./disk-fault.ts";
import {
  LOOKED,
  STAT_NUMBERS,
  type ListReply,
  type WorkerFault,
  type CreateReply,
  type CreateRequest,
  type DiskRequest,
} from "./disk-message.ts";
import { Hashing, putStat } from "./hash-files.ts";

const syncFile = promisify(fsync);

/** Writes all, then makes all durable side by side: the disk takes many of those in one go. */
async function createAll({ paths, shapes, memory }: CreateRequest): Promise<CreateReply> {
  const stats = new Float64Array(paths.length * STAT_NUMBERS);
  const faults = new Map<number, WorkerFault>();
  const open = new Set<Promise<void>>();
  let at = 0;
  for (const [index, path] of paths.entries()) {
    const length = shapes[index * 2] ?? 0;
    const mode = shapes[index * 2 + 1] ?? -1;
    const bytes = new Uint8Array(memory, at, length);
    at += length;
    const fd = await openNew(path, mode < 0 ? 0o666 : mode, open);
    if (typeof fd !== "number") {
      faults.set(index, fd);
      continue;
    }
    const made = (stat: Stat): void => putStat(stats, index, stat);
    const failed = (fault: WorkerFault): unknown => faults.set(index, fault);
    const one = fill(fd, path, bytes, made, failed).finally(() => open.delete(one));
    open.add(one);
  }
  await Promise.all(open);
  return { kind: "create", stats, faults, memory };
}

/** Where the process may open no more, half of what is open here is finished first: the other threads need some, too. */
async function openNew(path: string, mode: number, open: ReadonlySet<Promise<void>>): Promise<number | WorkerFault> {
  for (;;) {
    try {
      return openSync(path, "wx", mode);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== "tooManyOpen" || open.size === 0) return { fault, code: codeOf(error) ?? String(error) };
    }
    for (const half = open.size / 2; open.size > half;) await Promise.race(open);
  }
}

/** What was begun and failed is removed again: no half file stays behind (DK01). Never rejects. */
async function fill(
  fd: number,
  path: string,
  bytes: Uint8Array,
  made: (stat: Stat) => void,
  failed: (fault: WorkerFault) => unknown,
): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    await syncFile(fd);
    made(statOf(fstatSync(fd)));
  } catch (error) {
    failed({ fault: faultOf(error), code: codeOf(error) ?? String(error) });
    removeHalf(path);
  } finally {
    // At once: after an fsync nothing is left to be written, and a hop to another thread costs more than the rest of the call.
    closeQuietly(fd);
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // The bytes are durable, or their fault is told already.
  }
}

function removeHalf(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The fault that is told already says that this disk refuses; the next start sweeps what it left.
  }
}

/** Names per reply: the main thread takes each in about a millisecond. */
const LIST_NAMES = 1_024;

function listAll(path: string, reply: (part: ListReply) => void): void {
  const part = (names: readonly string[], more: boolean, fault: WorkerFault | null): void => {
    const kinds = new Uint8Array(names.length);
    const stats = new Float64Array(names.length * STAT_NUMBERS);
    for (const [index, name] of names.entries()) kinds[index] = lookInto(`${path}/${name}`, stats, index);
    reply({ kind: "list", names: names.join("/"), kinds, stats, more, fault });
  };
  let names: readonly string[];
  try {
    // Between the look and the listing a directory may have become a symlink (CT10): what it leads to is not ours.
    if (!lstatSync(path).isDirectory()) return part([], false, { fault: "symlink", code: "ELOOP" });
    names = readdirSync(path);
  } catch (error) {
    return part([], false, { fault: faultOf(error), code: codeOf(error) ?? String(error) });
  }
  for (let at = 0; at < names.length; at += LIST_NAMES) part(names.slice(at, at + LIST_NAMES), true, null);
  part([], false, null);
}

function lookInto(path: string, stats: Float64Array, index: number): number {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return LOOKED.gone;
    const stat = statOf(found);
    putStat(stats, index, stat);
    return LOOKED[stat.kind];
  } catch {
    // Which of the two it was does not matter: it is unknown in both cases.
    return LOOKED.gone;
  }
}

async function answer(port: MessagePort, request: DiskRequest): Promise<void> {
  if (request.kind === "hash") {
    const hashing = new Hashing(request.paths.length, request.maxBytes);
    for (const path of request.paths) hashing.add(path);
    const reply = hashing.reply();
    port.postMessage(reply, [reply.stats.buffer]);
  } else if (request.kind === "list") {
    listAll(request.path, (reply) => port.postMessage(reply, [reply.stats.buffer, reply.kinds.buffer]));
  } else {
    const reply = await createAll(request);
    port.postMessage(reply, [reply.stats.buffer, reply.memory]);
  }
}

/** One message after another: the main thread reckons with answers in order. */
function serve(port: MessagePort): void {
  let turn = Promise.resolve();
  const next = async (before: Promise<void>, request: DiskRequest): Promise<void> => {
    await before;
    await answer(port, request);
  };
  port.on("message", (request: DiskRequest) => {
    turn = next(turn, request);
  });
}

if (parentPort !== null) serve(parentPort);
