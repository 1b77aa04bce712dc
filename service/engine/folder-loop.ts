/** One folder's life: events only record facts, `decideSchedule` decides, one run at a time. */
import type { Origin, RunSummary } from "../core/model.ts";
import {
  decideSchedule,
  nextLookMs,
  POLL_STREAMED_MS,
  REHASH_EVERY_MS,
  retryDelayMs,
  ROOT_FAULTS,
  type ScheduleFacts,
} from "../core/schedule.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";
import { ASKED, lookAhead, runFolder, type AheadPlan, type RunEnd, type RunOptions } from "./run.ts";

/** Something was put off (a restless path, a file that changed under us): looked at again after this. */
const WORK_LEFT_MS = 1_000;
/** The loop looks up at least this often; wall and monotonic clock further apart than this since then: the machine was asleep. */
const LOOK_UP_MS = 60_000;
const WAKE_JUMP_MS = 30_000;
/** How often to look before a remote has said what suits it. */
const POLL_UNKNOWN_MS = 60_000;

/** Faults of a remote that is not there, or behind a proxy that says so. */
const UNREACHED: ReadonlySet<string> = new Set(["offline", "retry"]);

const WOKEN = new Error("a fact changed");

type Waiter = { readonly scan: boolean; readonly resolve: (summary: RunSummary) => void; readonly reject: (error: Error) => void };

export class FolderLoop {
  readonly #parts: FolderParts;
  readonly #firstOrigin: Origin;
  readonly #facts: LoopFacts;
  readonly #looping: Promise<void>;
  #stream = new AbortController();
  #waiters: Waiter[] = [];
  #running: AbortController | null = null;
  #pause = new AbortController();
  #tail: Promise<unknown> = Promise.resolve();
  #runEnded = Promise.withResolvers<void>();
  #closed = false;
  #apartMs: number;
  #lastEnd: RunEnd | null = null;
  #nextRunAtMs: number | null = null;
  #streamTryAtMs: number | null = null;

