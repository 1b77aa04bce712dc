/**
 * Bytes of one account by their hash, appended to packs: one write and one fsync for everything that waits at that moment, whoever sent it.
 * Each record says its own hash and length, so a pack can be read without the database that indexes it.
 */
import path from "node:path";

import type { Sha1 } from "../core/model.ts";
import { DiskError, type Compute, type Disk } from "../core/ports.ts";
import type { Place } from "../core/server-rows.ts";

/** "Sblb", length (4 bytes, big-endian), SHA-1 (20 bytes). */
const MAGIC = 0x53_62_6c_62;
const HEADER_BYTES = 28;
/** A pack is closed at this size: what compaction rewrites at most, and what a check reads at once. */
const PACK_BYTES = 64 * 1024 * 1024;
/** Two reads with less than this between them are one. */
const GAP_BYTES = 64 * 1024;
/** And no read is longer, but for one large blob. */
const READ_BYTES = 16 * 1024 * 1024;

export type PackFile = { readonly pack: number; readonly sizeBytes: number; readonly mtimeMs: number };

/** @throws DiskError from every method. */
export interface Packs {
  /** Durable when it resolves, in order. Never twice the same file of the disk for one call's bytes after a failure: what a failed fsync left is garbage. */
  append(files: readonly { readonly sha1: Sha1; readonly bytes: Uint8Array }[]): Promise<readonly Place[]>;
  /** In order; null: not there, or other bytes than the hash says (read twice before it is said). */
  read(places: readonly Place[]): Promise<readonly (Uint8Array | null)[]>;
  list(): Promise<readonly PackFile[]>;
  remove(pack: number): Promise<void>;
  /** The pack that is written to now, or null. */
  current(): number | null;
}

export type PackOptions = {
  readonly disk: Disk;
  readonly compute: Compute;
  readonly directory: string;
  /** A pack is closed at this size; 64 MiB where it is left out. */
  readonly packBytes?: number;
};

/** Goes on with the newest pack. Makes the directory where it is missing. */
export async function openPacks(options: PackOptions): Promise<Packs> {
  const { disk, directory } = options;
  await disk.mkdir(directory, 0o700);
  await disk.fsyncDir(path.dirname(directory));
  const writer = new Writer(options, await listPacks(disk, directory));
  return {
    append: async (files) => await writer.append(files),
    read: async (places) => await readPlaces(options, places),
    list: async () => await listPacks(disk, directory),
    remove: async (pack) => {
      writer.leave(pack);
      await disk.unlink(packPath(directory, pack));
      await disk.fsyncDir(directory);
    },
    current: () => writer.pack,
  };
}

function packPath(directory: string, pack: number): string {
  return path.join(directory, `${pack.toString(16).padStart(8, "0")}.pack`);
}

async function listPacks(disk: Disk, directory: string): Promise<PackFile[]> {
  const found: PackFile[] = [];
  for (const name of await disk.list(directory)) {
    const number = /^([0-9a-f]{8})\.pack$/.exec(name)?.[1];
    if (number === undefined) continue;
    const stat = await disk.lstat(path.join(directory, name));
    if (stat !== null) found.push({ pack: Number.parseInt(number, 16), sizeBytes: stat.sizeBytes, mtimeMs: stat.mtimeNs / 1e6 });
  }
  return found.toSorted((a, b) => a.pack - b.pack);
}

type Waiting = {
  readonly files: readonly { readonly sha1: Sha1; readonly bytes: Uint8Array }[];
  readonly resolve: (places: readonly Place[]) => void;
  readonly reject: (error: unknown) => void;
};

/** One append at a time; whatever came meanwhile goes with the next one (group commit). */
class Writer {
  pack: number | null;
  private end: number;
  private highest: number;
  private running = false;
  private waiting: Waiting[] = [];
  private readonly options: PackOptions;
  private readonly packBytes: number;

  constructor(options: PackOptions, found: readonly PackFile[]) {
    this.options = options;
    this.packBytes = options.packBytes ?? PACK_BYTES;
    const newest = found.at(-1);
    this.highest = newest?.pack ?? 0;
    // What stands behind the last known record (a torn append) is never referred to: it only takes room until the pack is compacted.
    this.pack = newest !== undefined && newest.sizeBytes < this.packBytes ? newest.pack : null;
    this.end = this.pack === null ? 0 : (newest?.sizeBytes ?? 0);
  }

  async append(files: Waiting["files"]): Promise<readonly Place[]> {
    if (files.length === 0) return [];
    const { promise, resolve, reject } = Promise.withResolvers<readonly Place[]>();
    this.waiting.push({ files, resolve, reject });
    if (!this.running) {
      this.running = true;
      this.drain().catch(reject);
    }
    return await promise;
  }

  /** Never appends to this pack again. */
  leave(pack: number): void {
    if (this.pack === pack) this.pack = null;
  }

