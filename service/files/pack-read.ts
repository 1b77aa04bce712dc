/** How packs are read: by place, and from one end to the other. */
import path from "node:path";

import { DiskError, type Compute, type Disk } from "../core/ports.ts";
import type { Place } from "../core/server-rows.ts";
import { HEADER_BYTES, MAGIC, type PackPosition } from "./pack-batch.ts";

/** Two reads with less than this between them are one. */
const GAP_BYTES = 64 * 1024;
/** And no read is longer, but for one large blob. */
const READ_BYTES = 16 * 1024 * 1024;

type PackOptions = { readonly disk: Disk; readonly compute: Compute; readonly directory: string };

/** `end`: where it ends. */
export type PackRecord = { readonly end: PackPosition } & (
  | { readonly kind: "blob"; readonly place: Place }
  | { readonly kind: "note"; readonly bytes: Uint8Array }
);

export function packPath(directory: string, pack: number): string {
  return path.join(directory, `${pack.toString(16).padStart(8, "0")}.pack`);
}

/** The intact records of one pack from `at` on. Damaged ones are passed over; a damaged header ends the pack. */
export async function* readRecords(options: PackOptions, pack: number, at: number, sizeBytes: number): AsyncGenerator<PackRecord> {
  let window: { readonly at: number; readonly bytes: Uint8Array } = { at, bytes: new Uint8Array(0) };
  const want = async (from: number, lengthBytes: number): Promise<Buffer | null> => {
    if (from + lengthBytes > sizeBytes) return null;
    if (from < window.at || from + lengthBytes > window.at + window.bytes.length) {
      const bytes = await readRange(options, pack, from, Math.max(lengthBytes, Math.min(READ_BYTES, sizeBytes - from)));
      if (bytes === null || bytes.length < lengthBytes) return null;
      window = { at: from, bytes };
    }
    const start = from - window.at;
    return Buffer.from(window.bytes.buffer, window.bytes.byteOffset + start, lengthBytes);
  };
  let next = at;
  while (next + HEADER_BYTES <= sizeBytes) {
    const header = await want(next, HEADER_BYTES);
    if (header === null) return;
    const magic = header.readUInt32BE(0);
    const lengthBytes = header.readUInt32BE(4);
    const sha1 = header.toString("hex", 8, HEADER_BYTES);
    const start = next + HEADER_BYTES;
    const bytes = magic === MAGIC.blob || magic === MAGIC.note ? await want(start, lengthBytes) : null;
    // What follows is not searched for another header: somebody's file may hold what looks like one.
    if (bytes === null) return;
    next = start + lengthBytes;
    if ((await options.compute.sha1Fairly(bytes)) !== sha1) continue;
    const end = { pack, at: next };
    if (magic === MAGIC.note) yield { kind: "note", bytes, end };
    else yield { kind: "blob", place: { sha1, sizeBytes: lengthBytes, pack, start }, end };
  }
}

type Run = { readonly pack: number; readonly start: number; end: number; readonly at: number[] };

/** Neighbours in one pack are read together: clients ask for what they saw in the feed, which is what was sent together. */
export async function readPlaces(options: PackOptions, places: readonly Place[]): Promise<readonly (Uint8Array | null)[]> {
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
  if (bytes !== null && (await options.compute.sha1Fairly(bytes)) === place.sha1) return bytes;
  const again = slice(await readRange(options, place.pack, place.start, place.sizeBytes), 0, place.sizeBytes);
  return again !== null && (await options.compute.sha1Fairly(again)) === place.sha1 ? again : null;
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
