/** One zstd frame of raw blocks: what is compressed already (media, a SQLite file on its way) is only wrapped. */

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
