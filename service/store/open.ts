import type { Database } from "better-sqlite3";

import type { FolderState, State } from "../core/state.ts";
import { openChangeLog } from "./change-log.ts";
import { prepareConflicts, prepareHolds } from "./conflicts.ts";
import { openDatabase } from "./database.ts";
import { StoreError, withFault } from "./errors.ts";
import { openEvents } from "./events.ts";
import { prepareRuns, prepareVersions } from "./history.ts";
import {
  prepareApplyIntents,
  prepareCursor,
  prepareDeletions,
  prepareIgnoreRules,
  prepareRehash,
  prepareUploadIntents,
} from "./journals.ts";
import { prepareMarks, preparePending, prepareProblems } from "./pending.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";
import { Session } from "./session.ts";
import { prepareRemoteAuthors } from "./remote-authors.ts";
import { prepareBase, prepareEntries, prepareRemote } from "./trees.ts";
import { makeTwins } from "./twins.ts";

/** A quick check that found nothing holds for a week (after a clean stop). */
const CHECK_EVERY_MS = 7 * 24 * 60 * 60 * 1000;

export type OpenOptions = {
  /** A file, `:memory:`, or what `serialize` gave. */
  readonly path: string | Buffer;
  /** Milliseconds since 1970; dates the quick check, nothing else. */
  now(): number;
};

/** The state with what only its owner (the composition root, the simulator) needs. */
export interface StateStore extends State {
  /** Nothing was there: a first start, or the state was lost and is to be rebuilt (N6). */
  readonly fresh: boolean;
  /** The one before us closed the state; after a crash a quick check is due. */
  readonly stoppedCleanly: boolean;
  /** The version of SQLite, for the log. */
  readonly sqliteVersion: string;
  /** The image of the last commit, for `openState`. */
  serialize(): Buffer;
  /** Lets go of the pages that are kept in memory. */
  shrink(): void;
  checkDue(): boolean;
  /** SQLite's own check, table by table with a `pause` between, so that the service answers meanwhile. The damage found, or null. */
  quickCheck(pause: () => Promise<void>): Promise<string | null>;
}

/** Tables whose rows a dropped folder loses; the change log and the events stay. */
const FOLDER_TABLES = [
  "entry",
  "remote_entry",
  "base",
  "pending",
  "problem",
  "cursor",
  "upload_batch",
  "apply_batch",
  "deletion",
  "rehash",
  "ignore_rules",
  "remote_author",
  "version",
  "run",
  "conflict",
  "hold",
] as const;

/** Opens the state, making or migrating it. One owner at a time. @throws StoreError `corrupt` (see `rebuildIfCorrupt`), `future`, `busy`, … */
export function openState(options: OpenOptions): StateStore {
  const { db, fresh } = openDatabase(options.path, { applicationId: APPLICATION_ID, migrations: MIGRATIONS });
  try {
    return withFault("read the state", () => assemble(db, fresh, options));
  } catch (error) {
    db.close();
    throw error;
  }
}

function assemble(db: Database, fresh: boolean, options: OpenOptions): StateStore {
  const session = new Session(db);
  const log = openChangeLog(session);
  const events = openEvents(session);
  const { forget, make } = prepareFolders(session, log.ofFolder);
  const folders = new Map<string, FolderState>();
  const drops = FOLDER_TABLES.map((table) => db.prepare<[number]>(`DELETE FROM ${table} WHERE folder = ?`));
  const health = openHealth(session, options);
  return {
    transaction: (work, when) => session.transaction(work, when),
    settle: () => session.settle(),
    get settled() {
      return session.settled;
    },
    folder: (id) => {
      let folder = folders.get(id);
      if (folder === undefined) folders.set(id, (folder = make(id)));
      return folder;
    },
    dropFolder: session.write("forget a folder", (id: string) => {
      const row = session.folder(id);
      for (const drop of drops) drop.run(row.key);
      session.reset(row);
      forget(id);
    }),
    events,
    changesSince: (seq, limit, folder) => log.since(seq, limit, folder === undefined ? null : session.folder(folder)),
    checkChangeLog: log.check,
    close: () => withFault("close the state", () => health.close()),
    fresh,
    sqliteVersion: db.prepare<[], string>("SELECT sqlite_version()").pluck().get() ?? "",
    serialize: () => session.serialize(),
    shrink: () => void db.pragma("shrink_memory"),
    stoppedCleanly: health.stoppedCleanly,
    checkDue: health.checkDue,
    quickCheck: health.quickCheck,
  };
}

