/**
 * The tables of `state.db`, version by version. One comment per column says what it is.
 * `folder` everywhere is `folder.key`. Names go through `name-text.ts`. SHA-1s are 20-byte blobs. Times are milliseconds since 1970
 * unless the name says nanoseconds; those are REAL because they exceed what an integer double holds exactly and must come back bit-equal.
 */

/** "Stch": tells our database from any other SQLite file. */
export const APPLICATION_ID = 0x53746368;

const TREES = `
CREATE TABLE folder (
  key            INTEGER PRIMARY KEY,          -- short name of the folder inside this database, never re-used
  id             TEXT NOT NULL UNIQUE,         -- the folder's id in config.json
  files          INTEGER NOT NULL DEFAULT 0,   -- rows in entry
  bytes          INTEGER NOT NULL DEFAULT 0,   -- sum of entry.size_bytes
  remote_live    INTEGER NOT NULL DEFAULT 0,   -- rows in remote_entry with bytes
  base_live      INTEGER NOT NULL DEFAULT 0,   -- rows in base with bytes
  pending        INTEGER NOT NULL DEFAULT 0,   -- rows in pending
  problems       INTEGER NOT NULL DEFAULT 0,   -- rows in problem
  open_conflicts INTEGER NOT NULL DEFAULT 0    -- rows in conflict whose state is open
) STRICT;

CREATE TABLE entry (
  folder     INTEGER NOT NULL,
  path       TEXT NOT NULL,                    -- NFC, relative to the root
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
  mtime_ns   REAL NOT NULL,                    -- as lstat told when the bytes were hashed
  ctime_ns   REAL NOT NULL,                    -- likewise
  file_id    REAL NOT NULL,                    -- inode; a double where the file system uses more bits
  sha1       BLOB NOT NULL CHECK (length(sha1) = 20),
  disk_path  TEXT,                             -- the name on disk where it differs from path
  racy       INTEGER NOT NULL CHECK (racy = 0 OR racy = 1), -- 1: hash again at the next look
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE remote_entry (
  folder     INTEGER NOT NULL,
  path       TEXT NOT NULL,                    -- decoded from the wire name
  wire_name  TEXT,                             -- the remote's spelling where it differs from path
  sha1       BLOB CHECK (sha1 IS NULL OR length(sha1) = 20), -- NULL: a tombstone that was read
  usn        INTEGER,                          -- position in the feed; NULL: from our own upload's success
  size_bytes INTEGER,                          -- where the remote tells it
  generation INTEGER NOT NULL,                 -- of the feed that mentioned it last
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX remote_entry_by_wire_name ON remote_entry (folder, wire_name) WHERE wire_name IS NOT NULL;

CREATE TABLE base (
  folder INTEGER NOT NULL,
  path   TEXT NOT NULL,
  sha1   BLOB CHECK (sha1 IS NULL OR length(sha1) = 20), -- NULL: agreed absent; no row: never agreed
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE pending (
  folder INTEGER NOT NULL,
  path   TEXT NOT NULL,                        -- its three trees may disagree
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE problem (
  folder   INTEGER NOT NULL,
  path     TEXT NOT NULL,
  side     TEXT NOT NULL CHECK (side IN ('local', 'remote')), -- the side that it makes unknown
  reason   TEXT NOT NULL,                      -- closed word, LocalReason or RemoteReason
  detail   TEXT NOT NULL,                      -- one sentence for people
  since_ms REAL NOT NULL,                      -- when it was seen first with this reason
  PRIMARY KEY (folder, path, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
  folder     INTEGER PRIMARY KEY,
  server_id  TEXT,                             -- who gave the position; NULL: the server can't tell
  epoch      TEXT,                             -- changes when the server was restored; NULL: it can't tell
  position   TEXT NOT NULL,                    -- the remote's own, opaque; '0' is before everything
  generation INTEGER NOT NULL,                 -- rises with each feed that began at 0
  full       INTEGER NOT NULL CHECK (full IN (0, 1)) -- 1: a feed from 0 is under way
) STRICT;
`;

