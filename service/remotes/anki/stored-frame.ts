/** A zstd frame that stores instead of compressing: media don't compress, and a copy is the cheapest legal frame (specs §2.6, tried). */

/** The format's largest block; RFC 8878 §3.1.1.2.4. */
const BLOCK_BYTES = 128 * 1024;
/** Magic, frame descriptor 0 (no size, no checksum, no dictionary), window 128 KiB (exponent 7, mantissa 0). */
const HEAD = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38] as const;
const BLOCK_HEAD_BYTES = 3;

/** Memory of at least so many bytes, with anything in it. */
export type Take = (bytes: number) => Buffer;

/** The chunks, one after the other, as one frame of raw blocks; copied once, into memory from `take` (of at least that many bytes). */
export function storedFrame(chunks: readonly Uint8Array[], take: Take): Buffer {
  const length = lengthOf(chunks);
  const blocks = Math.max(1, Math.ceil(length / BLOCK_BYTES));
  const frameBytes = HEAD.length + blocks * BLOCK_HEAD_BYTES + length;
  // Every byte of it is written below, so the memory need not be cleared first.
  const frame = take(frameBytes).subarray(0, frameBytes);
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

/** The chunks in one buffer from `take`, as they are. */
export function joined(chunks: readonly Uint8Array[], take: Take): Buffer {
  const length = lengthOf(chunks);
  const buffer = take(length).subarray(0, length);
  let at = 0;
  for (const chunk of chunks) {
    buffer.set(chunk, at);
    at += chunk.length;
  }
  return buffer;
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
