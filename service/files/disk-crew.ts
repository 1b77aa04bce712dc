/** Hashes, reads and makes files off the main thread: two workers while the data is in memory, eight while the disk must be waited for; none when idle. */
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import type { Stat } from "../core/model.ts";
import { DiskError, type HashResult } from "../core/ports.ts";
import { HASHES_ALONG, hashAlong, lookAlong } from "./disk-along.ts";
import { refusal } from "./disk-fault.ts";
import {
  hashRequest,
  LOOKED,
  NO_HASH,
  STAT_NUMBERS,
  statAt,
  type CreateReply,
  type DiskReply,
  type DiskRequest,
  type HashReply,
  type ListReply,
  type Posted,
} from "./disk-message.ts";

/** Warm data is bound by processors, cold data by the disk's queue depth (measured: 8 threads read 2.4–3.1 times as fast as one). */
const WARM_WORKERS = Math.max(1, Math.min(2, availableParallelism() - 1));
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
/** Waits per file, at least, where it is the disk: on a processor that others want too, eight workers only cost twice the work of one. */
const COLD_WAITS = 0.5;

/** Parts of a listing that the main thread looks at while a worker lists: one, and one that is on its way. None any more once one was slow to be had. */
const PARTS_ALONG = 2;

/** New files per message, and their bytes: memory of this size is used again and again. */
const CREATE_PATHS = 128;
const CREATE_BYTES = 4 * 1024 * 1024;
const MEMORIES_KEPT = 4;

type Job = {
  readonly request: DiskRequest;
  readonly transfer: readonly ArrayBuffer[];
  readonly answered: (reply: DiskReply) => void;
  readonly failed: (reason: unknown) => void;
};
/** A worker and what it was posted, by id. */
type Hand = { readonly worker: Worker; readonly jobs: Map<number, Job> };

/** A file to be made; `mode` undefined: the usual permission bits. */
export type NewFile = { readonly path: string; readonly bytes: Uint8Array; readonly mode: number | undefined };

/** A small file to be read whole: into `room`, a view of shared memory, which has one byte more than the file should have. */
export type Reading = { readonly path: string; readonly room: Uint8Array<SharedArrayBuffer> };
/** What was read; its hash is of the bytes as they were read. */
export type ReadHashed = { readonly bytes: Uint8Array; readonly stat: Stat; readonly sha1: string };
export type NewName = { readonly from: string; readonly to: string };

