/** After the disk was changed and fsynced: the rows follow, in one transaction per batch (base moves only now). */
import type { ApplyResult } from "../core/local.ts";
import type { Sha1 } from "../core/model.ts";
import type { Staged } from "./apply.ts";
import { clearWay } from "./in-the-way.ts";
import { skip, type RunContext } from "./run-context.ts";

/** Bytes somebody wrote in the instant of a replace: they are in the version store and must be made visible. */
export type LateWrite = { readonly path: string; readonly sha1: Sha1; readonly remoteSha1: Sha1 | null; readonly baseSha1: Sha1 | null };

/** Records a batch; returns the writes that were caught in the last instant. */
export function recordApplied(
  context: RunContext,
  batch: readonly Staged[],
  results: readonly ApplyResult[],
  approved: ReadonlySet<string> | null,
): LateWrite[] {
  const late: LateWrite[] = [];
  context.parts.state.transaction(() => {
    for (const [index, staged] of batch.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error("apply: fewer results than steps");
      recordOne(context, staged, result, approved, late);
    }
    const gone = batch.filter(({ step }, index) => step.kind === "remove" && results[index]?.kind === "done");
    clearWay(
      context.parts.rows,
      gone.map(({ step }) => step.path),
    );
  });
  return late;
}

function recordOne(
  context: RunContext,
  staged: Staged,
  result: ApplyResult,
  approved: ReadonlySet<string> | null,
  late: LateWrite[],
): void {
  const { rows, clock, local } = context.parts;
  const { step, action } = staged;
  const atMs = clock.wallMs();
  rows.applyIntents.remove(step.path);
  if (result.kind !== "done") {
    skip(context, step.path);
    if (result.kind === "changed") local.hint(rows.entries.get(step.path)?.diskPath ?? step.path);
    else {
      const reason = result.reason === "diskFull" ? "diskFull" : "applyFailed";
      rows.problems.put({ path: step.path, side: "remote", reason, detail: result.detail, sinceMs: atMs });
    }
    return;
  }
  if (result.kept !== null) rows.versions.add(result.kept);
  const expected = step.expect?.sha1 ?? null;
  if (result.kept !== null && result.kept.sha1 !== expected) {
    late.push({ path: step.path, sha1: result.kept.sha1, remoteSha1: step.kind === "put" ? step.sha1 : null, baseSha1: expected });
  }
  if (step.kind === "put" && result.entry !== null) {
    rows.entries.put(result.entry);
    rows.changes.append({ path: step.path, kind: "put", sha1: step.sha1, sizeBytes: result.entry.sizeBytes, origin: "apply", atMs });
    rows.base.put(step.path, step.sha1);
    context.counts.downloadedFiles += 1;
  } else {
    rows.entries.remove(step.path);
    context.parts.freed.add(step.path);
    rows.changes.append({ path: step.path, kind: "remove", sha1: null, sizeBytes: null, origin: "apply", atMs });
    rows.base.put(step.path, null);
    context.counts.deletedLocal += 1;
    const renamed = action.kind === "deleteLocal" && action.to !== null;
    if (!renamed && approved?.has(`deleteLocal\0${step.path}`) !== true) rows.deletions.add("deleteLocal", step.path, atMs);
  }
  rows.problems.clear(step.path, "remote");
  rows.uploadIntents.removeAll(step.path);
  // Both sides hold the same now, and only a run changes the trees: nothing is left to plan for this path.
  rows.pending.remove(step.path);
  if (staged.conflict !== null) recordConflict(context, staged.conflict, result, atMs);
}

function recordConflict(context: RunContext, id: number, result: Extract<ApplyResult, { kind: "done" }>, atMs: number): void {
  const { rows, state } = context.parts;
  context.counts.conflicts += 1;
  if (result.copy !== null) {
    rows.entries.put(result.copy);
    const { path, sha1, sizeBytes } = result.copy;
    rows.changes.append({ path, kind: "put", sha1, sizeBytes, origin: "apply", atMs });
  }
  const conflict = rows.conflicts.get(id);
  if (conflict?.state === "planned") rows.conflicts.update(id, { state: "open" });
  state.events.append("conflict", rows.id, { id, path: conflict?.path ?? null, copyPath: conflict?.copyPath ?? null }, atMs);
}
