/** What the crew and its workers say to each other. */
import type { Stat } from "../core/model.ts";
import { PACK_NUMBERS, type DiskFault, type HashResult } from "../core/ports.ts";

/** `paths`: in one text, which crosses to the other thread at a fraction of the cost of as many. */
export type HashRequest = { readonly kind: "hash"; readonly paths: string; readonly count: number; readonly maxBytes: number };
/** No path holds it. */
const BETWEEN_PATHS = "\0";
/** New files: their bytes one behind another in one piece of memory, which changes hands and comes back with the reply. */
export type CreateRequest = {
  readonly kind: "create";
  readonly paths: readonly string[];
  /** Per path the number of bytes, then the permission bits or -1 for the usual ones. */
  readonly shapes: Float64Array<ArrayBuffer>;
  readonly memory: ArrayBuffer;
};
/** Every name of one directory and a look at it. `wanted`: how many more parts the asking thread would look at itself. */
export type ListRequest = { readonly kind: "list"; readonly path: string; readonly wanted: Int32Array<SharedArrayBuffer> };
/** Small files, each whole into its room in memory that both threads see. Per path where its room begins and how long it is, which is one byte
 * more than the file should have. */
export type ReadRequest = {
  readonly kind: "read";
  readonly paths: readonly string[];
  readonly rooms: Float64Array<ArrayBuffer>;
  readonly memory: SharedArrayBuffer;
};
/** Second names for files, `to[i]` for `from[i]`; never replaces. */
export type LinkRequest = { readonly kind: "link"; readonly from: readonly string[]; readonly to: readonly string[] };
export type UnlinkRequest = { readonly kind: "unlink"; readonly paths: readonly string[] };
/** A look at each. */
export type LookRequest = { readonly kind: "look"; readonly paths: readonly string[] };
export type DiskRequest = HashRequest | CreateRequest | ListRequest | ReadRequest | LinkRequest | UnlinkRequest | LookRequest;
/** What is posted: replies come in any order. */
export type Posted<T> = { readonly id: number; readonly message: T };

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
  /** How often something was waited for meanwhile, in all of this process; NaN: the system does not count. */
  readonly waits: number;
};
/** `code`: the system's own word, for the message. */
export type WorkerFault = { readonly fault: DiskFault; readonly code: string };
export type CreateReply = {
  readonly kind: "create";
  readonly stats: Float64Array<ArrayBuffer>;
  /** What was not made, by index; nothing is left of it. */
  readonly faults: ReadonlyMap<number, WorkerFault>;
  readonly memory: ArrayBuffer;
};
/** One of several replies; the last one has no more. `names`: joined by `/`, which no name holds. */
export type ListReply = {
  readonly kind: "list";
  readonly names: string;
  /** False: the names are told, and whoever asked looks at them. */
  readonly looked: boolean;
  /** Per name its `LOOKED` code. */
  readonly kinds: Uint8Array<ArrayBuffer>;
  /** Per name `STAT_NUMBERS` numbers. */
  readonly stats: Float64Array<ArrayBuffer>;
  readonly more: boolean;
  /** It could not be listed to its end: nothing may be concluded of it. */
  readonly fault: WorkerFault | null;
};
/** As for hashes; a file that is not as long as its room says, or could not be read, has blanks. */
export type ReadReply = { readonly kind: "read"; readonly sha1s: string; readonly stats: Float64Array<ArrayBuffer> };
/** `failed`: what could not be done, by index. */
export type NamesReply = { readonly kind: "names"; readonly failed: ReadonlySet<number> };
/** Per path its `LOOKED` code and `STAT_NUMBERS` numbers. */
export type LookReply = { readonly kind: "look"; readonly kinds: Uint8Array<ArrayBuffer>; readonly stats: Float64Array<ArrayBuffer> };
/** `gone`: it went away or refused between the list and the look. */
export const LOOKED = { file: 0, directory: 1, symlink: 2, special: 3, gone: 4 } as const;
export type DiskReply = HashReply | CreateReply | ListReply | ReadReply | NamesReply | LookReply;

export function hashRequest(paths: readonly string[], maxBytes: number): HashRequest {
  return { kind: "hash", paths: paths.join(BETWEEN_PATHS), count: paths.length, maxBytes };
}

/** @throws Error when they are not as many as were asked for: one result would be taken for another's */
export function pathsOf({ paths, count }: HashRequest): readonly string[] {
  const all = paths.split(BETWEEN_PATHS);
  if (all.length !== count) throw new Error("disk-worker: a path to be hashed holds a null character");
  return all;
}

/** Stands for the hash of what was not hashed. */
export const NO_HASH = " ".repeat(40);

/** Size, mtime, ctime, file id, dev, links, mode. */
export const STAT_NUMBERS = PACK_NUMBERS;

/** A regular file's numbers as a `Stat`. */
export function statAt(stats: Float64Array, at: number): Stat {
  const number = (offset: number): number => stats[at + offset] ?? 0;
  return {
    kind: "file",
    sizeBytes: number(0),
    mtimeNs: number(1),
    ctimeNs: number(2),
    fileId: number(3),
    dev: number(4),
    links: number(5),
    mode: number(6),
  };
}
