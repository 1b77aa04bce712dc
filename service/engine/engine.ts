/** The engine: all folders of one service, behind the facade that the API maps to. Put together in `service/main.ts`. */
import type { Observer, Progress, Remote } from "../core/ports.ts";
import type { EventLog, State } from "../core/state.ts";
import { conflictsArea, versionsArea } from "./area-conflicts.ts";
import { filesArea } from "./area-files.ts";
import { foldersArea } from "./area-folders.ts";
import { guardArea } from "./area-guard.ts";
import { notesArea } from "./area-notes.ts";
import { remotesArea } from "./area-remotes.ts";
import { syncArea } from "./area-sync.ts";
import { currentConfig, type EngineContext, type EngineDeps } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine } from "./facade.ts";
import { Folder } from "./folder.ts";
import { maintainDaily } from "./maintenance.ts";

type ProgressListener = Parameters<Engine["onProgress"]>[0];

/** Opens every configured folder (one that can't be opened is reported, not fatal) and starts their loops. */
export async function createEngine(given: EngineDeps): Promise<Engine> {
  const eventListeners = new Set<() => void>();
  const progressListeners = new Set<ProgressListener>();
  const tell = () => eventListeners.forEach((listener) => listener());
  const deps: EngineDeps = {
    ...given,
    state: withNotices(given.state, tell),
    observer: withProgress(given.observer, progressListeners),
  };
  const context = createContext(deps, tell);
  for (const config of deps.settings.folders()) await context.open(config);
  const stop = new AbortController();
  const maintaining = maintainDaily(context, stop.signal);
  return {
    events: deps.state.events,
    folders: foldersArea(context),
    remotes: remotesArea(context),
    sync: syncArea(context),
    files: filesArea(context),
    changes: (folder, since, limit) =>
      folder === null ? deps.state.changesSince(since, limit) : deps.state.changesSince(since, limit, context.need(folder).parts.id),
    conflicts: conflictsArea(context),
    versions: versionsArea(context),
    guard: guardArea(context),
    notes: notesArea(context),
    onProgress: (listener) => {
      progressListeners.add(listener);
      return () => progressListeners.delete(listener);
    },
    onEvent: (listener) => {
      eventListeners.add(listener);
      return () => eventListeners.delete(listener);
    },
    close: async () => {
      stop.abort(new Error("the service is stopping"));
      await maintaining;
      await Promise.all([...context.folders.values()].map(async (folder) => await folder.close()));
      for (const { id } of deps.settings.remotes()) await context.forgetRemote(id);
    },
  };
}

function createContext(deps: EngineDeps, tell: () => void): EngineContext {
  const folders = new Map<string, Folder>();
  const remotes = new Map<string, Remote>();
  const remote = (id: string | null): Remote | null => {
    if (id === null) return null;
    const open = remotes.get(id);
    if (open !== undefined) return open;
    const config = deps.settings.remotes().find((row) => row.id === id);
    const key = deps.settings.key(id);
    if (config === undefined || key === null) return null;
    const opened = deps.openRemote(config, key);
    remotes.set(id, opened);
    return opened;
  };
  return {
    deps,
    folders,
    remote,
    tell,
    need: (id) => {
      const folder = folders.get(id);
      if (folder !== undefined) return folder;
      throw new EngineError("folderNotFound", `There is no folder ${id}. See \`satchel list\` for those that are looked after.`);
    },
    open: async (config) => {
      const folder = await Folder.open(deps, config, () => remote(currentConfig(deps, config).remote));
      folders.set(config.id, folder);
      return folder;
    },
    forgetRemote: async (id) => {
      const open = remotes.get(id);
      remotes.delete(id);
      await open?.close();
    },
  };
}

/** Front ends hear of an event when the transaction that wrote it is over and durable. */
function withNotices(state: State, tell: () => void): State {
  let [news, queued] = [false, false];
  const tellIfSettled = (): void => {
    queued = false;
    if (!news || !state.settled) return;
    news = false;
    tell();
  };
  const tellSoon = (): void => {
    if (news && !queued) queueMicrotask(tellIfSettled);
    queued ||= news;
  };
  const events: EventLog = {
    id: state.events.id,
    append: (...fact) => {
      news = true;
      tellSoon();
      return state.events.append(...fact);
    },
    since: (...range) => state.events.since(...range),
    lastSeq: () => state.events.lastSeq(),
    trim: (...limits) => state.events.trim(...limits),
  };
  return {
    transaction: (work, when) => {
      const result = state.transaction(work, when);
      tellSoon();
      return result;
    },
    settle: () => {
      state.settle();
      tellSoon();
    },
    get settled() {
      return state.settled;
    },
    folder: (id) => state.folder(id),
    dropFolder: (id) => state.dropFolder(id),
    events,
    changesSince: (...range) => state.changesSince(...range),
    checkChangeLog: () => state.checkChangeLog(),
    close: () => state.close(),
  };
}

function withProgress(observer: Observer, listeners: ReadonlySet<ProgressListener>): Observer {
  const phases = new Map<string, string>();
  return {
    ...observer,
    phase: (folder, run, phase) => {
      phases.set(run, phase);
      observer.phase?.(folder, run, phase);
    },
    progress: (folder, run, progress: Progress) => {
      observer.progress?.(folder, run, progress);
      for (const listener of listeners) listener(folder, run, phases.get(run) ?? "observe", { ...progress });
    },
    runEnded: (folder, run, result) => {
      phases.delete(run);
      observer.runEnded?.(folder, run, result);
    },
  };
}
