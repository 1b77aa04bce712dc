import { UNKNOWN, type PlanRow, type Problem, type Sha1 } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";

type StoredPlanRow = [
  path: string,
  localSha1: Sha1 | null,
  localSize: number | null,
  hasRemote: number,
  wireName: string | null,
  remoteSha1: Sha1 | null,
  remoteSize: number | null,
  hasBase: number,
  baseSha1: Sha1 | null,
  localProblem: number,
  remoteProblem: number,
];

/** Three trees side by side. `from` gives `p.folder, p.path`; the primary keys answer the joins, so it costs O(rows of p). */
function joined(from: string, withProblems: boolean): string {
  const problem = (side: string): string =>
    withProblems ? `EXISTS (SELECT 1 FROM problem q WHERE q.folder = p.folder AND q.path = p.path AND q.side = '${side}')` : "0";
  return `SELECT p.path, lower(hex(e.sha1)), e.size_bytes, r.path IS NOT NULL, r.wire_name, iif(r.sha1 IS NULL, NULL, lower(hex(r.sha1))), r.size_bytes,
      b.path IS NOT NULL, iif(b.sha1 IS NULL, NULL, lower(hex(b.sha1))), ${problem("local")}, ${problem("remote")}
    FROM ${from} p
    LEFT JOIN entry e ON e.folder = p.folder AND e.path = p.path
    LEFT JOIN remote_entry r ON r.folder = p.folder AND r.path = p.path
    LEFT JOIN base b ON b.folder = p.folder AND b.path = p.path`;
}

/** Adds a path to pending; whoever writes a tree calls it in the same write. */
export type Mark = (folder: FolderRow, path: string) => void;
/** `written`: makes the table say what was marked and unmarked so far; before anybody reads it. `forget`: of a folder that is dropped. */
export type Marks = {
  readonly mark: Mark;
  readonly unmark: Mark;
  readonly written: () => void;
  readonly forget: (folder: FolderRow) => void;
};

/**
 * A path that is booked as agreed is marked by each tree that changes and unmarked at the end: only the last word of a transaction is
 * written, with it, so that a file costs one statement here instead of three.
 */
export function prepareMarks(session: Session): Marks {
  const insert = session.db.prepare<[number, string]>("INSERT OR IGNORE INTO pending (folder, path) VALUES (?, ?)");
  const remove = session.db.prepare<[number, string]>("DELETE FROM pending WHERE folder = ? AND path = ?");
  const waiting = new Map<FolderRow, Map<string, boolean>>();
  const say = (folder: FolderRow, path: string, due: boolean): void => {
    const words = waiting.get(folder);
    if (words === undefined) waiting.set(folder, new Map([[path, due]]));
    else words.set(path, due);
  };
  const written = (): void => {
    for (const [folder, words] of waiting) {
      const key = session.keyFor(folder);
      for (const [path, due] of words) {
        if (due) folder.pending += insert.run(key, toText(path)).changes;
        else folder.pending -= remove.run(key, toText(path)).changes;
      }
    }
    waiting.clear();
  };
  session.join({ beforeCommit: written, rolledBack: () => waiting.clear() });
  return {
    mark: (folder, path) => say(folder, path, true),
    unmark: (folder, path) => say(folder, path, false),
    written,
    forget: (folder) => void waiting.delete(folder),
  };
}

/** The paths that the planner has to look at. */
export function preparePending(session: Session, { mark, unmark, written }: Marks): (folder: FolderRow) => FolderState["pending"] {
  const { db } = session;
  const tail = "WHERE p.folder = ? ORDER BY p.path LIMIT ?";
  const rows = db.prepare<[number, number], StoredPlanRow>(`${joined("pending", true)} ${tail}`).raw();
  const rowsWithoutProblems = db.prepare<[number, number], StoredPlanRow>(`${joined("pending", false)} ${tail}`).raw();
  const row = db.prepare<[number, string], StoredPlanRow>(joined("(SELECT ? AS folder, ? AS path)", true)).raw();
  const addAll = db.prepare<[number, number, number, number]>(
    `INSERT OR IGNORE INTO pending (folder, path)
     SELECT folder, path FROM entry WHERE folder = ? UNION SELECT folder, path FROM remote_entry WHERE folder = ?
     UNION SELECT folder, path FROM base WHERE folder = ? UNION SELECT folder, path FROM problem WHERE folder = ?`,
  );
  return (folder) => ({
    add: session.write("mark a path as pending", (path: string) => mark(folder, path)),
    remove: session.write("mark a path as done", (path: string) => unmark(folder, path)),
    count: session.read("count the pending paths", () => {
      written();
      return folder.pending;
    }),
    rows: session.read("read the pending paths", (limit: number) => {
      written();
      return (folder.problems === 0 ? rowsWithoutProblems : rows).all(folder.key, limit).map(planRow);
    }),
    row: session.read("read the state of a path", (path: string) => {
      const found = row.get(folder.key, toText(path));
      // The one row of the sub-select is always there: its trees may all be absent.
      return found === undefined ? absent(path) : planRow(found);
    }),
    addAll: session.write("mark every path as pending", () => {
      const key = session.keyFor(folder);
      written();
      folder.pending += addAll.run(key, key, key, key).changes;
    }),
  });
}

