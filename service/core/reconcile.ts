/**
 * Reconcile: what one path needs, from three trees. A total decision table; no I/O, no clock, no memory.
 * Rules R1–R16 (SPEC.md) are the table's cells, N7 the row above it: equal bytes never reach the table.
 */
import { UNKNOWN, type PlanRow, type Sha1, type SideState } from "./model.ts";

/** A side against the last state both agreed on. `unknown`: it could not be told (N2). Without a base all that exists is `changed`. */
export type Side = "absent" | "same" | "changed" | "unknown";
export type Decision = "none" | "upload" | "download" | "deleteLocal" | "deleteRemote" | "conflict" | "defer";

/** Row: local. Column: remote. R1–R16 in SPEC.md, row by row. An edit always beats a deletion. */
const DECISION = {
  absent: { absent: "none", same: "deleteRemote", changed: "download", unknown: "defer" },
  same: { absent: "deleteLocal", same: "none", changed: "download", unknown: "defer" },
  changed: { absent: "upload", same: "upload", changed: "conflict", unknown: "defer" },
  unknown: { absent: "defer", same: "defer", changed: "defer", unknown: "defer" },
} as const satisfies Record<Side, Record<Side, Decision>>;

/** The table itself. */
export function reconcile(local: Side, remote: Side): Decision {
  return DECISION[local][remote];
}

/** Where a side stands against the base. `base` undefined: never agreed; null: agreed absent. */
export function sideOf(now: SideState, base: Sha1 | null | undefined): Side {
  if (now === UNKNOWN) return "unknown";
  if (now === null) return "absent";
  return now === base ? "same" : "changed";
}

/** What a whole row needs. `adopt`: both sides are alike and only the base has to learn it (N7). */
export function decide(row: PlanRow): Decision | "adopt" {
  if (row.local !== UNKNOWN && row.local === row.remote) {
    const agreed = row.base ?? null;
    return agreed === row.local ? "none" : "adopt";
  }
  return reconcile(sideOf(row.local, row.base), sideOf(row.remote, row.base));
}

/** Why, in words for people: shown by `plan`, `explain` and the log. */
export function reasonOf(row: PlanRow): string {
  const local = sideOf(row.local, row.base);
  const remote = sideOf(row.remote, row.base);
  const first = row.base === undefined || row.base === null;
  switch (decide(row)) {
    case "adopt":
      return row.local === null ? "gone on both sides" : "the same bytes on both sides";
    case "none":
      return "both sides agree";
    case "upload":
      return remote === "absent" && !first ? "edited here, deleted there: the edit wins" : first ? "new here" : "edited here";
    case "download":
      return local === "absent" && !first ? "deleted here, edited there: the edit wins" : first ? "new there" : "edited there";
    case "deleteLocal":
      return "deleted there, untouched here";
    case "deleteRemote":
      return "deleted here, untouched there";
    case "conflict":
      return first ? "different bytes on both sides, never agreed" : "edited on both sides";
    case "defer":
      return local === "unknown" ? "what stands here can't be told or can't be synced now" : "what stands there can't be taken now";
  }
}
