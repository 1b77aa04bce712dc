import type { Schema } from "./database.ts";

/** One database per account. Times are milliseconds since 1970, sizes are bytes, `sha1` is 20 bytes. */
export const ACCOUNT_SCHEMA: Schema = {
  applicationId: 0x53_74_41_63,
  migrations: [
    `
    CREATE TABLE state (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      -- The highest usn given.
      top INTEGER NOT NULL,
      -- Rows with bytes, and their bytes.
      live INTEGER NOT NULL,
      live_bytes INTEGER NOT NULL,
      -- Changes when the data went back in time; generation counts those, restored_top is top at the last one.
      epoch TEXT NOT NULL,
      generation INTEGER NOT NULL,
      restored_top INTEGER NOT NULL
    ) STRICT;
    -- One row per name with its latest change. sha1 NULL: a tombstone, for ever. By usn, so that the feed is one range of the table.
    CREATE TABLE file (
      usn INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      sha1 BLOB,
      size INTEGER NOT NULL,
      at_ms INTEGER NOT NULL
    ) STRICT;
    -- Every usn given, with what stood before and after: decides what a session could know.
    CREATE TABLE log (
      usn INTEGER PRIMARY KEY,
      name TEXT NOT NULL,
      live INTEGER NOT NULL,
      was_live INTEGER NOT NULL,
      upload INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE upload (id INTEGER PRIMARY KEY, device TEXT NOT NULL, session TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
    -- What is remembered of a device key, as JSON of the server's own.
    CREATE TABLE device (id TEXT PRIMARY KEY, memory TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- Where bytes stand. refs: rows and versions that need them; 0: dead since dead_ms.
    CREATE TABLE blob (
      sha1 BLOB PRIMARY KEY,
      size INTEGER NOT NULL,
      pack INTEGER NOT NULL,
      start INTEGER NOT NULL,
      refs INTEGER NOT NULL,
      dead_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    -- Bytes that were replaced or deleted, until retention lets them go.
    CREATE TABLE version (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL,
      sha1 BLOB NOT NULL,
      size INTEGER NOT NULL,
      why TEXT NOT NULL CHECK (why IN ('replaced', 'deleted')),
      at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX version_name ON version (name, id);
    -- Whole collections as uploaded; the newest is current.
    CREATE TABLE collection (
      id INTEGER PRIMARY KEY,
      size INTEGER NOT NULL,
      mod INTEGER NOT NULL,
      scm INTEGER NOT NULL,
      usn INTEGER NOT NULL,
      empty INTEGER NOT NULL,
      at_ms INTEGER NOT NULL
    ) STRICT;
    `,
    `
    -- How much of the packs' notes is in these tables: everything before this offset, up to this number. What comes after is replayed when the
    -- account is opened. Pack 0: nothing is yet; -1: from before there were notes.
    ALTER TABLE state ADD COLUMN noted_pack INTEGER NOT NULL DEFAULT -1;
    ALTER TABLE state ADD COLUMN noted_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE state ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
    `,
    `
    -- Names that differ in case alone from one that came before them and still stands.
    CREATE TABLE shadow (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    `,
  ],
};

/** One database per server: who may come in. */
export const ACCOUNTS_SCHEMA: Schema = {
  applicationId: 0x53_74_41_75,
  migrations: [
    `
    -- The directory of an account is its id, never its name. credential: PHC string, NULL: no password opens it.
    CREATE TABLE account (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      origin TEXT NOT NULL CHECK (origin IN ('command', 'environment')),
      credential TEXT,
      disabled INTEGER NOT NULL,
      created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- digest: SHA-256 of the secret half; the secret itself stands nowhere.
    CREATE TABLE device_key (
      id TEXT PRIMARY KEY,
      account TEXT NOT NULL,
      digest TEXT NOT NULL,
      client TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      used_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX device_key_account ON device_key (account);
    `,
  ],
};
