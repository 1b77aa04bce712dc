/** The disk worker: whole batches of paths in, hashes or new files out; synchronous calls and one reused buffer, which is as fast as C. */
import { createHash, hash } from "node:crypto";
import { close, closeSync, fstatSync, fsync, openSync, readSync, unlinkSync, writeSync, type Stats } from "node:fs";
import { promisify } from "node:util";
import { parentPort, type MessagePort } from "node:worker_threads";

import type { HashResult } from "../core/ports.ts";
import type { Stat } from "../core/model.ts";
import { codeOf, faultOf, READ_FLAGS, statOf, unmoved } from "./disk-fault.ts";
import {
  STAT_NUMBERS,
  type CreateFault,
  type CreateReply,
  type CreateRequest,
  type DiskRequest,
  type HashReply,
  type HashRequest,
} from "./disk-message.ts";

const BLANK = " ".repeat(40);
const syncFile = promisify(fsync);
const closeFile = promisify(close);

/** Larger files are hashed piece by piece. */
const BUFFER_BYTES = 1024 * 1024;
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** Never throws: what the disk refuses is the result. */
function hashFile(path: string, maxBytes: number): HashResult {
  let fd: number | null = null;
  try {
    fd = openSync(path, READ_FLAGS);
    const before = fstatSync(fd);
    if (!before.isFile()) return { kind: "trouble", fault: before.isDirectory() ? "isDirectory" : "notSupported" };
    if (before.size > maxBytes) return { kind: "trouble", fault: "tooLarge" };
    const sha1 = readAndHash(fd, before);
    if (sha1 === null || !unmoved(before, fstatSync(fd))) return { kind: "changed" };
    return { kind: "hashed", sha1, stat: statOf(before) };
  } catch (error) {
    const fault = faultOf(error);
    return fault === "notFound" || fault === "notDirectory" ? { kind: "absent" } : { kind: "trouble", fault };
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** null: the file is not as long as its stat said. */
function readAndHash(fd: number, stats: Stats): string | null {
  if (stats.size < BUFFER_BYTES) {
    let length = 0;
    // One byte more than promised is asked for: a file that grew shows itself.
    for (let got = -1; got !== 0 && length <= stats.size; length += got) got = readSync(fd, buffer, length, stats.size + 1 - length, null);
    return length === stats.size ? hash("sha1", buffer.subarray(0, length), "hex") : null;
  }
  const digest = createHash("sha1");
  let length = 0;
  for (;;) {
    const got = readSync(fd, buffer, 0, BUFFER_BYTES, null);
    if (got === 0) break;
    length += got;
    if (length > stats.size) return null;
    digest.update(buffer.subarray(0, got));
  }
  return length === stats.size ? digest.digest("hex") : null;
}

function hashAll(request: HashRequest): HashReply {
  const startedMs = performance.now();
  const stats = new Float64Array(request.paths.length * STAT_NUMBERS);
  const others = new Map<number, HashResult>();
  let bytes = 0;
  let sha1s = "";
  for (const [index, path] of request.paths.entries()) {
    const result = hashFile(path, request.maxBytes);
    if (result.kind !== "hashed") {
      others.set(index, result);
      sha1s += BLANK;
      continue;
    }
    bytes += result.stat.sizeBytes;
    sha1s += result.sha1;
    putStat(stats, index, result.stat);
  }
  return { kind: "hash", sha1s, stats, others, bytes, elapsedMs: performance.now() - startedMs };
}

function putStat(stats: Float64Array, index: number, stat: Stat): void {
  const at = index * STAT_NUMBERS;
  stats[at] = stat.sizeBytes;
  stats[at + 1] = stat.mtimeNs;
  stats[at + 2] = stat.ctimeNs;
  stats[at + 3] = stat.fileId;
  stats[at + 4] = stat.dev;
  stats[at + 5] = stat.links ?? 1;
  stats[at + 6] = stat.mode ?? 0;
}

/** Writes all, then makes all durable side by side: the disk takes many of those in one go. */
async function createAll({ paths, shapes, memory }: CreateRequest): Promise<CreateReply> {
  const stats = new Float64Array(paths.length * STAT_NUMBERS);
  const faults = new Map<number, CreateFault>();
  const ends: Promise<void>[] = [];
  let at = 0;
  for (const [index, path] of paths.entries()) {
    const length = shapes[index * 2] ?? 0;
    const mode = shapes[index * 2 + 1] ?? -1;
    const bytes = new Uint8Array(memory, at, length);
    at += length;
    ends.push(
      createOne(
        path,
        bytes,
        mode < 0 ? 0o666 : mode,
        (stat) => putStat(stats, index, stat),
        (fault) => faults.set(index, fault),
      ),
    );
  }
  await Promise.all(ends);
  return { kind: "create", stats, faults, memory };
}

/** What was begun and failed is removed again: no half file stays behind (DK01). Never rejects. */
async function createOne(
  path: string,
  bytes: Uint8Array,
  mode: number,
  made: (stat: Stat) => void,
  failed: (fault: CreateFault) => void,
): Promise<void> {
  let fd: number | null = null;
  try {
    fd = openSync(path, "wx", mode);
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    await syncFile(fd);
    made(statOf(fstatSync(fd)));
  } catch (error) {
    failed({ fault: faultOf(error), code: codeOf(error) ?? String(error) });
    if (fd !== null) removeHalf(path);
  } finally {
    if (fd !== null) await closeFile(fd).catch(() => undefined);
  }
}

function removeHalf(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The fault that is told already says that this disk refuses; the next start sweeps what it left.
  }
}

async function answer(port: MessagePort, request: DiskRequest): Promise<void> {
  if (request.kind === "hash") {
    const reply = hashAll(request);
    port.postMessage(reply, [reply.stats.buffer]);
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
