import type { Database } from "better-sqlite3";

import type { AccountState } from "../core/server-rows.ts";
import { StoreError, withFault } from "./errors.ts";

/** How far the notes of the packs are in the rows: all before `at`; `count` is the number of the last one. */
export type Noted = { readonly pack: number; readonly at: number; readonly count: number };

/**
 * What was kept is seen by every reader, and is in the file after the next `flush`: one transaction for many changes, as each of them touches
 * pages all over the indexes. @throws StoreError from every method
 */
export interface Session {
  /** Begins a change; changes may stand within changes. */
  open(): void;
  keep(): void;
  /** Takes back everything since `open`. */
  undo(): void;
  /** Rows written since the last `flush`. */
  unflushed(): number;
  /** False: the database gave up what was kept since the last `flush` (it does so when the disk is full or fails). */
  intact(): boolean;
  /** Commits everything kept. `durable`: a power cut leaves it, too. */
  flush(durable: boolean): void;
  /** Takes back everything since the last `flush`. */
  rollback(): void;
  noted(): Noted;
  setNoted(noted: Noted): void;
}

/** The one row of `state`, kept in memory and written back with the transaction that changed it. */
export type Counters = { now(): AccountState; set(change: Partial<AccountState>): void; wrote(rows: number): void };

type Loaded = AccountState & { readonly notedPack: number; readonly notedAt: number; readonly noted: number };
type Held = { readonly state: AccountState; readonly noted: Noted; readonly rows: number };

/** Changes within changes; the server needs two. */
const DEPTH_MAX = 3;

/** `onUndo`: told when rows are not any more what they were. */
export function openSession(db: Database, onUndo: () => void): { readonly session: Session; readonly counters: Counters } {
  const file = stateRow(db);
  const { begin, commit, rollback, points } = prepareMarks(db);
  let held: Held = file.load();
  /** The database took back more than the change that failed. */
  let lost = false;
  const before: Held[] = [];
  const point = (depth: number): (typeof points)[number] => {
    const found = points[depth];
    if (found === undefined) throw new StoreError("other", "Could not change rows: changes do not stand as they must within each other.");
    return found;
  };
  const reload = (): void => {
    before.length = 0;
    held = file.load();
    onUndo();
  };
  const session: Session = {
    open: () =>
      withFault("begin a change", () => {
        if (!db.inTransaction) begin.run();
        point(before.length).open.run();
        before.push(held);
      }),
    keep: () =>
      withFault("keep a change", () => {
        point(before.length - 1).keep.run();
        before.pop();
      }),
    undo: () =>
      withFault("take a change back", () => {
        if (!db.inTransaction) {
          lost ||= before.length > 1 || (before[0] ?? held).rows > 0;
          return reload();
        }
        const { back, keep } = point(before.length - 1);
        back.run();
        keep.run();
        held = before.pop() ?? held;
        onUndo();
      }),
    unflushed: () => held.rows,
    intact: () => !lost && (held.rows === 0 || db.inTransaction),
    flush: (durable) =>
      withFault("commit changes", () => {
        if (db.inTransaction) {
          file.save(held);
          commit.run();
          held = { ...held, rows: 0 };
        }
        if (durable) commitSynced(db, () => file.save(held));
      }),
    rollback: () =>
      withFault("take changes back", () => {
        if (db.inTransaction) rollback.run();
        lost = false;
        reload();
      }),
    noted: () => held.noted,
    setNoted: (noted) => (held = { ...held, noted }),
  };
  const counters: Counters = {
    now: () => held.state,
    set: (change) => (held = { ...held, state: { ...held.state, ...change } }),
    wrote: (rows) => (held = { ...held, rows: held.rows + rows }),
  };
  return { session, counters };
}

function prepareMarks(db: Database) {
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    points: Array.from({ length: DEPTH_MAX }, (_, at) => ({
      open: db.prepare(`SAVEPOINT change${at}`),
      keep: db.prepare(`RELEASE change${at}`),
      back: db.prepare(`ROLLBACK TO change${at}`),
    })),
  };
}

/** One more commit, which takes all earlier ones to the disk with it: how safe a commit is can't be said once it has begun. */
function commitSynced(db: Database, save: () => void): void {
  db.pragma("synchronous = FULL");
  try {
    db.transaction(save).immediate();
  } finally {
    db.pragma("synchronous = NORMAL");
  }
}

function stateRow(db: Database): { load(): Held; save(held: Held): void } {
  const read = db.prepare<[], Loaded>(
    `SELECT top, live, live_bytes AS liveBytes, epoch, generation, restored_top AS restoredTop,
       noted_pack AS notedPack, noted_at AS notedAt, noted FROM state`,
  );
  const write = db.prepare<[number, number, number, string, number, number, number, number, number]>(
    `UPDATE state SET top = ?, live = ?, live_bytes = ?, epoch = ?, generation = ?, restored_top = ?,
       noted_pack = ?, noted_at = ?, noted = ?`,
  );
  return {
    load: () => {
      const found = read.get();
      if (found === undefined) throw new StoreError("corrupt", "Could not read an account: it has no state.");
      const { notedPack, notedAt, noted, ...state } = found;
      return { state, noted: { pack: notedPack, at: notedAt, count: noted }, rows: 0 };
    },
    save: ({ state, noted }) =>
      void write.run(
        state.top,
        state.live,
        state.liveBytes,
        state.epoch,
        state.generation,
        state.restoredTop,
        noted.pack,
        noted.at,
        noted.count,
      ),
  };
}