const LOG = `
CREATE TABLE change (
  seq        INTEGER PRIMARY KEY,              -- contiguous from 1, over all folders
  folder     INTEGER NOT NULL,
  path       TEXT NOT NULL,
  path_hash  INTEGER NOT NULL,                 -- 32 bits of folder and path: the index stays small, the path is compared after
  kind       TEXT NOT NULL CHECK (kind = 'put' OR kind = 'remove'),
  sha1       BLOB CHECK (sha1 IS NULL OR length(sha1) = 20), -- of the bytes that stood there after it
  size_bytes INTEGER,
  origin     TEXT NOT NULL CHECK (origin = 'user' OR origin = 'apply' OR origin = 'restore' OR origin = 'rebuild'), -- who made the state
  at_ms      REAL NOT NULL
) STRICT;
CREATE INDEX change_by_path ON change (path_hash);
CREATE TRIGGER change_keeps_rows BEFORE DELETE ON change BEGIN SELECT RAISE(ABORT, 'the change log is append-only (S20)'); END;
CREATE TRIGGER change_keeps_values BEFORE UPDATE ON change BEGIN SELECT RAISE(ABORT, 'the change log is append-only (S20)'); END;

CREATE TABLE change_link (
  last_seq  INTEGER PRIMARY KEY,               -- the last row of one transaction
  first_seq INTEGER NOT NULL CHECK (first_seq <= last_seq),
  hash      BLOB NOT NULL CHECK (length(hash) = 32) -- SHA-256 of the previous link's hash and the rows' lines
) STRICT;
CREATE TRIGGER change_link_keeps_rows BEFORE DELETE ON change_link BEGIN SELECT RAISE(ABORT, 'the change log is append-only (S20)'); END;
CREATE TRIGGER change_link_keeps_values BEFORE UPDATE ON change_link BEGIN SELECT RAISE(ABORT, 'the change log is append-only (S20)'); END;

CREATE TABLE event (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,    -- contiguous; a trimmed number never comes again
  at_ms  REAL NOT NULL,
  kind   TEXT NOT NULL,
  folder TEXT,                                 -- folder id; NULL: of the service
  data   TEXT NOT NULL CHECK (json_valid(data))
) STRICT;
`;

const JOURNALS = `
CREATE TABLE upload_intent (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,    -- rises; never re-used
  folder INTEGER NOT NULL,
  path   TEXT NOT NULL,
  sha1   BLOB CHECK (sha1 IS NULL OR length(sha1) = 20), -- NULL: a deletion was sent
  run    TEXT NOT NULL
) STRICT;

CREATE TABLE apply_intent (
  folder      INTEGER NOT NULL,
  path        TEXT NOT NULL,
  sha1        BLOB CHECK (sha1 IS NULL OR length(sha1) = 20), -- what shall stand there; NULL: nothing
  expect_sha1 BLOB CHECK (expect_sha1 IS NULL OR length(expect_sha1) = 20), -- what stood there; NULL: nothing
  temp        TEXT,                            -- absolute path of the staged file; NULL: a removal
  moves_base  INTEGER NOT NULL CHECK (moves_base IN (0, 1)),
  origin      TEXT NOT NULL CHECK (origin IN ('user', 'apply', 'restore', 'rebuild')),
  run         TEXT NOT NULL,
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE deletion (
  folder    INTEGER NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('deleteLocal', 'deleteRemote')),
  at_ms     REAL NOT NULL,
  path      TEXT NOT NULL,
  PRIMARY KEY (folder, direction, at_ms, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE version (
  id         INTEGER PRIMARY KEY,
  folder     INTEGER NOT NULL,
  path       TEXT NOT NULL,                    -- where the bytes stood
  sha1       BLOB NOT NULL CHECK (length(sha1) = 20), -- name of the bytes in the version store
  size_bytes INTEGER NOT NULL,
  why        TEXT NOT NULL CHECK (why IN ('replaced', 'removed', 'conflict', 'restored', 'fetched')),
  run        TEXT NOT NULL,
  at_ms      REAL NOT NULL
) STRICT;
CREATE INDEX version_by_path ON version (folder, path);
CREATE INDEX version_by_run ON version (folder, run);
CREATE INDEX version_by_sha1 ON version (folder, sha1, size_bytes);
CREATE INDEX version_by_time ON version (folder, at_ms);

CREATE TABLE run (
  seq              INTEGER PRIMARY KEY,        -- order of beginning
  run              TEXT NOT NULL UNIQUE,       -- the run's id
  folder           INTEGER NOT NULL,
  root             TEXT NOT NULL,              -- the folder's root at that time
  result           TEXT NOT NULL CHECK (result IN ('insync', 'conflicts', 'problems', 'held', 'failed')),
  uploaded_files   INTEGER NOT NULL,
  uploaded_bytes   INTEGER NOT NULL,
  downloaded_files INTEGER NOT NULL,
  downloaded_bytes INTEGER NOT NULL,
  deleted_local    INTEGER NOT NULL,
  deleted_remote   INTEGER NOT NULL,
  conflicts        INTEGER NOT NULL,           -- made by this run
  problems         INTEGER NOT NULL,           -- standing at its end
  duration_ms      REAL NOT NULL,
  started_at_ms    REAL NOT NULL,
  error            TEXT,                       -- why it failed, for people
  fault            TEXT                        -- the closed word behind error
) STRICT;
CREATE INDEX run_by_folder ON run (folder, seq);
`;

