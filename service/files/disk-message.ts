/** What the crew and its workers say to each other. */
import type { DiskFault, HashResult } from "../core/ports.ts";

export type HashRequest = { readonly kind: "hash"; readonly paths: readonly string[]; readonly maxBytes: number };
/** New files: their bytes one behind another in one piece of memory, which changes hands and comes back with the reply. */
export type CreateRequest = {
  readonly kind: "create";
  readonly paths: readonly string[];
  /** Per path the number of bytes, then the permission bits or -1 for the usual ones. */
  readonly shapes: Float64Array<ArrayBuffer>;
  readonly memory: ArrayBuffer;
};
export type DiskRequest = HashRequest | CreateRequest;

/** Hashes and numbers in two pieces, which cross to the other thread in a tenth of the time of as many objects. */
export type HashReply = {
  readonly kind: "hash";
  /** Per path: 40 characters, or blanks where it was not hashed. */
  readonly sha1s: string;
  /** Per path `STAT_NUMBERS` numbers. */
  readonly stats: Float64Array<ArrayBuffer>;
  /** What was not hashed, by index. */
  readonly others: ReadonlyMap<number, HashResult>;
  readonly bytes: number;
  readonly elapsedMs: number;
};
/** `code`: the system's own word, for the message. */
export type CreateFault = { readonly fault: DiskFault; readonly code: string };
export type CreateReply = {
  readonly kind: "create";
  readonly stats: Float64Array<ArrayBuffer>;
  /** What was not made, by index; nothing is left of it. */
  readonly faults: ReadonlyMap<number, CreateFault>;
  readonly memory: ArrayBuffer;
};
export type DiskReply = HashReply | CreateReply;

/** Size, mtime, ctime, file id, dev, links, mode. */
export const STAT_NUMBERS = 7;
