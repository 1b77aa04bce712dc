/** What the engine is made of, and what its areas share. Constructed in `service/main.ts`, or by a test. */
import type { Applier, LocalTree, VersionStore } from "../core/local.ts";
import type { Policy } from "../core/model.ts";
import type { Clock, Compute, Faults, Observer, Random, Remote, WatchHint } from "../core/ports.ts";
import type { State } from "../core/state.ts";
import type { Retention } from "../files/versions.ts";
import type { NotesSource } from "../notes/finder.ts";
import type { FolderConfig, RemoteConfig } from "./facade.ts";
import type { Folder } from "./folder.ts";

/** What must outlive the database: settings and keys, in files (DESIGN §11). Saving resolves when it is durable. */
export interface Settings {
  folders(): readonly FolderConfig[];
  remotes(): readonly RemoteConfig[];
  saveFolders(folders: readonly FolderConfig[]): Promise<void>;
  saveRemotes(remotes: readonly RemoteConfig[]): Promise<void>;
  key(remote: string): string | null;
  saveKey(remote: string, key: string | null): Promise<void>;
}

/** The disk side of one folder, opened and locked. @throws EngineError rootLocked, notADirectory */
export type OpenedRoot = {
  readonly local: LocalTree;
  readonly applier: Applier;
  readonly ignoredBy: (path: string) => string | null;
  readonly ignoreRules: () => string;
  /** @throws DiskError where watching is impossible. */
  readonly watch: (onHint: (hint: WatchHint) => void) => Promise<{ close(): Promise<void> }>;
  readonly close: () => Promise<void>;
};

export type EngineDeps = {
  readonly state: State;
  readonly settings: Settings;
  readonly versions: VersionStore;
  /** Absent: 30 days, then 2 GiB. */
  readonly retention?: Retention;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  readonly device: string;
  readonly faults: Faults;
  readonly observer: Observer;
  /** The state was lost and made anew: what the first scan finds is adopted, not news. */
  readonly rebuilt: boolean;
  /** Absolute, symlinks resolved; null: not a directory. */
  readonly realRoot: (path: string) => Promise<string | null>;
  /** Where Satchel's own files are, symlinks resolved: no media folder may be one of these, hold one or lie in one. */
  readonly ownDirectories: readonly string[];
  /** Where notes are read; media folders have their own sides. */
  readonly notes: NotesSource;
  readonly openRoot: (folder: FolderConfig) => Promise<OpenedRoot>;
  readonly openRemote: (config: RemoteConfig, key: string) => Remote;
  /** The remote's id and clean address from what a person typed. @throws EngineError badPath */
  readonly remoteIdOf: (url: string, user: string) => { readonly id: string; readonly url: string };
  /** Exchanges the password for a key. @throws RemoteError */
  readonly login: (options: {
    readonly url: string;
    readonly user: string;
    readonly password: string;
  }) => Promise<{ readonly key: string }>;
};

/** What the areas of the facade share. */
export type EngineContext = {
  readonly deps: EngineDeps;
  readonly folders: Map<string, Folder>;
  /** @throws EngineError folderNotFound */
  readonly need: (folder: string) => Folder;
  readonly open: (config: FolderConfig) => Promise<Folder>;
  /** One remote object per configured remote; null while nobody is signed in. */
  readonly remote: (id: string | null) => Remote | null;
  readonly forgetRemote: (id: string) => Promise<void>;
  readonly tell: () => void;
};

/** The folder's settings as they are now: they may change while it is open. */
export function currentConfig(deps: EngineDeps, opened: FolderConfig): FolderConfig {
  return deps.settings.folders().find((row) => row.id === opened.id) ?? opened;
}

/** The policy in force. */
export function policyOf(deps: EngineDeps, opened: FolderConfig): () => Policy {
  return () => currentConfig(deps, opened).policy;
}
