/** What the hash pool and its workers say to each other. */
import type { HashResult } from "../core/ports.ts";

export type HashRequest = { readonly paths: readonly string[]; readonly maxBytes: number };
/** Hashes and numbers in two pieces, which cross to the other thread in a tenth of the time of as many objects. */
export type HashReply = {
  /** Per path: 40 characters, or blanks where it was not hashed. */
  readonly sha1s: string;
  /** Per path `STAT_NUMBERS` numbers: size, mtime, ctime, file id, dev, links, mode. */
  readonly stats: Float64Array<ArrayBuffer>;
  /** What was not hashed, by index. */
  readonly others: ReadonlyMap<number, HashResult>;
  readonly bytes: number;
  readonly elapsedMs: number;
};
export const STAT_NUMBERS = 7;
