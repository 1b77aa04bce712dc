/** What the API offers of the engine: `service/rpc/` maps methods to this one interface and nothing else. */
import type { RunFault } from "../../protocol/run-faults.ts";
import type { Change, Conflict, Hold, Policy, Problem, RunSummary, Version } from "../core/model.ts";
import type { Author } from "../core/ports.ts";
import type { EventLog } from "../core/state.ts";
import type { KeptVersions } from "./remote-versions.ts";
import type { BadName, Duplicate, Mention, UnusedFile } from "../notes/check.ts";
import type { Cause, MediaFacts, MissingFacts } from "../notes/knowledge.ts";
import type { MediaIndex, MediaPlace, MediaRoot } from "../notes/resolve.ts";

export type FolderConfig = {
  readonly id: string;
  readonly root: string;
  /** Remote id (`user@host`), or null while none is chosen. */
  readonly remote: string | null;
  readonly policy: Policy;
  readonly paused: boolean;
};
export type RemoteConfig = { readonly id: string; readonly url: string; readonly user: string };

export type FolderState = "insync" | "pending" | "syncing" | "offline" | "held" | "paused" | "error";
export type FolderStatus = {
  readonly folder: string;
  readonly root: string;
  readonly remote: string | null;
  readonly policy: Policy;
  readonly state: FolderState;
  /** One sentence that says why, where the state is not plain; else null. */
  readonly detail: string | null;
  /** The closed word behind `detail`, as in a run's summary; null where there is none. */
  readonly fault: RunFault | null;
  readonly files: number;
  readonly bytes: number;
  readonly pending: number;
  readonly conflicts: number;
  readonly problems: number;
  readonly held: number;
  readonly lastRunAt: number | null;
  readonly watching: "events" | "timed";
  readonly nextRunAt: number | null;
};

export type PlannedAction = { readonly action: string; readonly path: string; readonly reason: string; readonly bytes: number | null };
export type PlanView = {
  readonly folder: string;
  readonly hash: string;
  readonly actions: readonly PlannedAction[];
  readonly holds: readonly Hold[];
};
export type FileView = {
  readonly path: string;
  /** `ignored`: a rule leaves it alone here; of what stands on disk such a path is no class (N9). */
  readonly state: "synced" | "pending" | "problem" | "ignored";
  readonly sizeBytes: number | null;
  readonly sha1: string | null;
  readonly problems: readonly Problem[];
};
export type Explanation = FileView & {
  readonly wireName: string | null;
  readonly wouldDo: string;
  readonly reason: string;
  readonly local: string | null;
  readonly remote: string | null;
  readonly base: string | null;
  /** Who deleted it there, where nothing stands there and the remote tells. */
  readonly deleted: Author | null;
  readonly ignoredBy: string | null;
  readonly changes: readonly Change[];
  readonly versions: readonly Version[];
  readonly conflicts: readonly Conflict[];
};
/** One side of a conflict, as far as it can be told now. */
export type ConflictSide = {
  readonly sha1: string;
  readonly sizeBytes: number | null;
  /** Where these bytes stand in the folder; null: nowhere. */
  readonly path: string | null;
  /** They can be read with `versions.read`. */
  readonly readable: boolean;
  /** Milliseconds since 1970: this device's were saved, the remote's came in. */
  readonly atMs: number | null;
  /** Which device made them; null: the remote does not tell. */
  readonly device: string | null;
};
export type ConflictView = Conflict & {
  readonly mine: ConflictSide;
  readonly theirs: ConflictSide;
  /** What both had before; null: they never agreed. */
  readonly base: ConflictSide | null;
};

/** A file's name. `remote`: only the remote has it. `gone`: it was there not long ago, or the remote tells of its deletion. */
export type MediaName = { readonly path: string; readonly sizeBytes: number | null; readonly where: "here" | "remote" | "gone" };
/** What is wrong between the notes below some directories and one folder. */
export type NotesReport = {
  readonly folder: string;
  readonly root: string;
  /** Notes read, and references in them that lead into this folder. */
  readonly notes: number;
  readonly references: number;
  /** Notes and directories that could not be read: while there are any, nothing is known to be unused. */
  readonly unread: readonly string[];
  readonly missing: readonly {
    readonly path: string;
    readonly cause: Cause;
    readonly detail: string;
    readonly facts: MissingFacts;
    readonly references: readonly Mention[];
  }[];
  readonly unused: readonly UnusedFile[];
  readonly duplicates: readonly Duplicate[];
  readonly badNames: readonly BadName[];
};

