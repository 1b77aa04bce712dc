import type { Statement } from "better-sqlite3";

import type { Entry, RemoteRow, Sha1 } from "../core/model.ts";
import type { Fingerprints, FolderState } from "../core/state.ts";
import { fromText, toText } from "./name-text.ts";
import type { Mark, Marks } from "./pending.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";
import type { Twins } from "./twins.ts";

/** Rows fetched at once while iterating: the connection is never held busy between two of them, and memory stays flat. */
const PAGE_ROWS = 2000;

type StoredEntry = [
  path: string,
  sizeBytes: number,
  mtimeNs: number,
  ctimeNs: number,
  fileId: number,
  sha1: Sha1,
  diskPath: string | null,
  racy: number,
];
const ENTRY = "path, size_bytes, mtime_ns, ctime_ns, file_id, lower(hex(sha1)), disk_path, racy";

/** The local tree and identity cache. Pending is marked where the bytes changed; a mere touch changes nothing that a plan looks at. */
export function prepareEntries(session: Session, mark: Mark, twins: Twins): (folder: FolderRow) => FolderState["entries"] {
  const sql = entryStatements(session);
  return (folder) => {
    const get = session.read("read an entry", (path: string): Entry | undefined => {
      const stored = sql.get.get(folder.key, toText(path));
      return stored === undefined ? undefined : entryOf(stored);
    });
    const twinsOf = function* (path: string, key: string): Generator<Entry, undefined> {
      for (const other of twins.find(folder, path, key, () => sql.paths.all(folder.key).map(fromText))) {
        const entry = get(other);
        if (entry !== undefined) yield entry;
      }
    };
    return {
      get,
      all: () => pages(session, "read the entries", (after) => sql.page.all(folder.key, after, PAGE_ROWS), entryOf),
      fingerprints: () => fingerprintPages(session, (after) => sql.fingerprints.all(folder.key, after, PAGE_ROWS)),
      put: session.write("record an entry", (entry: Entry): Sha1 | null => {
        const key = session.keyFor(folder);
        const path = toText(entry.path);
        const disk = entry.diskPath === null ? null : toText(entry.diskPath);
        const sha1 = checkedSha1(entry.sha1);
        const racy = entry.racy ? 1 : 0;
        if (sql.insert.run(key, path, entry.sizeBytes, entry.mtimeNs, entry.ctimeNs, entry.fileId, sha1, disk, racy).changes === 1) {
          folder.files++;
          folder.bytes += entry.sizeBytes;
          twins.added(folder, entry.path);
          mark(folder, entry.path);
          return null;
        }
        const old = sql.value.get(key, path);
        sql.update.run(entry.sizeBytes, entry.mtimeNs, entry.ctimeNs, entry.fileId, sha1, disk, racy, key, path);
        folder.bytes += entry.sizeBytes - (old?.[1] ?? 0);
        if (old?.[0] !== sha1) mark(folder, entry.path);
        return old?.[0] ?? null;
      }),
      remove: session.write("remove an entry", (path: string) => {
        const gone = sql.remove.get(folder.key, toText(path));
        if (gone === undefined) return;
        folder.files--;
        folder.bytes -= gone[0];
        twins.removed(folder, path);
        mark(folder, path);
      }),
      withSha1: session.read("look for bytes by hash", (sha1: Sha1) => {
        const stored = sql.withSha1().get(folder.key, checkedSha1(sha1));
        return stored === undefined ? undefined : entryOf(stored);
      }),
      totals: () => ({ files: folder.files, bytes: folder.bytes }),
      twinOf: session.read("look for a twin", (path: string, key: string) => twinsOf(path, key).next().value),
      holderOf: session.read("look for who has the name", (path: string, key: string) =>
        twinsOf(path, key).find(({ diskPath }) => diskPath === null),
      ),
    };
  };
}

