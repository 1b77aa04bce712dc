/** The rows of one account of the sync server, in one SQLite file: synchronous, one owner, one transaction at a time. */
import type { Database, Statement } from "better-sqlite3";

import type { Sha1 } from "../core/model.ts";
import type { AccountState, CollectionVersion, Entry, KeptVersion, Logged, Row, Sender, Sent } from "../core/server-rows.ts";
import { openDatabase } from "./database.ts";
import { StoreError, withFault } from "./errors.ts";
import { prepareBlobs, type BlobRows, type Stage } from "./server-blobs.ts";
import { ACCOUNT_SCHEMA } from "./server-schema.ts";
import { openSession, type Counters, type Session } from "./server-session.ts";
import { prepareTwins, type TwinMarks, type TwinRows } from "./server-twins.ts";
import { prepareWhole, type WholeRows } from "./server-whole.ts";

/** Page cache of one account; many are open at once. */
const CACHE_KIB = 4096;
/** Rows that one change remembers to have read. */
const CACHED_ROWS = 2000;

export type ServerAccountOptions = {
  /** A file, `:memory:`, or an image from `serialize`. */
  readonly source: string | Buffer;
  /** Epoch of an account that begins here. */
  readonly firstEpoch: string;
};

/** @throws StoreError from every method. Methods that write belong between `open` and `keep`. */
export interface ServerAccountRows extends BlobRows, Session, TwinRows, WholeRows {
  state(): AccountState;
  row(name: string): Row | undefined;
  /** Strictly after `usn`, ascending, without tombstones up to `bornAt`. */
  feed(usn: number, limit: number, bornAt?: number): Row[];
  /** Applies one upload, in order. `atMs`: wall clock. `stage`: places of its bytes. */
  write(entries: readonly Entry[], sender: Sender, atMs: number, stage: Stage): void;
  /** As if the name had never been here. */
  dropTombstone(name: string): void;
  /** null: trimmed so far that it can't tell. */
  log(usn: number): Logged[] | null;
  /** Who took this usn; undefined: trimmed. */
  upload(usn: number): Sent | undefined;
  memory(device: string): string | null;
  remember(device: string, memory: string): void;
  newEpoch(epoch: string): void;
  /** Newest first; `name` null: of all names, at most 100 000. */
  versions(name: string | null): KeptVersion[];
  /** Removes rows and versions that need these bytes, without tombstones; the names of the rows. */
  withdraw(sha1s: readonly Sha1[]): string[];
  /** Oldest versions that may go: older than `beforeMs`, while all have more than `capBytes`. At most `limit` at once; the number removed. */
  trimVersions(beforeMs: number, capBytes: number, nowMs: number, limit: number): number;
  /** Keeps the newest `keep` lines. */
  trimLog(keep: number): void;
  collections(): CollectionVersion[];
  /** `id`: `nextCollection`, or the one of a file that is there already. */
  addCollection(collection: CollectionVersion): void;
  nextCollection(): number;
  removeCollection(id: number): void;
  /** One sentence per count or reference that is not what it must be. */
  faults(): string[];
  serialize(): Buffer;
  close(): void;
}

/** Opens an account's rows, making them where there are none. @throws StoreError */
export function openServerAccount(options: ServerAccountOptions): ServerAccountRows {
  const { db } = openDatabase(options.source, ACCOUNT_SCHEMA);
  try {
    return withFault("read an account", () => {
      db.pragma(`cache_size = -${CACHE_KIB}`);
      // What must outlive a power cut stands in the packs' notes first, or is committed so by `flush`.
      db.pragma("synchronous = NORMAL");
      db.prepare("INSERT OR IGNORE INTO state VALUES (1, 0, 0, 0, ?, 1, 0, 0, 0, 0)").run(options.firstEpoch);
      return assemble(db);
    });
  } catch (error) {
    db.close();
    throw error;
  }
}

type Raw = [name: string, usn: number, sha1: string | null, size: number];
const toRow = ([name, usn, sha1, sizeBytes]: Raw): Row => ({ name, usn, sha1, sizeBytes });

