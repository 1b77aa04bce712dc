import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";

import Database from "better-sqlite3";

import { StoreError, asStoreError } from "./errors.ts";

/** Held until `release` or the death of the process, however that comes: the operating system frees it. */
export interface Lock {
  readonly path: string;
  /** False when somebody took the file away under us (a cleaner of /tmp): the lock then excludes nobody any more. Also marks it as in use. */
  stillHeld(): boolean;
  release(): void;
}

/**
 * Takes the lock file `file` (made if absent, as its directory is) without waiting. null: another process, or this one, holds it;
 * `lockHolder` says who. Node has no flock, so it is `BEGIN EXCLUSIVE` on an empty SQLite file. @throws StoreError when it can't be told
 */
export function takeLock(file: string): Lock | null {
  const db = openLockFile(file);
  try {
    // MEMORY: no journal file appears beside it; nothing is ever written anyway.
    db.pragma("journal_mode = MEMORY");
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    const known = asStoreError(error, `take the lock ${file}`);
    if (known instanceof StoreError && known.fault === "busy") return null;
    throw known;
  }
  const { ino } = statSync(file);
  writeHolder(file);
  return {
    path: file,
    stillHeld: () => isSameFile(file, ino),
    release: () => {
      if (!db.open) return;
      rmSync(holderFile(file), { force: true });
      db.close();
    },
  };
}

/** Who holds the lock, as that process wrote it (its pid), for messages only; null where nobody says. */
export function lockHolder(file: string): string | null {
  try {
    return readFileSync(holderFile(file), "utf8").trim() || null;
  } catch {
    // Whatever the reason, there is nothing to tell; the lock itself does not depend on this file.
    return null;
  }
}

/**
 * The lock file of one media folder, the same for every home directory: named by what the disk calls the root.
 * Makes `<tmp>/satchel-<uid>`. @throws StoreError io when that directory is not ours alone (a trap in a shared /tmp)
 */
export function rootLockPath(options: { readonly tmpDir: string; readonly dev: number; readonly ino: number }): string {
  const uid = process.getuid?.() ?? null;
  const directory = path.join(options.tmpDir, uid === null ? "satchel" : `satchel-${uid}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (uid !== null) {
      const stat = lstatSync(directory);
      if (!stat.isDirectory() || stat.uid !== uid) throw new StoreError("io", `Could not use ${directory}: it belongs to somebody else.`);
      if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError("io", `Could not make the directory ${directory} for locks. Check its permissions.`, { cause: error });
  }
  return path.join(directory, `${options.dev}-${options.ino}.lock`);
}

function openLockFile(file: string): Database.Database {
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    return new Database(file, { timeout: 0 });
  } catch (error) {
    const known = asStoreError(error, `open the lock ${file}`);
    if (known instanceof StoreError) throw known;
    throw new StoreError("io", `Could not make the directory of the lock ${file}. Check its permissions.`, { cause: error });
  }
}

function holderFile(file: string): string {
  return `${file}.pid`;
}

/** Only tells people who it is; a disk that refuses it does not take the lock away. */
function writeHolder(file: string): void {
  try {
    writeFileSync(holderFile(file), `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function isSameFile(file: string, ino: number): boolean {
  try {
    if (statSync(file).ino !== ino) return false;
    const now = new Date();
    utimesSync(file, now, now);
    return true;
  } catch {
    // Gone or not to be seen: nobody else would find it locked either.
    return false;
  }
}