function entryStatements(session: Session) {
  const { db } = session;
  let withSha1: Statement<[number, string], StoredEntry> | null = null;
  session.join({
    rolledBack: () => {
      withSha1 = null;
    },
  });
  return {
    get: db.prepare<[number, string], StoredEntry>(`SELECT ${ENTRY} FROM entry WHERE folder = ? AND path = ?`).raw(),
    value: db
      .prepare<[number, string], [sha1: Sha1, sizeBytes: number]>(
        "SELECT lower(hex(sha1)), size_bytes FROM entry WHERE folder = ? AND path = ?",
      )
      .raw(),
    page: db
      .prepare<[number, string, number], StoredEntry>(`SELECT ${ENTRY} FROM entry WHERE folder = ? AND path > ? ORDER BY path LIMIT ?`)
      .raw(),
    fingerprints: db
      .prepare<[number, string, number], StoredFingerprint>(
        `SELECT path, size_bytes, mtime_ns, ctime_ns, file_id, racy, disk_path FROM entry WHERE folder = ? AND path > ? ORDER BY path LIMIT ?`,
      )
      .raw(),
    paths: db.prepare<[number], string>("SELECT path FROM entry WHERE folder = ? ORDER BY path").pluck(),
    insert: db.prepare<[number, string, number, number, number, number, string, string | null, number]>(
      `INSERT INTO entry (folder, path, size_bytes, mtime_ns, ctime_ns, file_id, sha1, disk_path, racy)
       VALUES (?, ?, ?, ?, ?, ?, unhex(?), ?, ?) ON CONFLICT (folder, path) DO NOTHING`,
    ),
    update: db.prepare<[number, number, number, number, string, string | null, number, number, string]>(
      `UPDATE entry SET size_bytes = ?, mtime_ns = ?, ctime_ns = ?, file_id = ?, sha1 = unhex(?), disk_path = ?, racy = ?
       WHERE folder = ? AND path = ?`,
    ),
    remove: db.prepare<[number, string], [sizeBytes: number]>("DELETE FROM entry WHERE folder = ? AND path = ? RETURNING size_bytes").raw(),
    /** The index is made at the first question: a first scan of a large folder is faster without it, and many folders never ask. */
    withSha1: () => {
      if (withSha1 !== null) return withSha1;
      db.exec("CREATE INDEX IF NOT EXISTS entry_by_sha1 ON entry (folder, sha1)");
      const sql = `SELECT ${ENTRY} FROM entry INDEXED BY entry_by_sha1 WHERE folder = ? AND sha1 = unhex(?) ORDER BY path LIMIT 1`;
      withSha1 = db.prepare<[number, string], StoredEntry>(sql).raw();
      return withSha1;
    },
  };
}

function entryOf(stored: StoredEntry): Entry {
  const [path, sizeBytes, mtimeNs, ctimeNs, fileId, sha1, diskPath, racy] = stored;
  const disk = diskPath === null ? null : fromText(diskPath);
  return { path: fromText(path), sizeBytes, mtimeNs, ctimeNs, fileId, sha1, diskPath: disk, racy: racy === 1 };
}

type StoredFingerprint = [
  path: string,
  sizeBytes: number,
  mtimeNs: number,
  ctimeNs: number,
  fileId: number,
  racy: number,
  diskPath: string | null,
];
const FINGERPRINT_NUMBERS = 5;

function* fingerprintPages(session: Session, pageAfter: (after: string) => readonly StoredFingerprint[]): Generator<Fingerprints, void> {
  const next = session.read("read the fingerprints", pageAfter);
  for (let after = ""; ;) {
    const rows = next(after);
    const paths: string[] = [];
    const numbers = new Float64Array(rows.length * FINGERPRINT_NUMBERS);
    const diskPaths: (readonly [number, string])[] = [];
    for (const [index, [path, sizeBytes, mtimeNs, ctimeNs, fileId, racy, diskPath]] of rows.entries()) {
      const at = index * FINGERPRINT_NUMBERS;
      paths.push(fromText(path));
      numbers[at] = sizeBytes;
      numbers[at + 1] = mtimeNs;
      numbers[at + 2] = ctimeNs;
      numbers[at + 3] = fileId;
      numbers[at + 4] = racy;
      if (diskPath !== null) diskPaths.push([index, fromText(diskPath)]);
    }
    yield { paths, numbers, diskPaths };
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = last[0];
  }
}

type StoredRemote = [path: string, wireName: string | null, sha1: Sha1 | null, usn: number | null, sizeBytes: number | null];
const REMOTE = "path, wire_name, iif(sha1 IS NULL, NULL, lower(hex(sha1))), usn, size_bytes";

