/**
 * Bytes of one account by their hash, appended to packs, and beside them the notes that tell what the bytes are for: one write and one fsync
 * make both durable. Each record says its own hash and length, so that packs can be read without the database that indexes them.
 */
import path from "node:path";

import type { Compute, Disk } from "../core/ports.ts";
import type { Place } from "../core/server-rows.ts";
import { PackBatch, type PackPosition } from "./pack-batch.ts";
import { packPath, readPlaces, readRecords, type PackRecord } from "./pack-read.ts";

/** A pack is closed at this size: what compaction rewrites at most, and what a check reads at once. */
const PACK_BYTES = 64 * 1024 * 1024;

export type PackFile = { readonly pack: number; readonly sizeBytes: number; readonly mtimeMs: number };

/** @throws DiskError from every method. */
export interface Packs {
  /** Something to append, all in one pack. Only one may be filled at a time, and none while one is written. */
  batch(): PackBatch;
  /** Where the next batch goes. */
  next(): PackPosition;
  /** Durable when it resolves. After a failure nothing is ever appended to that pack: what a failed fsync left is garbage. */
  write(batch: PackBatch): Promise<void>;
  /** In order; null: not there, or other bytes than the hash says (read twice before it is said). */
  read(places: readonly Place[]): Promise<readonly (Uint8Array | null)[]>;
  /** Everything intact from `from` on, in order. */
  records(from: PackPosition): AsyncIterable<PackRecord>;
  list(): Promise<readonly PackFile[]>;
  remove(pack: number): Promise<void>;
  /** The pack that is written to now, or null. */
  current(): number | null;
  /** Never appends to the current pack again. */
  leave(): void;
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
    batch: () => new PackBatch(writer.next()),
    next: () => writer.next(),
    write: async (batch) => await writer.write(batch),
    read: async (places) => await readPlaces(options, places),
    records: (from) => readAll(options, from),
    list: async () => await listPacks(disk, directory),
    remove: async (pack) => {
      if (writer.pack === pack) writer.leave();
      await disk.unlink(packPath(directory, pack));
      await disk.fsyncDir(directory);
    },
    current: () => writer.pack,
    leave: () => writer.leave(),
  };
}

async function* readAll(options: PackOptions, from: PackPosition): AsyncGenerator<PackRecord> {
  for (const { pack, sizeBytes } of await listPacks(options.disk, options.directory)) {
    if (pack >= from.pack) yield* readRecords(options, pack, pack === from.pack ? from.at : 0, sizeBytes);
  }
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

/** One batch at a time. */
class Writer {
  pack: number | null;
  private end: number;
  private highest: number;
  private readonly options: PackOptions;
  private readonly packBytes: number;

  constructor(options: PackOptions, found: readonly PackFile[]) {
    this.options = options;
    this.packBytes = options.packBytes ?? PACK_BYTES;
    const newest = found.at(-1);
    this.highest = newest?.pack ?? 0;
    this.pack = newest !== undefined && newest.sizeBytes < this.packBytes ? newest.pack : null;
    this.end = this.pack === null ? 0 : (newest?.sizeBytes ?? 0);
  }

  next(): PackPosition {
    return this.pack === null ? { pack: this.highest + 1, at: 0 } : { pack: this.pack, at: this.end };
  }

  leave(): void {
    this.pack = null;
  }

  async write(batch: PackBatch): Promise<void> {
    if (batch.chunks.length === 0) return;
    const { disk, directory } = this.options;
    const { pack, at } = batch.end;
    this.highest = Math.max(this.highest, pack);
    try {
      await inPieces(batch.chunks, async (bytes) => await disk.append(packPath(directory, pack), bytes));
      if (batch.start.at === 0) await disk.fsyncDir(directory);
    } catch (error) {
      // After a failed fsync nobody knows what the file holds, and a second fsync would not say: go on with another one.
      this.leave();
      throw error;
    }
    this.end = at;
    this.pack = at < this.packBytes ? pack : null;
  }
}

/** One buffer for the appends of all accounts, used again (a fresh one for each costs garbage collections): null while one has it. */
let spare: Buffer | null = Buffer.alloc(0);
/** What is written at once: a batch of more is appended in pieces, the note with the last one. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** Hands all chunks to `work`, in pieces that are of no use after its end. */
async function inPieces(chunks: readonly Uint8Array[], work: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const sizeBytes = Math.min(
    PIECE_BYTES,
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  );
  const piece = spare !== null && spare.length >= sizeBytes ? spare : Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(sizeBytes)));
  spare = null;
  try {
    let at = 0;
    for (const chunk of chunks) {
      for (let from = 0; from < chunk.length;) {
        const part = chunk.subarray(from, from + piece.length - at);
        piece.set(part, at);
        at += part.length;
        from += part.length;
        if (at < piece.length) continue;
        await work(piece);
        at = 0;
      }
    }
    if (at > 0) await work(piece.subarray(0, at));
  } finally {
    spare = piece;
  }
}
