/**
 * The plan: the ordered actions of a run, each with its reason. Pure; the same rows give a byte-identical plan, whatever their order.
 */
import { UNKNOWN, type PlanRow, type Sha1, type SideState } from "./model.ts";
import { decide, reasonOf } from "./reconcile.ts";

export type Action =
  | { readonly kind: "adopt"; readonly path: string; readonly sha1: Sha1 | null; readonly reason: string }
  | {
      readonly kind: "conflict";
      readonly path: string;
      readonly local: Sha1;
      readonly remote: Sha1;
      readonly base: Sha1 | null;
      readonly wireName: string;
      readonly sizeBytes: number | null;
      readonly reason: string;
    }
  | {
      readonly kind: "download";
      readonly path: string;
      readonly sha1: Sha1;
      /** What stands here now, to be replaced; null: nothing. */
      readonly expect: Sha1 | null;
      readonly wireName: string;
      /** A file that is deleted here by the same plan and has these bytes: a rename made elsewhere (N7: not fetched again). */
      readonly from: string | null;
      readonly sizeBytes: number | null;
      readonly reason: string;
    }
  | { readonly kind: "deleteLocal"; readonly path: string; readonly expect: Sha1; readonly to: string | null; readonly reason: string }
  | {
      readonly kind: "upload";
      readonly path: string;
      readonly sha1: Sha1;
      /** What stands there as far as we know; null: nothing. */
      readonly remote: Sha1 | null;
      readonly wireName: string | null;
      /** A file that is deleted there by the same plan and has these bytes: a rename made here. */
      readonly from: string | null;
      readonly sizeBytes: number;
      readonly reason: string;
    }
  | {
      readonly kind: "deleteRemote";
      readonly path: string;
      readonly remote: Sha1;
      readonly wireName: string;
      readonly to: string | null;
      readonly reason: string;
    };

export type Plan = {
  readonly actions: readonly Action[];
  /** Paths that nothing is to be done for: their three trees agree, or a problem has to go first. */
  readonly settled: readonly string[];
};

/** Adopting costs nothing and unblocks; new bytes come before old ones go, so that a rename finds its source; what is ours goes last. */
const ORDER: Record<Action["kind"], number> = { adopt: 0, conflict: 1, download: 2, deleteLocal: 3, upload: 4, deleteRemote: 5 };

/** Orders by code units, the same on every machine. */
export function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/** The plan for these rows. Paths occur once each. */
export function makePlan(rows: readonly PlanRow[]): Plan {
  const actions: Action[] = [];
  const settled: string[] = [];
  for (const row of rows) {
    const action = actionFor(row);
    if (action === null) settled.push(row.path);
    else actions.push(action);
  }
  actions.sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || byPath(a, b));
  return { actions: pairRenames(actions), settled: settled.toSorted() };
}

function actionFor(row: PlanRow): Action | null {
  const { path, local, remote, wireName } = row;
  const reason = reasonOf(row);
  const base = row.base ?? null;
  switch (decide(row)) {
    case "none":
    case "defer":
      return null;
    case "adopt":
      return { kind: "adopt", path, sha1: known(local), reason };
    case "upload":
      return {
        kind: "upload",
        path,
        sha1: bytesOf(local),
        remote: known(remote),
        wireName,
        from: null,
        sizeBytes: row.localSizeBytes ?? 0,
        reason,
      };
    case "deleteRemote":
      return { kind: "deleteRemote", path, remote: bytesOf(remote), wireName: wireName ?? path, to: null, reason };
    case "download":
      return {
        kind: "download",
        path,
        sha1: bytesOf(remote),
        expect: known(local),
        wireName: wireName ?? path,
        from: null,
        sizeBytes: row.remoteSizeBytes,
        reason,
      };
    case "deleteLocal":
      return { kind: "deleteLocal", path, expect: bytesOf(local), to: null, reason };
    case "conflict":
      return {
        kind: "conflict",
        path,
        local: bytesOf(local),
        remote: bytesOf(remote),
        base,
        wireName: wireName ?? path,
        sizeBytes: row.remoteSizeBytes,
        reason,
      };
  }
}

/** The table lets only known sides through to an action; anything else is a fault of ours, not of the folder. */
function known(side: SideState): Sha1 | null {
  /* node:coverage ignore next */
  if (side === UNKNOWN) throw new Error("plan: an unknown side reached an action");
  return side;
}

function bytesOf(side: SideState): Sha1 {
  const sha1 = known(side);
  /* node:coverage ignore next */
  if (sha1 === null) throw new Error("plan: an absent side reached an action that needs bytes");
  return sha1;
}

/**
 * Pairs each deletion with an addition of the same bytes in the same direction: a rename. Path order decides who pairs with whom, one to
 * one. The pair stays two actions (the wire knows no renames); it is not a true deletion, and nothing is fetched for it.
 */
function pairRenames(actions: readonly Action[]): readonly Action[] {
  const fromFor = new Map<string, string>();
  const toFor = new Map<string, string>();
  pair(actions, "deleteLocal", "download", fromFor, toFor);
  pair(actions, "deleteRemote", "upload", fromFor, toFor);
  if (toFor.size === 0) return actions;
  return actions.map((action) => {
    const key = `${action.kind}\0${action.path}`;
    if (action.kind === "download" || action.kind === "upload") return { ...action, from: fromFor.get(key) ?? null };
    if (action.kind === "deleteLocal" || action.kind === "deleteRemote") return { ...action, to: toFor.get(key) ?? null };
    return action;
  });
}

function pair(
  actions: readonly Action[],
  gone: "deleteLocal" | "deleteRemote",
  come: "download" | "upload",
  fromFor: Map<string, string>,
  toFor: Map<string, string>,
): void {
  const leaving = new Map<Sha1, string[]>();
  for (const action of actions) {
    if (action.kind !== gone) continue;
    const sha1 = action.kind === "deleteLocal" ? action.expect : action.remote;
    const paths = leaving.get(sha1);
    if (paths === undefined) leaving.set(sha1, [action.path]);
    else paths.push(action.path);
  }
  if (leaving.size === 0) return;
  for (const action of actions) {
    if (action.kind !== come) continue;
    const from = leaving.get(action.sha1)?.shift();
    if (from === undefined) continue;
    fromFor.set(`${come}\0${action.path}`, from);
    toFor.set(`${gone}\0${from}`, action.path);
  }
}

/** A plan's own hash: what `apply --plan` names and what is refused when the state has drifted. `digest`: hex of a cryptographic hash. */
export function planHash(actions: readonly Action[], digest: (text: string) => string): string {
  return digest(JSON.stringify(actions.map((action) => Object.entries(action).toSorted(([a], [b]) => (a < b ? -1 : 1)))));
}

/** The hash of a held set: what an approval names. */
export function holdHash(scope: string, paths: readonly string[], digest: (text: string) => string): string {
  return digest(JSON.stringify([scope, ...paths.toSorted()]));
}
