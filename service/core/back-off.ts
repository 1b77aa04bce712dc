/** How long to wait after a failure (RELIABILITY L5). */
import type { Random } from "./ports.ts";

/** The first wait is drawn from up to this. */
const BASE_MS = 1000;
/** No wait of our own choice is longer. */
const CAP_MS = 5 * 60_000;
/** A server's wish is honoured up to this; beyond it we ask again sooner than told. */
const RETRY_AFTER_CAP_MS = 60 * 60_000;
const U32 = 0x1_00_00_00_00;

/**
 * Milliseconds until the next attempt: anything between 0 and a ceiling that doubles with each failure in a row (so devices that failed
 * together do not come back together), on top of what the server asked for. `failures`: 1 after the first.
 */
export function backOffMs(failures: number, random: Random, retryAfterMs: number | null = null): number {
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** Math.max(0, failures - 1));
  const jitter = Math.floor((random.u32() / U32) * ceiling);
  return retryAfterMs === null ? jitter : Math.min(RETRY_AFTER_CAP_MS, Math.max(0, retryAfterMs)) + jitter;
}
