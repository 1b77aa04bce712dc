/** zstd frames of raw blocks: what is compressed already (media, a SQLite file on its way) is only wrapped, by clients too. RFC 8878 §3.1.1. */
import { LIMITS } from "../../protocol/anki/limits.ts";

/** A block's largest content, and how many header bytes it has. */
const BLOCK_BYTES = 128 * 1024;
const HEADER_BYTES = 3;
/** Magic, neither size nor checksum, a window of 2 MiB: as Anki's own frames begin. */
const START = Buffer.from("28b52ffd0058", "hex");

/** Bytes of the frame around so many bytes of content. */
export function frameBytes(contentBytes: number): number {
  return START.length + contentBytes + HEADER_BYTES * Math.max(1, Math.ceil(contentBytes / BLOCK_BYTES));
}

/** Writes the frame to the beginning of `target`; returns what was written. `contentBytes`: of all chunks. */
export function writeFrame(chunks: readonly Uint8Array[], contentBytes: number, target: Buffer): Buffer {
  let at = START.copy(target);
  let left = contentBytes;
  let room = 0;
  const beginBlock = (): void => {
    room = Math.min(BLOCK_BYTES, left);
    left -= room;
    // Three bytes, little-endian: last block, type raw (0), size.
    at = target.writeUIntLE(room * 8 + Number(left === 0), at, HEADER_BYTES);
  };
  if (contentBytes === 0) beginBlock();
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length;) {
      if (room === 0) beginBlock();
      const part = chunk.subarray(from, from + room);
      target.set(part, at);
      at += part.length;
      from += part.length;
      room -= part.length;
    }
  }
  return target.subarray(0, at);
}

/** The frame of a content that comes in pieces; ends with an empty last block. */
export async function* frameStream(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield START;
  for await (const piece of pieces) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
      const block = piece.subarray(at, at + BLOCK_BYTES);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUIntLE(block.length * 8, 0, HEADER_BYTES);
      chunks.push(header, block);
    }
    yield Buffer.concat(chunks);
  }
  yield Buffer.from([1, 0, 0]);
}

/** One frame around something small: cheaper to wrap than to set a compressor up. */
export function smallFrame(content: Uint8Array): Buffer {
  return writeFrame([content], content.length, Buffer.allocUnsafe(frameBytes(content.length)));
}

/**
 * The content of a frame that only wraps, pushed together in `frame` itself (which is of no use any more then). null, with `frame` as it was:
 * any other input, also every one that must be refused.
 */
export function unwrapFrame(frame: Buffer): Buffer | null {
  const blocks = rawBlocks(frame);
  if (blocks === null) return null;
  let end = 0;
  for (const [start, size] of blocks) {
    frame.copyWithin(end, start, start + size);
    end += size;
  }
  return frame.subarray(0, end);
}

/** Start and size of each block, if the frame is whole, ends where the input does, and has nothing but raw blocks. */
function rawBlocks(frame: Buffer): readonly (readonly [start: number, size: number])[] | null {
  let at = headerBytes(frame);
  if (at === null) return null;
  const blocks: [number, number][] = [];
  for (;;) {
    if (at + HEADER_BYTES > frame.length) return null;
    const header = frame.readUIntLE(at, HEADER_BYTES);
    const size = header >>> 3;
    at += HEADER_BYTES;
    if (((header >>> 1) & 3) !== 0 || size > BLOCK_BYTES || at + size > frame.length) return null;
    blocks.push([at, size]);
    at += size;
    if ((header & 1) === 1) return at === frame.length ? blocks : null;
  }
}

/** Of the frame's own header; null: not one that Anki's clients write (a checksum, a dictionary, one segment, a window beyond the limit). */
function headerBytes(frame: Buffer): number | null {
  if (frame.length < START.length || frame.compare(START, 0, 4, 0, 4) !== 0) return null;
  const [descriptor = 0, window = 0] = frame.subarray(4, START.length);
  // The descriptor's upper two bits tell of a content size, which takes 2, 4 or 8 bytes after the window.
  const sizeBytes = [0, 2, 4, 8][descriptor >>> 6] ?? 0;
  if ((descriptor & 0x3f) !== 0 || (window >>> 3) + 10 >= LIMITS.zstdWindowLog) return null;
  return START.length + sizeBytes;
}
