/** The disk worker: whole batches of paths in, hashes, bytes, names or new files out; synchronous calls and memory used again, as fast as C. */
import { hash } from "node:crypto";
import { closeSync, fstatSync, fsync, linkSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { parentPort, type MessagePort } from "node:worker_threads";

import type { Stat } from "../core/model.ts";
import { codeOf, faultOf, READ_FLAGS, statOf } from "./disk-fault.ts";
import {
  NO_HASH,
  pathsOf,
  STAT_NUMBERS,
  type CreateReply,
  type CreateRequest,
  type DiskReply,
  type DiskRequest,
  type NamesReply,
  type Posted,
  type ReadReply,
  type ReadRequest,
  type WorkerFault,
} from "./disk-message.ts";
import { listAll, lookInto } from "./disk-list.ts";
import { Hashing, putStat } from "./hash-files.ts";

/** Writes all, then makes all durable side by side: the disk takes many of those in one go. */
async function createAll({ paths, shapes, memory }: CreateRequest): Promise<CreateReply> {
  const stats = new Float64Array(paths.length * STAT_NUMBERS);
  const faults = new Map<number, WorkerFault>();
  const over = Promise.withResolvers<void>();
  // One for the loop itself: it may wait, with all begun so far ended.
  let left = 1;
  const end = (): void => {
    left -= 1;
    if (left === 0) over.resolve();
  };
  let at = 0;
  for (const [index, path] of paths.entries()) {
    const length = shapes[index * 2] ?? 0;
    const mode = shapes[index * 2 + 1] ?? -1;
    const bytes = new Uint8Array(memory, at, length);
    at += length;
    const fd = await openNew(path, mode < 0 ? 0o666 : mode);
    if (typeof fd !== "number") {
      faults.set(index, fd);
      continue;
    }
    const made = (stat: Stat): void => putStat(stats, index, stat);
    const failed = (fault: WorkerFault): unknown => faults.set(index, fault);
    left += 1;
    fill(fd, path, bytes, { made, failed, end });
  }
  end();
  await over.promise;
  return { kind: "create", stats, faults, memory };
}

/** Files that are open here and not yet durable, and who waits for one of them to be closed. */
let open = 0;
const waiting: (() => void)[] = [];

async function oneClosed(): Promise<void> {
  await new Promise<void>((resolve) => waiting.push(resolve));
}

/** Where the process may open no more, half of what is open here is finished first: the other threads need some, too. */
async function openNew(path: string, mode: number): Promise<number | WorkerFault> {
  for (;;) {
    try {
      return openSync(path, "wx", mode);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== "tooManyOpen" || open === 0) return { fault, code: codeOf(error) ?? String(error) };
    }
    for (let half = Math.ceil(open / 2); half > 0; half -= 1) await oneClosed();
  }
}

/** Told one of the first two, then `end`. */
type Making = { readonly made: (stat: Stat) => void; readonly failed: (fault: WorkerFault) => unknown; readonly end: () => void };

/** What was begun and failed is removed again: no half file stays behind (DK01). A callback: promises cost a tenth of all that is done for a file here. */
function fill(fd: number, path: string, bytes: Uint8Array, { made, failed, end }: Making): void {
  open += 1;
  const refuse = (error: unknown): void => {
    failed({ fault: faultOf(error), code: codeOf(error) ?? String(error) });
    removeHalf(path);
  };
  const finish = (refused: unknown): void => {
    try {
      if (refused === null) made(statOf(fstatSync(fd)));
      else refuse(refused);
    } catch (error) {
      refuse(error);
    }
    // At once: after an fsync nothing is left to be written, and a hop to another thread costs more than the rest of the call.
    closeQuietly(fd);
    open -= 1;
    for (const resume of waiting.splice(0)) resume();
    end();
  };
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  } catch (error) {
    finish(error);
    return;
  }
  fsync(fd, finish);
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

