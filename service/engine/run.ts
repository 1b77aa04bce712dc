/** One run of one folder: observe, fetch, plan, apply, push, verify (DESIGN §4). Ends in a summary, whatever happens. */
import type { RunFault } from "../../protocol/run-faults.ts";
import type { Origin, RunResult, RunSummary } from "../core/model.ts";
import { planHash } from "../core/plan.ts";
import { DiskError, RemoteError, TransportError, type Remote } from "../core/ports.ts";
import { StoreError } from "../store/errors.ts";
import { applyIncoming } from "./apply.ts";
import { EngineError } from "./errors.ts";
import { fetchFeed, startOver } from "./fetch.ts";
import { freeTwins } from "./free-twins.ts";
import { Halt } from "./halt.ts";
import { observe } from "./observe.ts";
import { digestOf, newRunId, type FolderParts } from "./parts.ts";
import { commitPlan, planNow, type GuardedPlan } from "./plan-run.ts";
import { settleIntents } from "./recover.ts";
import { checkRoot } from "./root-guard.ts";
import { newRunContext, skip, type RunContext } from "./run-context.ts";
import { push } from "./push.ts";

/** Rounds of fetch-plan-apply-push in one run: each needs news to be begun, so two or three are the rule (L2). */
const ROUNDS_MAX = 12;

export type RunOptions = {
  /** Look at every file, not only at what events marked. */
  readonly scan: boolean;
  readonly rehash: boolean;
  /** Somebody waits for this run: what is dirty gets up to 30 s to settle. */
  readonly waitSettle: boolean;
  /** Ask the remote even while its change stream has told of nothing: somebody waits for the truth, or the safety poll is due. */
  readonly ask: boolean;
  /** Who made what the scan finds: `rebuild` after the state was lost. */
  readonly origin: Origin;
  /** Carry out the plan with this hash and nothing else; absent: whatever is due. */
  readonly plan?: string;
};
/** How a run looks when a person asks: at everything, with time to settle. A plan that is shown and one that is applied look alike. */
export const ASKED = { scan: true, rehash: false, waitSettle: true, ask: true, origin: "user" } as const satisfies RunOptions;
/** What a run would do now, and the hash that names it. */
export type AheadPlan = { readonly guarded: GuardedPlan; readonly hash: string };
/** `workLeft`: something was put off, run again soon. `retryAfterMs`: what the remote asked for. */
export type RunEnd = {
  readonly summary: RunSummary;
  readonly workLeft: boolean;
  readonly retry: boolean;
  readonly retryAfterMs: number | null;
};

/**
 * Never throws for what a disk or a remote does; the summary tells. The folder's lock is the caller's.
 * @throws EngineError planDrifted where `options.plan` is not the plan any more: nothing was done, and nothing is booked.
 */
export async function runFolder(parts: FolderParts, options: RunOptions, signal: AbortSignal): Promise<RunEnd> {
  const run = newRunId(parts);
  const context = newRunContext(parts, run, signal);
  const startedAtMs = parts.clock.wallMs();
  const startedMono = parts.clock.monoMs();
  parts.observer.runStarted?.(parts.id, run);
  let failure: Failure | null = null;
  try {
    await phases(context, options);
  } catch (error) {
    if (error instanceof EngineError && error.fault === "planDrifted") {
      parts.state.settle();
      parts.observer.runEnded?.(parts.id, run, "failed");
      throw error;
    }
    failure = failureOf(error, signal);
    if (failure.fault === "internal") parts.observer.trouble?.(parts.id, null, error);
  }
  let summary: RunSummary = {
    run,
    folder: parts.id,
    root: parts.root,
    result: failure?.result ?? resultOf(context),
    ...context.counts,
    problems: parts.rows.problems.count(),
    durationMs: Math.round(parts.clock.monoMs() - startedMono),
    startedAtMs,
    error: failure?.message ?? null,
    fault: failure?.fault ?? null,
  };
  try {
    recordRun(parts, summary);
  } catch (error) {
    // The state's own disk refuses: the run can't be booked, so it can't be called done.
    parts.observer.trouble?.(parts.id, null, error);
    failure ??= failureOf(error, signal);
    summary = { ...summary, result: failure.result, error: failure.message, fault: failure.fault };
  }
  parts.observer.runEnded?.(parts.id, run, summary.result);
  return {
    summary,
    workLeft: context.workLeft || context.refetch,
    retry: failure?.retry ?? false,
    retryAfterMs: failure?.retryAfterMs ?? null,
  };
}

async function phases(context: RunContext, options: RunOptions): Promise<void> {
  const { parts } = context;
  await lookHere(context, options);
  await freeTwins(context, options.scan);
  const remote = parts.remote();
  if (remote === null) return;
  const acted =
    options.plan === undefined ? await carryOutAll(context, remote, options) : await carryOutShown(context, remote, options.plan);
  if (!acted) return;
  tell(context, "verify");
  await verify(context, remote);
}

