import Database from "better-sqlite3";

import { asStoreError, StoreError } from "./errors.ts";

/** What a sync server must know of an uploaded collection. Times are milliseconds since 1970. */
export type CollectionFacts = { readonly mod: number; readonly scm: number; readonly usn: number; readonly empty: boolean };

const MAGIC = "SQLite format 3\0";
/** Schemas that Anki's own clients send since 2.1.57. */
const SCHEMAS = { min: 11, max: 99 } as const;

/**
 * Reads `col` and whether there is a card; null: this is no Anki collection, or it is cut short. Neither table has Anki's own collation, so
 * any SQLite can read them. `image` is copied before the two bytes are patched that say WAL, which memory can't have.
 */
export function readCollection(image: Uint8Array): CollectionFacts | null {
  if (image.length < 512 || Buffer.from(image.buffer, image.byteOffset, 16).toString("latin1") !== MAGIC) return null;
  const copy = Buffer.from(image);
  copy.fill(1, 18, 20);
  const pageBytes = copy.readUInt16BE(16) === 1 ? 65_536 : copy.readUInt16BE(16);
  // The header counts the pages: a body that broke off early is told by its length.
  if (pageBytes === 0 || copy.readUInt32BE(28) * pageBytes > copy.length) return null;
  try {
    const db = new Database(copy, { readonly: true });
    try {
      return factsOf(db);
    } finally {
      db.close();
    }
  } catch (error) {
    const known = asStoreError(error, "read an uploaded collection");
    if (known instanceof StoreError) return null;
    throw error;
  }
}

function factsOf(db: Database.Database): CollectionFacts | null {
  const col = db.prepare<[], { mod: unknown; scm: unknown; usn: unknown; ver: unknown }>("SELECT mod, scm, usn, ver FROM col").get();
  if (col === undefined) return null;
  const { mod, scm, usn, ver } = col;
  if (typeof mod !== "number" || typeof scm !== "number" || typeof usn !== "number" || typeof ver !== "number") return null;
  if (ver < SCHEMAS.min || ver > SCHEMAS.max) return null;
  return { mod, scm, usn, empty: db.prepare("SELECT 1 FROM cards LIMIT 1").get() === undefined };
}
