import type { Conflict, Hold } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { StoreError } from "./errors.ts";
import type { Prepared } from "./journals.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";

type StoredConflict = Omit<Conflict, "folder">;
const CONFLICT = `id, path, copy_path AS copyPath, lower(hex(local_sha1)) AS localSha1, lower(hex(remote_sha1)) AS remoteSha1,
  iif(base_sha1 IS NULL, NULL, lower(hex(base_sha1))) AS baseSha1, policy, state, resolution, at_ms AS atMs, run`;

/** Conflicts by number, newest first. `list({open: true})` gives those whose state is `open`; `{open: false}` gives all. */
export function prepareConflicts(session: Session): (folder: FolderRow) => FolderState["conflicts"] {
  const sql = conflictStatements(session);
  return (folder) => {
    const conflictOf = (stored: StoredConflict): Conflict => ({
      ...stored,
      folder: folder.id,
      path: fromText(stored.path),
      copyPath: stored.copyPath === null ? null : fromText(stored.copyPath),
    });
    const get = session.read("read a conflict", (id: number): Conflict | undefined => {
      const stored = sql.get.get(folder.key, id);
      return stored === undefined ? undefined : conflictOf(stored);
    });
    return {
      add: session.write("record a conflict", (conflict: Omit<Conflict, "id" | "folder">) => {
        const { localSha1, remoteSha1, baseSha1, policy, state, resolution, atMs, run } = conflict;
        const copyPath = conflict.copyPath === null ? null : toText(conflict.copyPath);
        for (const sha1 of [localSha1, remoteSha1, baseSha1]) checkedSha1(sha1);
        if (state === "open") folder.openConflicts++;
        const key = session.keyFor(folder);
        const path = toText(conflict.path);
        const made = sql.add.run(key, path, copyPath, localSha1, remoteSha1, baseSha1, policy, state, resolution, atMs, run);
        return Number(made.lastInsertRowid);
      }),
      get,
      list: session.read("list the conflicts", ({ open }: { readonly open: boolean }) =>
        (open ? sql.open : sql.all).all(folder.key).map(conflictOf),
      ),
      ofPath: session.read("read the conflicts of a path", (path: string) => sql.ofPath.all(folder.key, toText(path)).map(conflictOf)),
      update: session.write("update a conflict", (id, change) => {
        const old = get(id);
        if (old === undefined)
          throw new StoreError("other", `Could not update conflict ${id}: folder ${folder.id} has none with this number.`);
        const { state, resolution, copyPath } = { ...old, ...change };
        sql.update.run(state, resolution, copyPath === null ? null : toText(copyPath), id);
        folder.openConflicts += (state === "open" ? 1 : 0) - (old.state === "open" ? 1 : 0);
      }),
      openCount: () => folder.openConflicts,
    };
  };
}

function conflictStatements(session: Session) {
  const { db } = session;
  const select = `SELECT ${CONFLICT} FROM conflict WHERE folder = ?`;
  return {
    add: db.prepare<[number, string, string | null, string, string, string | null, string, string, string | null, number, string]>(
      `INSERT INTO conflict (folder, path, copy_path, local_sha1, remote_sha1, base_sha1, policy, state, resolution, at_ms, run)
       VALUES (?, ?, ?, unhex(?), unhex(?), unhex(?), ?, ?, ?, ?, ?)`,
    ),
    get: db.prepare<[number, number], StoredConflict>(`${select} AND id = ?`),
    all: db.prepare<[number], StoredConflict>(`${select} ORDER BY id DESC`),
    open: db.prepare<[number], StoredConflict>(`${select} AND state <> 'resolved' AND state = 'open' ORDER BY id DESC`),
    ofPath: db.prepare<[number, string], StoredConflict>(`${select} AND path = ? ORDER BY id DESC`),
    update: db.prepare<[string, string | null, string | null, number]>(
      "UPDATE conflict SET state = ?, resolution = ?, copy_path = ? WHERE id = ?",
    ),
  };
}

type StoredHold = Omit<Hold, "folder" | "paths"> & { readonly paths: string };
const HOLD = "id, scope, reason, paths, hash, state, at_ms AS atMs";

/** What waits for the user's answer, oldest first. */
export function prepareHolds(session: Session): Prepared<FolderState["holds"]> {
  const { db } = session;
  /** Every run asks several times, and mostly there are none: of which states that is known. */
  const none = new Map<FolderRow, Set<Hold["state"]>>();
  session.join({ rolledBack: () => none.clear() });
  const add = db.prepare<[number, string, string, string, string, string, number]>(
    "INSERT INTO hold (folder, scope, reason, paths, hash, state, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
  );
  const list = db.prepare<[number, string], StoredHold>(`SELECT ${HOLD} FROM hold WHERE folder = ? AND state = ? ORDER BY id`);
  const update = db.prepare<[string, number, number]>("UPDATE hold SET state = ? WHERE id = ? AND folder = ?");
  const replace = db.prepare<[string, string, number, number]>("UPDATE hold SET paths = ?, hash = ? WHERE id = ? AND folder = ?");
  const remove = db.prepare<[number, number]>("DELETE FROM hold WHERE id = ? AND folder = ?");
  const ofFolder = (folder: FolderRow): FolderState["holds"] => {
    const known = (changes: number, id: number): void => {
      none.delete(folder);
      if (changes === 0) throw new StoreError("other", `Could not update hold ${id}: folder ${folder.id} has none with this number.`);
    };
    return {
      add: session.write("record a hold", (hold: Omit<Hold, "id" | "folder">) => {
        const { scope, reason, paths, hash, state, atMs } = hold;
        none.delete(folder);
        return Number(add.run(session.keyFor(folder), scope, reason, JSON.stringify(paths), hash, state, atMs).lastInsertRowid);
      }),
      list: session.read("list the holds", (state: Hold["state"]) => {
        if (none.get(folder)?.has(state) === true) return [];
        const found = list.all(folder.key, state);
        if (found.length === 0) none.set(folder, new Set(none.get(folder)).add(state));
        return found.map((stored): Hold => ({ ...stored, folder: folder.id, paths: pathsOf(stored.paths) }));
      }),
      update: session.write("answer a hold", (id: number, state: Hold["state"]) => {
        known(update.run(state, id, folder.key).changes, id);
      }),
      replace: session.write("change a hold", (id: number, paths: readonly string[], hash: string) => {
        known(replace.run(JSON.stringify(paths), hash, id, folder.key).changes, id);
      }),
      remove: session.write("remove a hold", (id: number) => {
        none.delete(folder);
        remove.run(id, folder.key);
      }),
    };
  };
  return { ofFolder, forget: (folder) => void none.delete(folder) };
}

function pathsOf(json: string): readonly string[] {
  const paths: unknown = JSON.parse(json);
  if (!Array.isArray(paths)) throw new StoreError("corrupt", "Could not read a hold: its paths are not a list.");
  return paths.map(String);
}
