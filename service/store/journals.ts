import type { ApplyIntent, Cursor, Origin, Sha1, UploadIntent } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";

type StoredUpload = [id: number, path: string, sha1: Sha1 | null, run: string];
const UPLOAD = "id, path, iif(sha1 IS NULL, NULL, lower(hex(sha1))), run";

/**
 * What was sent, or was about to be, so that its echo in the feed is known (N3). Few are ever outstanding, and every feed row and every
 * acknowledgement asks for them: they are answered from memory, the table is what survives.
 */
export function prepareUploadIntents(session: Session): (folder: FolderRow) => FolderState["uploadIntents"] {
  const { db } = session;
  const add = db.prepare<[number, string, string | null, string]>(
    "INSERT INTO upload_intent (folder, path, sha1, run) VALUES (?, ?, unhex(?), ?)",
  );
  const remove = db.prepare<[number]>("DELETE FROM upload_intent WHERE id = ?");
  const all = db.prepare<[number], StoredUpload>(`SELECT ${UPLOAD} FROM upload_intent WHERE folder = ? ORDER BY id`).raw();
  const outstanding = new Map<string, Map<string, UploadIntent[]>>();
  session.join({ rolledBack: () => outstanding.clear() });
  const byPath = (folder: FolderRow): Map<string, UploadIntent[]> => {
    // A folder without a row has no intents: it is new, or was dropped since.
    if (folder.key === 0) outstanding.delete(folder.id);
    const known = outstanding.get(folder.id);
    if (known !== undefined) return known;
    const read = Map.groupBy(all.all(folder.key).map(uploadOf), (intent) => intent.path);
    outstanding.set(folder.id, read);
    return read;
  };
  const drop = (folder: FolderRow, path: string, which: (intent: UploadIntent) => boolean): void => {
    const intents = byPath(folder);
    const before = intents.get(path);
    if (before === undefined) return;
    const left = before.filter((intent) => !which(intent));
    for (const intent of before) if (which(intent)) remove.run(intent.id);
    if (left.length === 0) intents.delete(path);
    else intents.set(path, left);
  };
  return (folder) => ({
    add: session.write("record an upload intent", (path: string, sha1: Sha1 | null, run: string) => {
      const intents = byPath(folder);
      const id = Number(add.run(session.keyFor(folder), toText(path), checkedSha1(sha1), run).lastInsertRowid);
      const intent: UploadIntent = { id, path, sha1, run };
      const before = intents.get(path);
      if (before === undefined) intents.set(path, [intent]);
      else before.push(intent);
      return id;
    }),
    ofPath: session.read("read the upload intents of a path", (path: string) => [...(byPath(folder).get(path) ?? [])]),
    removeUpTo: session.write("remove upload intents", (path: string, id: number) => drop(folder, path, (intent) => intent.id <= id)),
    remove: session.write("remove an upload intent", (path: string, id: number) => drop(folder, path, (intent) => intent.id === id)),
    removeAll: session.write("remove the upload intents of a path", (path: string) => drop(folder, path, () => true)),
    all: session.read("read the upload intents", () => all.all(folder.key).map(uploadOf)),
  });
}

function uploadOf([id, path, sha1, run]: StoredUpload): UploadIntent {
  return { id, path: fromText(path), sha1, run };
}

type StoredApply = [
  path: string,
  sha1: Sha1 | null,
  expectSha1: Sha1 | null,
  temp: string | null,
  movesBase: number,
  origin: Origin,
  run: string,
];

/** Replacements and removals on disk under way (N5). */
export function prepareApplyIntents(session: Session): (folder: FolderRow) => FolderState["applyIntents"] {
  const { db } = session;
  const put = db.prepare<[number, string, string | null, string | null, string | null, number, string, string]>(
    `INSERT OR REPLACE INTO apply_intent (folder, path, sha1, expect_sha1, temp, moves_base, origin, run)
     VALUES (?, ?, unhex(?), unhex(?), ?, ?, ?, ?)`,
  );
  const remove = db.prepare<[number, string]>("DELETE FROM apply_intent WHERE folder = ? AND path = ?");
  const all = db
    .prepare<[number], StoredApply>(
      `SELECT path, iif(sha1 IS NULL, NULL, lower(hex(sha1))), iif(expect_sha1 IS NULL, NULL, lower(hex(expect_sha1))), temp, moves_base, origin, run
       FROM apply_intent WHERE folder = ? ORDER BY path`,
    )
    .raw();
  return (folder) => ({
    put: session.write("record an apply intent", (intent: ApplyIntent) => {
      const temp = intent.temp === null ? null : toText(intent.temp);
      const sha1 = checkedSha1(intent.sha1);
      const expected = checkedSha1(intent.expectSha1);
      const movesBase = intent.movesBase ? 1 : 0;
      put.run(session.keyFor(folder), toText(intent.path), sha1, expected, temp, movesBase, intent.origin, intent.run);
    }),
    remove: session.write("remove an apply intent", (path: string) => {
      remove.run(folder.key, toText(path));
    }),
    all: session.read("read the apply intents", () => all.all(folder.key).map(applyOf)),
  });
}

