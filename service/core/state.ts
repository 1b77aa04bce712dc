/**
 * The state store as the engine sees it: small synchronous modules over one SQLite connection, implemented in `service/store/`.
 * A method that writes must run inside `transaction`; everything in one call of it is durable together or not at all.
 */
import type {
  ApplyIntent,
  Change,
  Conflict,
  Cursor,
  Entry,
  Hold,
  PlanRow,
  Problem,
  RemoteRow,
  RunSummary,
  Sha1,
  UploadIntent,
  Version,
} from "./model.ts";
import type { Author } from "./ports.ts";

export interface State {
  /**
   * Runs `work` in one transaction (nested calls join the outer one); durable when it returns. `soon`: only a power cut may still take it back, until the next
   * one that writes or `settle`; for what a look at the disk finds again.
   */
  transaction<T>(work: () => T, when?: "now" | "soon"): T;
  /** Makes durable what was committed `soon`. What the events and the change log tell is settled first. */
  settle(): void;
  /** Nothing waits for `settle`. */
  readonly settled: boolean;
  /** The rows of one folder. Cheap: statements are prepared once for all folders. */
  folder(id: string): FolderState;
  /** Forgets every row of a folder but its change log and events. */
  dropFolder(id: string): void;
  readonly events: EventLog;
  /**
   * Change-log rows of all folders, or of one, strictly after `seq`, at most `limit`; for whoever may remember the numbers: those of rows that a
   * power cut could still take back are settled first, or kept back where the disk is full.
   */
  changesSince(seq: number, limit: number, folder?: string): readonly Change[];
  /** The log's chain is unbroken and its numbers contiguous (S20); the first bad seq, or null. */
  checkChangeLog(): number | null;
  close(): void;
}

/** Entries side by side, by path ascending. */
export type Fingerprints = {
  readonly paths: readonly string[];
  /** Per path: size, mtime, ctime, file id (as in `Stat`), and 1 where it must be read again (racy), else 0. */
  readonly numbers: Float64Array;
  /** Index and name on disk, where that differs from the path. */
  readonly diskPaths: readonly (readonly [index: number, diskPath: string])[];
};