/** Owns its workers; `close` ends them. */
export class DiskCrew {
  readonly #workerUrl: URL;
  readonly #hands = new Set<Hand>();
  readonly #queue: Job[] = [];
  readonly #memories: ArrayBuffer[] = [];
  #wanted = WARM_WORKERS;
  #idle: NodeJS.Timeout | null = null;
  #closed = false;
  #along = false;
  #posted = 0;
  #hashedMs = 0;

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
    const parts: Promise<readonly HashResult[]>[] = [];
    const size = Math.max(1, Math.min(CHUNK_PATHS, Math.ceil(paths.length / WARM_WORKERS)));
    for (let at = 0; at < paths.length; at += size) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly HashResult[]>();
      const part = paths.slice(at, at + size);
      const answered = (reply: DiskReply): void => resolve(reply.kind === "hash" ? resultsOf(reply, part.length) : []);
      jobs.push({ request: hashRequest(part, maxBytes), transfer: [], answered, failed: reject });
      parts.push(promise);
    }
    const onAbort = () => this.#drop(jobs, signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#queue.push(...jobs);
      this.#deal();
      void this.#hashAlong();
      const results = await Promise.all(parts);
      signal.throwIfAborted();
      return results.flat();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Makes each file, writes and fsyncs it; its stat, or why it could not be made (then nothing is left of it), in order. */
  async create(files: readonly NewFile[]): Promise<readonly (Stat | DiskError)[]> {
    const parts: Promise<readonly (Stat | DiskError)[]>[] = [];
    for (let from = 0; from < files.length;) {
      let to = from;
      for (let bytes = 0; to < files.length && to - from < CREATE_PATHS; to += 1) {
        bytes += files[to]?.bytes.length ?? 0;
        if (to > from && bytes > CREATE_BYTES) break;
      }
      parts.push(this.#createPart(files.slice(from, to)));
      from = to;
    }
    this.#deal();
    return (await Promise.all(parts)).flat();
  }

  /** Small files into one piece of shared memory, in order; null: to be read by whoever can tell what is wrong with it, or has other memory. */
  async read(files: readonly Reading[]): Promise<readonly (ReadHashed | null)[]> {
    const memory = files[0]?.room.buffer;
    if (memory === undefined) return [];
    const taken = files.filter(({ room }) => room.buffer === memory);
    const rooms = new Float64Array(taken.flatMap(({ room }) => [room.byteOffset, room.length]));
    const reply = await this.#ask({ kind: "read", paths: taken.map(({ path }) => path), rooms, memory }, [rooms.buffer]);
    if (reply.kind !== "read") throw wrongReply(reply);
    let index = -1;
    return files.map(({ room }) => {
      if (room.buffer !== memory) return null;
      index += 1;
      const sha1 = reply.sha1s.slice(index * 40, index * 40 + 40);
      if (sha1 === NO_HASH) return null;
      return { bytes: room.subarray(0, room.length - 1), stat: statAt(reply.stats, index * STAT_NUMBERS), sha1 };
    });
  }

  /** True for each name that was made, in order; null: it could not be. */
  async link(names: readonly NewName[]): Promise<readonly (true | null)[]> {
    return await this.#names({ kind: "link", from: names.map(({ from }) => from), to: names.map(({ to }) => to) }, names.length);
  }

  /** True for each name that went, in order; null: it could not be. */
  async unlink(paths: readonly string[]): Promise<readonly (true | null)[]> {
    return await this.#names({ kind: "unlink", paths }, paths.length);
  }

  /** A look at each, in order; null: it is no regular file, or whoever can tell why must look. */
  async look(paths: readonly string[]): Promise<readonly (Stat | null)[]> {
    const reply = await this.#ask({ kind: "look", paths }, []);
    if (reply.kind !== "look") throw wrongReply(reply);
    return paths.map((_, index) => (reply.kinds[index] === LOOKED.file ? statAt(reply.stats, index * STAT_NUMBERS) : null));
  }

  async #names(request: DiskRequest, count: number): Promise<readonly (true | null)[]> {
    const reply = await this.#ask(request, []);
    if (reply.kind !== "names") throw wrongReply(reply);
    return Array.from({ length: count }, (_, index) => (reply.failed.has(index) ? null : true));
  }

  /** Before all that waits: a run waits for it, and a worker answers it while it waits for the disk. */
  async #ask(request: DiskRequest, transfer: readonly ArrayBuffer[]): Promise<DiskReply> {
    const { promise, resolve, reject } = Promise.withResolvers<DiskReply>();
    this.#queue.unshift({ request, transfer, answered: resolve, failed: reject });
    this.#deal();
    return await promise;
  }

  /** Takes from the end of the queue what the workers have not begun, in slices, so that nobody waits. Never rejects. */
  async #hashAlong(): Promise<void> {
    if (!HASHES_ALONG || this.#along) return;
    this.#along = true;
    try {
      for (;;) {
        await setImmediate();
        const at = this.#queue.findLastIndex((job) => job.request.kind === "hash");
        if (at < 0 || this.#wanted > WARM_WORKERS) return;
        const [job] = this.#queue.splice(at, 1);
        if (job === undefined) continue;
        const reply = job.request.kind === "hash" ? await hashAlong(job.request) : null;
        if (reply !== null) {
          job.answered(reply);
          continue;
        }
        this.#queue.unshift(job);
        this.#deal();
        return;
      }
    } finally {
      this.#along = false;
    }
  }

  /** The parts of one directory's listing with a look at each name, as a worker makes them. @throws DiskError when a worker died */
  async *list(path: string, nearParts = PARTS_ALONG): AsyncGenerator<ListReply> {
    const wanted = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    wanted[0] = nearParts;
    const parts: ListReply[] = [];
    let failure: { readonly reason: unknown } | null = null;
    let come = Promise.withResolvers<void>();
    this.#queue.push({
      request: { kind: "list", path, wanted },
      transfer: [],
      answered: (reply) => {
        if (reply.kind === "list") parts.push(reply);
        come.resolve();
      },
      failed: (reason) => {
        failure = { reason };
        come.resolve();
      },
    });
    this.#deal();
    for (;;) {
      const part = parts.shift();
      if (part !== undefined) {
        if (part.looked) yield part;
        else {
          const looked = await lookAlong(path, part);
          yield looked.part;
          if (!looked.slow) Atomics.add(wanted, 0, 1);
        }
        if (!part.more) return;
        continue;
      }
      if (failure !== null) throw (failure as { readonly reason: unknown }).reason;
      await come.promise;
      come = Promise.withResolvers<void>();
    }
  }

  #createPart(files: readonly NewFile[]): Promise<readonly (Stat | DiskError)[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly (Stat | DiskError)[]>();
    const needed = files.reduce((sum, file) => sum + file.bytes.length, 0);
    const memory = (needed <= CREATE_BYTES ? this.#memories.pop() : undefined) ?? new ArrayBuffer(Math.max(needed, CREATE_BYTES));
    const shapes = new Float64Array(files.length * 2);
    const all = new Uint8Array(memory);
    let at = 0;
    for (const [index, { bytes, mode }] of files.entries()) {
      all.set(bytes, at);
      at += bytes.length;
      shapes[index * 2] = bytes.length;
      shapes[index * 2 + 1] = mode ?? -1;
    }
    this.#queue.push({
      request: { kind: "create", paths: files.map((file) => file.path), shapes, memory },
      transfer: [memory, shapes.buffer],
      answered: (reply) => {
        if (reply.kind !== "create") return;
        if (reply.memory.byteLength === CREATE_BYTES && this.#memories.length < MEMORIES_KEPT) this.#memories.push(reply.memory);
        resolve(files.map(({ path }, index) => madeOf(reply, index, path)));
      },
      failed: reject,
    });
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#drop([...this.#queue], new DiskError("other", "Could not look at the disk: the service is stopping."));
    await this.#dismiss();
  }

  #drop(jobs: readonly Job[], reason: unknown): void {
    for (const job of jobs) {
      const at = this.#queue.indexOf(job);
      if (at >= 0) this.#queue.splice(at, 1);
      // One that a worker has begun resolves by itself; rejecting it as well lets its caller go at once.
      job.failed(reason);
    }
  }

  #deal(): void {
    if (this.#closed) {
      this.#drop([...this.#queue], new DiskError("other", "Could not look at the disk: the service is stopping."));
      return;
    }
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    while (this.#queue.length > 0) {
      const hand = this.#freest();
      const job = hand === null ? undefined : this.#queue.shift();
      if (hand === null || job === undefined) return;
      const id = this.#posted++;
      hand.jobs.set(id, job);
      hand.worker.ref();
      hand.worker.postMessage({ id, message: job.request } satisfies Posted<DiskRequest>, job.transfer);
    }
    if ([...this.#hands].every((hand) => hand.jobs.size === 0)) {
      this.#idle = setTimeout(() => void this.#dismiss(), IDLE_MS);
      this.#idle.unref();
    }
  }

  /** An idle worker, a new one, or the one with the least to do; null when all have enough. */
  #freest(): Hand | null {
    let best: Hand | null = null;
    for (const hand of this.#hands) if (best === null || hand.jobs.size < best.jobs.size) best = hand;
    if (best?.jobs.size !== 0 && this.#hands.size < this.#wanted) return this.#hire();
    return best !== null && best.jobs.size < AHEAD ? best : null;
  }

  #hire(): Hand {
    const hand: Hand = { worker: new Worker(this.#workerUrl), jobs: new Map() };
    hand.worker.on("message", ({ id, message: reply }: Posted<DiskReply>) => {
      if (reply.kind === "hash") {
        this.#hashedMs = performance.now();
        if (isCold(reply)) this.#wanted = COLD_WORKERS;
      }
      const job = hand.jobs.get(id);
      if (reply.kind !== "list" || !reply.more) hand.jobs.delete(id);
      job?.answered(reply);
      // An idle worker keeps no process alive; a busy one does.
      if (hand.jobs.size === 0) hand.worker.unref();
      this.#shrink();
      this.#deal();
    });
    hand.worker.on("error", (error) => {
      this.#hands.delete(hand);
      this.#drop(
        [...hand.jobs.values()],
        new DiskError("other", `Could not work on the disk: a disk worker failed (${String(error)}).`, { cause: error }),
      );
      this.#deal();
    });
    hand.worker.on("exit", () => {
      if (!this.#hands.delete(hand)) return;
      this.#drop([...hand.jobs.values()], new DiskError("other", "Could not work on the disk: a disk worker ended."));
      // What still waits goes to another one.
      this.#deal();
    });
    hand.worker.unref();
    this.#hands.add(hand);
    return hand;
  }

  /** What was hired for cold data goes when nothing was hashed for a while, though other work keeps some awake: each holds its memory. */
  #shrink(): void {
    if (this.#hands.size <= WARM_WORKERS || performance.now() - this.#hashedMs < IDLE_MS) return;
    this.#wanted = WARM_WORKERS;
    for (const hand of [...this.#hands].slice(WARM_WORKERS)) {
      if (hand.jobs.size > 0) continue;
      this.#hands.delete(hand);
      void hand.worker.terminate();
    }
  }

  async #dismiss(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    this.#wanted = WARM_WORKERS;
    const hands = [...this.#hands];
    this.#hands.clear();
    this.#memories.length = 0;
    for (const hand of hands)
      this.#drop([...hand.jobs.values()], new DiskError("other", "Could not look at the disk: the service is stopping."));
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

function wrongReply(reply: DiskReply): Error {
  return new Error(`disk-crew: a worker answered something else with ${reply.kind}`);
}

function madeOf(reply: CreateReply, index: number, path: string): Stat | DiskError {
  const refused = reply.faults.get(index);
  return refused === undefined ? statAt(reply.stats, index * STAT_NUMBERS) : refusal(refused.fault, "write", path, refused.code);
}

/** The disk is what this chunk waited for. Time alone does not tell: another program may have had the processor. */
export function isCold(reply: Pick<HashReply, "sha1s" | "bytes" | "elapsedMs" | "waits">): boolean {
  const files = reply.sha1s.length / 40;
  const warmMs = files * WARM_FILE_MS + reply.bytes * WARM_BYTE_MS;
  return files > 8 && reply.elapsedMs > COLD_FACTOR * warmMs && !(reply.waits < files * COLD_WAITS);
}
