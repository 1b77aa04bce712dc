/** Hashes files off the main thread: two workers while the data is in memory, eight while the disk must be waited for; none when idle. */
import { Worker } from "node:worker_threads";

import { DiskError, type HashResult } from "../core/ports.ts";
import type { HashReply, HashRequest } from "./hash-worker.ts";

/** Warm data is bound by processors, cold data by the disk's queue depth (measured: 8 threads read 2.4–3.1 times as fast as one). */
const WARM_WORKERS = 2;
const COLD_WORKERS = 8;
/** A worker costs 16–20 MB: it ends after this long without work. */
const IDLE_MS = 3_000;
/** Paths per message: large enough to hide the message, small enough to share the work out. */
const CHUNK_PATHS = 256;
/** What warm data takes at most: per file, and per byte (500 MB/s). Three times as long means that the disk is being waited for. */
const WARM_FILE_MS = 0.03;
const WARM_BYTE_MS = 1 / 500_000;
const COLD_FACTOR = 3;

type Job = { readonly paths: readonly string[]; readonly maxBytes: number; readonly done: PromiseWithResolvers<readonly HashResult[]> };
type Hand = { readonly worker: Worker; job: Job | null };

/** Owns its workers; `close` ends them. */
export class HashPool {
  readonly #workerUrl: URL;
  readonly #hands = new Set<Hand>();
  readonly #queue: Job[] = [];
  #wanted = WARM_WORKERS;
  #idle: NodeJS.Timeout | null = null;
  #closed = false;
  #nextId = 1;

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
      const free = [...this.#hands].find((hand) => hand.job === null) ?? (this.#hands.size < this.#wanted ? this.#hire() : null);
      if (free === null) return;
      const job = this.#queue.shift();
      if (job === undefined) return;
      free.job = job;
      free.worker.ref();
      free.worker.postMessage({ id: this.#nextId++, paths: job.paths, maxBytes: job.maxBytes } satisfies HashRequest);
    }
    if ([...this.#hands].every((hand) => hand.job === null)) {
      this.#idle = setTimeout(() => void this.#dismiss(), IDLE_MS);
      this.#idle.unref();
    }
  }

  #hire(): Hand {
    const hand: Hand = { worker: new Worker(this.#workerUrl), job: null };
    hand.worker.on("message", (reply: HashReply) => {
      this.#wanted = isCold(reply) ? COLD_WORKERS : this.#wanted;
      const job = hand.job;
      hand.job = null;
      // An idle worker keeps no process alive; a busy one does.
      hand.worker.unref();
      job?.done.resolve(reply.results);
      this.#deal();
    });
    hand.worker.on("error", (error) => {
      this.#hands.delete(hand);
      hand.job?.done.reject(new DiskError("other", `Could not hash: the hash worker failed (${String(error)}).`, { cause: error }));
      this.#deal();
    });
    hand.worker.on("exit", () => {
      if (!this.#hands.delete(hand)) return;
      hand.job?.done.reject(new DiskError("other", "Could not hash: the hash worker ended."));
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
    for (const hand of hands) hand.job?.done.reject(new DiskError("other", "Could not hash: the service is stopping."));
    await Promise.all(hands.map(async (hand) => await hand.worker.terminate()));
  }
}

function isCold(reply: HashReply): boolean {
  const warmMs = reply.results.length * WARM_FILE_MS + reply.bytes * WARM_BYTE_MS;
  return reply.results.length > 8 && reply.elapsedMs > COLD_FACTOR * warmMs;
}
