/** A device's clock in virtual time: the monotonic one never jumps, the wall clock may stand hours off and jump (TM02, TM03). */
import type { Clock } from "../../service/core/ports.ts";
import type { Life, Scheduler } from "./scheduler.ts";

/** 2026-01-02T03:04:05Z, when every session begins. */
const EPOCH_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

/** What a machine's wall clock is off by; a user or NTP may change it. */
export type Skew = { ms: number };

export function wallMs(scheduler: Scheduler, skew: Skew): number {
  return Math.floor(EPOCH_MS + scheduler.nowMs + skew.ms);
}

export function simClock(scheduler: Scheduler, life: Life, skew: Skew): Clock {
  return {
    wallMs: () => wallMs(scheduler, skew),
    monoMs: () => scheduler.nowMs,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onAbort = () => {
        cancel();
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const cancel = scheduler.after(life, ms, "sleep", () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      await promise;
    },
  };
}
