/** The words of the design as plain data. Everything here is immutable and says its units. */
import type { RunFault } from "../../protocol/run-faults.ts";

/** SHA-1 of file bytes: 40 lower-case hex characters, the identity used on Anki's wire. */
export type Sha1 = string;

/** What stands at a path of the disk. Times are nanoseconds since 1970 as a double: exact to 256 ns, which is enough to notice a change. */
export type Stat = {
  readonly kind: "file" | "directory" | "symlink" | "special";
  readonly sizeBytes: number;
  readonly mtimeNs: number;
  readonly ctimeNs: number;
  /** Inode number (rounded to a double where the file system uses more bits). */
  readonly fileId: number;
  readonly dev: number;
  /** Names (hard links) of the file, where the disk tells: a kept version must not share bytes with a name outside (CT11). */
  readonly links?: number;
  /** Permission bits, where the disk has them: a replaced file never gets wider ones (DK14). */
  readonly mode?: number;
};

/** One file of the local tree as last observed; also the identity cache (same size, mtime, ctime, fileId ⇒ same sha1). */
export type Entry = {
  /** NFC, `/`-separated, relative to the folder's root. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeNs: number;
  readonly ctimeNs: number;
  readonly fileId: number;
  readonly sha1: Sha1;
  /** The name on disk where it differs from `path` (NFD disks, twins); null where it is the same. */
  readonly diskPath: string | null;
  /** True while mtime is so near to the moment of hashing that another write could hide behind it: hashed again at the next look. */
  readonly racy: boolean;
};

/** One row of what the remote is known to hold. `sha1` null: a tombstone that was read in the feed. */
export type RemoteRow = {
  readonly path: string;
  /** The name as the remote spells it (DESIGN §11 "Wire names"). */
  readonly wireName: string;
  readonly sha1: Sha1 | null;
  /** Position in the feed; null: known from our own upload's success, not yet read back. */
  readonly usn: number | null;
  /** Bytes where the remote tells, else null. */
  readonly sizeBytes: number | null;
};

/** How far the feed has been read, and of which server. */
export type Cursor = {
  readonly serverId: string | null;
  readonly epoch: string | null;
  /** The remote's own position, opaque to the engine; "0" is before everything. */
  readonly position: string;
  /** Rises with each feed that began at 0; rows of an older generation were not mentioned by it. */
  readonly generation: number;
  /** A feed from 0 is under way: when it ends, rows of older generations go. */
  readonly full: boolean;
};

/** Why a path can't be synced now. `local` reasons make the local side `unknown` to the planner, `remote` ones the remote side. */
export type LocalReason =
  | "empty"
  | "tooLarge"
  | "unreadable"
  | "symlink"
  | "special"
  | "badName"
  | "nameTooLong"
  | "locked"
  | "unsettled"
  | "twin"
  | "reserved";
export type RemoteReason =
  | "unsafeName"
  | "secondName"
  | "refused"
  | "missing"
  | "hashMismatch"
  | "tooLargeThere"
  | "diskFull"
  | "applyFailed";
export type Problem = {
  readonly path: string;
  readonly side: "local" | "remote";
  readonly reason: LocalReason | RemoteReason;
  /** One sentence for people: what was attempted, why it failed, what to do next. */
  readonly detail: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
};

export type Policy = "keep-both" | "remote-wins" | "local-wins";

/** Who made the state that a change-log row tells of. */
export type Origin = "user" | "apply" | "restore" | "rebuild";

export type Change = {
  readonly seq: number;
  readonly folder: string;
  readonly path: string;
  readonly kind: "put" | "remove";
  readonly sha1: Sha1 | null;
  readonly sizeBytes: number | null;
  readonly origin: Origin;
  readonly atMs: number;
};

/** An upload (or deletion: sha1 null) that was sent, or was about to be: its echo in the feed is known as our own (N3, W31). */
export type UploadIntent = { readonly id: number; readonly path: string; readonly sha1: Sha1 | null; readonly run: string };

