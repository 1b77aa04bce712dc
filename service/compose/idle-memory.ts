/** A scan or a first sync of a large folder leaves the heap grown, and V8 gives nothing back while nothing happens: so it is asked to. */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** So long after the last run nobody waits for anything. */
const QUIET_MS = 4_000;
/** Below this there is little to be had, and the pause (10 to 30 ms) is saved. A service that has done nothing yet has about 20. */
const GROWN_BYTES = 28 * 1024 * 1024;

/** `release`: lets go of what others keep for speed alone. */
export function openIdleMemory(release: () => void): { readonly busy: () => void; readonly close: () => void } {
  let timer: NodeJS.Timeout | null = null;
  const tidy = (): void => {
    timer = null;
    release();
    if (getHeapStatistics().total_heap_size >= GROWN_BYTES) collectGarbage();
  };
  return {
    /** A run has ended. */
    busy: () => {
      if (timer !== null) clearTimeout(timer);
      timer = setTimeout(tidy, QUIET_MS).unref();
    },
    close: () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

/** Node offers the collector under a flag only, which a context made after it was set can see. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect === "function") collect();
}