function assemble(db: Database): ServerAccountRows {
  const cache = new Map<string, Row | undefined>();
  const { session, counters } = openSession(db, () => {
    cache.clear();
    twins.forget();
  });
  const blobs = prepareBlobs(db);
  const byName = db.prepare<[string], Raw>("SELECT name, usn, lower(hex(sha1)), size FROM file WHERE name = ?").raw();
  const since = db
    .prepare<[number, number, number], Raw>(
      "SELECT name, usn, lower(hex(sha1)), size FROM file WHERE usn > ? AND (sha1 IS NOT NULL OR usn > ?) ORDER BY usn LIMIT ?",
    )
    .raw();
  const fixed = (row: Raw): Row => toRow(row[2] === "" ? [row[0], row[1], null, row[3]] : row);
  const memory = db.prepare<[string], string>("SELECT memory FROM device WHERE id = ?").pluck();
  const remember = db.prepare<[string, string]>("INSERT INTO device VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET memory = excluded.memory");
  // A change looks at its rows, decides, and writes them: each name is asked for once.
  const row = (name: string): Row | undefined => {
    if (cache.has(name)) return cache.get(name);
    const found = byName.get(name);
    const fresh = found === undefined ? undefined : fixed(found);
    if (cache.size < CACHED_ROWS) cache.set(name, fresh);
    return fresh;
  };
  const drop = db.prepare<[string]>("DELETE FROM file WHERE name = ? AND sha1 IS NULL");
  const twins = prepareTwins(db, row);
  const whole = prepareWhole(db, blobs, counters);
  return {
    ...session,
    open: () => {
      cache.clear();
      session.open();
    },
    ...blobs,
    ...prepareVersions(db, blobs, counters, (name) => {
      cache.delete(name);
      twins.stood(name, false);
    }),
    ...prepareCollections(db),
    ...whole,
    reset: (nowMs) => {
      whole.reset(nowMs);
      cache.clear();
      twins.forget();
    },
    shadows: () => twins.shadows(),
    meets: (names) => twins.meets(names),
    freed: () => twins.freed(),
    row: (name) => withFault("read a row", () => row(name)),
    state: () => counters.now(),
    feed: (usn, limit, bornAt = 0) => withFault("read the feed", () => since.all(usn, bornAt, limit).map((found) => fixed(found))),
    write: prepareWrite(db, { row, wrote: (name) => cache.delete(name), twins }, blobs, counters),
    dropTombstone: (name) =>
      withFault("drop a row", () => {
        drop.run(name);
        cache.delete(name);
      }),
    ...prepareLog(db),
    memory: (device) => memory.get(device) ?? null,
    remember: (device, text) => withFault("remember a device", () => counters.wrote(remember.run(device, text).changes)),
    newEpoch: (epoch) => {
      const { top, generation } = counters.now();
      counters.set({ epoch, generation: generation + 1, restoredTop: top });
      counters.wrote(1);
    },
    faults: () => withFault("check an account", () => faultsOf(db, counters.now())),
    serialize: () => withFault("copy an account", () => db.serialize()),
    close: () => withFault("close an account", () => void db.close()),
  };
}

