import type { Database } from "better-sqlite3";

import type { Sha1 } from "../core/model.ts";
import type { Place } from "../core/server-rows.ts";
import { StoreError, withFault } from "./errors.ts";

/** Bytes that came with a change. */
export type Stage = {
  /** Where they would stand; null: they are not here. */
  readonly plan: (sha1: Sha1) => Place | null;
  /** They are needed there. */
  readonly take: (sha1: Sha1) => void;
};
/** A change without bytes. */
export const NO_STAGE: Stage = { plan: () => null, take: () => undefined };

/** Which bytes are stored where, and how many rows and versions need them. */
export interface BlobRows {
  place(sha1: Sha1): Place | undefined;
  /** One more row or version needs these bytes. Those of `stage` are taken where they are not stored yet. @throws StoreError other where they
   * are not there either (S11) */
  refer(sha1: Sha1, stage: Stage): void;
  /** Bytes that stand in a pack and that nothing needs yet; no change where they are known. */
  found(place: Place, nowMs: number): void;
  /** One less. */
  release(sha1: Sha1, nowMs: number): void;
  forget(sha1: Sha1): void;
  inPack(pack: number): Place[];
  /** Bytes of blobs per pack. */
  packs(): ReadonlyMap<number, number>;
  /** Removes what died before; never a needed one. Returns how many. */
  dropDead(beforeMs: number, pinned: ReadonlySet<Sha1>): number;
  move(place: Place): void;
  countBlobs(): { readonly blobs: number; readonly bytes: number };
}

export function prepareBlobs(db: Database): BlobRows {
  const find = db.prepare<[string], Place>(
    "SELECT lower(hex(sha1)) AS sha1, size AS sizeBytes, pack, start FROM blob WHERE sha1 = unhex(?)",
  );
  const add = db.prepare<[string, number, number, number]>("INSERT OR IGNORE INTO blob VALUES (unhex(?), ?, ?, ?, 1, NULL)");
  const meet = db.prepare<[string, number, number, number, number]>("INSERT OR IGNORE INTO blob VALUES (unhex(?), ?, ?, ?, 0, ?)");
  const up = db.prepare<[string]>("UPDATE blob SET refs = refs + 1, dead_ms = NULL WHERE sha1 = unhex(?)");
  const down = db.prepare<[number, string]>(
    "UPDATE blob SET refs = refs - 1, dead_ms = iif(refs = 1, ?, dead_ms) WHERE sha1 = unhex(?) AND refs > 0",
  );
  const drop = db.prepare<[string]>("DELETE FROM blob WHERE sha1 = unhex(?)");
  const inPack = db.prepare<[number], Place>(
    "SELECT lower(hex(sha1)) AS sha1, size AS sizeBytes, pack, start FROM blob WHERE pack = ? ORDER BY start",
  );
  const packs = db.prepare<[], { pack: number; bytes: number }>("SELECT pack, sum(size) AS bytes FROM blob GROUP BY pack");
  const dead = db.prepare<[number], string>("SELECT lower(hex(sha1)) FROM blob WHERE refs = 0 AND dead_ms < ?").pluck();
  const move = db.prepare<[number, number, string]>("UPDATE blob SET pack = ?, start = ? WHERE sha1 = unhex(?)");
  const count = db.prepare<[], { blobs: number; bytes: number }>("SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blob");
  return {
    place: (sha1) => withFault("find bytes", () => find.get(sha1)),
    refer: (sha1, stage) => {
      // Most bytes that come are new: tried first.
      const place = stage.plan(sha1);
      if (place !== null && add.run(sha1, place.sizeBytes, place.pack, place.start).changes > 0) stage.take(sha1);
      else if (up.run(sha1).changes === 0) throw new StoreError("other", "Could not write a row: its bytes are not stored.");
    },
    found: ({ sha1, sizeBytes, pack, start }, nowMs) => void withFault("note bytes", () => meet.run(sha1, sizeBytes, pack, start, nowMs)),
    release: (sha1, nowMs) => void down.run(nowMs, sha1),
    forget: (sha1) => void drop.run(sha1),
    inPack: (pack) => withFault("list a pack", () => inPack.all(pack)),
    packs: () => withFault("list the packs", () => new Map(packs.all().map(({ pack, bytes }) => [pack, bytes]))),
    dropDead: (beforeMs, pinned) =>
      withFault("drop dead bytes", () => {
        const gone = dead.all(beforeMs).filter((sha1) => !pinned.has(sha1));
        for (const sha1 of gone) drop.run(sha1);
        return gone.length;
      }),
    move: ({ sha1, pack, start }) => void withFault("move bytes", () => move.run(pack, start, sha1)),
    countBlobs: () => withFault("count bytes", () => count.get() ?? { blobs: 0, bytes: 0 }),
  };
}