const QUESTIONS = `
CREATE TABLE conflict (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- told to users; never re-used
  folder      INTEGER NOT NULL,
  path        TEXT NOT NULL,
  copy_path   TEXT,                            -- where the losing bytes stand visibly; NULL: in the version store alone
  local_sha1  BLOB NOT NULL CHECK (length(local_sha1) = 20),
  remote_sha1 BLOB NOT NULL CHECK (length(remote_sha1) = 20),
  base_sha1   BLOB CHECK (base_sha1 IS NULL OR length(base_sha1) = 20),
  policy      TEXT NOT NULL CHECK (policy IN ('keep-both', 'remote-wins', 'local-wins')),
  state       TEXT NOT NULL CHECK (state IN ('planned', 'open', 'resolved')),
  resolution  TEXT CHECK (resolution IN ('mine', 'theirs', 'both')),
  at_ms       REAL NOT NULL,
  run         TEXT NOT NULL
) STRICT;
CREATE INDEX conflict_by_path ON conflict (folder, path);
CREATE INDEX conflict_open ON conflict (folder) WHERE state <> 'resolved';

CREATE TABLE hold (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,    -- told to users; never re-used
  folder INTEGER NOT NULL,
  scope  TEXT NOT NULL CHECK (scope IN ('deleteLocal', 'deleteRemote', 'folder')),
  reason TEXT NOT NULL,                        -- closed word, Hold["reason"]
  paths  TEXT NOT NULL CHECK (json_valid(paths)), -- array of the paths that wait
  hash   TEXT NOT NULL,                        -- of the set, which an approval must name
  state  TEXT NOT NULL CHECK (state IN ('held', 'approved', 'rejected')),
  at_ms  REAL NOT NULL
) STRICT;
CREATE INDEX hold_by_folder ON hold (folder, state);

CREATE TABLE rehash (
  folder  INTEGER PRIMARY KEY,
  last_ms REAL NOT NULL                        -- when every file was last read and hashed, not only looked at
) STRICT;

CREATE TABLE health (
  only            INTEGER PRIMARY KEY CHECK (only = 1),
  open            INTEGER NOT NULL CHECK (open IN (0, 1)), -- 1 while a service has it open: found at a start, the last stop was unclean
  checked_at_ms   REAL                         -- last quick_check that found nothing; NULL: never
) STRICT;
INSERT INTO health (only, open) VALUES (1, 0);
`;

const LOG_ID = `
ALTER TABLE health ADD COLUMN event_log TEXT;  -- names this log of events: numbers of another (the state was lost) mean nothing here
UPDATE health SET event_log = lower(hex(randomblob(8)));
`;