  constructor(parts: FolderParts, options: { readonly paused: boolean; readonly firstOrigin: Origin }) {
    this.#parts = parts;
    this.#firstOrigin = options.firstOrigin;
    this.#facts = {
      paused: options.paused,
      watching: false,
      lastScanMs: null,
      lastRehashMs: lastRehashMono(parts),
      lastRunMs: null,
      retryAtMs: null,
      pushAtMs: null,
      failures: 0,
      workLeft: false,
      told: null,
      lineLost: false,
      lineChanged: false,
      reachableAgain: false,
    };
    this.#apartMs = parts.clock.wallMs() - parts.clock.monoMs();
    this.#looping = this.#loop();
  }

  /** Resolves with the first run begun after the call; callers share it. `scan`: look at every file. */
  async request(scan: boolean): Promise<RunSummary> {
    if (this.#closed) throw stopping();
    const { promise, resolve, reject } = Promise.withResolvers<RunSummary>();
    this.#waiters.push({ scan, resolve, reject });
    this.wake();
    return await promise;
  }

  /** A fact changed (hint, stream, settings): decide again. */
  wake(): void {
    // A reason made once: an abort without one captures a stack, and hints come by the thousand.
    if (!this.#pause.signal.aborted) this.#pause.abort(WOKEN);
  }

  /** Runs `work` while no run does; runs wait for it. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#tail;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tail = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }

  /** What a run would do now; moves nothing. What it found out is synced soon after, as after any look. @throws Halt, RemoteError */
  async plan(): Promise<AheadPlan> {
    return await this.exclusive(async () => {
      const ahead = await lookAhead(this.#parts, AbortSignal.any([]));
      this.#facts.workLeft ||= this.#parts.rows.pending.count() > 0;
      this.wake();
      return ahead;
    });
  }

  /** Compares and runs in one turn: the plan with this hash or nothing. @throws EngineError planDrifted */
  async runPlan(hash: string): Promise<RunSummary> {
    return await this.exclusive(async () => {
      if (this.#closed) throw stopping();
      return await this.#carryOut({ ...ASKED, plan: hash });
    });
  }

  cancel(): void {
    this.#running?.abort(new Error("the run was cancelled"));
  }

  setPaused(paused: boolean): void {
    this.#facts.paused = paused;
    if (paused) this.cancel();
    this.wake();
  }

  setWatching(watching: boolean): void {
    this.#facts.watching = watching;
    this.wake();
  }

  /** The change stream told of this position (null: the stream is down). */
  setStream(position: string | null): void {
    const facts = this.#facts;
    if (position === null && facts.told !== null) {
      facts.lineLost = true;
      facts.lineChanged = true;
    }
    if (position !== null && facts.told === null) {
      facts.lineChanged ||= facts.lineLost;
      facts.lineLost = false;
      const last = this.#lastEnd;
      facts.reachableAgain = last !== null && UNREACHED.has(last.summary.fault ?? "") && last.retryAfterMs === null;
    }
    facts.told = position;
    this.wake();
  }

  /** The stream is down and tried again at this moment (Clock.monoMs); null: now. */
  setStreamTry(atMs: number | null): void {
    this.#streamTryAtMs = atMs;
  }

  /** Another remote, or another key: what was followed tells nothing any more. */
  resetStream(): void {
    this.#facts.told = null;
    this.#facts.lineLost = false;
    this.#stream.abort(WOKEN);
    this.#stream = new AbortController();
    this.#runEnded.resolve();
    this.#runEnded = Promise.withResolvers<void>();
  }

  /** Aborted when what is followed should not be followed any more. */
  get streamSignal(): AbortSignal {
    return this.#stream.signal;
  }

  /** The settings changed or somebody signed in: what failed before may work now. */
  tryAgain(): void {
    this.#facts.retryAtMs = null;
    this.#facts.failures = 0;
    this.#facts.workLeft = true;
    this.wake();
  }

  /** Nothing is known there that was not read: the remote need not be asked. */
  streamIsCurrent(): boolean {
    const cursor = this.#parts.rows.cursor.get();
    const { told } = this.#facts;
    return told !== null && cursor !== undefined && !cursor.full && Number(told) <= Number(cursor.position);
  }

  /** Resolves when the next run has ended (or the loop closes). */
  async nextRunEnd(): Promise<void> {
    await this.#runEnded.promise;
  }

  status(): LoopStatus {
    return {
      running: this.#running !== null,
      lastEnd: this.#lastEnd,
      nextRunAtMs: nextLookMs({
        runAtMs: this.#nextRunAtMs,
        // Of a stream that was never open, the return says nothing new.
        streamTryAtMs: this.#facts.lineLost ? this.#streamTryAtMs : null,
        notBeforeMs: (this.#lastEnd?.retryAfterMs ?? null) === null ? null : this.#facts.retryAtMs,
      }),
      watching: this.#facts.watching,
      paused: this.#facts.paused,
    };
  }

  /** Ends the run under way at its next step and waits for it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#running?.abort(new Error("the service is stopping"));
    this.wake();
    await this.#looping;
    await this.#tail;
    for (const waiter of this.#waiters) waiter.reject(stopping());
    this.#runEnded.resolve();
  }

  async #loop(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#closed) {
      this.#pause = new AbortController();
      this.#noticeWake();
      const decision = decideSchedule(this.#scheduleFacts(), clock.monoMs());
      if (decision.kind === "run") {
        await this.exclusive(async () => await this.#runOnce(decision.scan, decision.rehash));
        continue;
      }
      this.#nextRunAtMs = decision.untilMs;
      await sleepUntil(this.#parts, decision.untilMs, this.#pause.signal);
    }
  }

  /** A sleeping machine heard no events and no stream; its monotonic clock stood still while the wall clock went on (WA13). */
  #noticeWake(): void {
    const { clock, local } = this.#parts;
    const apartMs = clock.wallMs() - clock.monoMs();
    const jumpedMs = Math.abs(apartMs - this.#apartMs);
    this.#apartMs = apartMs;
    if (jumpedMs < WAKE_JUMP_MS) return;
    local.hint(null);
    this.#facts.told = null;
    this.#facts.retryAtMs = null;
  }

  #scheduleFacts(): ScheduleFacts {
    const { told, lineLost: _, ...facts } = this.#facts;
    const remote = this.#parts.remote();
    return {
      ...facts,
      running: this.#running !== null,
      requested: this.#waiters.length > 0,
      requestedScan: this.#waiters.some((waiter) => waiter.scan),
      hasRemote: remote !== null,
      scanNeeded: this.#parts.local.needsScan(),
      settlesAtMs: this.#parts.local.settlesAtMs(),
      remoteChanged: told !== null && !this.streamIsCurrent(),
      streaming: told !== null,
      pollEveryMs: remote?.limits.pollEveryMs ?? POLL_UNKNOWN_MS,
    };
  }

  async #runOnce(scan: boolean, rehash: boolean): Promise<void> {
    if (this.#closed) return;
    const served = this.#waiters;
    this.#waiters = [];
    const { lastRunMs, lineChanged } = this.#facts;
    const pollDue = lineChanged || lastRunMs === null || this.#parts.clock.monoMs() - lastRunMs >= POLL_STREAMED_MS;
    try {
      const origin = this.#facts.lastScanMs === null ? this.#firstOrigin : "user";
      const waited = served.length > 0;
      const summary = await this.#carryOut({ scan, rehash, waitSettle: waited, ask: waited || pollDue, origin });
      for (const waiter of served) waiter.resolve(summary);
    } catch (error) {
      for (const waiter of served) waiter.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #carryOut(options: RunOptions): Promise<RunSummary> {
    this.#running = new AbortController();
    this.#facts.lineChanged = false;
    this.#facts.reachableAgain = false;
    try {
      const end = await runFolder(this.#parts, options, this.#running.signal);
      this.#lastEnd = end;
      noteEnd(this.#parts, this.#facts, end, options);
      return end.summary;
    } catch (error) {
      if (error instanceof EngineError) this.#facts.workLeft ||= this.#parts.rows.pending.count() > 0;
      else {
        // A fault of ours must end neither the service nor the folder: it is told, and tried again later.
        this.#parts.observer.trouble?.(this.#parts.id, null, error);
        this.#facts.failures += 1;
        const failed = { fault: null, failures: this.#facts.failures, retryAfterMs: null };
        this.#facts.retryAtMs = this.#parts.clock.monoMs() + retryDelayMs(failed, this.#parts.random);
      }
      throw error;
    } finally {
      this.#running = null;
      const ended = this.#runEnded;
      this.#runEnded = Promise.withResolvers<void>();
      ended.resolve();
      this.wake();
    }
  }
}

function stopping(): EngineError {
  return new EngineError("stopping", "The service is stopping; nothing was lost. Start it again with `satchel service start`.");
}

export type LoopStatus = {
  readonly running: boolean;
  readonly lastEnd: RunEnd | null;
  /** Of Clock.monoMs; null: at the next event. */
  readonly nextRunAtMs: number | null;
  readonly watching: boolean;
  readonly paused: boolean;
};

type LoopFacts = {
  paused: boolean;
  watching: boolean;
  /** What the change stream told last; null: it is not open. */
  told: string | null;
  /** It was open once and broke. */
  lineLost: boolean;
  lineChanged: boolean;
  reachableAgain: boolean;
  lastScanMs: number | null;
  lastRehashMs: number;
  lastRunMs: number | null;
  retryAtMs: number | null;
  pushAtMs: number | null;
  failures: number;
  workLeft: boolean;
};

/** The last whole hashing on the monotonic clock; a clock that went back makes it due rather than late. */
function lastRehashMono({ rows, clock }: FolderParts): number {
  const lastMs = rows.rehash.lastMs();
  if (lastMs === null) return clock.monoMs();
  const agoMs = clock.wallMs() - lastMs;
  return clock.monoMs() - (agoMs < 0 ? REHASH_EVERY_MS : agoMs);
}

/** What a run's end means for the next one. */
function noteEnd(parts: FolderParts, facts: LoopFacts, end: RunEnd, options: { readonly scan: boolean; readonly rehash: boolean }): void {
  const nowMs = parts.clock.monoMs();
  const { fault } = end.summary;
  const noRoot = fault !== null && ROOT_FAULTS.has(fault);
  // Nobody told of what happened to the files meanwhile.
  if (noRoot) parts.local.hint(null);
  const looked = !noRoot && fault !== "disk" && fault !== "cancelled";
  if (looked && (options.scan || !parts.local.needsScan())) {
    if (options.scan || facts.lastScanMs === null) facts.lastScanMs = nowMs;
    if (options.rehash || parts.rows.rehash.lastMs() === null) {
      facts.lastRehashMs = nowMs;
      parts.state.transaction(() => parts.rows.rehash.done(parts.clock.wallMs()));
    }
  }
  facts.lastRunMs = nowMs;
  facts.workLeft = end.workLeft;
  facts.failures = end.retry ? facts.failures + 1 : 0;
  if (end.retry) {
    const failed = { fault, failures: facts.failures, retryAfterMs: end.retryAfterMs };
    facts.retryAtMs = nowMs + retryDelayMs(failed, parts.random);
  } else facts.retryAtMs = end.workLeft ? nowMs + WORK_LEFT_MS : null;
  const pushEveryMs = parts.remote()?.limits.pushEveryMs ?? 0;
  facts.pushAtMs = pushEveryMs > 0 && end.summary.uploadedFiles + end.summary.deletedRemote > 0 ? nowMs + pushEveryMs : facts.pushAtMs;
}

/** Sleeps until a moment of Clock.monoMs, or for ever (null), or until woken. */
async function sleepUntil(parts: FolderParts, untilMs: number | null, signal: AbortSignal): Promise<void> {
  // Never long: only a waking loop notices that the machine had been asleep.
  const delayMs = Math.min(LOOK_UP_MS, Math.max(0, (untilMs ?? Number.POSITIVE_INFINITY) - parts.clock.monoMs()));
  try {
    await parts.clock.sleep(delayMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