function tell({ parts, run }: RunContext, phase: Parameters<NonNullable<FolderParts["observer"]["phase"]>>[2]): void {
  parts.observer.phase?.(parts.id, run, phase);
}

/** The local side, up to date. @throws Halt when the whole folder must wait. */
async function lookHere(context: RunContext, options: RunOptions): Promise<void> {
  const { parts } = context;
  tell(context, "observe");
  await checkRoot(parts);
  // A disk that failed twice, or a root that was away at the start, left it open what was put in place: nothing is planned before that is known.
  if (parts.rows.applyIntents.all().length > 0) {
    await settleIntents(parts);
    // What can't be told even now (a file that can't be read) waits, and its path with it.
    for (const { path } of parts.rows.applyIntents.all()) skip(context, path);
  }
  await observe(context, options);
  forgetOldTroubles(parts, options.scan);
}

/** Rounds of fetch, plan, apply and push until nothing is due. Returns whether anything was. */
async function carryOutAll(context: RunContext, remote: Remote, options: RunOptions): Promise<boolean> {
  const { parts, signal } = context;
  let current = !options.ask && parts.streamIsCurrent();
  let acted = false;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    signal.throwIfAborted();
    if (!current || context.refetch) {
      tell(context, "fetch");
      await fetchFeed(context, remote);
    }
    current = false;
    if (parts.rows.pending.count() === 0) break;
    tell(context, "plan");
    const guarded = planNow(parts);
    const adopted = commitPlan(parts, guarded);
    const actions = guarded.actions.filter((action) => action.kind !== "adopt" && !context.skipped.has(action.path));
    if (actions.length === 0 && adopted === 0 && !(options.waitSettle && (await calmedDown(context)))) break;
    if (actions.length === 0) {
      // What was adopted moved nothing on either side.
      current = adopted > 0;
      continue;
    }
    acted = true;
    await carryOut(context, remote, { ...guarded, actions });
    const sent = actions.some(({ kind }) => kind === "upload" || kind === "deleteRemote");
    // Nothing of ours is in its list that was not there: what others do from now on is the next run's, as its change stream or its poll tells.
    if (!sent && !context.refetch && parts.rows.pending.count() === 0) break;
  }
  return acted;
}

async function carryOut(context: RunContext, remote: Remote, { actions, approved }: GuardedPlan): Promise<void> {
  tell(context, "apply");
  await applyIncoming(context, remote, actions, approved);
  await freeTwins(context, false);
  tell(context, "push");
  await push(context, remote, actions, approved);
}

/** What a run would do now. Observes, fetches and adopts, but moves nothing on either side. The folder's lock is the caller's. */
export async function lookAhead(parts: FolderParts, signal: AbortSignal): Promise<AheadPlan> {
  const context = newRunContext(parts, newRunId(parts), signal);
  try {
    await lookHere(context, ASKED);
    return await planAhead(context, parts.remote());
  } finally {
    parts.state.settle();
  }
}

/** Adopting comes first, so that a plan is what is left to do: the same whether it is shown or applied. */
async function planAhead(context: RunContext, remote: Remote | null): Promise<AheadPlan> {
  const { parts, skipped } = context;
  if (remote !== null) {
    tell(context, "fetch");
    await fetchFeed(context, remote);
  }
  tell(context, "plan");
  let guarded = planNow(parts);
  if (commitPlan(parts, guarded) > 0) guarded = planNow(parts);
  const actions = guarded.actions.filter((action) => !skipped.has(action.path));
  return { guarded: { ...guarded, actions }, hash: planHash(actions, digestOf(parts)) };
}

/** The plan that a person has seen, in one round. What came up since is left to the next run. @throws EngineError planDrifted */
async function carryOutShown(context: RunContext, remote: Remote, shown: string): Promise<boolean> {
  const { guarded, hash } = await planAhead(context, remote);
  if (hash !== shown)
    throw new EngineError(
      "planDrifted",
      `The plan has changed since it was shown (it was ${shown.slice(0, 8)}, it is ${hash.slice(0, 8)}). Nothing was done. Look at it again with \`satchel plan\`.`,
    );
  context.workLeft = true;
  if (guarded.actions.length === 0) return false;
  await carryOut(context, remote, guarded);
  return true;
}

/** Somebody waits for this run: what an editor was busy with gets its few seconds. True: there is something to go on with. */
async function calmedDown(context: RunContext): Promise<boolean> {
  const { parts, signal, restless } = context;
  const waited = restless.size > 0;
  const endMs = parts.clock.monoMs() + RESTLESS_WAIT_MAX_MS;
  while (parts.clock.monoMs() < endMs && [...restless].some((path) => parts.local.isRestless(path)))
    await parts.clock.sleep(RESTLESS_LOOK_MS, signal);
  for (const path of restless) context.skipped.delete(path);
  restless.clear();
  return waited;
}