const HOLD_PATHS = `
CREATE TABLE hold_new (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,    -- told to users; never re-used
  folder INTEGER NOT NULL,
  scope  TEXT NOT NULL CHECK (scope IN ('deleteLocal', 'deleteRemote', 'paths', 'folder')),
  reason TEXT NOT NULL,                        -- closed word, Hold["reason"]
  paths  TEXT NOT NULL CHECK (json_valid(paths)), -- array of the paths that wait
  hash   TEXT NOT NULL,                        -- of the set, which an approval must name
  state  TEXT NOT NULL CHECK (state IN ('held', 'approved', 'rejected')),
  at_ms  REAL NOT NULL
) STRICT;
INSERT INTO hold_new SELECT id, folder, scope, reason, paths, hash, state, at_ms FROM hold;
INSERT INTO sqlite_sequence (name, seq)
  SELECT 'hold_new', seq FROM sqlite_sequence WHERE name = 'hold' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'hold_new');
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'hold') WHERE name = 'hold_new';
DROP TABLE hold;
ALTER TABLE hold_new RENAME TO hold;
CREATE INDEX hold_by_folder ON hold (folder, state);
`;

const IGNORE_RULES = `
CREATE TABLE ignore_rules (
  folder INTEGER PRIMARY KEY,
  digest TEXT NOT NULL                         -- of the rules that the pending paths were last chosen by
) STRICT;
`;

const FILED_CHANGES = `
DROP INDEX change_by_path;
CREATE TABLE change_by_path (
  path_hash INTEGER NOT NULL,                  -- as in change
  seq       INTEGER NOT NULL,                  -- of a change with it
  PRIMARY KEY (path_hash, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE change_filed (
  only     INTEGER PRIMARY KEY CHECK (only = 1),
  last_seq INTEGER NOT NULL                    -- changes up to this one are in change_by_path
) STRICT;
INSERT INTO change_filed (only, last_seq) VALUES (1, 0);
`;

const REMOTE_DELETION = `
CREATE TABLE remote_deletion (
  folder INTEGER NOT NULL,
  path   TEXT NOT NULL,                        -- counts where remote_entry has a tombstone at it
  device TEXT,                                 -- whose key sent the deletion, by its own name; NULL: not known (any more)
  at_ms  REAL NOT NULL,                        -- by the remote's clock
  PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
`;

/** Bytes that are in conflict with ours have somebody who sent them, as a deletion has. */
const REMOTE_AUTHOR = `
ALTER TABLE remote_deletion RENAME TO remote_author;
ALTER TABLE remote_author ADD COLUMN sha1 BLOB CHECK (sha1 IS NULL OR length(sha1) = 20); -- of the bytes that the device sent; NULL: a deletion
`;

/** Intents come and go by the hundred: a transaction's share a row. An item's number is the row's id and its place. */
const INTENT_BATCHES = `
CREATE TABLE upload_batch (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,   -- rises; never re-used
  folder  INTEGER NOT NULL,
  intents TEXT NOT NULL CHECK (json_valid(intents)) -- those that stand: [place, [path, sha1 or null (a deletion was sent), run]]
) STRICT;
CREATE INDEX upload_batch_by_folder ON upload_batch (folder);
INSERT INTO upload_batch (folder, intents)
  SELECT folder, json_array(json_array(0, json_array(path, iif(sha1 IS NULL, NULL, lower(hex(sha1))), run))) FROM upload_intent ORDER BY id;
DROP TABLE upload_intent;
CREATE TABLE apply_batch (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  folder  INTEGER NOT NULL,
  intents TEXT NOT NULL CHECK (json_valid(intents)) -- [place, [path, sha1 that shall stand there or null, sha1 that stood there or null,
                                               -- absolute path of the staged file or null (a removal), moves the base (0 or 1), origin, run]]
) STRICT;
CREATE INDEX apply_batch_by_folder ON apply_batch (folder);
INSERT INTO apply_batch (folder, intents)
  SELECT folder, json_array(json_array(0, json_array(path, iif(sha1 IS NULL, NULL, lower(hex(sha1))), iif(expect_sha1 IS NULL, NULL, lower(hex(expect_sha1))),
    temp, moves_base, origin, run))) FROM apply_intent ORDER BY path;
DROP TABLE apply_intent;
`;

/** `MIGRATIONS[n]` takes a database from `user_version` n to n + 1. Never edit one that was released: append. */
export const MIGRATIONS: readonly string[] = [
  TREES + LOG + JOURNALS + QUESTIONS,
  LOG_ID,
  HOLD_PATHS,
  IGNORE_RULES,
  FILED_CHANGES,
  REMOTE_DELETION,
  INTENT_BATCHES,
  REMOTE_AUTHOR,
];
