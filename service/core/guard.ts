/**
 * The guard: what looks like an accident waits for the user (S14, N2). Pure counting over facts it is handed.
 */
import type { Change } from "./model.ts";

/** More true deletions than this many, or than this share of the folder, within the window are held. */
export const GUARD_FILES_MAX = 10;
const GUARD_SHARE_MAX = 0.25;
/** A slow `rm -r` spans many runs: deletions of the last ten minutes count together. */
export const GUARD_WINDOW_MS = 10 * 60_000;

/** A path that is put to and fro by two programs without end: after so many rounds within so long it waits (PR21). */
const PING_PONG_ROUNDS = 3;
export const PING_PONG_WINDOW_MS = 6 * 3_600_000;
/** Changes of one path that tell. */
export const PING_PONG_CHANGES = 2 * PING_PONG_ROUNDS;

/**
 * Whether the remote's bytes were put here, and undone by somebody here, again and again, always the same two states (`null`: no file). A
 * person at work makes new bytes; only programs that know nothing of one another do this. `changes`: of one path, newest first; those
 * up to `sinceMs` don't count.
 */
export function isPingPong(changes: readonly Pick<Change, "sha1" | "origin" | "atMs">[], sinceMs: number): boolean {
  const [undone, applied] = changes;
  if (undone === undefined || applied === undefined || changes.length < PING_PONG_CHANGES || undone.sha1 === applied.sha1) return false;
  return changes.slice(0, PING_PONG_CHANGES).every((change, index) => {
    const like = index % 2 === 0 ? undone : applied;
    return change.atMs > sinceMs && change.sha1 === like.sha1 && change.origin === (index % 2 === 0 ? "user" : "apply");
  });
}

export type GuardFacts = {
  /** Paths whose deletion this plan would carry out, renames left out (their bytes live on elsewhere). */
  readonly planned: readonly string[];
  /** Paths deleted in the same direction within the window, without the user's word; or tried to be, and then they may be live still. */
  readonly recent: readonly string[];
  /** Live paths of the base now, planned ones included, recent ones not. */
  readonly baseLive: number;
  /** A hold of this direction waits already: whatever else is to be deleted joins it. */
  readonly alreadyHeld: boolean;
  /** Paths that the user has approved. */
  readonly approved: ReadonlySet<string>;
};
export type GuardVerdict = {
  readonly allowed: readonly string[];
  readonly held: readonly string[];
  readonly reason: "manyDeletions" | "allDeleted" | null;
};

/** Which of the planned deletions may go on. All that are not approved share one fate. */
export function guardDeletions(facts: GuardFacts): GuardVerdict {
  const judged = facts.planned.filter((path) => !facts.approved.has(path));
  const allowed = facts.planned.filter((path) => facts.approved.has(path));
  if (judged.length === 0) return { allowed, held: [], reason: null };
  const before = new Set(facts.recent);
  const count = before.size + judged.filter((path) => !before.has(path)).length;
  const again = new Set(facts.planned.filter((path) => before.has(path)));
  const total = facts.baseLive + before.size - again.size;
  const everything = count >= total;
  if (everything) return { allowed, held: judged, reason: "allDeleted" };
  const limit = Math.max(GUARD_FILES_MAX, total * GUARD_SHARE_MAX);
  if (facts.alreadyHeld || count > limit) return { allowed, held: judged, reason: "manyDeletions" };
  return { allowed: facts.planned, held: [], reason: null };
}
