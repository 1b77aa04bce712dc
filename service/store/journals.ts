import type { ApplyIntent, Cursor, Origin, Sha1, UploadIntent } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { BatchedRows } from "./batched.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";

/** Rows of all folders, and how to let go of those of one that is dropped. */
export type Prepared<T> = { readonly ofFolder: (folder: FolderRow) => T; readonly forget: (folder: FolderRow) => void };

type UploadItem = readonly [path: string, sha1: Sha1 | null, run: string];

/** What was sent, or was about to be, so that its echo in the feed is known (N3). Every feed row and every acknowledgement asks for them. */
export function prepareUploadIntents(session: Session): Prepared<FolderState["uploadIntents"]> {
  const batches = new BatchedRows<UploadItem>(session, "upload_batch");
  const outstanding = new Map<FolderRow, Map<string, UploadIntent[]>>();
  session.join({ rolledBack: () => outstanding.clear() });
  const byPath = (folder: FolderRow): Map<string, UploadIntent[]> => {
    const known = outstanding.get(folder);
    if (known !== undefined) return known;
    const read = Map.groupBy(batches.all(folder).map(uploadOf), (intent) => intent.path);
    outstanding.set(folder, read);
    return read;
  };
  const drop = (folder: FolderRow, path: string, which: (intent: UploadIntent) => boolean): void => {
    const intents = byPath(folder);
    const before = intents.get(path);
    if (before === undefined) return;
    const left = before.filter((intent) => !which(intent));
    for (const intent of before) if (which(intent)) batches.remove(folder, intent.id);
    if (left.length === 0) intents.delete(path);
    else intents.set(path, left);
  };
  const ofFolder = (folder: FolderRow): FolderState["uploadIntents"] => ({
    add: session.write("record an upload intent", (path: string, sha1: Sha1 | null, run: string) => {
      const intents = byPath(folder);
      const id = batches.add(folder, [toText(path), checkedSha1(sha1), run]);
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
    all: session.read("read the upload intents", () => batches.all(folder).map(uploadOf)),
  });
  const forget = (folder: FolderRow): void => {
    batches.forget(folder);
    outstanding.delete(folder);
  };
  return { ofFolder, forget };
}

function uploadOf([id, [path, sha1, run]]: readonly [number, UploadItem]): UploadIntent {
  return { id, path: fromText(path), sha1, run };
}

type ApplyItem = readonly [
  path: string,
  sha1: Sha1 | null,
  expectSha1: Sha1 | null,
  temp: string | null,
  movesBase: number,
  origin: Origin,
  run: string,
];

/** Replacements and removals on disk under way (N5); one per path. */
export function prepareApplyIntents(session: Session): Prepared<FolderState["applyIntents"]> {
  const batches = new BatchedRows<ApplyItem>(session, "apply_batch");
  const outstanding = new Map<FolderRow, Map<string, number>>();
  session.join({ rolledBack: () => outstanding.clear() });
  const byPath = (folder: FolderRow): Map<string, number> => {
    const known = outstanding.get(folder);
    if (known !== undefined) return known;
    const read = new Map(batches.all(folder).map(([id, item]) => [applyOf(item).path, id]));
    outstanding.set(folder, read);
    return read;
  };
  const remove = (folder: FolderRow, path: string): void => {
    const id = byPath(folder).get(path);
    if (id === undefined) return;
    batches.remove(folder, id);
    byPath(folder).delete(path);
  };
  const ofFolder = (folder: FolderRow): FolderState["applyIntents"] => ({
    put: session.write("record an apply intent", (intent: ApplyIntent) => {
      remove(folder, intent.path);
      const temp = intent.temp === null ? null : toText(intent.temp);
      const sha1 = checkedSha1(intent.sha1);
      const expected = checkedSha1(intent.expectSha1);
      const item: ApplyItem = [toText(intent.path), sha1, expected, temp, intent.movesBase ? 1 : 0, intent.origin, intent.run];
      byPath(folder).set(intent.path, batches.add(folder, item));
    }),
    remove: session.write("remove an apply intent", (path: string) => remove(folder, path)),
    all: session.read("read the apply intents", () =>
      batches
        .all(folder)
        .map(([, item]) => applyOf(item))
        .toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    ),
  });
  const forget = (folder: FolderRow): void => {
    batches.forget(folder);
    outstanding.delete(folder);
  };
  return { ofFolder, forget };
}

function applyOf([path, sha1, expectSha1, temp, movesBase, origin, run]: ApplyItem): ApplyIntent {
  return { path: fromText(path), sha1, expectSha1, temp: temp === null ? null : fromText(temp), movesBase: movesBase === 1, origin, run };
}

type StoredCursor = [serverId: string | null, epoch: string | null, position: string, generation: number, full: number];

/** How far the feed has been read (N10). */
export function prepareCursor(session: Session): Prepared<FolderState["cursor"]> {
  const { db } = session;
  const get = db.prepare<[number], StoredCursor>("SELECT server_id, epoch, position, generation, full FROM cursor WHERE folder = ?").raw();
  const put = db.prepare<[number, string | null, string | null, string, number, number]>(
    "INSERT OR REPLACE INTO cursor (folder, server_id, epoch, position, generation, full) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const clear = db.prepare<[number]>("DELETE FROM cursor WHERE folder = ?");
  // Every acknowledged file asks for it.
  const known = new Map<FolderRow, Cursor>();
  session.join({ rolledBack: () => known.clear() });
  const read = (folder: FolderRow): Cursor | undefined => {
    const stored = get.get(folder.key);
    if (stored === undefined) return undefined;
    const [serverId, epoch, position, generation, full] = stored;
    const cursor = { serverId, epoch, position, generation, full: full === 1 };
    known.set(folder, cursor);
    return cursor;
  };
  const ofFolder = (folder: FolderRow): FolderState["cursor"] => ({
    get: session.read("read the cursor", () => known.get(folder) ?? read(folder)),
    put: session.write("move the cursor", (cursor: Cursor) => {
      const { serverId, epoch, position, generation } = cursor;
      put.run(session.keyFor(folder), serverId, epoch, position, generation, cursor.full ? 1 : 0);
      known.set(folder, { serverId, epoch, position, generation, full: cursor.full });
    }),
    clear: session.write("clear the cursor", () => {
      clear.run(folder.key);
      known.delete(folder);
    }),
  });
  return { ofFolder, forget: (folder) => void known.delete(folder) };
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
