import type { Database } from "better-sqlite3";

import { StoreError, asStoreError, withFault } from "./errors.ts";

/** Counters of one folder, kept beside its rows so that `status` never scans. Written back in the transaction that changed them. */
type FolderTotals = {
  files: number;
  bytes: number;
  remoteLive: number;
  baseLive: number;
  pending: number;
  problems: number;
  openConflicts: number;
};
/** One folder as the store's modules share it. `key` 0: it has no row yet, so no table has rows of it. */
export type FolderRow = FolderTotals & { readonly id: string; key: number };

/** What wants to take part in the outermost transaction. */
export type Participant = {
  /** Inside the transaction, as its last work. */
  beforeCommit?(): void;
  /** The transaction is durable, or will be soon. */
  committed?(): void;
  /** The transaction did not happen: forget what was remembered of it. */
  rolledBack(): void;
};

const NOTHING: FolderTotals = { files: 0, bytes: 0, remoteLive: 0, baseLive: 0, pending: 0, problems: 0, openConflicts: 0 };

type StoredFolder = [
  key: number,
  id: string,
  files: number,
  bytes: number,
  remoteLive: number,
  baseLive: number,
  pending: number,
  problems: number,
  openConflicts: number,
];

/** One connection: its transactions, its folders, and the rule that trouble in a write ends the whole transaction. */
export class Session {
  readonly db: Database;
  readonly #folders = new Map<string, FolderRow>();
  readonly #idByKey = new Map<number, string>();
  readonly #participants: Participant[] = [];
  #snapshot: readonly FolderRow[] = [];
  #depth = 0;
  /** Something was committed without waiting for the disk. */
  #unsettled = false;
  /** How safe the next commit is; said to SQLite before it begins. */
  #waits = true;
  /** The first failure inside the transaction under way: it can't be committed any more, even if somebody caught it. */
  #doom: unknown = null;
  readonly #begin;
  readonly #commit;
  readonly #rollback;
  readonly #insertFolder;
  readonly #saveFolder;
  readonly #written;
  readonly #touch;

