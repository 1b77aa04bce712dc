import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

import Database from "better-sqlite3";

import { asStoreError, StoreError } from "./errors.ts";

/** What a sync server must know of an uploaded collection. Times are milliseconds since 1970. */
export type CollectionFacts = { readonly mod: number; readonly scm: number; readonly usn: number; readonly empty: boolean };

const MAGIC = "SQLite format 3\0";
/** Schemas that Anki's own clients send since 2.1.57. */
const SCHEMAS = { min: 11, max: 99 } as const;

/** What SQLite's header says before the first page is looked at. */
const HEADER_BYTES = 100;
/** Read and write version; 2 says WAL, which a file opened for reading alone can't have. */
const VERSIONS_AT = 18;
const ROLLBACK = Buffer.from([1, 1]);

/**
 * Reads `col` and whether there is a card; null: this is no Anki collection, or it is cut short. Neither table has Anki's own collation, so
 * any SQLite can read them. Nobody else may use the file meanwhile; its bytes are the same afterwards, and durable. @throws Error where the
 * disk refuses
 */
export function readCollection(file: string): CollectionFacts | null {
  const handle = openSync(file, "r+");
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    if (readSync(handle, header, 0, HEADER_BYTES, 0) < HEADER_BYTES || header.toString("latin1", 0, 16) !== MAGIC) return null;
    const pageBytes = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
    // The header counts the pages: a body that broke off early is told by its length.
    if (pageBytes === 0 || header.readUInt32BE(28) * pageBytes > fstatSync(handle).size) return null;
    const versions = header.subarray(VERSIONS_AT, VERSIONS_AT + ROLLBACK.length);
    if (versions.equals(ROLLBACK)) return factsIn(file);
    writeSync(handle, ROLLBACK, 0, ROLLBACK.length, VERSIONS_AT);
    try {
      return factsIn(file);
    } finally {
      writeSync(handle, versions, 0, versions.length, VERSIONS_AT);
      fdatasyncSync(handle);
    }
  } finally {
    closeSync(handle);
  }
}

function factsIn(file: string): CollectionFacts | null {
  try {
    const db = new Database(file, { readonly: true });
    try {
      db.pragma("trusted_schema = OFF");
      return hasPlainTables(db) ? factsOf(db) : null;
    } finally {
      db.close();
    }
  } catch (error) {
    const known = asStoreError(error, "read an uploaded collection");
    if (known instanceof StoreError) return null;
    throw error;
  }
}

/** A view or a computed column would be a program of the sender's that runs here, as long as it likes. */
function hasPlainTables(db: Database.Database): boolean {
  const plain = db
    .prepare<[string], number>("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name = ?")
    .pluck();
  const computed = db.prepare<[string], number>("SELECT count(*) FROM pragma_table_xinfo(?) WHERE hidden != 0").pluck();
  return ["col", "cards"].every((table) => plain.get(table) === 1 && computed.get(table) === 0);
}

function factsOf(db: Database.Database): CollectionFacts | null {
  const col = db.prepare<[], { mod: unknown; scm: unknown; usn: unknown; ver: unknown }>("SELECT mod, scm, usn, ver FROM col").get();
  if (col === undefined) return null;
  const { mod, scm, usn, ver } = col;
  if (typeof mod !== "number" || typeof scm !== "number" || typeof usn !== "number" || typeof ver !== "number") return null;
  if (ver < SCHEMAS.min || ver > SCHEMAS.max) return null;
  return { mod, scm, usn, empty: db.prepare("SELECT 1 FROM cards LIMIT 1").get() === undefined };
}