/** @throws EngineError from every method. */
export interface Engine {
  readonly events: EventLog;
  folders: {
    list(): readonly FolderStatus[];
    /** `root`: absolute. Resolves when the folder is known and its first run is scheduled. */
    add(options: {
      readonly root: string;
      readonly remote: string | null;
      readonly policy: Policy;
      readonly paused: boolean;
    }): Promise<FolderStatus>;
    get(folder: string): FolderStatus;
    update(folder: string, change: { readonly remote?: string; readonly policy?: Policy; readonly root?: string }): Promise<FolderStatus>;
    /** Forgets the folder; its files stay. */
    remove(folder: string): Promise<void>;
    /** The folder whose root is, or contains, this absolute path; with the path below it. */
    locate(absolutePath: string): Promise<{ readonly folder: string; readonly path: string } | null>;
  };
  remotes: {
    list(): readonly (RemoteConfig & { readonly signedIn: boolean })[];
    /** Exchanges the password for a key and forgets it. Resolves with the remote's id. */
    login(options: { readonly url: string; readonly user: string; readonly password: string }): Promise<{ readonly remote: string }>;
    logout(remote: string): Promise<void>;
    test(remote: string): Promise<{ readonly ok: boolean; readonly kind: string; readonly detail: string; readonly roundTripMs: number }>;
  };
  sync: {
    /** Resolves with the first run begun after the call (callers share it), one per folder asked for. */
    run(options: { readonly folder: string | null; readonly scan: boolean }, signal: AbortSignal): Promise<readonly RunSummary[]>;
    plan(folder: string): Promise<PlanView>;
    /** Compares and runs in one turn: the plan with this hash and nothing else. Works in a paused folder. */
    apply(folder: string, hash: string): Promise<RunSummary>;
    /** Ends the run that is under way; what it finished stays. */
    cancel(folder: string): Promise<void>;
    pause(folder: string): Promise<void>;
    resume(folder: string): Promise<void>;
    /** `preview`: only tells what would be taken back. */
    undo(
      folder: string,
      options: { readonly preview: boolean },
    ): Promise<{ readonly undone: readonly string[]; readonly skipped: readonly { readonly path: string; readonly reason: string }[] }>;
    lastRuns(folder: string, limit: number): readonly RunSummary[];
  };
  files: {
    list(options: {
      readonly folder: string;
      readonly state: FileView["state"] | null;
      readonly after: string;
      readonly limit: number;
    }): readonly FileView[];
    /** A file was put there: look at it now, without waiting for an event. */
    add(folder: string, path: string): Promise<FileView>;
    rename(folder: string, from: string, to: string): Promise<FileView>;
    /** A file of the folder that holds these bytes, by path the first; null: none does. */
    find(folder: string, sha1: string): FileView | null;
    explain(folder: string, path: string): Explanation;
  };
  changes(folder: string | null, since: number, limit: number): readonly Change[];
  conflicts: {
    list(folder: string | null, open: boolean): readonly Conflict[];
    get(id: number): ConflictView;
    /** `as`: with `both`, the name that the bytes which lost theirs get; null: they keep the one they have. */
    resolve(id: number, keep: "mine" | "theirs" | "both", as: string | null): Promise<Conflict>;
  };
  versions: {
    /** What this device keeps of the path and what the remote does, newest first. Told where the remote could not be asked. */
    list(folder: string, path: string): Promise<KeptVersions>;
    /** Of every path that had bytes and has none now, what was kept last; newest first. */
    removed(folder: string, limit: number): readonly Version[];
    /** `folder`: bytes that stand in one of its files count too; with `path`, those that the remote keeps of it, which are then kept here. */
    read(slice: {
      readonly sha1: string;
      readonly folder: string | null;
      readonly path: string | null;
      readonly offsetBytes: number;
      readonly lengthBytes: number;
    }): Promise<Uint8Array>;
    /** Puts kept bytes back as a new change, the remote's where this device has none; what stands there now is kept first. `sha1` null: the newest kept. */
    restore(folder: string, path: string, sha1: string | null): Promise<{ readonly path: string; readonly sha1: string }>;
  };
  guard: {
    list(folder: string | null): readonly Hold[];
    /** @throws EngineError holdChanged when the set is not the one with this hash any more. */
    approve(id: number, hash: string): Promise<void>;
    reject(id: number, hash: string): Promise<void>;
  };
  notes: {
    roots(): readonly MediaRoot[];
    standing: MediaIndex["standing"];
    /** What is known of a path that a note names. */
    know(place: MediaPlace): MediaFacts;
    /** Every file, here or only on the remote, and those that went. */
    names(folder: string): Promise<readonly MediaName[]>;
    /** Files of all folders with exactly this last name. */
    named: MediaIndex["named"];
    /** Files that moved within the folder after this number of the change log (null: from now on), whoever moved them. `through`: where to go on. */
    renames(
      folder: string,
      since: number | null,
    ): { readonly renames: readonly { readonly from: string; readonly to: string }[]; readonly through: number };
    /** `notes`: absolute directories. Reads every note below them. */
    check(options: { readonly folder: string; readonly notes: readonly string[] }, signal: AbortSignal): Promise<NotesReport>;
    /** Checks again, then removes those of `paths` that are unused; their bytes are kept and `sync.undo` brings them back. */
    clean(
      options: { readonly folder: string; readonly notes: readonly string[]; readonly paths: readonly string[] },
      signal: AbortSignal,
    ): Promise<{ readonly removed: readonly string[]; readonly skipped: readonly { readonly path: string; readonly reason: string }[] }>;
  };
  /** Progress of runs under way: `sync/progress`. Returns the unsubscribe. */
  onProgress(listener: (folder: string, run: string, phase: string, progress: Record<string, number>) => void): () => void;
  /** A new event was appended: wake the subscribers. Returns the unsubscribe. */
  onEvent(listener: () => void): () => void;
  close(): Promise<void>;
}
