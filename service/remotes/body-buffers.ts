/** Memory for bodies, used again and again in a run: fresh megabytes per request keep the garbage collector busy (a third of all time, measured). */

/** Bodies larger than a full batch are rare: their memory is not kept. */
const KEEP_BYTES_MAX = 9 * 1024 * 1024;
/** Sizes are rounded up to this, so that batches of nearly one size fit each other's memory. */
const STEP_BYTES = 256 * 1024;
/** Small bodies are not worth it. */
const SMALL_BYTES = 16 * 1024;

/** Keeps at most `keepMax` buffers. */
export function openBodyBuffers(keepMax: number) {
  let idle: Buffer[] = [];
  /** Ours and in use: nothing else, and nothing twice, can be given back. */
  const lent = new WeakMap<ArrayBufferLike, Buffer>();
  return {
    /** At least `bytes` long, with anything in it. */
    take: (bytes: number): Buffer => {
      if (bytes <= SMALL_BYTES) return Buffer.allocUnsafe(bytes);
      const fits = idle.findIndex((buffer) => buffer.length >= bytes);
      const [kept] = fits === -1 ? [] : idle.splice(fits, 1);
      const buffer = kept ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES);
      lent.set(buffer.buffer, buffer);
      return buffer;
    },
    /** Only when nobody reads from it any more. */
    giveBack(view: Uint8Array): void {
      const whole = lent.get(view.buffer);
      if (whole === undefined || whole.length > KEEP_BYTES_MAX) return;
      lent.delete(view.buffer);
      if (idle.length >= keepMax) idle.shift();
      idle.push(whole);
    },
    /** Frees all that is kept. */
    clear(): void {
      idle = [];
    },
  };
}

/** Memory of at least so many bytes, with anything in it. */
export type Take = (bytes: number) => Uint8Array;

/** The chunks in one buffer from `take`, as they are. */
export function joined(chunks: readonly Uint8Array[], take: Take): Uint8Array {
  const length = lengthOf(chunks);
  const buffer = take(length).subarray(0, length);
  let at = 0;
  for (const chunk of chunks) {
    buffer.set(chunk, at);
    at += chunk.length;
  }
  return buffer;
}

/** Bytes of all chunks together. */
export function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}
