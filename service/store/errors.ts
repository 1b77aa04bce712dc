import Database from "better-sqlite3";

/**
 * Why the database could not do what was asked. `busy`: another process owns it. `full`: the disk is. `corrupt`: it can't be read as a
 * database any more (N6: rebuild it). `future`: a newer Satchel wrote it. `io`: the disk or its permissions refused. `other`: a bug of ours.
 */
export type StoreFault = "busy" | "full" | "corrupt" | "future" | "io" | "other";

/** The state could not be read or written. Never to be taken for "no such row" (DB10): absence is always a value, trouble always throws. */
export class StoreError extends Error {
  readonly fault: StoreFault;
  constructor(fault: StoreFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.fault = fault;
  }
}

/** What to do about each fault, in words for people. */
const NEXT: Readonly<Record<StoreFault, string>> = {
  busy: "Another process holds the database: stop it and try again.",
  full: "The disk is full: free some space and try again.",
  corrupt: "The database is damaged: Satchel sets it aside and builds a new one from the disk and the remote.",
  future: "Install the newer version of Satchel again.",
  io: "Check that the disk is there and that the directory can be written.",
  other: "This is a bug in Satchel: please report it.",
};

/** Turns what SQLite threw into a `StoreError`; an error that did not come from it passes unchanged. */
export function asStoreError(error: unknown, attempted: string): unknown {
  if (error instanceof StoreError) return error;
  if (!isFromSqlite(error)) return error;
  const fault = faultOf(error);
  return new StoreError(fault, `Could not ${attempted}: ${error.message}. ${NEXT[fault]}`, { cause: error });
}

/** Runs `work` and gives what SQLite throws its fault. @throws StoreError */
export function withFault<T>(attempted: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, attempted);
  }
}

/** better-sqlite3 throws plain TypeErrors too (connection closed, connection busy with an iterator). */
function isFromSqlite(error: unknown): error is Error {
  return error instanceof Database.SqliteError || (error instanceof TypeError && error.message.includes("database connection"));
}

function faultOf(error: Error): StoreFault {
  const code = error instanceof Database.SqliteError ? error.code : "";
  if (/^SQLITE_(?:BUSY|LOCKED)/.test(code)) return "busy";
  if (code.startsWith("SQLITE_FULL")) return "full";
  if (/^SQLITE_(?:CORRUPT|NOTADB)/.test(code)) return "corrupt";
  if (/^SQLITE_(?:IOERR|CANTOPEN|READONLY|PERM|AUTH|NOLFS)/.test(code)) return "io";
  return "other";
}