/** What the remote is known to hold. Pending is marked where its bytes or their spelling changed. */
export function prepareRemote(session: Session, mark: Mark): (folder: FolderRow) => FolderState["remote"] {
  const sql = remoteStatements(session);
  return (folder) => ({
    get: session.read("read a remote row", (path: string) => remoteOf(sql.get.get(folder.key, toText(path)))),
    byWireName: session.read("look for a wire name", (wireName: string) => {
      const text = toText(wireName);
      return remoteOf(sql.byWireName.get(folder.key, text) ?? sql.byPlainName.get(folder.key, text));
    }),
    put: session.write("record a remote row", (row: RemoteRow, generation: number) => {
      const key = session.keyFor(folder);
      const path = toText(row.path);
      const wireName = row.wireName === row.path ? null : toText(row.wireName);
      const sha1 = checkedSha1(row.sha1);
      const live = sha1 === null ? 0 : 1;
      if (sql.insert.run(key, path, wireName, sha1, row.usn, row.sizeBytes, generation).changes === 1) {
        folder.remoteLive += live;
        mark(folder, row.path);
        return;
      }
      const old = sql.get.get(key, path);
      sql.update.run(wireName, sha1, row.usn, row.sizeBytes, generation, key, path);
      if (old === undefined) return;
      folder.remoteLive += live - (old[2] === null ? 0 : 1);
      if (old[2] !== sha1 || old[1] !== wireName) mark(folder, row.path);
    }),
    restamp: session.write("restamp a remote row", (row: RemoteRow, generation: number) => {
      const wireName = row.wireName === row.path ? null : toText(row.wireName);
      const sha1 = checkedSha1(row.sha1);
      return sql.restamp.run(row.usn, row.sizeBytes, generation, folder.key, toText(row.path), sha1, wireName).changes === 1;
    }),
    removeOlderThan: session.write("remove remote rows that the feed does not mention", (generation: number) =>
      sql.removeOlder.all(folder.key, generation).map(([text, live]) => {
        const path = fromText(text);
        folder.remoteLive -= live;
        mark(folder, path);
        return path;
      }),
    ),
    remove: session.write("remove a remote row", (path: string) => {
      const gone = sql.remove.get(folder.key, toText(path));
      if (gone === undefined) return;
      folder.remoteLive -= gone[0];
      mark(folder, path);
    }),
    liveCount: () => folder.remoteLive,
    all: () => pages(session, "read the remote rows", (after) => sql.page.all(folder.key, after, PAGE_ROWS), rowOf),
  });
}

function remoteStatements(session: Session) {
  const { db } = session;
  const select = `SELECT ${REMOTE} FROM remote_entry WHERE folder = ?`;
  return {
    get: db.prepare<[number, string], StoredRemote>(`${select} AND path = ?`).raw(),
    byWireName: db.prepare<[number, string], StoredRemote>(`${select} AND wire_name = ? ORDER BY path LIMIT 1`).raw(),
    byPlainName: db.prepare<[number, string], StoredRemote>(`${select} AND path = ? AND wire_name IS NULL`).raw(),
    page: db.prepare<[number, string, number], StoredRemote>(`${select} AND path > ? ORDER BY path LIMIT ?`).raw(),
    insert: db.prepare<[number, string, string | null, string | null, number | null, number | null, number]>(
      `INSERT INTO remote_entry (folder, path, wire_name, sha1, usn, size_bytes, generation)
       VALUES (?, ?, ?, unhex(?), ?, ?, ?) ON CONFLICT (folder, path) DO NOTHING`,
    ),
    update: db.prepare<[string | null, string | null, number | null, number | null, number, number, string]>(
      "UPDATE remote_entry SET wire_name = ?, sha1 = unhex(?), usn = ?, size_bytes = ?, generation = ? WHERE folder = ? AND path = ?",
    ),
    restamp: db.prepare<[number | null, number | null, number, number, string, string | null, string | null]>(
      `UPDATE remote_entry SET usn = ?, size_bytes = ifnull(?, size_bytes), generation = ?
       WHERE folder = ? AND path = ? AND sha1 IS unhex(?) AND wire_name IS ?`,
    ),
    remove: db
      .prepare<[number, string], [live: number]>("DELETE FROM remote_entry WHERE folder = ? AND path = ? RETURNING sha1 IS NOT NULL")
      .raw(),
    removeOlder: db
      .prepare<[number, number], [path: string, live: number]>(
        "DELETE FROM remote_entry WHERE folder = ? AND generation < ? RETURNING path, sha1 IS NOT NULL",
      )
      .raw(),
  };
}

