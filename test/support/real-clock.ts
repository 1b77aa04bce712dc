import { setTimeout as delay } from "node:timers/promises";

import type { Clock } from "../../service/core/ports.ts";

/** The machine's own clock, for tests that talk to real processes. */
export const realClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
};
