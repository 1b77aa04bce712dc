/** Hashes files off the main thread: two workers while the data is in memory, eight while the disk must be waited for; none when idle. */
import { Worker } from "node:worker_threads";

import type { Stat } from "../core/model.ts";
import { DiskError, type HashResult } from "../core/ports.ts";
import { STAT_NUMBERS, type HashReply, type HashRequest } from "./hash-message.ts";

/** Warm data is bound by processors, cold data by the disk's queue depth (measured: 8 threads read 2.4–3.1 times as fast as one). */
const WARM_WORKERS = 2;
const COLD_WORKERS = 8;
/** A worker costs 16–20 MB: it ends after this long without work. */
const IDLE_MS = 3_000;
/** Paths per message: large enough to hide the message, small enough to share the work out. */
const CHUNK_PATHS = 256;
/** Chunks posted ahead to one worker: it must not wait for the main thread, which walks in slices of 5 ms, while it hashes in 1. */
const AHEAD = 8;
/** What warm data takes at most: per file, and per byte (500 MB/s). Three times as long means that the disk is being waited for. */
const WARM_FILE_MS = 0.03;
const WARM_BYTE_MS = 1 / 500_000;
const COLD_FACTOR = 3;

type Job = { readonly paths: readonly string[]; readonly maxBytes: number; readonly done: PromiseWithResolvers<readonly HashResult[]> };
/** A worker and what it was posted, in order. */
type Hand = { readonly worker: Worker; readonly jobs: Job[] };

/** Owns its workers; `close` ends them. */
export class HashPool {
  readonly #workerUrl: URL;
  readonly #hands = new Set<Hand>();
  readonly #queue: Job[] = [];
  #wanted = WARM_WORKERS;
  #idle: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(workerUrl: URL) {
    this.#workerUrl = workerUrl;
  }

  /** Workers are up: a message is cheaper than reading here. */
  get awake(): boolean {
    return this.#hands.size > 0;
  }

  /** Results in the order of `paths`. @throws DiskError when a worker died; the signal's reason when aborted between chunks. */
  async hash(paths: readonly string[], maxBytes: number, signal: AbortSignal): Promise<readonly HashResult[]> {
    const jobs: Job[] = [];
    const size = Math.max(1, Math.min(CHUNK_PATHS, Math.ceil(paths.length / WARM_WORKERS)));
    for (let at = 0; at < paths.length; at += size) {
      jobs.push({ paths: paths.slice(at, at + size), maxBytes, done: Promise.withResolvers() });
    }
    const onAbort = () => this.#drop(jobs, signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#queue.push(...jobs);
      this.#deal();
      const parts = await Promise.all(jobs.map(async (job) => await job.done.promise));
      signal.throwIfAborted();
      return parts.flat();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#drop([...this.#queue], new DiskError("other", "Could not hash: the service is stopping."));
    await this.#dismiss();
  }

  #drop(jobs: readonly Job[], reason: unknown): void {
    for (const job of jobs) {
      const at = this.#queue.indexOf(job);
      if (at >= 0) this.#queue.splice(at, 1);
      // One that a worker has begun resolves by itself; rejecting it as well lets its caller go at once.
      job.done.reject(reason);
    }
  }

  #deal(): void {
    if (this.#closed) {
      this.#drop([...this.#queue], new DiskError("other", "Could not hash: the service is stopping."));
      return;
    }
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    while (this.#queue.length > 0) {
      const hand = this.#freest();
      const job = hand === null ? undefined : this.#queue.shift();
      if (hand === null || job === undefined) return;
      hand.jobs.push(job);
      hand.worker.ref();
      hand.worker.postMessage({ paths: job.paths, maxBytes: job.maxBytes } satisfies HashRequest);
    }
    if ([...this.#hands].every((hand) => hand.jobs.length === 0)) {
      this.#idle = setTimeout(() => void this.#dismiss(), IDLE_MS);
      this.#idle.unref();
    }
  }

  /** An idle worker, a new one, or the one with the least to do; null when all have enough. */
  #freest(): Hand | null {
    let best: Hand | null = null;
    for (const hand of this.#hands) if (best === null || hand.jobs.length < best.jobs.length) best = hand;
    if (best?.jobs.length !== 0 && this.#hands.size < this.#wanted) return this.#hire();
    return best !== null && best.jobs.length < AHEAD ? best : null;
  }

  #hire(): Hand {
    const hand: Hand = { worker: new Worker(this.#workerUrl), jobs: [] };
    hand.worker.on("message", (reply: HashReply) => {
      this.#wanted = isCold(reply) ? COLD_WORKERS : this.#wanted;
      const job = hand.jobs.shift();
      job?.done.resolve(resultsOf(reply, job.paths.length));
      // An idle worker keeps no process alive; a busy one does.
      if (hand.jobs.length === 0) hand.worker.unref();
      this.#deal();
    });
    hand.worker.on("error", (error) => {
      this.#hands.delete(hand);
      this.#drop(hand.jobs, new DiskError("other", `Could not hash: the hash worker failed (${String(error)}).`, { cause: error }));
      this.#deal();
    });
    hand.worker.on("exit", () => {
      if (this.#hands.delete(hand)) this.#drop(hand.jobs, new DiskError("other", "Could not hash: the hash worker ended."));
    });
    hand.worker.unref();
    this.#hands.add(hand);
    return hand;
  }

  async #dismiss(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    this.#wanted = WARM_WORKERS;
    const hands = [...this.#hands];
    this.#hands.clear();
    for (const hand of hands) this.#drop(hand.jobs, new DiskError("other", "Could not hash: the service is stopping."));
    await Promise.all(hands.map(async (hand) => await hand.worker.terminate()));
  }
}

function resultsOf(reply: HashReply, count: number): readonly HashResult[] {
  const { sha1s, stats, others } = reply;
  const results: HashResult[] = [];
  for (let index = 0; index < count; index += 1) {
    const other = others.get(index);
    results.push(other ?? { kind: "hashed", sha1: sha1s.slice(index * 40, index * 40 + 40), stat: statAt(stats, index * STAT_NUMBERS) });
  }
  return results;
}

function statAt(stats: Float64Array, at: number): Stat {
  const number = (offset: number): number => stats[at + offset] ?? 0;
  return {
    kind: "file",
    sizeBytes: number(0),
    mtimeNs: number(1),
    ctimeNs: number(2),
    fileId: number(3),
    dev: number(4),
    links: number(5),
    mode: number(6),
  };
}

function isCold(reply: HashReply): boolean {
  const files = reply.sha1s.length / 40;
  const warmMs = files * WARM_FILE_MS + reply.bytes * WARM_BYTE_MS;
  return files > 8 && reply.elapsedMs > COLD_FACTOR * warmMs;
}