  constructor(db: Database) {
    this.db = db;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    this.#written = db.prepare<[], number>("SELECT total_changes()").pluck();
    // A row that is set to what it holds dirties no page, and a commit without one waits for nothing; this writes its page whatever stands there.
    this.#touch = db.prepare(`PRAGMA user_version = ${Number(db.pragma("user_version", { simple: true }))}`);
    this.#insertFolder = db.prepare<[string], { key: number }>("INSERT INTO folder (id) VALUES (?) RETURNING key");
    this.#saveFolder = db.prepare<[number, number, number, number, number, number, number, number]>(
      "UPDATE folder SET files = ?, bytes = ?, remote_live = ?, base_live = ?, pending = ?, problems = ?, open_conflicts = ? WHERE key = ?",
    );
    const rows = db
      .prepare<[], StoredFolder>(
        "SELECT key, id, files, bytes, remote_live, base_live, pending, problems, open_conflicts FROM folder ORDER BY key",
      )
      .raw()
      .all();
    for (const [key, id, files, bytes, remoteLive, baseLive, pending, problems, openConflicts] of rows) {
      this.#folders.set(id, { key, id, files, bytes, remoteLive, baseLive, pending, problems, openConflicts });
      this.#idByKey.set(key, id);
    }
  }

  join(participant: Participant): void {
    this.#participants.push(participant);
  }

  /** The one shared row object of this folder; made in memory at first, in the database by `keyFor`. */
  folder(id: string): FolderRow {
    const known = this.#folders.get(id);
    if (known !== undefined) return known;
    const row: FolderRow = { ...NOTHING, id, key: 0 };
    this.#folders.set(id, row);
    return row;
  }

  /** @throws StoreError when a row names a folder that is not in the table: the database is damaged. */
  idOf(key: number): string {
    const id = this.#idByKey.get(key);
    if (id === undefined) throw new StoreError("corrupt", `Could not tell which folder a row belongs to: no folder has the key ${key}.`);
    return id;
  }

  /** Only inside a write. */
  keyFor(folder: FolderRow): number {
    if (folder.key !== 0) return folder.key;
    const made = this.#insertFolder.get(folder.id);
    if (made === undefined) throw new StoreError("other", `Could not add folder ${folder.id} to the state.`);
    folder.key = made.key;
    this.#idByKey.set(made.key, folder.id);
    return made.key;
  }

  /** Runs `work` in the outermost transaction; durable when that one returns (`soon`: see `State`). @throws StoreError, or what `work` threw. */
  transaction<T>(work: () => T, when: "now" | "soon" = "now"): T {
    return this.#depth > 0 ? this.#nested(work) : this.#outermost(work, when);
  }

  #outermost<T>(work: () => T, when: "now" | "soon" | "settle"): T {
    withFault("begin a transaction", () => this.#beginWaiting(when !== "soon"));
    this.#depth = 1;
    this.#doom = null;
    this.#snapshot = [...this.#folders.values()].map((row) => ({ ...row }));
    const writtenBefore = this.#written.get();
    try {
      const result = settled(work());
      if (this.#doom !== null) throw new StoreError("other", "Could not commit: a part of this transaction failed.", { cause: this.#doom });
      for (const participant of this.#participants) participant.beforeCommit?.();
      this.#saveTotals();
      const wrote = this.#written.get() !== writtenBefore;
      // A commit that waits for the disk takes all earlier ones there with it, if it has a page to write; one that wrote nothing waits for nothing.
      if (this.#unsettled && (when === "settle" || (when === "now" && wrote))) this.#touch.run();
      this.#commit.run();
      if (wrote || when === "settle") this.#unsettled = when === "soon";
      for (const participant of this.#participants) participant.committed?.();
      return result;
    } catch (error) {
      this.#undo();
      throw asStoreError(error, "write to the state");
    } finally {
      this.#depth = 0;
    }
  }

  /** Wraps a method that reads: whatever SQLite throws becomes a `StoreError`. */
  read<Args extends readonly unknown[], Result>(attempted: string, work: (...args: Args) => Result): (...args: Args) => Result {
    return (...args) => {
      try {
        return work(...args);
      } catch (error) {
        throw asStoreError(error, attempted);
      }
    };
  }

  /** Wraps a method that writes: refused outside a transaction; a failure dooms the transaction, for half of it may have happened. */
  write<Args extends readonly unknown[], Result>(attempted: string, work: (...args: Args) => Result): (...args: Args) => Result {
    return (...args) => {
      if (this.#depth === 0) throw new StoreError("other", `Could not ${attempted}: it was tried outside a transaction.`);
      try {
        return work(...args);
      } catch (error) {
        const known = asStoreError(error, attempted);
        this.#doom ??= known;
        throw known;
      }
    };
  }

  /** Forgets the counters of a folder whose rows were all removed. */
  reset(folder: FolderRow): void {
    Object.assign(folder, NOTHING);
  }

  /** The last commit's image; in a transaction there is none. */
  serialize(): Buffer {
    if (this.#depth > 0) throw new StoreError("other", "Could not copy the state: a transaction is under way.");
    return withFault("copy the state", () => this.db.serialize());
  }

  get settled(): boolean {
    return !this.#unsettled;
  }

  /** Not within a transaction: its own end does the same. */
  settle(): void {
    if (this.#unsettled && this.#depth === 0) this.#outermost(() => undefined, "settle");
  }

  /** How safe a commit is can't be said any more once it has begun. */
  #beginWaiting(waits: boolean): void {
    if (this.#waits !== waits) this.db.pragma(`synchronous = ${waits ? "FULL" : "NORMAL"}`);
    this.#waits = waits;
    this.#begin.run();
  }

  #nested<T>(work: () => T): T {
    this.#depth++;
    try {
      return settled(work());
    } catch (error) {
      this.#doom ??= error ?? new StoreError("other", "A part of this transaction failed without saying why.");
      throw error;
    } finally {
      this.#depth--;
    }
  }

  #saveTotals(): void {
    const before = new Map(this.#snapshot.map((row) => [row.id, row]));
    for (const row of this.#folders.values()) {
      if (row.key === 0 || sameTotals(row, before.get(row.id))) continue;
      this.#saveFolder.run(row.files, row.bytes, row.remoteLive, row.baseLive, row.pending, row.problems, row.openConflicts, row.key);
    }
  }

  #undo(): void {
    // SQLite may have rolled back by itself (disk full, I/O error): then there is nothing left to undo there.
    if (this.db.inTransaction) this.#rollback.run();
    const before = new Map(this.#snapshot.map((row) => [row.id, row]));
    for (const row of this.#folders.values()) {
      const old = before.get(row.id);
      if (old === undefined || old.key !== row.key) this.#idByKey.delete(row.key);
      Object.assign(row, old ?? { ...NOTHING, key: 0 });
    }
    for (const participant of this.#participants) participant.rolledBack();
  }
}

/** A transaction ends when `work` returns: one that goes on later would write outside it. */
function settled<T>(result: T): T {
  if (result instanceof Promise) throw new StoreError("other", "Could not commit: the work of a transaction must not be asynchronous.");
  return result;
}

function sameTotals(row: FolderRow, old: FolderRow | undefined): boolean {
  return (
    old !== undefined &&
    old.key === row.key &&
    old.files === row.files &&
    old.bytes === row.bytes &&
    old.remoteLive === row.remoteLive &&
    old.baseLive === row.baseLive &&
    old.pending === row.pending &&
    old.problems === row.problems &&
    old.openConflicts === row.openConflicts
  );
}
