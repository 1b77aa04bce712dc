/** Phase 3: rows → plan, with the guard's word on deletions. Reads state, decides in core, writes only holds and adoptions. */
import { GUARD_WINDOW_MS, guardDeletions, isPingPong, PING_PONG_CHANGES, PING_PONG_WINDOW_MS } from "../core/guard.ts";
import type { Hold, PlanRow } from "../core/model.ts";
import { holdHash, makePlan, type Action, type Plan } from "../core/plan.ts";
import { digestOf, type FolderParts } from "./parts.ts";

/** Rows planned at once; the rest come in the next round. Bounds memory at any folder size. */
const PLAN_ROWS_MAX = 200_000;

export type GuardedPlan = {
  readonly plan: Plan;
  /** What may be carried out now: the plan without what is held. */
  readonly actions: readonly Action[];
  /** Deletions that the user has approved, as `kind\0path`: they don't count against the guard again. */
  readonly approved: ReadonlySet<string>;
  readonly holds: readonly Pick<Hold, "scope" | "reason" | "paths" | "hash">[];
};

type Direction = "deleteLocal" | "deleteRemote";
const SCOPES = ["deleteLocal", "deleteRemote", "paths"] as const;

/** The plan for what is pending now. Changes nothing. */
export function planNow(parts: FolderParts): GuardedPlan {
  const rows: PlanRow[] = [];
  const ignored: string[] = [];
  const agreed = new Set<string>();
  for (const row of parts.rows.pending.rows(PLAN_ROWS_MAX)) {
    if (row.base !== undefined) agreed.add(row.path);
    if (parts.ignoredBy(row.path) === null) rows.push(row);
    else ignored.push(row.path);
  }
  const plan = makePlan(rows);
  const held = new Set<string>();
  const approved = new Set<string>();
  const holds: GuardedPlan["holds"][number][] = [];
  for (const direction of ["deleteLocal", "deleteRemote"] as const) {
    const verdict = judge(parts, plan.actions, direction);
    for (const path of verdict.approved) approved.add(`${direction}\0${path}`);
    if (verdict.hold === null) continue;
    holds.push(verdict.hold);
    for (const path of verdict.hold.paths) held.add(`${direction}\0${path}`);
  }
  const flipping = flippingPaths(parts, plan.actions, agreed);
  if (flipping.length > 0)
    holds.push({ scope: "paths", reason: "pingPong", paths: flipping, hash: holdHash("paths", flipping, digestOf(parts)) });
  const waiting = new Set(flipping);
  // A file that has just gone away is recorded for a while yet: that its old bytes are the remote's is no agreement, and would make its absence a deletion.
  const inDoubt = (action: Action): boolean => action.kind === "adopt" && parts.local.isRestless(action.path);
  const actions = plan.actions.filter(
    (action) => !held.has(`${action.kind}\0${action.path}`) && !waiting.has(action.path) && !inDoubt(action),
  );
  return { plan: { ...plan, settled: [...plan.settled, ...ignored] }, actions, approved, holds };
}

function judge(parts: FolderParts, actions: readonly Action[], direction: Direction) {
  const { rows, clock } = parts;
  const deletions = actions.filter((action) => action.kind === direction);
  const planned = deletions.filter((action) => !livesOn(parts, action)).map((action) => action.path);
  const approvedHolds = rows.holds.list("approved").filter((hold) => hold.scope === direction);
  const approved = new Set(approvedHolds.flatMap((hold) => hold.paths));
  const waiting = rows.holds.list("held").some((hold) => hold.scope === direction);
  const verdict = guardDeletions({
    planned,
    recent: rows.deletions.since(direction, clock.wallMs() - GUARD_WINDOW_MS),
    baseLive: rows.base.liveCount(),
    alreadyHeld: waiting,
    approved,
  });
  const hold =
    verdict.reason === null
      ? null
      : { scope: direction, reason: verdict.reason, paths: verdict.held, hash: holdHash(direction, verdict.held, digestOf(parts)) };
  return { hold, approved };
}

