/** The zstd frames of the wire: one content frame per body, no dictionary, bounded output, bounded window (specification §2.6, ZP12–ZP15). */
import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync, type ZstdOptions } from "node:zlib";

import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";

const compressInPool = promisify(zstdCompress);
const decompressInPool = promisify(zstdDecompress);

/** Media are compressed already: level 1 runs at the speed of a copy on them, and JSON is small. */
const LEVEL = 1;
/** Output buffers are allocated in steps of at most this, whatever a frame promises: several are put together at the end, and memory that is
 * touched for the first time costs as much as hashing it. One upload's ZIP fits in one. */
const STEP_BYTES = 16 * 1_048_576;

/** One frame. For inputs up to some 100 KiB; larger ones go through `compress`. */
export function compressSync(bytes: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, compressOptions(bytes));
}

/** One frame, made in the thread pool. */
export async function compress(bytes: Uint8Array): Promise<Uint8Array> {
  return await compressInPool(bytes, compressOptions(bytes));
}

/**
 * The content of exactly one frame. For inputs up to some 100 KiB; larger ones go through `decompress`.
 * @throws RangeError when it would exceed `maxBytes` (at most one step more was made); WireError `zstd` when the input is anything but one whole frame.
 */
export function decompressSync(bytes: Uint8Array, maxBytes: number): Uint8Array {
  checkFrameStart(bytes);
  try {
    return takeWhole(zstdDecompressSync(bytes, decompressOptions(bytes, maxBytes)), bytes, maxBytes);
  } catch (error) {
    throw asRefusal(error, maxBytes);
  }
}

/** Like `decompressSync`, in the thread pool. */
export async function decompress(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  checkFrameStart(bytes);
  try {
    return takeWhole(await decompressInPool(bytes, decompressOptions(bytes, maxBytes)), bytes, maxBytes);
  } catch (error) {
    throw asRefusal(error, maxBytes);
  }
}

function compressOptions(bytes: Uint8Array): ZstdOptions {
  // One output buffer as large as the worst case, so that nothing is copied together afterwards.
  const worstBytes = bytes.length + (bytes.length >> 8) + 1024;
  return { chunkSize: Math.min(worstBytes, STEP_BYTES), params: { [constants.ZSTD_c_compressionLevel]: LEVEL } };
}

function decompressOptions(bytes: Uint8Array, maxBytes: number): ZstdOptions {
  const guessBytes = bytes.length + (bytes.length >> 4) + 4096;
  return {
    info: true,
    chunkSize: Math.min(guessBytes, STEP_BYTES),
    // zlib refuses 0; an output of one byte against a cap of zero is caught in `takeWhole`.
    maxOutputLength: Math.max(1, maxBytes),
    params: { [constants.ZSTD_d_windowLogMax]: LIMITS.zstdWindowLog },
  };
}

const MAGIC = 0xfd_2f_b5_28;

/** Skippable frames, dictionaries and empty input are refused before any work. */
function checkFrameStart(bytes: Uint8Array): void {
  if (bytes.length < 5 || new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) !== MAGIC)
    throw new WireError("zstd", "Decompressing a body: it is not a zstd frame.");
  if ((Number(bytes[4]) & 3) !== 0) throw new WireError("zstd", "Decompressing a body: it asks for a dictionary.");
}

/** What zlib gives with `info`: the output, and the engine that knows how much input it took. */
type WithEngine = { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };
function hasEngine(result: unknown): result is WithEngine {
  return typeof result === "object" && result !== null && "buffer" in result && "engine" in result;
}

/** zlib stops silently after the first frame, skippable or not: what it did not take tells. */
function takeWhole(result: unknown, bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (!hasEngine(result)) throw new TypeError("Decompressing a body: zlib did not tell how much it read.");
  if (result.engine.bytesWritten !== bytes.length) throw new WireError("zstd", "Decompressing a body: bytes follow after the first frame.");
  if (result.buffer.length > maxBytes) throw tooLarge(maxBytes);
  return result.buffer;
}

function asRefusal(error: unknown, maxBytes: number): Error {
  if (error instanceof WireError) return error;
  if (error instanceof RangeError) return tooLarge(maxBytes, error);
  return new WireError("zstd", "Decompressing a body: it is damaged, or its window is larger than 16 MiB.", { cause: error });
}

function tooLarge(maxBytes: number, cause?: unknown): RangeError {
  return new RangeError(`Decompressing a body: its content has more than ${String(maxBytes)} bytes.`, { cause });
}
