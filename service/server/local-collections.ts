/** Whole collections of one account as files: the newest is current, a few older ones are kept. */
import path from "node:path";

import { DiskError } from "../core/ports.ts";
import { readCollection, type CollectionFacts } from "../store/server-collection.ts";
import { unlinkIfThere, withStorageFault, type LocalContext } from "./local-context.ts";
import type { Account } from "./storage.ts";

/** Collections kept, the current one included. */
const KEEP = 5;
/** Written and read in pieces of this size. */
const PIECE_BYTES = 4 * 1024 * 1024;

export function makeCollections(context: LocalContext): Account["collection"] {
  const { rows, disk, clock, turns } = context;
  const directory = path.join(context.home, "collections");
  const fileOf = (id: number): string => path.join(directory, `${String(id)}.anki2`);
  const uploads = { running: 0, last: 0 };
  return {
    current: async () =>
      await withStorageFault(async () => await turns.run(async () => await Promise.resolve(rows.collections()[0] ?? null))),
    load: (version) => readPieces(context, fileOf(version.id), version.sizeBytes),
    store: async (bytes) =>
      await withStorageFault(async () => {
        await disk.mkdir(directory, 0o700);
        if (uploads.running === 0) await sweep(context, directory);
        uploads.running += 1;
        const temp = path.join(directory, `incoming-${String(clock.wallMs())}-${String(++uploads.last)}.tmp`);
        try {
          const sizeBytes = await writePieces(context, temp, bytes);
          const facts = sizeBytes === 0 ? null : await inspect(context, temp);
          if (facts === null) return null;
          return await adopt(context, { directory, temp, fileOf }, { ...facts, sizeBytes, storedAtMs: clock.wallMs() });
        } finally {
          uploads.running -= 1;
          await unlinkIfThere(disk, temp);
        }
      }),
  };
}

async function* readPieces({ disk }: LocalContext, file: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    yield await withStorageFault(async () => await disk.readRange(file, at, Math.min(PIECE_BYTES, sizeBytes - at)));
  }
}

async function writePieces(context: LocalContext, temp: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let piece: Uint8Array[] = [];
  let pieceBytes = 0;
  let sizeBytes = 0;
  const flush = async (): Promise<void> => {
    if (pieceBytes === 0) return;
    await context.checkSpace(pieceBytes);
    await context.disk.append(temp, Buffer.concat(piece));
    piece = [];
    pieceBytes = 0;
  };
  for await (const chunk of bytes) {
    piece.push(chunk);
    pieceBytes += chunk.length;
    sizeBytes += chunk.length;
    if (pieceBytes >= PIECE_BYTES) await flush();
  }
  await flush();
  return sizeBytes;
}

async function inspect(context: LocalContext, file: string): Promise<CollectionFacts | null> {
  const look = context.readCollection ?? (async (temp) => await Promise.resolve(readCollection(temp)));
  return await look(file);
}

type Adoption = { readonly directory: string; readonly temp: string; readonly fileOf: (id: number) => string };

/** File first, row second; older ones go last. */
async function adopt(
  context: LocalContext,
  { directory, temp, fileOf }: Adoption,
  facts: CollectionFacts & { sizeBytes: number; storedAtMs: number },
) {
  const { disk } = context;
  const stored = await context.transaction(async (rows) => {
    const id = rows.nextCollection();
    await disk.rename(temp, fileOf(id));
    await disk.fsyncDir(directory);
    rows.addCollection({ ...facts, id });
    return { ...facts, id };
  });
  const old = await context.transaction(async (rows) => {
    const gone = rows.collections().slice(KEEP);
    for (const { id } of gone) rows.removeCollection(id);
    return await Promise.resolve(gone);
  });
  for (const { id } of old) await unlinkIfThere(disk, fileOf(id));
  return stored;
}

/** Where the rows were lost: what the files tell. Those that can't be read stay on the disk and are not offered. */
export async function findCollections(context: LocalContext): Promise<void> {
  const { rows, disk } = context;
  const directory = path.join(context.home, "collections");
  if ((await disk.lstat(directory)) === null) return;
  for (const name of await disk.list(directory)) {
    const id = Number(/^(\d{1,15})\.anki2$/.exec(name)?.[1] ?? "0");
    const file = path.join(directory, name);
    const stat = id === 0 ? null : await disk.lstat(file);
    const facts = stat === null ? null : await inspect(context, file);
    if (stat === null || facts === null) continue;
    await context.transaction(async () => {
      rows.addCollection({ ...facts, id, sizeBytes: stat.sizeBytes, storedAtMs: Math.floor(stat.mtimeNs / 1e6) });
      await Promise.resolve();
    });
  }
}

/** Uploads that broke off with the process. */
async function sweep({ disk }: LocalContext, directory: string): Promise<void> {
  for (const name of await disk.list(directory)) {
    if (!name.endsWith(".tmp")) continue;
    try {
      await disk.unlink(path.join(directory, name));
    } catch (error) {
      if (!(error instanceof DiskError) || error.fault !== "notFound") throw error;
    }
  }
}
