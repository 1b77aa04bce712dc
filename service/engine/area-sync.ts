/** The facade's `sync` area: runs, plans, pause, undo. */
import type { RunSummary } from "../core/model.ts";
import type { Action } from "../core/plan.ts";
import { currentConfig, type EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine, PlannedAction } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { runFaultOf } from "./halt.ts";
import { undoLast } from "./undo.ts";

export function syncArea(context: EngineContext): Engine["sync"] {
  const { folders, need } = context;
  return {
    run: async ({ folder, scan }, signal) => {
      if (folder !== null) {
        const only = need(folder);
        if (isPaused(context, only)) throw new EngineError("folderPaused", `${only.config.root} is paused. Run \`satchel resume\` first.`);
        needRemote(context, only);
        return [await abortable(only.run(scan), signal)];
      }
      // Asked for all: one that is paused, or has no remote yet, or can't be synced now, must not keep the others from it.
      const chosen = [...folders.values()].filter((one) => !isPaused(context, one));
      const connected = chosen.filter((one) => currentConfig(context.deps, one.config).remote !== null);
      if (connected.length === 0) for (const one of chosen) needRemote(context, one);
      return await abortable(Promise.all(connected.map(async (one) => await runOneOfAll(context, one, scan))), signal);
    },
    plan: async (id) => {
      const { loop, rows } = need(id);
      const { hash, guarded } = await loop.plan();
      return { folder: id, hash, actions: guarded.actions.map(viewOf), holds: rows.holds.list("held") };
    },
    apply: async (id, hash) => {
      const folder = need(id);
      needRemote(context, folder);
      return await folder.loop.runPlan(hash);
    },
    cancel: async (id) => {
      need(id).loopIfOpen?.cancel();
      await Promise.resolve();
    },
    pause: async (id) => await setPaused(context, need(id), true),
    resume: async (id) => await setPaused(context, need(id), false),
    undo: async (id, options) => {
      const { loop, parts } = need(id);
      const result = await loop.exclusive(async () => await undoLast(parts, options));
      if (options.preview) return result;
      loop.tryAgain();
      return result;
    },
    lastRuns: (id, limit) => need(id).rows.runs.list(limit),
  };
}

function isPaused(context: EngineContext, folder: Folder): boolean {
  return currentConfig(context.deps, folder.config).paused;
}

/** Asked for all: why this one can't be synced is told in its row. @throws EngineError only while the service is stopping */
async function runOneOfAll(context: EngineContext, folder: Folder, scan: boolean): Promise<RunSummary> {
  try {
    needRemote(context, folder);
    return await folder.run(scan);
  } catch (error) {
    if (error instanceof EngineError && error.fault === "stopping") throw error;
    const message = error instanceof Error ? error.message : String(error);
    return folder.notRun("failed", error instanceof EngineError ? runFaultOf(error) : "internal", message);
  }
}

function needRemote(context: EngineContext, folder: Folder): void {
  const { remote, root } = currentConfig(context.deps, folder.config);
  if (remote === null)
    throw new EngineError("noRemote", `${root} has no remote yet. Sign in with \`satchel login URL --user NAME\`, then sync again.`);
  if (context.remote(remote) === null)
    throw new EngineError("auth", `Nobody is signed in to ${remote}. Run \`satchel login\`, then sync again.`);
}

async function setPaused(context: EngineContext, folder: Folder, paused: boolean): Promise<void> {
  const { settings, state, clock } = context.deps;
  await settings.saveFolders(settings.folders().map((row) => (row.id === folder.config.id ? { ...row, paused } : row)));
  folder.loopIfOpen?.setPaused(paused);
  state.transaction(() => state.events.append(paused ? "folder/paused" : "folder/resumed", folder.config.id, {}, clock.wallMs()));
}

function viewOf(action: Action): PlannedAction {
  const bytes = action.kind === "upload" || action.kind === "download" || action.kind === "conflict" ? action.sizeBytes : null;
  return { action: action.kind, path: action.path, reason: action.reason, bytes };
}

/** The run goes on for those who share it; this caller stops waiting. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason instanceof Error ? signal.reason : new Error("the caller stopped waiting"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
