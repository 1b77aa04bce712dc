/** What the main thread does of the disk workers' work while it has nothing else to do: in slices, so that nobody waits for it. */
import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";

import { lookInto } from "./disk-list.ts";
import { pathsOf, STAT_NUMBERS, type DiskReply, type DiskRequest, type ListReply } from "./disk-message.ts";
import { Hashing } from "./hash-files.ts";

/** It helps where it is half of all the processors there are. */
export const HASHES_ALONG = availableParallelism() <= 2;
const SLICE_MS = 4;
/** Nothing larger than this, and nothing any more once a file or a look took so long: then the disk is what all wait for. */
const FILE_BYTES = 512 * 1024;
const SLOW_MS = 2;

type HashRequest = Extract<DiskRequest, { readonly kind: "hash" }>;

/** A part of a listing with a look at each of its names; `slow`: the disk let it wait. */
export async function lookAlong(path: string, part: ListReply): Promise<{ readonly part: ListReply; readonly slow: boolean }> {
  const names = part.names.split("/");
  const here = { ...part, kinds: new Uint8Array(names.length), stats: new Float64Array(names.length * STAT_NUMBERS) };
  let slow = false;
  const slice = openSlice();
  for (const [index, name] of names.entries()) {
    lookInto(`${path}/${name}`, here, index);
    const tookMs = slice.tookMs();
    slow ||= tookMs > SLOW_MS;
    if (slice.isOver()) await slice.next();
  }
  return { part: here, slow };
}

/** null: these files are too large, or too slow to be had, to be read on this thread. */
export async function hashAlong(request: HashRequest): Promise<DiskReply | null> {
  const hashing = new Hashing(request.count, Math.min(request.maxBytes, FILE_BYTES));
  const slice = openSlice();
  for (const path of pathsOf(request)) {
    if (!hashing.add(path) || slice.tookMs() > SLOW_MS) return null;
    if (slice.isOver()) await slice.next();
  }
  return hashing.reply();
}

/** Time for oneself, until others have their turn. */
function openSlice() {
  let beforeMs = performance.now();
  let untilMs = beforeMs + SLICE_MS;
  return {
    /** Since this was asked before. */
    tookMs(): number {
      const sinceMs = beforeMs;
      beforeMs = performance.now();
      return beforeMs - sinceMs;
    },
    isOver: (): boolean => beforeMs >= untilMs,
    async next(): Promise<void> {
      await setImmediate();
      beforeMs = performance.now();
      untilMs = beforeMs + SLICE_MS;
    },
  };
}
