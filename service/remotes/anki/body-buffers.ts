/** Memory for request bodies, used again and again in a run: fresh megabytes per request would keep the garbage collector busy (PERFORMANCE.md). */

/** Bodies larger than a full batch are rare: their memory is not kept. */
const KEEP_BYTES_MAX = 9 * 1024 * 1024;
/** Sizes are rounded up to this, so that batches of nearly one size fit each other's memory. */
const STEP_BYTES = 256 * 1024;
/** Small bodies are not worth it. */
const SMALL_BYTES = 16 * 1024;

/** Keeps at most `keepMax` buffers. */
export function openBodyBuffers(keepMax: number) {
  let idle: Buffer[] = [];
  return {
    /** At least `bytes` long, with anything in it. */
    take: (bytes: number): Buffer => {
      if (bytes <= SMALL_BYTES) return Buffer.allocUnsafe(bytes);
      const fits = idle.findIndex((buffer) => buffer.length >= bytes);
      const [kept] = fits === -1 ? [] : idle.splice(fits, 1);
      return kept ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES);
    },
    /** Only when nobody reads from it any more: the server has answered to all of it. */
    giveBack(view: Buffer): void {
      const whole = Buffer.from(view.buffer);
      if (view.length <= SMALL_BYTES || whole.length > KEEP_BYTES_MAX) return;
      if (idle.length >= keepMax) idle.shift();
      idle.push(whole);
    },
    /** Frees all that is kept. */
    clear(): void {
      idle = [];
    },
  };
}
