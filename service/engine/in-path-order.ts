/** A scan lists in the disk's order, the tables stand in path order: written as listed, every transaction would touch most of their pages. */
import { setImmediate } from "node:timers/promises";

import type { Observation } from "../core/local.ts";
import type { Clock } from "../core/ports.ts";

/** How much is held back to be put in order: what a kill costs (it is read again), and memory (some 350 bytes a file). */
const HELD_FILES = 40_000;
const HELD_BYTES = 1024 * 1024 * 1024;
const HELD_MS = 10_000;
/** Observations handed on at once: one transaction each. */
const PART_FILES = 1_000;

/**
 * The same observations, those of files that stand sorted by path; a batch with absences in it stays as it is, behind all that came before it.
 * Where the scan breaks off, what it had found is handed on first.
 */
export async function* inPathOrder(
  batches: AsyncIterable<readonly Observation[]>,
  clock: Pick<Clock, "monoMs">,
): AsyncGenerator<readonly Observation[], void> {
  let held: Observation[] = [];
  let heldBytes = 0;
  let sinceMs = 0;
  const release = async function* (): AsyncGenerator<readonly Observation[], void> {
    const sorted = held.toSorted((a, b) => compare(pathOf(a), pathOf(b)));
    held = [];
    heldBytes = 0;
    for (let at = 0; at < sorted.length; at += PART_FILES) {
      // Somebody may be waiting for an answer meanwhile.
      if (at > 0) await setImmediate();
      yield sorted.slice(at, at + PART_FILES);
    }
  };
  try {
    for await (const batch of batches) {
      if (batch.some(({ kind }) => kind === "gone")) {
        yield* release();
        yield batch;
        continue;
      }
      if (held.length === 0) sinceMs = clock.monoMs();
      for (const observation of batch) {
        held.push(observation);
        if ("entry" in observation) heldBytes += observation.entry.sizeBytes;
      }
      if (held.length >= HELD_FILES || heldBytes >= HELD_BYTES || clock.monoMs() - sinceMs >= HELD_MS) yield* release();
    }
  } catch (error) {
    yield* release();
    throw error;
  }
  yield* release();
}

function pathOf(observation: Observation): string {
  return "entry" in observation ? observation.entry.path : observation.path;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