function prepareWrite(
  db: Database,
  rows: { row(name: string): Row | undefined; wrote(name: string): void; readonly twins: TwinMarks },
  blobs: BlobRows,
  counters: Counters,
): ServerAccountRows["write"] {
  const put: Statement<[number, string, string | null, number, number]> = db.prepare(
    `INSERT INTO file VALUES (?, ?, unhex(?), ?, ?)
     ON CONFLICT (name) DO UPDATE SET usn = excluded.usn, sha1 = excluded.sha1, size = excluded.size, at_ms = excluded.at_ms`,
  );
  const logLine = db.prepare<[number, string, number, number, number | bigint]>("INSERT INTO log VALUES (?, ?, ?, ?, ?)");
  const addUpload = db.prepare<[string, string, number]>("INSERT INTO upload (device, session, at_ms) VALUES (?, ?, ?)");
  const keep = db.prepare<[string, string, number, string, number]>(
    "INSERT INTO version (name, sha1, size, why, at_ms) VALUES (?, unhex(?), ?, ?, ?)",
  );
  const apply = (entry: Entry, atMs: number, upload: number | bigint, stage: Stage): void => {
    const before = rows.row(entry.name);
    const wasLive = before !== undefined && before.sha1 !== null;
    const live = entry.real ? entry.sha1 !== null : wasLive;
    if (entry.real && wasLive && before.sha1 === entry.sha1) {
      // The same bytes under a new number: a twin whose leader went.
      put.run(entry.usn, entry.name, entry.sha1, entry.sizeBytes, atMs);
      rows.wrote(entry.name);
      rows.twins.released(entry.name);
    } else if (entry.real) {
      // The reference of the old bytes passes from the row to the version (W1, W5).
      if (before !== undefined && before.sha1 !== null)
        keep.run(entry.name, before.sha1, before.sizeBytes, entry.sha1 === null ? "deleted" : "replaced", atMs);
      if (entry.sha1 !== null) blobs.refer(entry.sha1, stage);
      put.run(entry.usn, entry.name, entry.sha1, entry.sha1 === null ? 0 : entry.sizeBytes, atMs);
      rows.wrote(entry.name);
      if (live !== wasLive) rows.twins.stood(entry.name, live);
      const { live: liveRows, liveBytes } = counters.now();
      counters.set({
        live: liveRows + Number(live) - Number(wasLive),
        liveBytes: liveBytes + (entry.sha1 === null ? 0 : entry.sizeBytes) - (wasLive ? before.sizeBytes : 0),
      });
    }
    logLine.run(entry.usn, entry.name, Number(live), Number(wasLive), upload);
    counters.set({ top: entry.usn });
  };
  return (entries, sender, atMs, stage) =>
    withFault("write rows", () => {
      const { lastInsertRowid: upload } = addUpload.run(sender.device, sender.session, atMs);
      for (const entry of entries) {
        if (entry.usn <= counters.now().top) throw new StoreError("other", "Could not write rows: their numbers do not rise.");
        apply(entry, atMs, upload, stage);
      }
      counters.wrote(entries.length);
    });
}

function prepareLog(db: Database): Pick<ServerAccountRows, "log" | "upload" | "trimLog"> {
  type Line = { usn: number; name: string; live: number; wasLive: number; device: string; session: string };
  const after = db.prepare<[number], Line>(
    `SELECT usn, name, live, was_live AS wasLive, device, session FROM log JOIN upload ON upload.id = log.upload WHERE usn > ? ORDER BY usn`,
  );
  const upload = db.prepare<[number], Sent>("SELECT device, at_ms AS atMs FROM log JOIN upload ON upload.id = log.upload WHERE usn = ?");
  const first = db.prepare<[], number | null>("SELECT min(usn) FROM log").pluck();
  const trim = db.prepare<[number]>("DELETE FROM log WHERE usn <= (SELECT max(usn) FROM log) - ?");
  const trimUploads = db.prepare("DELETE FROM upload WHERE id < (SELECT upload FROM log ORDER BY usn LIMIT 1)");
  return {
    log: (usn) =>
      withFault("read the log", () => {
        const start = first.get() ?? null;
        if (start !== null && start > usn + 1) return null;
        return after.all(usn).map((line) => ({ ...line, live: line.live === 1, wasLive: line.wasLive === 1 }));
      }),
    upload: (usn) => withFault("read the log", () => upload.get(usn)),
    trimLog: (keep) =>
      withFault("trim the log", () => {
        trim.run(keep);
        trimUploads.run();
      }),
  };
}

