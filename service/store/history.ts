import type { RunSummary, Sha1, Version } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import type { Prepared } from "./journals.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";

type StoredVersion = Omit<Version, "folder">;
const VERSION = "path, lower(hex(sha1)) AS sha1, size_bytes AS sizeBytes, why, run, at_ms AS atMs";

/** Rows about kept bytes; the bytes and the journal that outlives this table are in the version store. */
export function prepareVersions(session: Session): (folder: FolderRow) => FolderState["versions"] {
  const { db } = session;
  const select = `SELECT ${VERSION} FROM version WHERE folder = ?`;
  // The journal may be read in again (N6): the same line twice is one row.
  const add = db.prepare<[number, string, string, number, string, string, number, number, string, string, string, number]>(
    `INSERT INTO version (folder, path, sha1, size_bytes, why, run, at_ms) SELECT ?, ?, unhex(?), ?, ?, ?, ?
     WHERE NOT EXISTS (SELECT 1 FROM version WHERE folder = ? AND path = ? AND sha1 = unhex(?) AND run = ? AND at_ms = ?)`,
  );
  const ofPath = db.prepare<[number, string], StoredVersion>(`${select} AND path = ? ORDER BY at_ms DESC, id DESC`);
  const ofRun = db.prepare<[number, string], StoredVersion>(`${select} AND run = ? ORDER BY id`);
  const has = db.prepare<[number, string], number>("SELECT 1 FROM version WHERE folder = ? AND sha1 = unhex(?) LIMIT 1").pluck();
  const before = db.prepare<[number, number], StoredVersion>(`${select} AND at_ms < ? ORDER BY at_ms, id`);
  const remove = db.prepare<[number, string]>("DELETE FROM version WHERE folder = ? AND sha1 = unhex(?)");
  const total = db
    .prepare<[number], number>("SELECT coalesce(sum(size_bytes), 0) FROM (SELECT DISTINCT sha1, size_bytes FROM version WHERE folder = ?)")
    .pluck();
  return (folder) => {
    const versionOf = (stored: StoredVersion): Version => ({ ...stored, folder: folder.id, path: fromText(stored.path) });
    return {
      add: session.write("record a version", (version: Omit<Version, "folder">) => {
        const { sizeBytes, why, run, atMs } = version;
        const key = session.keyFor(folder);
        const path = toText(version.path);
        const sha1 = checkedSha1(version.sha1);
        add.run(key, path, sha1, sizeBytes, why, run, atMs, key, path, sha1, run, atMs);
      }),
      ofPath: session.read("read the versions of a path", (path: string) => ofPath.all(folder.key, toText(path)).map(versionOf)),
      /** In the order they were kept. */
      ofRun: session.read("read the versions of a run", (run: string) => ofRun.all(folder.key, run).map(versionOf)),
      has: session.read("look for a version", (sha1: Sha1) => has.get(folder.key, checkedSha1(sha1)) !== undefined),
      before: session.read("read the old versions", (atMs: number) => before.all(folder.key, atMs).map(versionOf)),
      remove: session.write("forget a version", (sha1: Sha1) => {
        remove.run(folder.key, checkedSha1(sha1));
      }),
      /** Each content once, as it is stored. */
      totalBytes: session.read("add up the versions", () => total.get(folder.key) ?? 0),
    };
  };
}

/** Runs kept per folder: a poll a minute makes half a million a year. */
const RUNS_MAX = 10_000;
/** The surplus goes with every so-manieth run. */
const TRIM_EVERY = 256;

type StoredRun = Omit<RunSummary, "folder">;
const RUN_COLUMNS = [
  ["run", "run"],
  ["root", "root"],
  ["result", "result"],
  ["uploaded_files", "uploadedFiles"],
  ["uploaded_bytes", "uploadedBytes"],
  ["downloaded_files", "downloadedFiles"],
  ["downloaded_bytes", "downloadedBytes"],
  ["deleted_local", "deletedLocal"],
  ["deleted_remote", "deletedRemote"],
  ["conflicts", "conflicts"],
  ["problems", "problems"],
  ["duration_ms", "durationMs"],
  ["started_at_ms", "startedAtMs"],
  ["error", "error"],
  ["fault", "fault"],
] as const;

/** Summaries of runs, newest first; the last 10 000 of each folder. */
export function prepareRuns(session: Session): Prepared<FolderState["runs"]> {
  const { db } = session;
  // Every run compares itself with the one before it.
  const newest = new Map<FolderRow, RunSummary>();
  session.join({ rolledBack: () => newest.clear() });
  const names = RUN_COLUMNS.map(([column]) => column);
  const put = db.prepare<[StoredRun & { readonly key: number }]>(
    `INSERT INTO run (folder, ${names.join(", ")}) VALUES (@key, ${RUN_COLUMNS.map(([, field]) => `@${field}`).join(", ")})
     ON CONFLICT (run) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(", ")}`,
  );
  const trim = db.prepare<[number, number, number]>(
    "DELETE FROM run WHERE folder = ? AND seq <= (SELECT seq FROM run WHERE folder = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
  );
  const select = `SELECT ${RUN_COLUMNS.map(([column, field]) => `${column} AS ${field}`).join(", ")} FROM run WHERE folder = ?`;
  const list = db.prepare<[number, number], StoredRun>(`${select} ORDER BY seq DESC LIMIT ?`);
  const get = db.prepare<[number, string], StoredRun>(`${select} AND run = ?`);
  const ofFolder = (folder: FolderRow): FolderState["runs"] => {
    let untilTrim = TRIM_EVERY;
    const runOf = (stored: StoredRun | undefined): RunSummary | undefined =>
      stored === undefined ? undefined : { ...stored, folder: folder.id };
    return {
      put: session.write("record a run", (run: RunSummary) => {
        const key = session.keyFor(folder);
        // It may be an older one that is written again.
        newest.delete(folder);
        put.run({ ...run, key });
        if (--untilTrim > 0) return;
        untilTrim = TRIM_EVERY;
        trim.run(key, key, RUNS_MAX);
      }),
      last: session.read("read the last run", () => {
        const last = newest.get(folder) ?? runOf(list.get(folder.key, 1));
        if (last !== undefined) newest.set(folder, last);
        return last;
      }),
      get: session.read("read a run", (run: string) => runOf(get.get(folder.key, run))),
      list: session.read("list the runs", (limit: number) =>
        list.all(folder.key, limit).map((stored): RunSummary => ({ ...stored, folder: folder.id })),
      ),
    };
  };
  return { ofFolder, forget: (folder) => void newest.delete(folder) };
}