const RESTLESS_LOOK_MS = 250;
const RESTLESS_WAIT_MAX_MS = 6_000;
const RETRIED: ReadonlySet<string> = new Set(["missing", "hashMismatch", "diskFull", "applyFailed", "refused"]);
const RETRY_TROUBLE_MS = 60_000;

/** What failed there or on the way here is tried again after a minute, or when somebody asks for a whole look. */
function forgetOldTroubles(parts: FolderParts, all: boolean): void {
  const { rows, state, clock } = parts;
  if (rows.problems.count() === 0) return;
  const beforeMs = clock.wallMs() - RETRY_TROUBLE_MS;
  const due = rows.problems
    .list()
    .filter((problem) => problem.side === "remote" && RETRIED.has(problem.reason) && (all || problem.sinceMs <= beforeMs));
  if (due.length > 0) state.transaction(() => due.forEach((problem) => rows.problems.clear(problem.path, "remote")));
}

/** The remote's own check. A difference may be a race (W32): read on first; only then read everything again, forgetting nothing. */
async function verify(context: RunContext, remote: Remote): Promise<void> {
  const { parts, signal } = context;
  if ((await remote.verify(parts.rows.remote.liveCount(), signal)) === "ok") return;
  context.refetch = true;
  await fetchFeed(context, remote);
  if ((await remote.verify(parts.rows.remote.liveCount(), signal)) === "ok") {
    context.workLeft = true;
    return;
  }
  startOver(parts);
  await fetchFeed(context, remote);
  context.workLeft = true;
  parts.state.transaction(() =>
    parts.state.events.append("remote/recounted", parts.id, { rows: parts.rows.remote.liveCount() }, parts.clock.wallMs()),
  );
}

function resultOf(context: RunContext): RunResult {
  const { rows } = context.parts;
  if (rows.holds.list("held").length > 0) return "held";
  if (context.counts.conflicts > 0) return "conflicts";
  if (rows.problems.count() > 0) return "problems";
  return "insync";
}

function recordRun(parts: FolderParts, summary: RunSummary): void {
  const { rows, state } = parts;
  state.settle();
  const before = rows.runs.last();
  const moved = summary.uploadedFiles + summary.downloadedFiles + summary.deletedLocal + summary.deletedRemote + summary.conflicts > 0;
  // A run that found nothing to do, like the one before it, is no news: it costs no write (O(1), no wear).
  if (!moved && before?.result === summary.result && before.error === summary.error) return;
  state.transaction(() => {
    rows.runs.put(summary);
    state.events.append("run", rows.id, summary, summary.startedAtMs + summary.durationMs);
  });
}

/** Of what ends a whole run: what a person can do about it. Room says so itself. */
const WHAT_NEXT: ReadonlyMap<DiskError["fault"], string> = new Map([
  ["readOnly", "Nothing was lost. Make it writable again; it is tried again by itself."],
  ["tooManyOpen", "Nothing was lost; it is tried again. If it stays so, let the service open more files (`ulimit -n`) and start it again."],
  ["access", "Nothing was lost. Give yourself the right to write there; it is tried again by itself."],
  ["io", "Nothing was lost. Check the disk; it is tried again by itself."],
]);

type Failure = {
  readonly result: RunResult;
  readonly fault: RunFault;
  readonly message: string;
  readonly retry: boolean;
  readonly retryAfterMs: number | null;
};

function failureOf(error: unknown, signal: AbortSignal): Failure {
  const failed = (fault: RunFault, message: string, retry: boolean, retryAfterMs: number | null = null): Failure => ({
    result: "failed",
    fault,
    message,
    retry,
    retryAfterMs,
  });
  if (error instanceof Halt)
    return { result: error.result, fault: error.fault, message: error.message, retry: error.retry, retryAfterMs: null };
  if (signal.aborted) return failed("cancelled", "The run was cancelled; what it had finished stays.", false);
  if (error instanceof RemoteError) return failed(error.fault, error.message, true, error.retryAfterMs);
  if (error instanceof TransportError) return failed("offline", error.message, true);
  if (error instanceof StoreError && (error.fault === "full" || error.fault === "io")) {
    const why =
      error.fault === "full" ? "The disk that holds Satchel's own state is full" : "The disk that holds Satchel's own state failed";
    return failed("diskFull", `${why}: ${error.message} Nothing was lost; make room, it is tried again.`, true);
  }
  if (error instanceof DiskError) {
    const next = WHAT_NEXT.get(error.fault);
    return failed(error.fault === "noSpace" ? "diskFull" : "disk", next === undefined ? error.message : `${error.message} ${next}`, true);
  }
  return failed(
    "internal",
    `The run met a fault of our own: ${error instanceof Error ? error.message : String(error)}. Nothing was lost; it will be tried again.`,
    true,
  );
}
