/** Phase 1: disk → change log. Events mark what is dirty, a scan finds the rest; both end here as rows. */
import type { Observation } from "../core/local.ts";
import type { Origin } from "../core/model.ts";
import { DiskError } from "../core/ports.ts";
import { inPathOrder } from "./in-path-order.ts";
import { clearWay } from "./in-the-way.ts";
import { digestOf, type FolderParts } from "./parts.ts";
import { unreadable } from "./root-guard.ts";
import type { RunContext } from "./run-context.ts";

/** A run that somebody waits for gives what is dirty this long to settle. */
const SETTLE_WAIT_MAX_MS = 30_000;

/**
 * Writes observations to the local tree, the change log and the problems, in one transaction. Returns how many were news. A power cut may take them: the next
 * look finds them again, and whatever is done because of them is announced in a commit that takes them along.
 */
function record(context: RunContext, observations: readonly Observation[], origin: Origin): number {
  if (observations.length === 0) return 0;
  const { parts } = context;
  const { rows, state, clock, freed } = parts;
  const atMs = clock.wallMs();
  return state.transaction(() => {
    let news = 0;
    const gone = observations.flatMap((one) => (one.kind === "gone" ? [one.path] : []));
    for (const path of gone) freed.add(path);
    clearWay(rows, gone);
    for (const observation of observations) {
      if (recordOne(parts, observation, origin, atMs)) news += 1;
    }
    if (news > 0) state.events.append("local/changed", rows.id, { paths: news }, atMs);
    return news;
  }, "soon");
}

function recordOne(parts: FolderParts, observation: Observation, origin: Origin, atMs: number): boolean {
  const { rows, state } = parts;
  switch (observation.kind) {
    case "put": {
      const { entry } = observation;
      const before = rows.entries.put(entry);
      if (rows.problems.count() > 0) {
        rows.problems.clear(entry.path, "local");
        // What was refused there was refused for other bytes: these deserve a try of their own.
        if (before !== entry.sha1) rows.problems.clear(entry.path, "remote");
      }
      if (before === entry.sha1) return false;
      rows.changes.append({ path: entry.path, kind: "put", sha1: entry.sha1, sizeBytes: entry.sizeBytes, origin, atMs });
      return true;
    }
    case "touched":
      rows.entries.put(observation.entry);
      rows.problems.clear(observation.entry.path, "local");
      return false;
    case "gone": {
      const before = rows.entries.get(observation.path);
      rows.problems.clear(observation.path, "local");
      if (before === undefined) return false;
      rows.entries.remove(observation.path);
      rows.changes.append({ path: observation.path, kind: "remove", sha1: null, sizeBytes: null, origin, atMs });
      return true;
    }
    case "problem": {
      const { path, reason, detail } = observation;
      const known = rows.problems.get(path).some((problem) => problem.side === "local" && problem.reason === reason);
      if (known) return false;
      rows.problems.put({ path, side: "local", reason, detail, sinceMs: atMs });
      state.events.append("problem", rows.id, { path, reason, detail }, atMs);
      return true;
    }
  }
}

/** Under other ignore rules, what was left alone until now may be due: the remote may have moved on, and nobody marks it again (N9). */
function heedRules(parts: FolderParts): void {
  const { rows, state } = parts;
  const before = rows.ignoreRules.digest();
  const now = digestOf(parts)(parts.ignoreRules());
  if (before === now) return;
  state.transaction(() => {
    // Never synced: all that stands there is pending already.
    if (before !== null || rows.cursor.get() !== undefined) rows.pending.addAll();
    rows.ignoreRules.put(now);
  });
}

/** Looks at the disk. `waitSettle`: somebody waits for this run, so what is dirty gets its time. */
export async function observe(
  context: RunContext,
  options: { readonly scan: boolean; readonly rehash: boolean; readonly waitSettle: boolean; readonly origin: Origin },
): Promise<void> {
  const { parts, signal } = context;
  const { local, clock } = parts;
  if (options.scan || local.needsScan()) {
    try {
      const batches = local.observeAll({ rehash: options.rehash }, signal);
      for await (const batch of inPathOrder(batches, clock)) record(context, batch, options.origin);
    } catch (error) {
      // It may be entered but not listed: the same trouble, seen later.
      if (error instanceof DiskError && error.fault === "access") throw unreadable(parts);
      throw error;
    }
    heedRules(parts);
  }
  const deadlineMs = clock.monoMs() + SETTLE_WAIT_MAX_MS;
  for (;;) {
    record(context, await local.observeDirty(signal), options.origin);
    const settlesAtMs = local.settlesAtMs();
    if (!options.waitSettle || settlesAtMs === null || local.dirtyCount() === 0) return;
    const nowMs = clock.monoMs();
    if (nowMs >= deadlineMs) return;
    await clock.sleep(Math.max(1, Math.min(settlesAtMs, deadlineMs) - nowMs), signal);
  }
}