/** What is not read here is read by the other thread, which can tell why not. */
function readAll({ paths, rooms, memory }: ReadRequest): ReadReply {
  const stats = new Float64Array(paths.length * STAT_NUMBERS);
  let sha1s = "";
  for (const [index, path] of paths.entries()) {
    const room = new Uint8Array(memory, rooms[index * 2] ?? 0, rooms[index * 2 + 1] ?? 0);
    sha1s += readInto(path, room, (stat) => putStat(stats, index, stat)) ?? NO_HASH;
  }
  return { kind: "read", sha1s, stats };
}

/** The hash of the bytes as they were read; null: something else than a file of that length stands there. */
function readInto(path: string, room: Uint8Array, found: (stat: Stat) => void): string | null {
  let fd: number | null = null;
  try {
    fd = openSync(path, READ_FLAGS);
    const stats = fstatSync(fd);
    const wanted = room.length - 1;
    if (!stats.isFile() || stats.size !== wanted) return null;
    let length = 0;
    for (let got = -1; got !== 0 && length < wanted; length += got) got = readSync(fd, room, length, room.length - length, length);
    if (length !== wanted) return null;
    found(statOf(stats));
    return hash("sha1", room.subarray(0, length), "hex");
  } catch {
    // Read again by the other thread, which says what is wrong.
    return null;
  } finally {
    if (fd !== null) closeQuietly(fd);
  }
}

/** Does it for each index; one that the system refuses is done again by the other thread, which says why or waits. */
function namesReply(count: number, work: (index: number) => void): NamesReply {
  const failed = new Set<number>();
  for (let index = 0; index < count; index += 1) {
    try {
      work(index);
    } catch {
      failed.add(index);
    }
  }
  return { kind: "names", failed };
}

type Quick = Exclude<DiskRequest, CreateRequest>;
type Post = (reply: DiskReply, transfer: readonly ArrayBuffer[]) => void;

function answer(request: Quick, post: Post): void {
  switch (request.kind) {
    case "hash": {
      const hashing = new Hashing(request.count, request.maxBytes);
      for (const path of pathsOf(request)) hashing.add(path);
      const reply = hashing.reply();
      return post(reply, [reply.stats.buffer]);
    }
    case "list":
      return listAll(request, (reply) => post(reply, [reply.stats.buffer, reply.kinds.buffer]));
    case "read": {
      const reply = readAll(request);
      return post(reply, [reply.stats.buffer]);
    }
    case "look": {
      const looks = { kinds: new Uint8Array(request.paths.length), stats: new Float64Array(request.paths.length * STAT_NUMBERS) };
      for (const [index, path] of request.paths.entries()) lookInto(path, looks, index);
      return post({ kind: "look", ...looks }, [looks.kinds.buffer, looks.stats.buffer]);
    }
    case "link": {
      const { from, to } = request;
      return post(
        namesReply(from.length, (index) => linkSync(from[index] ?? "", to[index] ?? "")),
        [],
      );
    }
    case "unlink":
      return post(
        namesReply(request.paths.length, (index) => unlinkSync(request.paths[index] ?? "")),
        [],
      );
  }
}

/** New files that are being written at once: while the disk makes those of one message durable, those of the next are written. */
const CREATIONS = 2;

/** Creations begin in order, a few at a time; all else is answered at once, while they wait for the disk. */
function serve(port: MessagePort): void {
  const turns = Array.from({ length: CREATIONS }, async () => await Promise.resolve());
  const create = async (before: Promise<void>, request: CreateRequest, post: Post): Promise<void> => {
    await before;
    const reply = await createAll(request);
    post(reply, [reply.stats.buffer, reply.memory]);
  };
  port.on("message", ({ id, message }: Posted<DiskRequest>) => {
    const post: Post = (reply, transfer) => port.postMessage({ id, message: reply } satisfies Posted<DiskReply>, [...transfer]);
    if (message.kind === "create") turns.push(create(turns.shift() ?? Promise.resolve(), message, post));
    else answer(message, post);
  });
}

if (parentPort !== null) serve(parentPort);
