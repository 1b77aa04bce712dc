import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";

import Database from "better-sqlite3";

import { StoreError, asStoreError, withFault } from "./errors.ts";

/** How long an open waits for a predecessor that is just ending; the start of a service may not hang longer. */
const BUSY_MS = 1000;
/** Page cache. More did not make a first scan of 100 000 files faster (measured 8–64 MiB), and it stays in the idle process. */
const CACHE_KIB = 16_384;
/** The write-ahead log is cut back to this after a checkpoint. */
const WAL_KEEP_BYTES = 16 * 1024 * 1024;

/** Pages of the log after which it is written back: at SQLite's 1000 (4 MB) a first sync writes the same pages back again and again. */
const CHECKPOINT_PAGES = 4000;

/** What a database file must be, and how it becomes so. */
export type Schema = {
  readonly applicationId: number;
  /** `migrations[n]` takes `user_version` n to n + 1. */
  readonly migrations: readonly string[];
};

export type Opened = { readonly db: Database.Database; readonly fresh: boolean };

/**
 * Opens (or makes) a database with one owner: exclusive lock, WAL, every commit durable. Older schemas are copied beside and migrated.
 * `source`: a file's path, `:memory:`, or a serialized image. @throws StoreError `future` for a schema newer than ours, untouched.
 */
export function openDatabase(source: string | Buffer, schema: Schema): Opened {
  const attempted = typeof source === "string" ? `open the database ${source}` : "open the image of a database";
  const db = withFault(attempted, () => new Database(typeof source === "string" ? source : withoutWal(source), { timeout: BUSY_MS }));
  try {
    db.pragma("locking_mode = EXCLUSIVE");
    const fresh = refuseForeign(db, schema, attempted);
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.pragma(`cache_size = -${CACHE_KIB}`);
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    db.pragma(`journal_size_limit = ${WAL_KEEP_BYTES}`);
    db.pragma("temp_store = MEMORY");
    migrate(db, schema, typeof source === "string" && source !== ":memory:" ? source : null);
    return { db, fresh };
  } catch (error) {
    db.close();
    throw asStoreError(error, attempted);
  }
}

/** A number that a pragma tells. @throws StoreError */
function numberPragma(db: Database.Database, name: "application_id" | "user_version"): number {
  const value = db.pragma(name, { simple: true });
  if (typeof value !== "number") throw new StoreError("other", `Could not read ${name} of the database.`);
  return value;
}

/** True where nothing is there yet. */
function refuseForeign(db: Database.Database, schema: Schema, attempted: string): boolean {
  const version = numberPragma(db, "user_version");
  const tables = db.prepare<[], number>("SELECT count(*) FROM sqlite_schema").pluck().get() ?? 0;
  if (version === 0 && tables === 0) return true;
  if (numberPragma(db, "application_id") !== schema.applicationId)
    throw new StoreError("other", `Could not ${attempted}: another program's database stands there. Move it away.`);
  const known = schema.migrations.length;
  if (version > known) {
    const next = "Install the newer version again, or move the file away: the state is then built again from the disk and the remote.";
    throw new StoreError(
      "future",
      `Could not ${attempted}: a newer Satchel wrote it (schema ${version}, this one knows ${known}). ${next}`,
    );
  }
  return false;
}

/** One transaction per step, so that a kill half-way leaves a whole older schema from which the next start goes on (DB08). */
function migrate(db: Database.Database, schema: Schema, path: string | null): void {
  const from = numberPragma(db, "user_version");
  if (from > 0 && from < schema.migrations.length && path !== null) copyBeside(db, `${path}.before-v${schema.migrations.length}`);
  schema.migrations.slice(from).forEach((sql, index) => {
    const step = `PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${from + index + 1};`;
    db.transaction(() => db.exec(sql + step)).immediate();
  });
}

/** A whole copy under its final name, or none: SQLite does not sync what `VACUUM INTO` writes. */
function copyBeside(db: Database.Database, target: string): void {
  const temp = `${target}.tmp`;
  rmSync(temp, { force: true });
  db.prepare("VACUUM INTO ?").run(temp);
  const file = openSync(temp, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temp, target);
}

/** The image of a file in WAL mode says so in two bytes of its header, and memory can't have a WAL. */
function withoutWal(image: Buffer): Buffer {
  const copy = Buffer.from(image);
  if (copy.length > 20) copy.fill(1, 18, 20);
  return copy;
}