function prepareFolders(session: Session, changes: (folder: ReturnType<Session["folder"]>) => FolderState["changes"]) {
  const marks = prepareMarks(session);
  const { mark } = marks;
  const twins = makeTwins();
  session.join({ rolledBack: () => twins.forgetAll() });
  const entries = prepareEntries(session, mark, twins);
  const remote = prepareRemote(session, mark);
  const base = prepareBase(session, marks);
  const pending = preparePending(session, marks);
  const problems = prepareProblems(session, mark);
  const cursor = prepareCursor(session);
  const uploadIntents = prepareUploadIntents(session);
  const applyIntents = prepareApplyIntents(session);
  const conflicts = prepareConflicts(session);
  const holds = prepareHolds(session);
  const deletions = prepareDeletions(session);
  const rehash = prepareRehash(session);
  const ignoreRules = prepareIgnoreRules(session);
  const remoteAuthors = prepareRemoteAuthors(session);
  const versions = prepareVersions(session);
  const runs = prepareRuns(session);
  return {
    forget: (id: string): void => {
      const folder = session.folder(id);
      for (const remembered of [twins, marks, cursor, uploadIntents, applyIntents, holds, runs]) remembered.forget(folder);
    },
    make: (id: string): FolderState => {
      const folder = session.folder(id);
      return {
        id,
        entries: entries(folder),
        remote: remote(folder),
        base: base(folder),
        pending: pending(folder),
        problems: problems(folder),
        cursor: cursor.ofFolder(folder),
        changes: changes(folder),
        uploadIntents: uploadIntents.ofFolder(folder),
        applyIntents: applyIntents.ofFolder(folder),
        conflicts: conflicts(folder),
        holds: holds.ofFolder(folder),
        deletions: deletions(folder),
        rehash: rehash(folder),
        ignoreRules: ignoreRules(folder),
        remoteAuthors: remoteAuthors(folder),
        versions: versions(folder),
        runs: runs.ofFolder(folder),
      };
    },
  };
}

function openHealth(session: Session, options: OpenOptions) {
  const { db } = session;
  const row = db.prepare<[], { open: number; checkedAtMs: number | null }>("SELECT open, checked_at_ms AS checkedAtMs FROM health").get();
  const stoppedCleanly = row?.open === 0;
  let checkedAtMs = row?.checkedAtMs ?? null;
  let due = !stoppedCleanly;
  const setOpen = db.prepare<[number]>("UPDATE health SET open = ?");
  const setChecked = db.prepare<[number]>("UPDATE health SET checked_at_ms = ?");
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck();
  let marked = false;
  // With the first thing that is written, not at the start, which would wait for the disk: until then there is nothing to be checked.
  session.join({
    beforeCommit: () => {
      if (!marked) setOpen.run(1);
    },
    committed: () => {
      marked = true;
    },
    rolledBack: () => undefined,
  });
  return {
    stoppedCleanly,
    /** A clock that was set back does not put the check off. */
    checkDue: (): boolean => due || checkedAtMs === null || Math.abs(options.now() - checkedAtMs) >= CHECK_EVERY_MS,
    quickCheck: async (pause: () => Promise<void>): Promise<string | null> => {
      for (const table of withFault("list the tables of the state", () => tables.all())) {
        const damage = damageIn(db, table);
        if (damage !== null) return damage;
        await pause();
      }
      checkedAtMs = options.now();
      due = false;
      setChecked.run(checkedAtMs);
      return null;
    },
    close: (): void => {
      try {
        if (db.open && (marked || !stoppedCleanly)) setOpen.run(0);
      } finally {
        db.close();
      }
    },
  };
}

/** What SQLite finds wrong with this table and its indexes, or null. A page that can't be read is damage too; other trouble throws. */
function damageIn(db: Database, table: string): string | null {
  try {
    const found = withFault(`check table ${table}`, () => db.pragma(`quick_check('${table}')`, { simple: true }));
    return found === "ok" ? null : `${table}: ${String(found)}`;
  } catch (error) {
    if (error instanceof StoreError && error.fault === "corrupt") return error.message;
    throw error;
  }
}