/** Paths whose change here only undoes, once more, what was put here for the remote (PR21). Never agreed on: nothing was put. */
function flippingPaths({ rows, clock }: FolderParts, actions: readonly Action[], agreed: ReadonlySet<string>): readonly string[] {
  const sinceMs = clock.wallMs() - PING_PONG_WINDOW_MS;
  const answered = new Map<string, number>();
  for (const hold of rows.holds.list("approved")) {
    if (hold.scope === "paths") for (const path of hold.paths) answered.set(path, Math.max(hold.atMs, answered.get(path) ?? 0));
  }
  return actions
    .filter(({ kind, path }) => (kind === "upload" || kind === "deleteRemote" || kind === "conflict") && agreed.has(path))
    .filter(({ path }) => isPingPong(rows.changes.ofPath(path, PING_PONG_CHANGES), Math.max(sinceMs, answered.get(path) ?? 0)))
    .map(({ path }) => path)
    .toSorted();
}

/** A rename is no loss: the same bytes stand under another name on the side that deletes. */
function livesOn(parts: FolderParts, action: Action): boolean {
  if (action.kind === "deleteLocal") return action.to !== null;
  if (action.kind !== "deleteRemote") return false;
  if (action.to !== null) return true;
  const elsewhere = parts.rows.entries.withSha1(action.remote);
  return elsewhere !== undefined && elsewhere.path !== action.path;
}

/** Writes what planning found out: adoptions, settled paths, and holds as they stand now. Returns how many were adopted. */
export function commitPlan(parts: FolderParts, guarded: GuardedPlan): number {
  const { rows, state } = parts;
  return state.transaction(() => {
    let adopted = 0;
    for (const action of guarded.actions) {
      if (action.kind !== "adopt") continue;
      rows.base.put(action.path, action.sha1);
      rows.uploadIntents.removeAll(action.path);
      rows.pending.remove(action.path);
      adopted += 1;
    }
    for (const path of guarded.plan.settled) rows.pending.remove(path);
    writeHolds(parts, guarded);
    return adopted;
  });
}

function writeHolds(parts: FolderParts, guarded: GuardedPlan): void {
  const { rows, state, clock } = parts;
  for (const scope of SCOPES) {
    const now = guarded.holds.find((hold) => hold.scope === scope);
    const before = rows.holds.list("held").find((hold) => hold.scope === scope);
    if (now === undefined) {
      // Nothing of it is to be done any more: the question has answered itself (files came back).
      if (before !== undefined) rows.holds.remove(before.id);
    } else if (before?.hash !== now.hash) {
      if (before === undefined) rows.holds.add({ ...now, state: "held", atMs: clock.wallMs() });
      else rows.holds.replace(before.id, now.paths, now.hash);
      // Also where the set has changed: an answer names its hash.
      const told = { scope: now.scope, reason: now.reason, files: now.paths.length, hash: now.hash };
      state.events.append("guard/held", rows.id, told, clock.wallMs());
    }
    if (scope === "paths") dropOldApprovals(parts);
    else dropSpentApprovals(parts, guarded, scope);
  }
}

/** Of a ping-pong: what it answered counts for nothing any more when it is out of the window. */
function dropOldApprovals({ rows, clock }: FolderParts): void {
  const beforeMs = clock.wallMs() - PING_PONG_WINDOW_MS;
  for (const hold of rows.holds.list("approved")) if (hold.scope === "paths" && hold.atMs < beforeMs) rows.holds.remove(hold.id);
}

/** An approval lasts until its last path is gone or wanted again. */
function dropSpentApprovals(parts: FolderParts, guarded: GuardedPlan, direction: Direction): void {
  const due = new Set(guarded.plan.actions.filter((action) => action.kind === direction).map((action) => action.path));
  for (const hold of parts.rows.holds.list("approved")) {
    if (hold.scope === direction && !hold.paths.some((path) => due.has(path))) parts.rows.holds.remove(hold.id);
  }
}