function planRow(stored: StoredPlanRow): PlanRow {
  const [text, localSha1, localSize, hasRemote, wireName, remoteSha1, remoteSize, hasBase, baseSha1, localProblem, remoteProblem] = stored;
  const path = fromText(text);
  return {
    path,
    local: localProblem === 1 ? UNKNOWN : localSize === null ? null : localSha1,
    remote: remoteProblem === 1 ? UNKNOWN : remoteSha1,
    base: hasBase === 1 ? baseSha1 : undefined,
    localSizeBytes: localSize,
    remoteSizeBytes: remoteSize,
    wireName: hasRemote === 1 ? (wireName === null ? path : fromText(wireName)) : null,
  };
}

function absent(path: string): PlanRow {
  return { path, local: null, remote: null, base: undefined, localSizeBytes: null, remoteSizeBytes: null, wireName: null };
}

type StoredProblem = { path: string; side: Problem["side"]; reason: Problem["reason"]; detail: string; sinceMs: number };

/** Why paths can't be synced now: at most one reason per path and side. */
export function prepareProblems(session: Session, mark: Mark): (folder: FolderRow) => FolderState["problems"] {
  const { db } = session;
  const columns = "path, side, reason, detail, since_ms AS sinceMs";
  const find = db.prepare<[number, string, string], StoredProblem>(
    `SELECT ${columns} FROM problem WHERE folder = ? AND path = ? AND side = ?`,
  );
  const put = db.prepare<[number, string, string, string, string, number]>(
    `INSERT INTO problem (folder, path, side, reason, detail, since_ms) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (folder, path, side) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, since_ms = excluded.since_ms`,
  );
  const clear = db.prepare<[number, string, string]>("DELETE FROM problem WHERE folder = ? AND path = ? AND side = ?");
  const ofPath = db.prepare<[number, string], StoredProblem>(`SELECT ${columns} FROM problem WHERE folder = ? AND path = ? ORDER BY side`);
  const list = db.prepare<[number], StoredProblem>(`SELECT ${columns} FROM problem WHERE folder = ? ORDER BY path, side`);
  return (folder) => ({
    /** The same reason again keeps its first `sinceMs`, so that "since" tells how long the path has been stuck. */
    put: session.write("record a problem", (problem: Problem) => {
      const key = session.keyFor(folder);
      const path = toText(problem.path);
      const old = find.get(key, path, problem.side);
      const sinceMs = old?.reason === problem.reason ? Math.min(old.sinceMs, problem.sinceMs) : problem.sinceMs;
      put.run(key, path, problem.side, problem.reason, problem.detail, sinceMs);
      if (old === undefined) folder.problems++;
      if (old?.reason !== problem.reason) mark(folder, problem.path);
    }),
    clear: session.write("clear a problem", (path: string, side: "local" | "remote") => {
      if (folder.problems === 0) return;
      if (clear.run(folder.key, toText(path), side).changes === 0) return;
      folder.problems--;
      mark(folder, path);
    }),
    get: session.read("read the problems of a path", (path: string) => ofPath.all(folder.key, toText(path)).map(problemOf)),
    list: session.read("list the problems", () => list.all(folder.key).map(problemOf)),
    count: () => folder.problems,
  });
}

function problemOf(stored: StoredProblem): Problem {
  return { ...stored, path: fromText(stored.path) };
}
