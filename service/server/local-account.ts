/** One account in a directory: rows in SQLite, blobs in packs, whole collections as files. */
import path from "node:path";

import type { Sha1 } from "../core/model.ts";
import { openPacks } from "../files/blobs.ts";
import { StoreError } from "../store/errors.ts";
import { makeChanges } from "./local-changes.ts";
import { findCollections, makeCollections } from "./local-collections.ts";
import { checkAccount, housekeep } from "./local-upkeep.ts";
import { verifyPlaces, withStorageFault, type LocalContext, type LocalParts } from "./local-context.ts";
import { StorageError, type Account } from "./storage.ts";
import { replayNotes } from "./local-replay.ts";
import { Turns } from "./turn.ts";

const KEEP_FREE_BYTES = 500 * 1024 * 1024;
const KEEP_FREE_PART = 0.01;
/** The disk is asked for its free space again after this many bytes were written. */
const ASK_SPACE_EVERY_BYTES = 32 * 1024 * 1024;

/** What upkeep that comes at a bad moment (a test's wish) may not touch: the promise of 30 days. */
const GC_NOW_KEEP_MS = 30 * 86_400_000;

export type LocalAccount = Account & {
  /** A change is under way or waits. */
  busy(): boolean;
  close(): Promise<void>;
};
export async function openLocalAccount(parts: LocalParts): Promise<LocalAccount> {
  const { rows, disk, compute } = parts;
  const size = parts.packBytes === undefined ? {} : { packBytes: parts.packBytes };
  const packs = await openPacks({ disk, compute, directory: path.join(parts.home, "packs"), ...size });
  const turns = new Turns();
  let under = 0;
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    under += 1;
    try {
      return await withStorageFault(async () => await watched(work));
    } finally {
      under -= 1;
    }
  };
  // What can't be read as a database any more is made again by the next one who asks for the account.
  const watched = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StoreError && error.fault === "corrupt")
        parts.damaged(async () => await turns.run(async () => await Promise.resolve(rows.close())));
      throw error;
    }
  };
  const context: LocalContext = {
    ...parts,
    packs,
    turns,
    pinned: new Map(),
    checkSpace: makeSpaceCheck(parts),
    transaction: async (work) => await turns.run(async () => await transact(context, work)),
  };
  const change = makeChanges(context);
  const { made, again } = await turns.run(async () => await replayNotes(context));
  if (made) await findCollections(context);
  if (again) parts.madeAgain();
  // Devices compare all they have with what could be made again, and nothing is deleted for it (L6).
  if (again) await change({ durable: true, files: [] }, async (tx) => await tx.newEpoch());
  return {
    id: parts.id,
    glance: () => (under === 0 && rows.intact() ? rows.state() : null),
    change: async (options, work) =>
      await counted(async () => {
        if (context.faults("server/gcNow")) await housekeep(context, { keepMs: GC_NOW_KEEP_MS, capBytes: 0 });
        return await change(options, work);
      }),
    read: async (sha1s) => await counted(async () => await readBlobs(context, sha1s)),
    withdraw: async (sha1s) => await counted(async () => await withdraw(context, sha1s)),
    collection: makeCollections(context),
    housekeep: async (rules) => await counted(async () => await housekeep(context, rules)),
    check: async () => await counted(async () => await checkAccount(context)),
    busy: () => under > 0,
    close: async () =>
      await turns.run(async () => {
        if (rows.intact()) flushOrLeave(rows);
        rows.close();
        await Promise.resolve();
      }),
  };
}

/** What can't be committed any more (a full disk) is replayed from the notes at the next start. */
function flushOrLeave(rows: LocalContext["rows"]): void {
  try {
    rows.flush(false);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    rows.rollback();
  }
}

/** In its turn. */
async function transact<T>(context: LocalContext, work: (rows: LocalContext["rows"]) => Promise<T>): Promise<T> {
  const { rows } = context;
  if (!rows.intact()) await replayNotes(context);
  rows.open();
  let result: T;
  try {
    result = await work(rows);
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  rows.flush(true);
  return result;
}

function makeSpaceCheck({ disk, home, keepFreeBytes }: LocalParts): LocalContext["checkSpace"] {
  let freeBytes = 0;
  let leastBytes = 0;
  let sinceBytes = Number.POSITIVE_INFINITY;
  return async (moreBytes) => {
    if (sinceBytes + moreBytes > ASK_SPACE_EVERY_BYTES || freeBytes - sinceBytes - moreBytes < leastBytes) {
      const space = await disk.space(home);
      freeBytes = space.freeBytes;
      leastBytes = keepFreeBytes ?? Math.max(KEEP_FREE_BYTES, space.totalBytes * KEEP_FREE_PART);
      sinceBytes = 0;
    }
    sinceBytes += moreBytes;
    if (freeBytes - sinceBytes < leastBytes)
      throw new StorageError("full", `The server's disk is nearly full: ${String(Math.floor(freeBytes / 1_048_576))} MiB are free.`);
  };
}

function pin({ pinned }: LocalContext, sha1s: readonly Sha1[]): () => void {
  for (const sha1 of sha1s) pinned.set(sha1, (pinned.get(sha1) ?? 0) + 1);
  return () => {
    for (const sha1 of sha1s) {
      const left = (pinned.get(sha1) ?? 1) - 1;
      if (left === 0) pinned.delete(sha1);
      else pinned.set(sha1, left);
    }
  };
}

async function readBlobs(context: LocalContext, sha1s: readonly Sha1[]): Promise<readonly (Uint8Array | null)[]> {
  const unpin = pin(context, sha1s);
  try {
    const first = await readOnce(context, sha1s);
    if (first.every((bytes) => bytes !== null)) return first;
    // Compaction may have moved them between the look and the read.
    return await readOnce(context, sha1s);
  } finally {
    unpin();
  }
}

async function readOnce(context: LocalContext, sha1s: readonly Sha1[]): Promise<readonly (Uint8Array | null)[]> {
  const places = sha1s.map((sha1) => context.rows.place(sha1));
  const known = places.filter((place) => place !== undefined);
  const bytes = [...(await context.packs.read(known))];
  return places.map((place) => (place === undefined ? null : (bytes.shift() ?? null)));
}

/** Everything in the packs of the bytes that were asked for is read; what can't be is withdrawn together, with the packs that are gone. */
async function withdraw(context: LocalContext, sha1s: readonly Sha1[]): Promise<readonly string[]> {
  const { rows, packs, turns } = context;
  const there = new Set((await packs.list()).map(({ pack }) => pack));
  const suspects = await turns.run(async () => {
    const near = sha1s.flatMap((sha1) => rows.place(sha1)?.pack ?? []);
    const gone = [...rows.packs().keys()].filter((pack) => !there.has(pack));
    return await Promise.resolve(new Set([...near, ...gone]));
  });
  const bad = new Set(sha1s);
  for (const pack of suspects) {
    const places = await turns.run(async () => await Promise.resolve(rows.inPack(pack)));
    if (!there.has(pack)) for (const { sha1 } of places) bad.add(sha1);
    else for await (const { sha1, ok } of verifyPlaces(packs, places)) if (!ok) bad.add(sha1);
  }
  // A damaged place may stand beside good ones: asked again, so that what was only moved stays.
  const still = await readOnce(context, [...bad]);
  const lost = [...bad].filter((_, index) => still[index] === null);
  return await context.transaction(async () => await Promise.resolve(rows.withdraw(lost)));
}