/** A replacement or removal on disk under way; decides after a crash whether the rename happened (N5). */
export type ApplyIntent = {
  readonly path: string;
  /** What shall stand there; null: nothing. */
  readonly sha1: Sha1 | null;
  /** What stood there when it was planned; null: nothing. */
  readonly expectSha1: Sha1 | null;
  /** Absolute path of the staged file; null for a removal. */
  readonly temp: string | null;
  /** Whether the base moves to `sha1` with it (a run's apply) or stays (restore, resolve: a new local change). */
  readonly movesBase: boolean;
  readonly origin: Origin;
  readonly run: string;
};

export type Conflict = {
  readonly id: number;
  readonly folder: string;
  readonly path: string;
  /** Where the losing bytes stand visibly; null under `remote-wins` and `local-wins` (they are in the version store). */
  readonly copyPath: string | null;
  readonly localSha1: Sha1;
  readonly remoteSha1: Sha1;
  readonly baseSha1: Sha1 | null;
  readonly policy: Policy;
  /** `planned`: chosen, not yet on disk (a crash in between re-uses the name). */
  readonly state: "planned" | "open" | "resolved";
  readonly resolution: "mine" | "theirs" | "both" | null;
  readonly atMs: number;
  readonly run: string;
};

/** What waits for the user's answer. */
export type Hold = {
  readonly id: number;
  readonly folder: string;
  /** `deleteLocal`/`deleteRemote`: only those deletions wait. `paths`: all that concerns them. `folder`: everything in it does. */
  readonly scope: "deleteLocal" | "deleteRemote" | "paths" | "folder";
  readonly reason: "manyDeletions" | "allDeleted" | "rootMissing" | "rootReplaced" | "markerGone" | "otherServer" | "pingPong";
  readonly paths: readonly string[];
  readonly hash: string;
  readonly state: "held" | "approved" | "rejected";
  readonly atMs: number;
};

export type Version = {
  readonly folder: string;
  readonly path: string;
  readonly sha1: Sha1;
  readonly sizeBytes: number;
  readonly why: "replaced" | "removed" | "conflict" | "restored" | "fetched";
  readonly run: string;
  readonly atMs: number;
};

export type RunResult = "insync" | "conflicts" | "problems" | "held" | "failed";
/** What a run did, counted as it goes. */
export type RunCounts = {
  readonly uploadedFiles: number;
  readonly uploadedBytes: number;
  readonly downloadedFiles: number;
  readonly downloadedBytes: number;
  readonly deletedLocal: number;
  readonly deletedRemote: number;
  readonly conflicts: number;
};
export const NO_COUNTS: RunCounts = {
  uploadedFiles: 0,
  uploadedBytes: 0,
  downloadedFiles: 0,
  downloadedBytes: 0,
  deletedLocal: 0,
  deletedRemote: 0,
  conflicts: 0,
};
export type RunSummary = RunCounts & {
  readonly run: string;
  readonly folder: string;
  readonly root: string;
  readonly result: RunResult;
  readonly problems: number;
  readonly durationMs: number;
  readonly startedAtMs: number;
  /** Why the run failed, in words for people; null when it did not. `fault` is the closed word behind it. */
  readonly error: string | null;
  readonly fault: RunFault | null;
};

/** "Could not tell" as its own value: never a string that could pass for a hash, never the same as absent (N2). */
export const UNKNOWN: unique symbol = Symbol("unknown");
/** What stands on a side: bytes; null: known to be absent; UNKNOWN: could not be told. */
export type SideState = Sha1 | null | typeof UNKNOWN;

/** One path with all three trees side by side: what the planner looks at. */
export type PlanRow = {
  readonly path: string;
  readonly local: SideState;
  readonly remote: SideState;
  /** Last agreed state: bytes, or null = agreed absent, or undefined = never agreed. */
  readonly base: Sha1 | null | undefined;
  readonly localSizeBytes: number | null;
  readonly remoteSizeBytes: number | null;
  /** The remote's spelling where a row exists, else null. */
  readonly wireName: string | null;
};