function prepareVersions(
  db: Database,
  blobs: BlobRows,
  counters: Counters,
  gone: (name: string) => void,
): Pick<ServerAccountRows, "versions" | "withdraw" | "trimVersions"> {
  const columns = "name, lower(hex(sha1)) AS sha1, size AS sizeBytes, at_ms AS atMs, why";
  const ofName = db.prepare<[string], KeptVersion>(`SELECT ${columns} FROM version WHERE name = ? ORDER BY id DESC`);
  const ofAll = db.prepare<[], KeptVersion>(`SELECT ${columns} FROM version ORDER BY id DESC LIMIT 100000`);
  const total = db.prepare<[], number | null>("SELECT sum(size) FROM version").pluck();
  const oldest = db.prepare<[number, number], { id: number; sha1: string; size: number }>(
    "SELECT id, lower(hex(sha1)) AS sha1, size FROM version WHERE at_ms < ? ORDER BY id LIMIT ?",
  );
  const drop = db.prepare<[number]>("DELETE FROM version WHERE id = ?");
  const dropBySha1 = db.prepare<[string]>("DELETE FROM version WHERE sha1 = unhex(?)");
  const rowsOf = db.prepare<[string], { name: string; size: number }>("SELECT name, size FROM file WHERE sha1 = unhex(?)");
  const dropRow = db.prepare<[string]>("DELETE FROM file WHERE name = ?");
  return {
    versions: (name) => withFault("read versions", () => (name === null ? ofAll.all() : ofName.all(name))),
    withdraw: (sha1s) =>
      withFault("withdraw rows", () => {
        const names: string[] = [];
        for (const sha1 of sha1s) {
          for (const { name, size } of rowsOf.all(sha1)) {
            dropRow.run(name);
            gone(name);
            names.push(name);
            const { live, liveBytes } = counters.now();
            counters.set({ live: live - 1, liveBytes: liveBytes - size });
          }
          dropBySha1.run(sha1);
          blobs.forget(sha1);
        }
        return names;
      }),
    trimVersions: (beforeMs, capBytes, nowMs, limit) =>
      withFault("trim versions", () => {
        let bytes = total.get() ?? 0;
        let removed = 0;
        for (const { id, sha1, size } of bytes > capBytes ? oldest.all(beforeMs, limit) : []) {
          if (bytes <= capBytes) break;
          drop.run(id);
          blobs.release(sha1, nowMs);
          bytes -= size;
          removed += 1;
        }
        return removed;
      }),
  };
}

function prepareCollections(
  db: Database,
): Pick<ServerAccountRows, "collections" | "addCollection" | "nextCollection" | "removeCollection"> {
  type Stored = Omit<CollectionVersion, "empty"> & { readonly empty: number };
  const list = db.prepare<[], Stored>(
    "SELECT id, size AS sizeBytes, mod, scm, usn, empty, at_ms AS storedAtMs FROM collection ORDER BY id DESC",
  );
  const add = db.prepare<[number, number, number, number, number, number, number]>("INSERT INTO collection VALUES (?, ?, ?, ?, ?, ?, ?)");
  const next = db.prepare<[], number | null>("SELECT max(id) FROM collection").pluck();
  const remove = db.prepare<[number]>("DELETE FROM collection WHERE id = ?");
  return {
    nextCollection: () => withFault("number a collection", () => (next.get() ?? 0) + 1),
    collections: () => withFault("read collections", () => list.all().map((found) => ({ ...found, empty: found.empty === 1 }))),
    addCollection: ({ id, sizeBytes, mod, scm, usn, empty, storedAtMs }) =>
      void withFault("store a collection", () => add.run(id, sizeBytes, mod, scm, usn, Number(empty), storedAtMs)),
    removeCollection: (id) => void withFault("remove a collection", () => remove.run(id)),
  };
}

/** Everything that is counted is counted again. */
function faultsOf(db: Database, state: AccountState): string[] {
  const one = (sql: string): number => db.prepare<[], number | null>(sql).pluck().get() ?? 0;
  const found: string[] = [];
  const expect = (what: string, kept: number, counted: number): void => {
    if (kept !== counted) found.push(`${what}: ${String(kept)} are recorded, ${String(counted)} are there.`);
  };
  expect("Rows with bytes", state.live, one("SELECT count(*) FROM file WHERE sha1 IS NOT NULL"));
  expect("Bytes of rows", state.liveBytes, one("SELECT sum(size) FROM file WHERE sha1 IS NOT NULL"));
  expect("Rows above the top usn", 0, one(`SELECT count(*) FROM file WHERE usn > ${String(state.top)}`));
  expect("Rows of size 0 with a hash", 0, one("SELECT count(*) FROM file WHERE sha1 IS NOT NULL AND size = 0"));
  const refs = "SELECT sha1 FROM file WHERE sha1 IS NOT NULL UNION ALL SELECT sha1 FROM version";
  expect("Rows and versions without bytes", 0, one(`SELECT count(*) FROM (${refs}) WHERE sha1 NOT IN (SELECT sha1 FROM blob)`));
  expect(
    "Blobs whose uses are counted wrongly",
    0,
    one(`WITH uses AS MATERIALIZED (SELECT sha1, count(*) AS n FROM (${refs}) GROUP BY sha1)
    SELECT count(*) FROM blob LEFT JOIN uses USING (sha1) WHERE refs != coalesce(n, 0)`),
  );
  return found;
}
