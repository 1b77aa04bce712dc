/** The local side as the engine sees it: what was observed on disk, and how bytes get there. Implemented in `service/files/`. */
import type { ApplyIntent, Entry, LocalReason, Sha1, Version } from "./model.ts";

export type Observation =
  /** New or other bytes, settled and hashed. */
  | { readonly kind: "put"; readonly entry: Entry }
  /** The same bytes under a new fingerprint: the cache is refreshed, nothing was changed. */
  | { readonly kind: "touched"; readonly entry: Entry }
  /** Gone for the whole settle window, on evidence that is allowed to conclude it (N2). */
  | { readonly kind: "gone"; readonly path: string }
  /** Can't be told or can't be synced; the local side is `unknown`. */
  | { readonly kind: "problem"; readonly path: string; readonly reason: LocalReason; readonly detail: string };

/** Whether the root is what it was (S14). `replaced`: another (dev, ino) than in this service's life. */
export type RootState = "ok" | "missing" | "replaced" | "markerGone" | "unreadable";

/** Watches what is dirty, waits until it has settled, and looks. One per folder; in memory only. */
export interface LocalTree {
  /** A watcher's hint; null: anywhere. Cheap, synchronous. */
  hint(diskPath: string | null, agoMs?: number): void;
  /** Paths known dirty and not yet observed. */
  dirtyCount(): number;
  /** A whole look is due (start, lost events, hint without a path). */
  needsScan(): boolean;
  /** Milliseconds (of Clock.monoMs) when the next dirty path will have settled; null: nothing is dirty. */
  settlesAtMs(): number | null;
  /** Looks once at the dirty paths that have settled by now; the others stay dirty. */
  observeDirty(signal: AbortSignal): Promise<readonly Observation[]>;
  /** Looks at every path (stat only where the identity cache holds; `rehash`: reads all). Batches come as they are hashed and may be
   * committed one by one. Disappearances come last, only for directories that were listed to their end; young or unsettled ones
   * stay dirty instead. @throws DiskError when the root can't be listed. */
  observeAll(options: { readonly rehash: boolean }, signal: AbortSignal): AsyncIterable<readonly Observation[]>;
  /** The path vanished or re-appeared in the last 4 s: do not write to it now (RELIABILITY 3.8). */
  isRestless(path: string): boolean;
  /** Checks (dev, ino) and the marker directory; `makeMarker`: puts it (back). */
  checkRoot(options: { readonly makeMarker: boolean }): Promise<RootState>;
  /** Every one of these paths stands on disk. */
  allStand(paths: Iterable<string>): Promise<boolean>;
}

/** One change of the disk. `expect`: what must stand there at the instant of the rename (null: nothing). */
export type ApplyStep =
  | {
      readonly kind: "put";
      readonly path: string;
      /** From `stage`; consumed. */
      readonly temp: string;
      readonly sha1: Sha1;
      readonly expect: Entry | null;
      /** Conflict under `keep-both`: the file that stands there is first linked to this path (visible copy). */
      readonly copyTo: string | null;
      readonly why: Version["why"];
    }
  | { readonly kind: "remove"; readonly path: string; readonly expect: Entry; readonly why: Version["why"] };
export type ApplyResult =
  | {
      readonly kind: "done";
      /** What stands there now; null after a removal. */
      readonly entry: Entry | null;
      /** The copy that was linked, where the step asked for one. */
      readonly copy: Entry | null;
      /** The bytes that were kept; its sha1 differs from the expected one when somebody wrote in the last instant: make a conflict of it. */
      readonly kept: Version | null;
    }
  /** Something else stands there: nothing was done; observe again. */
  | { readonly kind: "changed" }
  /** The disk refused; nothing was done, the old file is intact. */
  | { readonly kind: "trouble"; readonly reason: "locked" | "diskFull" | "applyFailed" | "badName"; readonly detail: string };

/** Bytes for a path. `fresh`: nothing is thought to stand there, whose permission bits would be kept. */
export type NewBytes = { readonly path: string; readonly bytes: Uint8Array; readonly fresh?: boolean };

/** Puts bytes under the root without ever showing half a file or losing one (N1, N3, N4). One per folder. */
export interface Applier {
  /** Writes the bytes to the folder's `.satchel/`, fsynced. Several at once share the work. @throws DiskError */
  stage(items: readonly NewBytes[]): Promise<readonly string[]>;
  /** Like `stage` from bytes that are already here (a kept version, or another file of the folder): verified against `sha1`; null where they are not. */
  stageLocal(path: string, sha1: Sha1, entry: Entry | undefined): Promise<string | null>;
  /** Keep version → re-check → rename, per step; then fsyncs every directory touched. The temp of a step not done stays, as the proof of
   * that: the caller discards it once its intent is forgotten. */
  commit(steps: readonly ApplyStep[], run: string): Promise<readonly ApplyResult[]>;
  discard(temps: readonly string[]): Promise<void>;
  /** Two spellings may be one name here: the later of two twins stands under a name of its own making. */
  readonly foldsNames: boolean;
  /** Gives such a file its own name where that is free now; `commit` books it before the made-up name goes. Of one that has it already,
   * a made-up name that was left over goes. False: nothing was done. @throws DiskError */
  freeTwin(entry: Entry, commit: (entry: Entry) => void): Promise<boolean>;
  /** Reads a file for upload. `changed`: its bytes are not `entry.sha1` any more. `memory`: see `Disk.read`. */
  read(entry: Entry, memory?: Uint8Array): Promise<Uint8Array | "changed">;
  /** A slice of a file for people to look at: at most `lengthBytes` from `offsetBytes`. `changed`: the file is not the one that was hashed. */
  readRange(entry: Entry, offsetBytes: number, lengthBytes: number): Promise<Uint8Array | "changed">;
  /** Puts bytes straight into the version store (local-wins keeps the remote's). */
  keep(path: string, bytes: Uint8Array, sha1: Sha1, why: Version["why"], run: string): Promise<Version>;
  /** After a start: which intents' renames happened, then every leftover of ours is swept (bytes not yet kept are kept first).
   * `done`: the intent's state stands or stood there. An intent without an outcome can't be told yet (the root is away, the file can't
   * be read): it stays. */
  recover(
    intents: readonly ApplyIntent[],
  ): Promise<readonly { readonly intent: ApplyIntent; readonly done: boolean; readonly entry: Entry | null }[]>;
}

/** The version store, one for all folders: bytes by hash and an append-only journal, both durable before a replace (N1). */
export interface VersionStore {
  /** Absolute path of the bytes, or null. */
  locate(sha1: Sha1): Promise<string | null>;
  readRange(sha1: Sha1, offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /** Every line of the journal: a lost database gets its version rows back from here (N6). */
  journal(): AsyncIterable<Version>;
  remove(sha1: Sha1): Promise<void>;
  /** Reads everything and compares it with its name. Damaged bytes go (they must never be restored) and are named (DK09). */
  scrub(signal: AbortSignal): Promise<readonly Sha1[]>;
  /** Writes the journal anew without what tells of bytes that are gone, when that is most of it. Returns the lines that went. */
  compact(): Promise<number>;
}
