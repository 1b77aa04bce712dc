/**
 * When a folder runs next: events only record facts, then this one function decides. Times are Clock.monoMs.
 */
import { backOffMs } from "./back-off.ts";
import type { Random } from "./ports.ts";

/** Whole look at the disk while events work, and where they don't. */
export const SCAN_EVERY_MS = 10 * 60_000;
export const SCAN_UNWATCHED_MS = 60_000;
/** All files are hashed again, at idle (CT04). */
export const REHASH_EVERY_MS = 24 * 3_600_000;
/** With a live change stream the poll is only a safety net. */
export const POLL_STREAMED_MS = 5 * 60_000;

/** A remote that can't be reached is tried again at least this often: a poll's own pace, and no load on a server that is not there. */
const OFFLINE_RETRY_MAX_MS = 60_000;
/** A root that is away is looked for at least this often: a few looks at the disk, and the folder is back when the root is. */
const ROOT_LOOK_MAX_MS = 15_000;
/** A stream that broke is opened again this often within a second each, before the waits grow. */
const STREAM_QUICK_TRIES = 3;

/** The root as a whole is not to be had: every run ends before it has looked at anything. */
export const ROOT_FAULTS: ReadonlySet<string> = new Set(["rootMissing", "rootReplaced", "markerGone", "unreadable"]);

/** Milliseconds until a failed run is tried again. `failures`: in a row, 1 after the first; `retryAfterMs`: what the remote asked for. */
export function retryDelayMs(
  failed: { readonly fault: string | null; readonly failures: number; readonly retryAfterMs: number | null },
  random: Random,
): number {
  const delayMs = backOffMs(failed.failures, random, failed.retryAfterMs);
  if (failed.retryAfterMs !== null || failed.fault === null) return delayMs;
  if (ROOT_FAULTS.has(failed.fault)) return Math.min(delayMs, ROOT_LOOK_MAX_MS);
  return failed.fault === "offline" ? Math.min(delayMs, OFFLINE_RETRY_MAX_MS) : delayMs;
}

/** Milliseconds until a change stream that broke is opened again: a server that is started anew is met within a second or two, by chance not by all at once. */
export function streamRetryMs(failures: number, random: Random): number {
  return Math.min(OFFLINE_RETRY_MAX_MS, backOffMs(Math.max(1, failures - STREAM_QUICK_TRIES + 1), random));
}

export type ScheduleFacts = {
  readonly paused: boolean;
  readonly running: boolean;
  /** Somebody asked for a run (API); `scan`: a whole look. */
  readonly requested: boolean;
  readonly requestedScan: boolean;
  readonly hasRemote: boolean;
  readonly watching: boolean;
  /** The local tree asks for a whole look (start, lost events). */
  readonly scanNeeded: boolean;
  /** When the first dirty path has settled; null: none is dirty. */
  readonly settlesAtMs: number | null;
  readonly lastScanMs: number | null;
  readonly lastRehashMs: number;
  readonly lastRunMs: number | null;
  /** The remote told of a change, or a run left work behind. */
  readonly remoteChanged: boolean;
  readonly workLeft: boolean;
  /** After a failure: not before this; null: no failure. */
  readonly retryAtMs: number | null;
  readonly streaming: boolean;
  /** The change stream broke, or was opened again after that, since the last run began: whether the remote is there has to be found out. */
  readonly lineChanged: boolean;
  /** The last run could not reach the remote, and the change stream is open again since: there is nothing to wait for. */
  readonly reachableAgain: boolean;
  readonly pollEveryMs: number;
  /** Not before this may we push again (AnkiWeb); only delays what nobody asked for. */
  readonly pushAtMs: number | null;
};
export type ScheduleDecision =
  | { readonly kind: "run"; readonly scan: boolean; readonly rehash: boolean }
  | { readonly kind: "wait"; readonly untilMs: number | null };

/** Run now, or wait until a moment (null: until the next event). */
export function decideSchedule(facts: ScheduleFacts, nowMs: number): ScheduleDecision {
  if (facts.running) return { kind: "wait", untilMs: null };
  if (facts.requested) return { kind: "run", scan: facts.requestedScan || facts.scanNeeded, rehash: false };
  if (facts.paused) return { kind: "wait", untilMs: null };
  const due = dueTimes(facts, nowMs);
  const soonest = Math.min(...Object.values(due));
  const retryAtMs = facts.reachableAgain ? null : facts.retryAtMs;
  const notBefore = Math.max(retryAtMs ?? soonest, facts.pushAtMs ?? soonest, soonest);
  if (notBefore > nowMs) return { kind: "wait", untilMs: notBefore };
  return { kind: "run", scan: due.scan <= nowMs || due.rehash <= nowMs, rehash: due.rehash <= nowMs };
}

/**
 * When a folder is looked at again as far as can be told (null: at the next event). The next try of a change stream that broke brings a run
 * where it succeeds, and not before a moment that the remote itself asked for.
 */
export function nextLookMs(next: {
  readonly runAtMs: number | null;
  /** null: the stream is open, or none was. */
  readonly streamTryAtMs: number | null;
  readonly notBeforeMs: number | null;
}): number | null {
  const { runAtMs, streamTryAtMs, notBeforeMs } = next;
  if (streamTryAtMs === null) return runAtMs;
  return Math.min(runAtMs ?? Number.POSITIVE_INFINITY, Math.max(streamTryAtMs, notBeforeMs ?? streamTryAtMs));
}

function dueTimes(facts: ScheduleFacts, nowMs: number) {
  const scanEveryMs = facts.watching ? SCAN_EVERY_MS : SCAN_UNWATCHED_MS;
  const pollEveryMs = facts.streaming ? Math.max(POLL_STREAMED_MS, facts.pollEveryMs) : facts.pollEveryMs;
  return {
    scan: facts.scanNeeded || facts.lastScanMs === null ? nowMs : facts.lastScanMs + scanEveryMs,
    rehash: facts.lastRehashMs + REHASH_EVERY_MS,
    dirty: facts.settlesAtMs ?? Number.POSITIVE_INFINITY,
    remote: facts.remoteChanged || facts.lineChanged || facts.workLeft ? nowMs : Number.POSITIVE_INFINITY,
    poll: facts.hasRemote ? (facts.lastRunMs ?? nowMs - pollEveryMs) + pollEveryMs : Number.POSITIVE_INFINITY,
  };
}
