/** The facade's `sync` area: runs, plans, pause, undo. */
import type { RunSummary } from "../core/model.ts";
import { planHash, type Action } from "../core/plan.ts";
import { currentConfig, type EngineContext } from "./deps.ts";
import { EngineError, type Engine, type PlannedAction, type PlanView } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { fetchFeed } from "./fetch.ts";
import { observe } from "./observe.ts";
import { digestOf, newRunId, type FolderParts } from "./parts.ts";
import { commitPlan, planNow } from "./plan-run.ts";
import { newRunContext } from "./run-context.ts";
import { undoLast } from "./undo.ts";

export function syncArea(context: EngineContext): Engine["sync"] {
  const { folders, need } = context;
  return {
    run: async ({ folder, scan }, signal) => {
      const chosen = folder === null ? [...folders.values()].filter((one) => !isPaused(context, one)) : [need(folder)];
      for (const one of chosen)
        if (isPaused(context, one)) throw new EngineError("folderPaused", `${one.config.root} is paused. Run \`satchel resume\` first.`);
      // Asked for all: one that has no remote yet must not keep the others from it. Asked for one: it says why it can't.
      const able = folder === null ? chosen.filter((one) => currentConfig(context.deps, one.config).remote !== null) : chosen;
      if (able.length === 0) for (const one of chosen) needRemote(context, one);
      for (const one of able) needRemote(context, one);
      return await abortable(Promise.all(able.map(async (one) => await one.run(scan))), signal);
    },
    plan: async (id) => {
      const { loop, parts } = need(id);
      return await loop.exclusive(async () => await lookAhead(parts));
    },
    apply: async (id, hash) => {
      const folder = need(id);
      const view = await folder.loop.exclusive(async () => await lookAhead(folder.parts));
      if (view.hash !== hash)
        throw new EngineError(
          "planDrifted",
          `The plan has changed since it was shown (it was ${hash.slice(0, 8)}, it is ${view.hash.slice(0, 8)}). Nothing was done. Look at it again with \`satchel plan\`.`,
        );
      return await folder.run(false);
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

/** Observes and fetches, but changes nothing on either side: what a run would do now. */
async function lookAhead(parts: FolderParts): Promise<PlanView> {
  const ahead = newRunContext(parts, newRunId(parts), AbortSignal.any([]));
  await observe(ahead, { scan: true, rehash: false, waitSettle: true, origin: "user" });
  const remote = parts.remote();
  if (remote !== null) await fetchFeed(ahead, remote);
  let guarded = planNow(parts);
  if (commitPlan(parts, guarded) > 0) guarded = planNow(parts);
  const hash = planHash(guarded.actions, digestOf(parts));
  return { folder: parts.id, hash, actions: guarded.actions.map(viewOf), holds: parts.rows.holds.list("held") };
}

function viewOf(action: Action): PlannedAction {
  const bytes = action.kind === "upload" || action.kind === "download" || action.kind === "conflict" ? action.sizeBytes : null;
  return { action: action.kind, path: action.path, reason: action.reason, bytes };
}

/** The run goes on for those who share it; this caller stops waiting. */
async function abortable(work: Promise<RunSummary[]>, signal: AbortSignal): Promise<readonly RunSummary[]> {
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
