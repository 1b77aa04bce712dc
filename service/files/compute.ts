/** Processor work: hashing, and the zstd frames of the wire. */
import { createHash, hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

import { compress, compressSync, decompress, decompressSync } from "../../protocol/anki/zstd.ts";
import type { Sha1 } from "../core/model.ts";
import type { Compute } from "../core/ports.ts";

/** Below this, a hop to the thread pool costs more than the work (30 µs against 1 ms per 2.5 MB). */
const ASYNC_FROM_BYTES = 256 * 1024;
/** What is small may still inflate to the caller's cap: up to this cap the main thread is held for about 2 ms at worst. */
const SYNC_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Media only have to be copied out of their frame: 0.2 ms per MiB. */
const SYNC_INPUT_BYTES = 1024 * 1024;

/** What is hashed at one go: about a millisecond. */
const PIECE_BYTES = 1024 * 1024;

/** For production: small work at once, large work in libuv's thread pool. */
export const nodeCompute: Compute = {
  sha1,
  sha1Fairly: (bytes) => (bytes.length <= PIECE_BYTES ? sha1(bytes) : sha1InPieces(bytes)),
  zstd: async (bytes) => (bytes.length < ASYNC_FROM_BYTES ? compressSync(bytes) : await compress(bytes)),
  unzstd: async (bytes, maxBytes) => {
    if (bytes.length >= SYNC_INPUT_BYTES) return await decompress(bytes, maxBytes);
    if (maxBytes <= SYNC_OUTPUT_BYTES) return decompressSync(bytes, maxBytes);
    try {
      return decompressSync(bytes, SYNC_OUTPUT_BYTES);
    } catch (error) {
      // It unfolds to more than that, which is allowed: then off this thread.
      if (error instanceof RangeError) return await decompress(bytes, maxBytes);
      throw error;
    }
  },
};

/** For the simulator: everything happens inside the call, so that the same seed gives the same order of events. */
export const syncCompute: Compute = {
  sha1,
  sha1Fairly: sha1,
  zstd: async (bytes) => await Promise.resolve(compressSync(bytes)),
  unzstd: async (bytes, maxBytes) => await Promise.resolve(decompressSync(bytes, maxBytes)),
};

function sha1(bytes: Uint8Array): Sha1 {
  return hash("sha1", bytes, "hex");
}

async function sha1InPieces(bytes: Uint8Array): Promise<Sha1> {
  const digest = createHash("sha1");
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await setImmediate();
    digest.update(bytes.subarray(at, at + PIECE_BYTES));
  }
  return digest.digest("hex");
}
