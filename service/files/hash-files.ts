/** Hashing of whole files by synchronous reads into one buffer that is used again: as fast as C, for threads that have nothing else to do. */
import { createHash, hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";

import type { Stat } from "../core/model.ts";
import type { HashResult } from "../core/ports.ts";
import { faultOf, READ_FLAGS, statOf, unmoved } from "./disk-fault.ts";
import { NO_HASH, STAT_NUMBERS, type HashReply } from "./disk-message.ts";

/** Larger files are hashed piece by piece. */
const BUFFER_BYTES = 1024 * 1024;
let memory: Buffer | null = null;

/** One reply in the making. */
export class Hashing {
  readonly #maxBytes: number;
  readonly #stats: Float64Array<ArrayBuffer>;
  readonly #others = new Map<number, HashResult>();
  readonly #startedMs = performance.now();
  readonly #startedWaits = waits();
  #sha1s = "";
  #bytes = 0;
  #index = 0;

  constructor(count: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#stats = new Float64Array(count * STAT_NUMBERS);
  }

  /** The next file. False: it is larger than `maxBytes`. Never throws: what the disk refuses is the result. */
  add(path: string): boolean {
    const result = hashFile(path, this.#maxBytes);
    const index = this.#index++;
    if (result.kind !== "hashed") {
      this.#others.set(index, result);
      this.#sha1s += NO_HASH;
      return result.kind !== "trouble" || result.fault !== "tooLarge";
    }
    this.#bytes += result.stat.sizeBytes;
    this.#sha1s += result.sha1;
    putStat(this.#stats, index, result.stat);
    return true;
  }

  reply(): HashReply {
    const elapsedMs = performance.now() - this.#startedMs;
    return {
      kind: "hash",
      sha1s: this.#sha1s,
      stats: this.#stats,
      others: this.#others,
      bytes: this.#bytes,
      elapsedMs,
      waits: waits() - this.#startedWaits,
    };
  }
}

/** How often this process gave its processor away because it waited for something; NaN where the system does not count (Windows). */
function waits(): number {
  return process.platform === "win32" ? NaN : process.resourceUsage().voluntaryContextSwitches;
}

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
  memory ??= Buffer.allocUnsafeSlow(BUFFER_BYTES);
  if (stats.size < BUFFER_BYTES) {
    let length = 0;
    // One byte more than promised is asked for: a file that grew shows itself. What has the promised length is not asked for an end, the last look says it.
    for (let got = -1; got !== 0 && length < stats.size; length += got) got = readSync(fd, memory, length, stats.size + 1 - length, null);
    return length === stats.size ? hash("sha1", memory.subarray(0, length), "hex") : null;
  }
  const digest = createHash("sha1");
  let length = 0;
  for (;;) {
    const got = readSync(fd, memory, 0, BUFFER_BYTES, null);
    if (got === 0) break;
    length += got;
    if (length > stats.size) return null;
    digest.update(memory.subarray(0, got));
  }
  return length === stats.size ? digest.digest("hex") : null;
}

/** As the numbers that `statAt` reads. */
export function putStat(stats: Float64Array, index: number, stat: Stat): void {
  const at = index * STAT_NUMBERS;
  stats[at] = stat.sizeBytes;
  stats[at + 1] = stat.mtimeNs;
  stats[at + 2] = stat.ctimeNs;
  stats[at + 3] = stat.fileId;
  stats[at + 4] = stat.dev;
  stats[at + 5] = stat.links ?? 1;
  stats[at + 6] = stat.mode ?? 0;
}
