/** The whole engine over folders and accounts in memory, in time that the test moves: for what spans folders, loops and the facade. */
import { createEngine } from "../../service/engine/engine.ts";
import type { EngineDeps, Settings } from "../../service/engine/deps.ts";
import type { Engine, FolderConfig } from "../../service/engine/facade.ts";
import { DiskError, noFaults, type Observer, type WatchHint } from "../../service/core/ports.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { findReferences } from "../../service/notes/references.ts";
import { openState, type StateStore } from "../../service/store/open.ts";
import { MemoryFolder } from "./memory-folder.ts";
import { MemoryAccount, memoryRemote, type MemoryRemote } from "./memory-remote.ts";
import { SteppedClock } from "./stepped-clock.ts";

export type FolderInEngine = {
  readonly id: string;
  readonly folder: MemoryFolder;
  readonly account: MemoryAccount;
  readonly remote: MemoryRemote;
  /** What the disk's watcher says; null while nobody watches. */
  hint: ((hint: WatchHint) => void) | null;
  /** Why the root can't be opened; null: it can. */
  openFails: Error | null;
  /** Why the root can't be watched; null: it can. */
  watchFails: Error | null;
  /** Paths that a rule leaves alone. */
  readonly ignored: Set<string>;
};

export type MemoryEngine = {
  readonly engine: Engine;
  readonly clock: SteppedClock;
  readonly state: StateStore;
  readonly keys: Map<string, string>;
  readonly settings: Settings;
  readonly at: (id: string) => FolderInEngine;
  /** Syncs, letting time pass where something waits for it. */
  readonly sync: (id: string | null, scan?: boolean) => ReturnType<Engine["sync"]["run"]>;
};

/** Where this engine's own files would be. */
export const OWN_DIRECTORIES: readonly string[] = ["/home/ada/.config/satchel", "/home/ada/.local/state/satchel"];

/** One folder for each id; each has an account of its own, and somebody is signed in. */
export async function openMemoryEngine(
  ids: readonly string[],
  given: {
    readonly observer?: Observer;
    readonly notes?: EngineDeps["notes"];
    readonly before?: (one: FolderInEngine) => void;
    readonly ownDirectories?: readonly string[];
    readonly realRoot?: EngineDeps["realRoot"];
  } = {},
): Promise<MemoryEngine> {
  const clock = new SteppedClock();
  const state = openState({ path: ":memory:", now: () => clock.wallMs() });
  const folders = new Map(ids.map((id) => [id, makeFolder(state, id)]));
  for (const one of folders.values()) given.before?.(one);
  const at = (id: string): FolderInEngine => {
    const one = folders.get(id);
    if (one === undefined) throw new Error(`no folder ${id}`);
    return one;
  };
  const keys = new Map(ids.map((id) => [remoteOf(id), "key"]));
  const find = async (text: string) => await Promise.resolve(findReferences(text));
  const settings = settingsInMemory(ids, keys);
  const [first] = folders.values();
  if (first === undefined) throw new Error("an engine of no folders");
  let seed = 1;
  const deps: EngineDeps = {
    state,
    settings,
    versions: first.folder.versions,
    clock,
    random: { u32: () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) },
    compute: syncCompute,
    device: "laptop",
    faults: noFaults,
    observer: given.observer ?? {},
    rebuilt: false,
    realRoot: given.realRoot ?? (async (path) => await Promise.resolve(path)),
    ownDirectories: given.ownDirectories ?? OWN_DIRECTORIES,
    notes: given.notes ?? { disk: noDisk, find, findAmongMany: find },
    openRoot: async ({ id }) => await openRoot(at(id)),
    openRemote: ({ id }) => at(id.slice(0, id.indexOf("@"))).remote,
    remoteIdOf: (url, user) => ({ id: remoteOf(user), url }),
    login: async () => await Promise.resolve({ key: "key" }),
  };
  const engine = await createEngine(deps);
  const sync: MemoryEngine["sync"] = async (id, scan = true) => {
    const running = engine.sync.run({ folder: id, scan }, AbortSignal.any([]));
    await clock.settle();
    return await running;
  };
  return { engine, clock, state, keys, settings, at, sync };
}

/** An engine that nobody asks about notes. */
const noDisk: EngineDeps["notes"]["disk"] = {
  walk: () => {
    throw new DiskError("notFound", "there is no disk");
  },
  read: async (path) => await Promise.reject(new DiskError("notFound", `there is no disk for ${path}`)),
  lstat: async () => await Promise.resolve(null),
};

function remoteOf(id: string): string {
  return `${id}@memory`;
}

function makeFolder(state: StateStore, id: string): FolderInEngine {
  const rows = state.folder(id);
  const account = new MemoryAccount();
  const folder = new MemoryFolder(id, () => rows.entries.all());
  return { id, folder, account, remote: memoryRemote(account), hint: null, openFails: null, watchFails: null, ignored: new Set() };
}

async function openRoot(one: FolderInEngine): Promise<Awaited<ReturnType<EngineDeps["openRoot"]>>> {
  await Promise.resolve();
  if (one.openFails !== null) throw one.openFails;
  return {
    local: one.folder.local,
    applier: one.folder.applier,
    ignoredBy: (path) => (one.ignored.has(path) ? path : null),
    ignoreRules: () => "",
    watch: async (onHint) => {
      await Promise.resolve();
      if (one.watchFails !== null) throw one.watchFails;
      one.hint = onHint;
      return { close: async () => await Promise.resolve(void (one.hint = null)) };
    },
    close: async () => await Promise.resolve(),
  };
}

function settingsInMemory(ids: readonly string[], keys: Map<string, string>): Settings {
  let folders: readonly FolderConfig[] = ids.map((id) => ({
    id,
    root: `/media/${id}`,
    remote: remoteOf(id),
    policy: "keep-both",
    paused: false,
  }));
  let remotes = ids.map((id) => ({ id: remoteOf(id), url: "http://memory/", user: id }));
  return {
    folders: () => folders,
    remotes: () => remotes,
    saveFolders: async (rows) => await Promise.resolve(void (folders = rows)),
    saveRemotes: async (rows) => await Promise.resolve(void (remotes = [...rows])),
    key: (id) => keys.get(id) ?? null,
    saveKey: async (id, key) => {
      if (key === null) keys.delete(id);
      else keys.set(id, key);
      await Promise.resolve();
    },
  };
}
