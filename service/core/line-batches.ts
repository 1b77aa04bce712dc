/** How large a request with files is made where its size is ours to choose. */

/** Requests that a transfer is cut into at least: enough for a few round trips of several lanes, so that neither end waits for the other. */
const PARTS = 16;

/** Bytes of one request of a transfer of `totalBytes` in all, between the two bounds. */
export function partBytes(totalBytes: number, leastBytes: number, mostBytes: number): number {
  return Math.min(mostBytes, Math.max(leastBytes, Math.ceil(totalBytes / PARTS)));
}
