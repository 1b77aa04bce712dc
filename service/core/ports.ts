/**
 * The ports: everything the engine, the planner, apply, the Anki client and the server handlers need from the world. Production
 * implements them over Node, the simulator over a seeded model. A port call is a scheduling point, a fault site and a crash site.
 */
import type { Sha1, Stat } from "./model.ts";

export interface Clock {
  /** Milliseconds since 1970. May jump; decides nothing but names and dates. */
  wallMs(): number;
  /** Milliseconds since some start. Never jumps. */
  monoMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Chance for jitter and names. Secrets come from `SecretRandom`. */
export interface Random {
  u32(): number;
}
export type SecretRandom = (bytes: number) => Uint8Array;

/** Processor work that production runs off the main thread when it is large. */
export interface Compute {
  sha1(bytes: Uint8Array): Sha1;
  /** As `sha1`; of many bytes piece by piece, with others' turns in between. They must stay as they are until it is told. */
  sha1Fairly(bytes: Uint8Array): Sha1 | Promise<Sha1>;
  /** One frame, no dictionary. */
  zstd(bytes: Uint8Array): Promise<Uint8Array>;
  /** @throws RangeError when the output would exceed `maxBytes`; Error when the input is not exactly one content frame. */
  unzstd(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
}

export type DiskFault =
  | "notFound"
  | "exists"
  | "access"
  | "noSpace"
  | "quota"
  | "readOnly"
  | "io"
  | "busy"
  | "crossDevice"
  | "notDirectory"
  | "isDirectory"
  | "notEmpty"
  | "tooManyOpen"
  | "nameTooLong"
  | "symlink"
  | "tooLarge"
  | "notSupported"
  | "other";

/** The disk refused. The message says what was attempted and on what. */
export class DiskError extends Error {
  readonly fault: DiskFault;
  constructor(fault: DiskFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DiskError";
    this.fault = fault;
  }
}

/** What a walk found in one go; batches keep the event loop free. */
export type WalkBatch = {
  /** Everything that is not a directory, symlinks and special files too: the scan makes problems of those. */
  readonly found: readonly WalkFound[];
  /** Directories that could not be listed to their end: nothing may be concluded about what lies below (N2). */
  readonly unlisted: readonly { readonly diskPath: string; readonly fault: DiskFault }[];
  /** More files, of large directories: an object for each of 100 000 would cost more than the look itself. */
  readonly packs?: readonly WalkPack[];
};
/** Regular files of one directory. `stats`: per name size, mtime, ctime and file id, as in `Stat`. */
export type WalkPack = {
  /** Root-relative paths as on disk. */
  readonly diskPaths: readonly string[];
  readonly stats: Float64Array;
  readonly found: (index: number) => WalkFound;
};
/** Numbers per file of a pack; those of a `WalkPack` come first. */
export const PACK_NUMBERS = 7;
/** `diskPath`: relative to the root, `/`-separated, spelled as on disk. `stat` null: it went away or refused between list and look (unknown). */
export type WalkFound = { readonly diskPath: string; readonly stat: Stat | null; readonly validUnicode: boolean };

export type HashResult =
  | { readonly kind: "hashed"; readonly sha1: Sha1; readonly stat: Stat }
  /** The file changed while it was read: look again later. */
  | { readonly kind: "changed" }
  | { readonly kind: "absent" }
  | { readonly kind: "trouble"; readonly fault: DiskFault };

/** A regular file as it was last seen. `ctimeNs` null: whatever it is (a link made to the file moves it). */
export type Expected = { readonly sizeBytes: number; readonly mtimeNs: number; readonly fileId: number; readonly ctimeNs: number | null };

/** All paths are absolute. Never follows a symlink in the last component. @throws DiskError from every method. */
export interface Disk {
  /** null exactly when nothing is there (ENOENT, ENOTDIR). `together`: one of many looks for the record, told some milliseconds late: nothing
   * may be decided on it that must still hold at the next call. */
  lstat(path: string, together?: boolean): Promise<Stat | null>;
  /** Depth first below `root`. `skip` is asked with the root-relative path before a file is reported or a directory entered.
   * Ends when every directory was listed or reported in `unlisted`. @throws DiskError when the root itself can't be listed. */
  walk(root: string, skip: (diskPath: string, directory: boolean) => boolean, signal: AbortSignal): AsyncIterable<WalkBatch>;
  /** Entries of one directory, names only; complete or throws. */
  list(path: string): Promise<readonly string[]>;
  /** SHA-1 of each file, in order, read off the main thread; stat before and after must agree. Larger than `maxBytes` ⇒ trouble `tooLarge`, unread. */
  hash(paths: readonly string[], maxBytes: number, signal: AbortSignal): Promise<readonly HashResult[]>;
  /** Whole bytes of a regular file, with its stat after reading. `changed` when it moved under the read. `memory`: where the bytes may
   * be put, if there is room for one more than there are; the result is then a part of it. `sha1`: of the bytes, where they were hashed on the
   * way; `changed` may then be left to whoever compares it. */
  read(
    path: string,
    maxBytes: number,
    memory?: Uint8Array,
  ): Promise<{ readonly bytes: Uint8Array; readonly stat: Stat; readonly sha1?: Sha1 } | "changed">;
  /** A slice, for ranges of versions: at most `lengthBytes` from `offsetBytes`. */
  readRange(path: string, offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /** Creates `path` (which must not exist), writes, fsyncs the data, closes. `mode`: at most these permission bits. */
  create(path: string, bytes: Uint8Array, mode?: number): Promise<Stat>;
  /** Appends to `path` (made if absent) and fsyncs. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Creates `to` (must not exist) with the bytes of `from`, fsynced. */
  copy(from: string, to: string): Promise<Stat>;
  /** Hard link; fault `exists` when `to` is taken, `notSupported`/`crossDevice` where links can't be made. */
  link(from: string, to: string): Promise<void>;
  /** Replaces `to` in one step if it is there. */
  rename(from: string, to: string): Promise<void>;
  /** Looks at `to`, and where it is as expected (null: nothing stands there) renames `from` over it at once, with no other call between: what a
   * program puts there before the look stays. False: it is not as expected, and nothing was done. */
  replaceIf(from: string, to: string, expected: Expected | null): Promise<boolean>;
  unlink(path: string): Promise<void>;
  /** With all missing parents. An existing directory is fine. */
  mkdir(path: string, mode?: number): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** fsync of an existing file's data. */
  fsyncFile(path: string): Promise<void>;
  /** Makes renames, links and unlinks in this directory durable. No-op where the platform can't. */
  fsyncDir(path: string): Promise<void>;
  /** Bytes that the file system of `path` still has and holds in all. */
  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>;
  /** What this file system does with names: two spellings of one name are one file? Found by probing inside `directory`. */
  caps(directory: string): Promise<{ readonly foldsCase: boolean; readonly foldsNormalization: boolean }>;
}

export type WatchHint =
  /** Root-relative path as on disk, or null: something, somewhere. `agoMs`: how long ago it was last changed, where the watcher looked;
   * events come late, and a file that has stood still since then need not stand still again. */
  | { readonly kind: "hint"; readonly diskPath: string | null; readonly agoMs?: number }
  /** Events may have been dropped: rescan within 60 s. */
  | { readonly kind: "lost" }
  /** The root moved away or went. */
  | { readonly kind: "gone" };
export interface Watcher {
  /** @throws DiskError where watching is impossible (limits, network mount): the caller falls back to timed scans. */
  watch(root: string, onHint: (hint: WatchHint) => void): Promise<{ close(): Promise<void> }>;
}

export type HttpRequest = {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The caller may write to this memory again once `send` has resolved. */
  readonly body: Uint8Array | null;
  /** No byte in either direction for this long ⇒ TransportError `stall`. */
  readonly stallMs: number;
  readonly maxResponseBytes: number;
  /** Memory for the reply (at least so many bytes), for callers who use it again; a transport may take its own. */
  readonly replyMemory?: (bytes: number) => Uint8Array;
  /** Progress: bytes of body handed to the socket, bytes of reply received, since the last call. */
  readonly onBytes?: (sentBytes: number, receivedBytes: number) => void;
};
/** Header names are lower case. */
export type HttpResponse = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array };
export type TransportFault = "offline" | "stall" | "reset" | "tls" | "tooLarge" | "badReply";
export class TransportError extends Error {
  readonly fault: TransportFault;
  constructor(fault: TransportFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TransportError";
    this.fault = fault;
  }
}
/** One HTTP exchange; never follows a redirect by itself. @throws TransportError, or the signal's reason. */
export interface Transport {
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
  /** A reply that goes on (server-sent events). Ends when the peer ends it. */
  stream(request: HttpRequest, signal: AbortSignal): Promise<{ readonly status: number; readonly chunks: AsyncIterable<Uint8Array> }>;
}

/** The whole sync server is one function of this shape (production hangs it on Fastify, the simulator on its network). */
export type ServerRequest = {
  readonly method: string;
  /** Path without query, duplicate slashes kept. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Not yet read: authenticate first (X2). */
  readonly body: AsyncIterable<Uint8Array> & {
    /** The whole body, chunk by chunk as it arrives, for whoever keeps up: no chunk waits, and none is put together with others. What `take`
     * throws ends it. Where it is missing, the chunks are iterated. */
    readonly each?: (take: (chunk: Uint8Array) => void) => Promise<void>;
  };
  readonly peer: { readonly address: string };
};
export type ServerResponse = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
};
export type ServerHandle = (request: ServerRequest, signal: AbortSignal) => Promise<ServerResponse>;

export type RemoteFault =
  | "auth"
  | "offline"
  | "retry"
  | "changed"
  | "refused"
  | "notFound"
  | "tooLarge"
  | "notOurServer"
  | "protocol"
  | "quota";
/** The remote refused or could not be reached. `retry`/`offline` heal by waiting; the rest don't. The message is for people. */
export class RemoteError extends Error {
  readonly fault: RemoteFault;
  /** What the remote asked us to wait, or null. */
  readonly retryAfterMs: number | null;
  constructor(fault: RemoteFault, message: string, options?: ErrorOptions & { readonly retryAfterMs?: number }) {
    super(message, options);
    this.name = "RemoteError";
    this.fault = fault;
    this.retryAfterMs = options?.retryAfterMs ?? null;
  }
}

/** Bytes that moved since the last call: what is said of files, and what goes with it on the wire. */
export type OnBytes = (bytes: number) => void;
/** Bytes of a file that the remote has; null: it did not tell. */
export type SizeOf = (name: string) => number | null;
export type FeedRow = {
  readonly name: string;
  readonly usn: number;
  readonly sha1: Sha1 | null;
  readonly sizeBytes: number | null;
  /** Who made it so, where the remote tells it. For people: nothing is decided by it. */
  readonly author?: Author;
};
/** `by`: the device's name; null: not known (any more). `atMs`: by the remote's clock. */
export type Author = { readonly by: string | null; readonly atMs: number };
/** Who answers, and where its feed ends. */
export type Head = { readonly serverId: string | null; readonly epoch: string | null; readonly position: string };
/** `position` is where the next read begins; rows ascend by usn. */
export type FeedPage = { readonly rows: readonly FeedRow[]; readonly position: string };
export type Download =
  /** `release`: the bytes are not needed any more, their memory may be used again. Who never calls it keeps them. */
  | { readonly kind: "bytes"; readonly name: string; readonly bytes: Uint8Array; readonly release?: () => void }
  /** The list changed (Anki's 409), or the file is gone there: read the feed again. */
  | { readonly kind: "missing"; readonly name: string };
export type Upload = {
  readonly name: string;
  /** null: a deletion. */
  readonly bytes: Uint8Array | null;
  readonly sha1: Sha1 | null;
  /** What we believe stands there: bytes, or null = nothing. Used where `can.conditionalUpload`. */
  readonly baseSha1: Sha1 | null;
};
/** `changed`: not taken, other bytes stand there (conditional upload only). `refused`: this entry alone is bad, with the reason. */
export type UploadResult = { readonly kind: "done" } | { readonly kind: "changed" } | { readonly kind: "refused"; readonly detail: string };

/** Bytes that a remote keeps of a name. `atMs`: by its clock, when they stopped being current. */
export type RemoteVersion = {
  readonly sha1: Sha1;
  readonly sizeBytes: number;
  readonly atMs: number;
  readonly why: "replaced" | "removed";
};

/** A place files are synced to. Every implementation passes test/remote-contract.ts; the engine asks `can` and `limits`, never `kind`. */
export interface Remote {
  readonly kind: string;
  /** Known after the first `state`. */
  readonly can: { readonly conditionalUpload: boolean; readonly changeStream: boolean; readonly versions: boolean };
  readonly limits: {
    readonly uploadEntries: number;
    readonly uploadBytes: number;
    /** Upload requests at once. */
    readonly uploadsInFlight: number;
    /** Where batches may have any size up to `uploadBytes`: the smallest that is worth a request. null: full ones alone. */
    readonly lineBytes: number | null;
    readonly fileBytes: number;
    /** Least time between two pushes (AnkiWeb: 60 000). */
    readonly pushEveryMs: number;
    /** How often to look where there is no change stream. */
    readonly pollEveryMs: number;
  };
  /**
   * Who answers and how far its feed goes. `serverId`/`epoch` null where the server can't tell. One small request. `ahead`: the feed after this
   * position is read next, so its beginning may be asked for at once; a server that can tells both as of one moment. @throws RemoteError
   */
  state(signal: AbortSignal, ahead?: string): Promise<Head>;
  /** Pages after `position`, in order; ends when caught up, or throws: a feed that broke off, or of another epoch than `state` told, must not
   * look complete. */
  feed(position: string, signal: AbortSignal): AsyncIterable<FeedPage>;
  /**
   * Every name exactly once, in any order, several requests in flight, bounded memory; the bytes are NOT yet verified (N8 is the caller's).
   * `sizeOf`: what the feed told, so that the requests can be of one size.
   */
  download(names: readonly string[], signal: AbortSignal, onBytes?: OnBytes, sizeOf?: SizeOf): AsyncIterable<Download>;
  /** One result per entry, in order. Within `limits`. @throws RemoteError when the batch as a whole failed (it may have been taken). */
  upload(batch: readonly Upload[], signal: AbortSignal, onBytes?: OnBytes): Promise<readonly UploadResult[]>;
  /** `liveRows`: rows with bytes we believe the remote holds, as of the end of the feed where it was read since the last upload. */
  verify(liveRows: number, signal: AbortSignal): Promise<"ok" | "differs">;
  /** What is kept of a name beside what is current there, newest first. Only where `can.versions`. @throws RemoteError */
  versions(name: string, signal: AbortSignal): Promise<readonly RemoteVersion[]>;
  /** Kept bytes of a name, NOT yet verified. Only where `can.versions`. @throws RemoteError `notFound` when they are not kept (any more) */
  version(name: string, sha1: Sha1, signal: AbortSignal): Promise<Uint8Array>;
  /** Calls back with `position` when the stream is open, then at each change by others until aborted; resolves when the stream ends. Only
   * where `can.changeStream`. */
  follow(position: string, onChange: (position: string) => void, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Named places where a test may make a step fail. Production is handed `noFaults`; there is no global and no string list. */
export type FaultPoint =
  | "scan/dropHints"
  | "plan/oneOpOnly"
  | "fetch/pageOf1"
  | "fetch/beforeCommit"
  | "download/beforeHash"
  | "apply/beforeIntent"
  | "apply/afterIntent"
  | "apply/beforeRename"
  | "apply/afterRename"
  | "apply/beforeFsyncDir"
  | "apply/beforeCommit"
  | "conflict/nameTaken"
  | "upload/beforeIntent"
  | "upload/afterIntent"
  | "upload/replyIgnored"
  | "upload/splitBatch"
  | "server/afterBlobBeforeRow"
  | "server/afterRowBeforeReply"
  | "server/shortPrefix"
  | "server/feedOf1"
  | "server/gcNow";
/** Throws where the step is to fail; true where a rare but legal branch is to be taken. */
export type Faults = (point: FaultPoint) => boolean;
export const noFaults: Faults = () => false;

/** Told of what happens; progress, logs, metrics and tests hang on it. All optional, no-op by default, must not throw. */
export interface Observer {
  runStarted?(folder: string, run: string): void;
  phase?(folder: string, run: string, phase: "observe" | "fetch" | "plan" | "apply" | "push" | "verify"): void;
  /** Work known so far and done so far in this run. */
  progress?(folder: string, run: string, progress: Progress): void;
  runEnded?(folder: string, run: string, result: string): void;
  trouble?(folder: string, path: string | null, error: unknown): void;
}
/** Bytes count as they move, also within a large file; they never go back. */
export type Progress = {
  readonly filesUp: number;
  readonly filesUpTotal: number;
  readonly bytesUp: number;
  readonly bytesUpTotal: number;
  readonly filesDown: number;
  readonly filesDownTotal: number;
  readonly bytesDown: number;
  /** Of the files that are fetched; 0 where the remote does not tell their sizes. */
  readonly bytesDownTotal: number;
};
