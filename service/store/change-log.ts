import { createHash, type Hash } from "node:crypto";

import type { Change, Origin, Sha1 } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import { openChangeIndex } from "./change-index.ts";
import { fromText, toText } from "./name-text.ts";
import type { FolderRow, Session } from "./session.ts";
import { checkedSha1 } from "./sha1-text.ts";
import { openToldNumbers } from "./told-numbers.ts";

/** The previous link of the first one. */
const NO_LINK = Buffer.alloc(32);
/** Lines hashed at once: few calls into the crypto library, little memory. */
const LINES_MAX = 512;
/** Rows read at once while checking the chain. */
const CHECK_ROWS = 5000;

type Stored = [
  seq: number,
  folder: number,
  path: string,
  kind: Change["kind"],
  sha1: Sha1 | null,
  sizeBytes: number | null,
  origin: Origin,
  atMs: number,
];
const COLUMNS = "c.seq, c.folder, c.path, c.kind, iif(c.sha1 IS NULL, NULL, lower(hex(c.sha1))), c.size_bytes, c.origin, c.at_ms";

export type ChangeLog = {
  /** Of one folder, or of all. For whoever may remember the numbers: they never come again. */
  readonly since: (seq: number, limit: number, folder: FolderRow | null) => readonly Change[];
  /** The first bad seq, or null. */
  readonly check: () => number | null;
  readonly ofFolder: (folder: FolderRow) => FolderState["changes"];
};

/** Append-only: one row per observation; `seq` rises by exactly 1 per row; one hash-chain link per transaction (S20). */
export function openChangeLog(session: Session): ChangeLog {
  const { db } = session;
  const chain = new Chain(session);
  session.join(chain);
  const told = openToldNumbers(session);
  const insert = db.prepare<[number, number, string, number, string, string | null, number | null, string, number]>(
    `INSERT INTO change (seq, folder, path, path_hash, kind, sha1, size_bytes, origin, at_ms) VALUES (?, ?, ?, ?, ?, unhex(?), ?, ?, ?)`,
  );
  const since = db.prepare<[number, number], Stored>(`SELECT ${COLUMNS} FROM change c WHERE seq > ? ORDER BY seq LIMIT ?`).raw();
  const sinceOf = db
    .prepare<[number, number, number], Stored>(`SELECT ${COLUMNS} FROM change c WHERE seq > ? AND folder = ? ORDER BY seq LIMIT ?`)
    .raw();
  const ofPath = prepareOfPath(session, chain);
  const changeOf = (row: Stored): Change => toChange(row, session.idOf(row[1]));
  return {
    since: session.read("read the change log", (seq: number, limit: number, folder: FolderRow | null) => {
      const end = told.upTo(chain.lastSeq);
      const rows = folder === null ? since.all(seq, limit) : sinceOf.all(seq, folder.key, limit);
      return rows.filter(([each]) => each <= end).map(changeOf);
    }),
    check: session.read("check the change log", () => chain.check(since)),
    ofFolder: (folder) => ({
      append: session.write("append to the change log", (change) => {
        const key = session.keyFor(folder);
        const seq = chain.lastSeq + 1;
        told.gave(seq);
        const { kind, sizeBytes, origin, atMs } = change;
        const sha1 = checkedSha1(change.sha1);
        const path = toText(change.path);
        insert.run(seq, key, path, pathHash(key, change.path), kind, sha1, sizeBytes, origin, atMs);
        chain.add(lineOf([seq, key, change.path, kind, sha1, sizeBytes, origin, atMs], folder.id));
        return seq;
      }),
      since: session.read("read the change log", (seq: number, limit: number) => sinceOf.all(seq, folder.key, limit).map(changeOf)),
      lastSeq: () => chain.lastSeq,
      ofPath: session.read("read the changes of a path", (path: string, limit: number) =>
        ofPath.newest(folder.key, path, limit).map(changeOf),
      ),
      knows: session.read("look for bytes in the change log", (path: string, sha1: Sha1) =>
        ofPath.knows(folder.key, path, checkedSha1(sha1)),
      ),
    }),
  };
}

/** Rows of one path: those that are not filed yet, then those that are. */
function prepareOfPath(session: Session, chain: { readonly lastSeq: number }) {
  const { db } = session;
  const index = openChangeIndex(session);
  const here = "c.path_hash = ? AND c.path = ? AND c.folder = ?";
  const inTail = `FROM change c WHERE c.seq > ? AND ${here}`;
  const filed = `FROM change_by_path i CROSS JOIN change c ON c.seq = i.seq WHERE i.path_hash = ? AND ${here}`;
  const newestInTail = db
    .prepare<[number, number, string, number, number], Stored>(`SELECT ${COLUMNS} ${inTail} ORDER BY c.seq DESC LIMIT ?`)
    .raw();
  const newestFiled = db
    .prepare<[number, number, string, number, number], Stored>(`SELECT ${COLUMNS} ${filed} ORDER BY i.seq DESC LIMIT ?`)
    .raw();
  const knownInTail = db
    .prepare<[number, number, string, number, string], number>(`SELECT 1 ${inTail} AND c.sha1 = unhex(?) LIMIT 1`)
    .pluck();
  const knownFiled = db
    .prepare<[number, number, string, number, string], number>(`SELECT 1 ${filed} AND c.sha1 = unhex(?) LIMIT 1`)
    .pluck();
  return {
    newest: (folder: number, path: string, limit: number): readonly Stored[] => {
      const filedUpTo = index.filedUpTo(chain.lastSeq);
      const hash = pathHash(folder, path);
      const text = toText(path);
      const late = newestInTail.all(filedUpTo, hash, text, folder, limit);
      return late.length < limit ? [...late, ...newestFiled.all(hash, hash, text, folder, limit - late.length)] : late;
    },
    knows: (folder: number, path: string, sha1: Sha1): boolean => {
      const filedUpTo = index.filedUpTo(chain.lastSeq);
      const hash = pathHash(folder, path);
      const text = toText(path);
      return (
        knownInTail.get(filedUpTo, hash, text, folder, sha1) !== undefined || knownFiled.get(hash, hash, text, folder, sha1) !== undefined
      );
    },
  };
}

