/**
 * One loop for the whole world: port calls wait in a ready set, chance picks which happens next, time moves when nothing is ready (or,
 * now and then, while something is: a slow disk). No threads and no real I/O, so the same seed gives the same trace.
 */
import type { Rng } from "./rng.ts";

/** A process. Killed: its pending calls never return, its later calls are never made (S8). */
export class Life {
  readonly name: string;
  alive = true;
  constructor(name: string) {
    this.name = name;
  }
}

/** Handed to a waiting call instead of its turn when somebody else must go first. */
type Pending = { readonly life: Life; readonly label: string; readonly keys: readonly string[]; readonly run: () => void };
type Timer = {
  readonly atMs: number;
  readonly order: number;
  readonly life: Life;
  readonly label: string;
  readonly run: () => void;
  off: boolean;
};

/** Taken before a session poisons the global. */
const immediate = setImmediate;

export class Scheduler {
  /** Virtual milliseconds since the session began. */
  nowMs = 1_000_000;
  steps = 0;
  /** Set to keep the whole trace, for looking at one seed. */
  trace: string[] | null = null;
  /** Called after each step: oracles, crashes. */
  afterStep: () => void = () => {};
  readonly #rng: Rng;
  #hash = 0x811c9dc5;
  #ready: Pending[] = [];
  #timers: Timer[] = [];
  #order = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** Hash of everything that happened: two runs of one seed must agree on it. */
  get traceHash(): number {
    return this.#hash;
  }

  note(text: string): void {
    let hash = this.#hash;
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    this.#hash = hash >>> 0;
    this.trace?.push(`${(this.nowMs / 1000).toFixed(3)} ${text}`);
  }

  /**
   * A port call: `work` happens in one instant when chance picks it, and its outcome is the promise's. `keys`: what it is about to
   * replace or remove, so that a user's program does not slip into the microseconds between a check and the act (RELIABILITY 3.1).
   */
  async call<T>(life: Life, label: string, work: () => T, keys: readonly string[] = []): Promise<T> {
    // A promise of its own: one that all the dead share would keep their worlds in memory.
    if (!life.alive) return await new Promise<never>(() => {});
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const run = () => {
      try {
        resolve(work());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    this.#ready.push({ life, label, keys, run });
    return await promise;
  }

  /** True while a call about this key waits for its turn. */
  isClaimed(key: string): boolean {
    return this.#ready.some((call) => call.keys.includes(key));
  }

  /** Runs `work` after `delayMs` unless the life ends before or the returned function is called. */
  after(life: Life, delayMs: number, label: string, work: () => void): () => void {
    if (!life.alive) return () => {};
    const timer: Timer = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, life, label, run: work, off: false };
    this.#push(timer);
    return () => {
      timer.off = true;
    };
  }

  kill(life: Life): void {
    life.alive = false;
    this.#ready = this.#ready.filter((call) => call.life !== life);
    for (const timer of this.#timers) if (timer.life === life) timer.off = true;
  }

  /** One thing happens. False: nothing can. */
  async step(): Promise<boolean> {
    this.#dropOff();
    const soonest = this.#timers[0];
    const slow = soonest !== undefined && this.#ready.length > 0 && this.#rng.chance(0.015);
    if (this.#ready.length > 0 && !slow) this.#runReady();
    else if (soonest === undefined) return false;
    else this.#fire(soonest);
    this.steps += 1;
    await this.drain();
    this.afterStep();
    return true;
  }

  /** Steps until `done` or `maxSteps`; false when it was not reached. */
  async until(done: () => boolean, maxSteps: number): Promise<boolean> {
    for (let count = 0; count < maxSteps; count += 1) {
      if (done()) return true;
      if (!(await this.step())) return done();
    }
    return done();
  }

  /** Everything that follows from what just happened, before anything else does. */
  async drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      immediate(resolve);
    });
  }

  #runReady(): void {
    const at = this.#ready.length === 1 ? 0 : this.#rng.below(this.#ready.length);
    const call = this.#ready[at];
    if (call === undefined) throw new Error("scheduler: lost a call");
    const last = this.#ready.pop();
    if (last !== undefined && last !== call) this.#ready[at] = last;
    // A call takes a little time: mtimes differ now and then, and now and then they don't.
    if (this.#rng.chance(0.3)) this.nowMs += this.#rng.below(4);
    this.note(`${call.life.name} ${call.label}`);
    call.run();
  }

  #fire(timer: Timer): void {
    this.#pop();
    if (timer.atMs > this.nowMs) this.nowMs = timer.atMs;
    this.note(`${timer.life.name} timer ${timer.label}`);
    timer.run();
  }

  #dropOff(): void {
    while (this.#timers[0]?.off === true) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || before(parent, timer)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let least = left;
      if (right !== undefined && before(right, left)) {
        least = right;
        child += 1;
      }
      if (before(last, least)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