export interface FolderState {
  readonly id: string;
  readonly entries: {
    get(path: string): Entry | undefined;
    /** By path, ascending (code units); safe to write to other tables while iterating is NOT promised: collect first. */
    all(): Iterable<Entry>;
    /** What `all` tells but the hash, in columns, page by page: for a scan, which compares every one and keeps none. */
    fingerprints(): Iterable<Fingerprints>;
    /** Returns the bytes that stood in the row before; null: it is new. */
    put(entry: Entry): Sha1 | null;
    remove(path: string): void;
    /** First entry with these bytes, for copying instead of fetching. */
    withSha1(sha1: Sha1): Entry | undefined;
    totals(): { readonly files: number; readonly bytes: number };
    /** A different path with the same case-folded key, where the disk folds names. */
    twinOf(path: string, foldKey: string): Entry | undefined;
    /** Of such paths the one that stands, or stood when last looked at, under its own name. */
    holderOf(path: string, foldKey: string): Entry | undefined;
  };
  readonly remote: {
    get(path: string): RemoteRow | undefined;
    byWireName(wireName: string): RemoteRow | undefined;
    /** Stamps the row with `generation` (see Cursor). */
    put(row: RemoteRow, generation: number): void;
    /** Where the very same bytes and spelling are known already (an echo, a feed read again): writes only the stamps. False: they are not. */
    restamp(row: RemoteRow, generation: number): boolean;
    /** Removes and returns the paths of rows older than `generation`. */
    removeOlderThan(generation: number): readonly string[];
    remove(path: string): void;
    /** Rows with bytes: what `verify` sends. */
    liveCount(): number;
    all(): Iterable<RemoteRow>;
  };
  readonly base: {
    /** undefined: never agreed; null: agreed absent. */
    get(path: string): Sha1 | null | undefined;
    put(path: string, sha1: Sha1 | null): void;
    remove(path: string): void;
    removeAll(): void;
    /** Paths whose agreed state is bytes. */
    liveCount(): number;
    livePaths(): Iterable<string>;
  };
  /** Paths whose three trees may disagree. Whoever writes a tree adds to it; the planner's fixpoint removes. */
  readonly pending: {
    add(path: string): void;
    remove(path: string): void;
    count(): number;
    /** The three trees side by side, by path ascending; problems have made their side UNKNOWN. */
    rows(limit: number): readonly PlanRow[];
    /** One path, whether pending or not. */
    row(path: string): PlanRow;
    /** Adds every path of every tree: under other ignore rules, or when a test wants the truth. */
    addAll(): void;
  };
  readonly problems: {
    put(problem: Problem): void;
    clear(path: string, side: "local" | "remote"): void;
    get(path: string): readonly Problem[];
    list(): readonly Problem[];
    count(): number;
  };
  readonly cursor: { get(): Cursor | undefined; put(cursor: Cursor): void; clear(): void };
  readonly changes: {
    /** Appends; chained per transaction. Returns the seq. */
    append(change: Omit<Change, "seq" | "folder">): number;
    since(seq: number, limit: number): readonly Change[];
    /** Number of the newest change of any folder; 0: there is none. */
    lastSeq(): number;
    /** Newest first. */
    ofPath(path: string, limit: number): readonly Change[];
    /** These bytes once stood at this path here. */
    knows(path: string, sha1: Sha1): boolean;
  };
  readonly uploadIntents: {
    add(path: string, sha1: Sha1 | null, run: string): number;
    /** Oldest first. */
    ofPath(path: string): readonly UploadIntent[];
    /** Removes this path's intents up to and including `id`. */
    removeUpTo(path: string, id: number): void;
    /** Removes this one alone: the remote has said that it did not take it. */
    remove(path: string, id: number): void;
    /** Removes all of this path: both sides have agreed on something newer, so none of them can explain a later row any more. */
    removeAll(path: string): void;
    all(): readonly UploadIntent[];
  };
  readonly applyIntents: { put(intent: ApplyIntent): void; remove(path: string): void; all(): readonly ApplyIntent[] };
  readonly conflicts: {
    add(conflict: Omit<Conflict, "id" | "folder">): number;
    get(id: number): Conflict | undefined;
    /** Newest first. */
    list(filter: { readonly open: boolean }): readonly Conflict[];
    ofPath(path: string): readonly Conflict[];
    update(id: number, change: Partial<Pick<Conflict, "state" | "resolution" | "copyPath">>): void;
    openCount(): number;
  };
  readonly holds: {
    add(hold: Omit<Hold, "id" | "folder">): number;
    list(state: Hold["state"]): readonly Hold[];
    update(id: number, state: Hold["state"]): void;
    replace(id: number, paths: readonly string[], hash: string): void;
    remove(id: number): void;
  };
  /** True deletions carried out lately, per direction, for the guard's ten-minute window. */
  readonly deletions: {
    add(direction: "deleteLocal" | "deleteRemote", path: string, atMs: number): void;
    since(direction: "deleteLocal" | "deleteRemote", atMs: number): readonly string[];
    trim(beforeMs: number): void;
  };
  /** When every file was last read and hashed, by the wall clock; null: never noted. */
  readonly rehash: { lastMs(): number | null; done(atMs: number): void };
  /** Which ignore rules held when paths were last left alone; null: never noted. */
  readonly ignoreRules: { digest(): string | null; put(digest: string): void };
  /**
   * Who deleted a file on the remote (`sha1` null), as it told with the newest tombstone at the path, or put those bytes there that came while
   * ours were not agreed on; null: it did not tell. One of them per path: the last. For people.
   */
  readonly remoteAuthors: {
    get(path: string, sha1: Sha1 | null): Author | null;
    put(path: string, sha1: Sha1 | null, author: Author | null): void;
  };
  readonly versions: {
    add(version: Omit<Version, "folder">): void;
    /** Newest first. */
    ofPath(path: string): readonly Version[];
    ofRun(run: string): readonly Version[];
    has(sha1: Sha1): boolean;
    /** Oldest first, all kept before `atMs`. */
    before(atMs: number): readonly Version[];
    remove(sha1: Sha1): void;
    totalBytes(): number;
  };
  readonly runs: {
    put(run: RunSummary): void;
    last(): RunSummary | undefined;
    get(run: string): RunSummary | undefined;
    list(limit: number): readonly RunSummary[];
  };
}

/** A numbered, durable fact for front ends and scripts. One sequence for all folders. */
export type StoredEvent = {
  readonly seq: number;
  readonly atMs: number;
  readonly kind: string;
  readonly folder: string | null;
  readonly data: unknown;
};
export interface EventLog {
  /** Another one when the state was lost and the numbers began anew. */
  readonly id: string;
  append(kind: string, folder: string | null, data: unknown, atMs: number): number;
  /** Strictly after `seq`. `gap`: rows between `seq` and the first returned were trimmed. */
  since(seq: number, limit: number): { readonly events: readonly StoredEvent[]; readonly gap: boolean };
  lastSeq(): number;
  /** Keeps 30 days and at most 100 000 rows. */
  trim(beforeMs: number, keepMax: number): void;
}