  private async drain(): Promise<void> {
    try {
      while (this.waiting.length > 0) {
        const batch = this.waiting;
        this.waiting = [];
        await this.write(batch);
      }
    } finally {
      this.running = false;
    }
  }

  private async write(batch: readonly Waiting[]): Promise<void> {
    const { disk, directory } = this.options;
    const fresh = this.pack === null;
    const pack = this.pack ?? ++this.highest;
    const chunks: Uint8Array[] = [];
    let end = fresh ? 0 : this.end;
    const places = batch.map(({ files }) =>
      files.map(({ sha1, bytes }): Place => {
        chunks.push(recordHeader(sha1, bytes.length), bytes);
        const start = end + HEADER_BYTES;
        end = start + bytes.length;
        return { sha1, sizeBytes: bytes.length, pack, start };
      }),
    );
    try {
      await joined(chunks, async (bytes) => await disk.append(packPath(directory, pack), bytes));
      if (fresh) await disk.fsyncDir(directory);
    } catch (error) {
      // After a failed fsync nobody knows what the file holds, and a second fsync would not say: go on with another one.
      this.pack = null;
      for (const { reject } of batch) reject(error);
      return;
    }
    this.end = end;
    this.pack = end < this.packBytes ? pack : null;
    batch.forEach(({ resolve }, index) => resolve(places[index] ?? []));
  }
}

/** One buffer for the appends of all accounts, used again (a fresh one for each costs garbage collections): null while one has it. */
let spare: Buffer | null = Buffer.alloc(0);
const SPARE_BYTES = 16 * 1024 * 1024;

/** Hands all chunks to `work` as one. */
async function joined(chunks: readonly Uint8Array[], work: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (spare === null || sizeBytes > SPARE_BYTES) {
    await work(Buffer.concat(chunks));
    return;
  }
  const mine = spare.length < sizeBytes ? Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(sizeBytes))) : spare;
  spare = null;
  let at = 0;
  for (const chunk of chunks) {
    mine.set(chunk, at);
    at += chunk.length;
  }
  try {
    await work(mine.subarray(0, at));
  } finally {
    spare = mine;
  }
}

function recordHeader(sha1: Sha1, sizeBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(sizeBytes, 4);
  header.write(sha1, 8, "hex");
  return header;
}

type Run = { readonly pack: number; readonly start: number; end: number; readonly at: number[] };

/** Neighbours in one pack are read together: clients ask for what they saw in the feed, which is what was sent together. */
async function readPlaces(options: PackOptions, places: readonly Place[]): Promise<readonly (Uint8Array | null)[]> {
  const order = places.map((_, index) => index).toSorted((a, b) => comparePlaces(places[a], places[b]));
  const runs: Run[] = [];
  for (const index of order) {
    const place = places[index];
    if (place === undefined) continue;
    const end = place.start + place.sizeBytes;
    const last = runs.at(-1);
    if (last?.pack === place.pack && place.start - last.end < GAP_BYTES && end - last.start <= READ_BYTES) {
      last.end = Math.max(last.end, end);
      last.at.push(index);
    } else runs.push({ pack: place.pack, start: place.start, end, at: [index] });
  }
  const result: (Uint8Array | null)[] = places.map(() => null);
  for (const run of runs) {
    const bytes = await readRange(options, run.pack, run.start, run.end - run.start);
    for (const index of run.at) {
      const place = places[index];
      if (place !== undefined) result[index] = await verified(options, place, slice(bytes, place.start - run.start, place.sizeBytes));
    }
  }
  return result;
}

function comparePlaces(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return 0;
  return a.pack - b.pack || a.start - b.start;
}

function slice(bytes: Uint8Array | null, from: number, sizeBytes: number): Uint8Array | null {
  return bytes === null || from + sizeBytes > bytes.length ? null : bytes.subarray(from, from + sizeBytes);
}

/** The bytes if they are what their hash says; a first wrong read may be the memory's or the cable's fault, so it is read once more (W19, S13). */
async function verified(options: PackOptions, place: Place, bytes: Uint8Array | null): Promise<Uint8Array | null> {
  if (bytes !== null && options.compute.sha1(bytes) === place.sha1) return bytes;
  const again = slice(await readRange(options, place.pack, place.start, place.sizeBytes), 0, place.sizeBytes);
  return again !== null && options.compute.sha1(again) === place.sha1 ? again : null;
}

/** null: there is no such pack. Any other trouble (too many open files, a bad cable) says nothing about the bytes and is thrown. */
async function readRange({ disk, directory }: PackOptions, pack: number, start: number, sizeBytes: number): Promise<Uint8Array | null> {
  try {
    return await disk.readRange(packPath(directory, pack), start, sizeBytes);
  } catch (error) {
    if (error instanceof DiskError && error.fault === "notFound") return null;
    throw error;
  }
}