function remoteOf(stored: StoredRemote | undefined): RemoteRow | undefined {
  return stored === undefined ? undefined : rowOf(stored);
}

function rowOf(stored: StoredRemote): RemoteRow {
  const [text, wireName, sha1, usn, sizeBytes] = stored;
  const path = fromText(text);
  return { path, wireName: wireName === null ? path : fromText(wireName), sha1, usn, sizeBytes };
}

/** What this device and the remote last agreed on. Pending is marked where the agreement changed. */
export function prepareBase(session: Session, { mark, written }: Marks): (folder: FolderRow) => FolderState["base"] {
  const sql = baseStatements(session);
  return (folder) => ({
    get: session.read("read a base row", (path: string): Sha1 | null | undefined => sql.get.get(folder.key, toText(path))?.[0]),
    put: session.write("record a base row", (path: string, sha1: Sha1 | null) => {
      const key = session.keyFor(folder);
      const text = toText(path);
      const live = checkedSha1(sha1) === null ? 0 : 1;
      if (sql.insert.run(key, text, sha1).changes === 1) {
        folder.baseLive += live;
        mark(folder, path);
        return;
      }
      const old = sql.get.get(key, text);
      if (old === undefined || old[0] === sha1) return;
      sql.update.run(sha1, key, text);
      folder.baseLive += live - (old[0] === null ? 0 : 1);
      mark(folder, path);
    }),
    remove: session.write("remove a base row", (path: string) => {
      const gone = sql.remove.get(folder.key, toText(path));
      if (gone === undefined) return;
      folder.baseLive -= gone[0];
      mark(folder, path);
    }),
    removeAll: session.write("forget every agreement", () => {
      written();
      folder.pending += sql.markAll.run(folder.key).changes;
      sql.removeAll.run(folder.key);
      folder.baseLive = 0;
    }),
    liveCount: () => folder.baseLive,
    livePaths: () =>
      pages(
        session,
        "read the base",
        (after) => sql.page.all(folder.key, after, PAGE_ROWS),
        ([path]) => fromText(path),
      ),
  });
}

function baseStatements(session: Session) {
  const { db } = session;
  return {
    get: db
      .prepare<[number, string], [sha1: Sha1 | null]>(
        "SELECT iif(sha1 IS NULL, NULL, lower(hex(sha1))) FROM base WHERE folder = ? AND path = ?",
      )
      .raw(),
    insert: db.prepare<[number, string, string | null]>(
      "INSERT INTO base (folder, path, sha1) VALUES (?, ?, unhex(?)) ON CONFLICT (folder, path) DO NOTHING",
    ),
    update: db.prepare<[string | null, number, string]>("UPDATE base SET sha1 = unhex(?) WHERE folder = ? AND path = ?"),
    remove: db.prepare<[number, string], [live: number]>("DELETE FROM base WHERE folder = ? AND path = ? RETURNING sha1 IS NOT NULL").raw(),
    removeAll: db.prepare<[number]>("DELETE FROM base WHERE folder = ?"),
    markAll: db.prepare<[number]>("INSERT OR IGNORE INTO pending (folder, path) SELECT folder, path FROM base WHERE folder = ?"),
    page: db
      .prepare<[number, string, number], [path: string]>(
        "SELECT path FROM base WHERE folder = ? AND path > ? AND sha1 IS NOT NULL ORDER BY path LIMIT ?",
      )
      .raw(),
  };
}

/** Every row by path, page by page; the first column is the stored path. */
function* pages<Row extends readonly [path: string, ...rest: unknown[]], Value>(
  session: Session,
  attempted: string,
  pageAfter: (after: string) => readonly Row[],
  valueOf: (row: Row) => Value,
): Generator<Value, void, undefined> {
  const next = session.read(attempted, pageAfter);
  // No path is the empty string, so it stands before them all.
  for (let after = ""; ;) {
    const rows = next(after);
    for (const row of rows) yield valueOf(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = last[0];
  }
}