/** The tip of the log and the link that the transaction under way is about to get. */
class Chain {
  lastSeq = 0;
  #linkedSeq = 0;
  #tip: Buffer = NO_LINK;
  #nextTip: Buffer | null = null;
  #hash: Hash | null = null;
  #lines: string[] = [];
  readonly #session: Session;
  readonly #insertLink;
  readonly #lastLink;
  readonly #links;

  constructor(session: Session) {
    this.#session = session;
    this.#insertLink = session.db.prepare<[number, number, Buffer]>("INSERT INTO change_link (first_seq, last_seq, hash) VALUES (?, ?, ?)");
    this.#lastLink = session.db
      .prepare<[], [lastSeq: number, hash: Buffer]>("SELECT last_seq, hash FROM change_link ORDER BY last_seq DESC LIMIT 1")
      .raw();
    this.#links = session.db
      .prepare<[number], [firstSeq: number, lastSeq: number, hash: Buffer]>(
        "SELECT first_seq, last_seq, hash FROM change_link WHERE last_seq > ? ORDER BY last_seq LIMIT 1",
      )
      .raw();
    const last = this.#lastLink.get();
    if (last !== undefined) [this.#linkedSeq, this.#tip] = last;
    this.lastSeq = this.#linkedSeq;
  }

  /** The line of the row with `lastSeq + 1`. */
  add(line: string): void {
    this.lastSeq++;
    this.#lines.push(line);
    if (this.#lines.length < LINES_MAX) return;
    this.#hash = this.#hashed();
  }

  beforeCommit(): void {
    if (this.lastSeq === this.#linkedSeq) return;
    const hash = this.#hashed().digest();
    this.#hash = null;
    this.#insertLink.run(this.#linkedSeq + 1, this.lastSeq, hash);
    this.#nextTip = hash;
  }

  committed(): void {
    if (this.#nextTip === null) return;
    this.#tip = this.#nextTip;
    this.#linkedSeq = this.lastSeq;
    this.#nextTip = null;
  }

  rolledBack(): void {
    this.#hash = null;
    this.#lines = [];
    this.#nextTip = null;
    this.lastSeq = this.#linkedSeq;
  }

  #hashed(): Hash {
    const hash = (this.#hash ?? createHash("sha256").update(this.#tip)).update(this.#lines.join(""));
    this.#lines = [];
    return hash;
  }

  check(since: { all(seq: number, limit: number): readonly Stored[] }): number | null {
    let linked = 0;
    let tip: Buffer = NO_LINK;
    for (;;) {
      const link = this.#links.get(linked);
      if (link === undefined) return since.all(linked, 1)[0]?.[0] ?? null;
      const [firstSeq, lastSeq, hash] = link;
      if (firstSeq !== linked + 1) return linked + 1;
      const found = createHash("sha256").update(tip);
      for (let seq = linked; seq < lastSeq;) {
        const rows = since.all(seq, Math.min(CHECK_ROWS, lastSeq - seq));
        if (rows.length === 0) return seq + 1;
        for (const row of rows) {
          if (row[0] !== ++seq) return seq;
          row[2] = fromText(row[2]);
          found.update(lineOf(row, this.#session.idOf(row[1])));
        }
      }
      if (!found.digest().equals(hash)) return firstSeq;
      linked = lastSeq;
      tip = hash;
    }
  }
}

/** The row as the chain hashes it: one JSON line, the folder by its id, so that the log can be checked outside this database too. */
function lineOf(row: Stored, folder: string): string {
  return `${JSON.stringify([row[0], folder, row[2], row[3], row[4], row[5], row[6], row[7]])}\n`;
}

function toChange(row: Stored, folder: string): Change {
  const [seq, , path, kind, sha1, sizeBytes, origin, atMs] = row;
  return { seq, folder, path: fromText(path), kind, sha1, sizeBytes, origin, atMs };
}

/** FNV-1a over the folder's key and the path's code units, 32 bits. Only narrows the search. */
function pathHash(folder: number, path: string): number {
  let hash = 0x811c9dc5 ^ folder;
  for (let index = 0; index < path.length; index++) hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