function applyOf([path, sha1, expectSha1, temp, movesBase, origin, run]: StoredApply): ApplyIntent {
  return { path: fromText(path), sha1, expectSha1, temp: temp === null ? null : fromText(temp), movesBase: movesBase === 1, origin, run };
}

type StoredCursor = [serverId: string | null, epoch: string | null, position: string, generation: number, full: number];

/** How far the feed has been read (N10). */
export function prepareCursor(session: Session): (folder: FolderRow) => FolderState["cursor"] {
  const { db } = session;
  const get = db.prepare<[number], StoredCursor>("SELECT server_id, epoch, position, generation, full FROM cursor WHERE folder = ?").raw();
  const put = db.prepare<[number, string | null, string | null, string, number, number]>(
    "INSERT OR REPLACE INTO cursor (folder, server_id, epoch, position, generation, full) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const clear = db.prepare<[number]>("DELETE FROM cursor WHERE folder = ?");
  return (folder) => ({
    get: session.read("read the cursor", (): Cursor | undefined => {
      const stored = get.get(folder.key);
      if (stored === undefined) return undefined;
      const [serverId, epoch, position, generation, full] = stored;
      return { serverId, epoch, position, generation, full: full === 1 };
    }),
    put: session.write("move the cursor", (cursor: Cursor) => {
      const { serverId, epoch, position, generation } = cursor;
      put.run(session.keyFor(folder), serverId, epoch, position, generation, cursor.full ? 1 : 0);
    }),
    clear: session.write("clear the cursor", () => {
      clear.run(folder.key);
    }),
  });
}

/** When every byte was last read: a day later it is time again, however often the service was stopped in between (CT04). */
export function prepareRehash(session: Session): (folder: FolderRow) => FolderState["rehash"] {
  const get = session.db.prepare<[number], number>("SELECT last_ms FROM rehash WHERE folder = ?").pluck();
  const put = session.db.prepare<[number, number]>("INSERT OR REPLACE INTO rehash (folder, last_ms) VALUES (?, ?)");
  return (folder) => ({
    lastMs: session.read("read when all was hashed", () => get.get(folder.key) ?? null),
    done: session.write("record that all was hashed", (atMs: number) => {
      put.run(session.keyFor(folder), atMs);
    }),
  });
}

/** The ignore rules that pending paths were last chosen by: under others, a path that was left alone may be due. */
export function prepareIgnoreRules(session: Session): (folder: FolderRow) => FolderState["ignoreRules"] {
  const get = session.db.prepare<[number], string>("SELECT digest FROM ignore_rules WHERE folder = ?").pluck();
  const put = session.db.prepare<[number, string]>("INSERT OR REPLACE INTO ignore_rules (folder, digest) VALUES (?, ?)");
  return (folder) => ({
    digest: session.read("read which ignore rules held", () => get.get(folder.key) ?? null),
    put: session.write("record which ignore rules hold", (digest: string) => {
      put.run(session.keyFor(folder), digest);
    }),
  });
}

/** True deletions carried out lately, for the guard. */
export function prepareDeletions(session: Session): (folder: FolderRow) => FolderState["deletions"] {
  const { db } = session;
  const add = db.prepare<[number, string, number, string]>(
    "INSERT OR IGNORE INTO deletion (folder, direction, at_ms, path) VALUES (?, ?, ?, ?)",
  );
  const since = db
    .prepare<[number, string, number], string>(
      "SELECT DISTINCT path FROM deletion WHERE folder = ? AND direction = ? AND at_ms >= ? ORDER BY path",
    )
    .pluck();
  const trim = db.prepare<[number, number]>("DELETE FROM deletion WHERE folder = ? AND at_ms < ?");
  return (folder) => ({
    add: session.write("record a deletion", (direction: "deleteLocal" | "deleteRemote", path: string, atMs: number) => {
      add.run(session.keyFor(folder), direction, atMs, toText(path));
    }),
    /** At `atMs` or later, each path once, ascending. */
    since: session.read("read the late deletions", (direction: "deleteLocal" | "deleteRemote", atMs: number) =>
      since.all(folder.key, direction, atMs).map(fromText),
    ),
    trim: session.write("forget old deletions", (beforeMs: number) => {
      trim.run(folder.key, beforeMs);
    }),
  });
}
