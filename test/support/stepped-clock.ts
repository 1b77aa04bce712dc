import { setImmediate as nextTurn } from "node:timers/promises";

import type { Clock } from "../../service/core/ports.ts";

type Timer = { readonly atMs: number; readonly fire: () => void };

/** Time that stands still until a test advances it. */
export class SteppedClock implements Clock {
  nowMs = 1_000_000;
  readonly #timers = new Set<Timer>();

  wallMs(): number {
    return this.nowMs;
  }

  monoMs(): number {
    return this.nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = { atMs: this.nowMs + ms, fire: resolve };
    this.#timers.add(timer);
    const stop = () => reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await promise;
    } finally {
      this.#timers.delete(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Lets everything that can go on go on. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
  }

  /** Moves time, firing timers in order, and lets what they wake run. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      await this.settle();
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#timers.delete(next);
      next.fire();
    }
    this.nowMs = endMs;
    await this.settle();
  }
}
