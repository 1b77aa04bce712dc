import type { Database } from "better-sqlite3";

import type { AccountState, KeptVersion } from "../core/server-rows.ts";
import { withFault } from "./errors.ts";
import { NO_STAGE, type BlobRows } from "./server-blobs.ts";
import type { Counters } from "./server-session.ts";

/** An account's tables as one whole: read to be noted, and written anew from notes. */
export interface WholeRows {
  /** Every version, oldest first, `limit` at a time; `after`: the last id seen, 0 at first. */
  versionsAfter(after: number, limit: number): readonly (KeptVersion & { readonly id: number })[];
  /** What is remembered of every device key. */
  memories(): readonly (readonly [device: string, memory: string])[];
  /** Forgets everything but which bytes are stored where. */
  reset(nowMs: number): void;
  /** A version whose bytes are not stored is left out. */
  keepVersion(version: KeptVersion): void;
  /** The end of a whole: the counts of rows stay as they were counted. */
  setState(state: Pick<AccountState, "top" | "epoch" | "generation" | "restoredTop">): void;
}

export function prepareWhole(db: Database, blobs: BlobRows, counters: Counters): WholeRows {
  const after = db.prepare<[number, number], KeptVersion & { id: number }>(
    "SELECT id, name, lower(hex(sha1)) AS sha1, size AS sizeBytes, at_ms AS atMs, why FROM version WHERE id > ? ORDER BY id LIMIT ?",
  );
  const memories = db.prepare<[], [string, string]>("SELECT id, memory FROM device ORDER BY id").raw();
  const add = db.prepare<[string, string, number, string, number]>(
    "INSERT INTO version (name, sha1, size, why, at_ms) VALUES (?, unhex(?), ?, ?, ?)",
  );
  const unneed = db.prepare<[number]>("UPDATE blob SET refs = 0, dead_ms = ?");
  const clear = ["file", "log", "upload", "device", "version", "shadow"].map((table) => db.prepare(`DELETE FROM ${table}`));
  return {
    versionsAfter: (id, limit) => withFault("read versions", () => after.all(id, limit)),
    memories: () => withFault("read what is remembered", () => memories.all()),
    reset: (nowMs) =>
      withFault("reset an account", () => {
        for (const statement of clear) statement.run();
        unneed.run(nowMs);
        counters.set({ top: 0, live: 0, liveBytes: 0 });
        counters.wrote(1);
      }),
    keepVersion: ({ name, sha1, sizeBytes, why, atMs }) =>
      withFault("keep a version", () => {
        if (blobs.place(sha1) === undefined) return;
        blobs.refer(sha1, NO_STAGE);
        add.run(name, sha1, sizeBytes, why, atMs);
      }),
    setState: ({ top, epoch, generation, restoredTop }) => counters.set({ top, epoch, generation, restoredTop }),
  };
}
