/** The hash worker: whole batches of paths in, hashes out; synchronous reads into one reused buffer, which is as fast as C. */
import { createHash, hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { parentPort } from "node:worker_threads";

import type { HashResult } from "../core/ports.ts";
import { STAT_NUMBERS, type HashReply, type HashRequest } from "./hash-message.ts";
import { faultOf, READ_FLAGS, statOf, unmoved } from "./disk-fault.ts";

const BLANK = " ".repeat(40);

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

const port = parentPort;
port?.on("message", (request: HashRequest) => {
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
    const { stat } = result;
    bytes += stat.sizeBytes;
    sha1s += result.sha1;
    stats.set([stat.sizeBytes, stat.mtimeNs, stat.ctimeNs, stat.fileId, stat.dev, stat.links ?? 1, stat.mode ?? 0], index * STAT_NUMBERS);
  }
  const reply: HashReply = { sha1s, stats, others, bytes, elapsedMs: performance.now() - startedMs };
  port.postMessage(reply, [stats.buffer]);
});
