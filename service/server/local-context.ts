/** What the parts of one account in a directory share. */
import type { Sha1 } from "../core/model.ts";
import { DiskError, type Clock, type Compute, type Disk, type Faults, type SecretRandom } from "../core/ports.ts";
import type { Place } from "../core/server-rows.ts";
import type { Packs } from "../files/blobs.ts";
import type { PackPosition } from "../files/pack-batch.ts";
import { StoreError } from "../store/errors.ts";
import type { ServerAccountRows } from "../store/server-account.ts";
import type { CollectionFacts } from "../store/server-collection.ts";
import { StorageError } from "./storage.ts";
import type { Turns } from "./turn.ts";

/**
 * What replays of this process wrote once more before they failed, until one succeeds: written again with every attempt it would fill the disk.
 * `ends`: by pack, up to where it is durable. `since`: bytes in that pack and later ones may be such that an fsync kept nothing of; null: no
 * replay has failed.
 */
export type Anew = { since: number | null; readonly ends: Map<number, number> };

export type LocalParts = {
  readonly id: string;
  readonly home: string;
  readonly rows: ServerAccountRows;
  readonly disk: Disk;
  readonly compute: Compute;
  readonly clock: Clock;
  readonly secrets: SecretRandom;
  readonly faults: Faults;
  readonly changed: (top: number) => void;
  /** The database can't be read any more; `close` gives its file up. */
  readonly damaged: (close: () => Promise<void>) => void;
  /** Told when all rows were made again from the packs. */
  readonly madeAgain: () => void;
  readonly readCollection?: (file: string) => Promise<CollectionFacts | null>;
  readonly keepFreeBytes?: number;
  readonly packBytes?: number;
  /** One for all attempts of this process to open the account. */
  readonly anew: Anew;
};
/** What the parts of one account share. */
export type LocalContext = LocalParts & {
  readonly packs: Packs;
  readonly turns: Turns;
  /** Bytes that are being read: they may not go as dead ones. */
  readonly pinned: Map<Sha1, number>;
  /** @throws StorageError full where too little would be left */
  checkSpace(moreBytes: number): Promise<void>;
  /** A change that no note tells of, durable when it resolves, in its turn. */
  transaction<T>(work: (rows: ServerAccountRows) => Promise<T>): Promise<T>;
};

export function nothingAnew(): Anew {
  return { since: null, ends: new Map() };
}

/** Whether what stands at `at` was written anew, and is durable. */
export function isSure({ ends }: Anew, { pack, at }: PackPosition): boolean {
  return at <= (ends.get(pack) ?? -1);
}

/** An epoch nobody has seen before. */
export function epochOf(secrets: SecretRandom): string {
  return Buffer.from(secrets(9)).toString("base64url");
}

/** Turns what disk and database threw into the storage's own error. */
export async function withStorageFault<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DiskError) {
      const full = error.fault === "noSpace" || error.fault === "quota";
      throw new StorageError(full ? "full" : "io", error.message, { cause: error });
    }
    if (error instanceof StoreError) throw new StorageError(error.fault === "full" ? "full" : "io", error.message, { cause: error });
    throw error;
  }
}

/** Reads every place, a few MiB at a time. */
export async function* verifyPlaces(packs: Packs, places: readonly Place[]): AsyncGenerator<{ readonly sha1: Sha1; readonly ok: boolean }> {
  let part: Place[] = [];
  let bytes = 0;
  for (const [index, place] of places.entries()) {
    part.push(place);
    bytes += place.sizeBytes;
    if (bytes < 4 * 1024 * 1024 && index + 1 < places.length) continue;
    const read = await packs.read(part);
    for (const [at, { sha1 }] of part.entries()) yield { sha1, ok: read[at] !== null && read[at] !== undefined };
    part = [];
    bytes = 0;
  }
}

/** For leftovers that may be gone already. */
export async function unlinkIfThere(disk: Disk, file: string): Promise<void> {
  try {
    await disk.unlink(file);
  } catch (error) {
    if (!(error instanceof DiskError) || error.fault !== "notFound") throw error;
  }
}
