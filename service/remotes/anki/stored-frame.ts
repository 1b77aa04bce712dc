/** A zstd frame that stores instead of compressing: media don't compress, and a copy is the cheapest legal frame (specs §2.6, tried). */

import { lengthOf, type Take } from "../body-buffers.ts";

/** The format's largest block; RFC 8878 §3.1.1.2.4. */
const BLOCK_BYTES = 128 * 1024;
/** Magic, frame descriptor 0 (no size, no checksum, no dictionary), window 128 KiB (exponent 7, mantissa 0). */
const HEAD = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38] as const;
const BLOCK_HEAD_BYTES = 3;

/** The chunks, one after the other, as one frame of raw blocks; copied once, into memory from `take` (of at least that many bytes). */
export function storedFrame(chunks: readonly Uint8Array[], take: Take): Uint8Array {
  const length = lengthOf(chunks);
  const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES));
  const frameBytes = HEAD.length + blocks * BLOCK_HEAD_BYTES + length;
  // Every byte of it is written below, so the memory need not be cleared first.
  const memory = take(frameBytes);
  const frame = Buffer.from(memory.buffer, memory.byteOffset, frameBytes);
  frame.set(HEAD);
  let at: number = HEAD.length;
  let leftInAll = length;
  let leftInBlock = 0;
  const startBlock = () => {
    leftInBlock = Math.min(leftInAll, BLOCK_BYTES);
    // Bit 0: last block; bits 1–2: type, 0 = raw; the rest: length.
    frame.writeUIntLE((leftInBlock << 3) | (leftInBlock === leftInAll ? 1 : 0), at, BLOCK_HEAD_BYTES);
    at += BLOCK_HEAD_BYTES;
  };
  if (length === 0) startBlock();
  for (const chunk of chunks) {
    let taken = 0;
    while (taken < chunk.length) {
      if (leftInBlock === 0) startBlock();
      const part = chunk.subarray(taken, taken + leftInBlock);
      frame.set(part, at);
      at += part.length;
      taken += part.length;
      leftInBlock -= part.length;
      leftInAll -= part.length;
    }
  }
  return frame;
}
