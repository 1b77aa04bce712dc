/** Changes of the disk that a person asked for: restore, resolve, undo. The same steps as a run's apply, but as a new change of ours. */
import type { ApplyStep } from "../core/local.ts";
import type { Origin, Sha1, Version } from "../core/model.ts";
import { EngineError } from "./errors.ts";
import { refuseUnsynced } from "./legal-path.ts";
import { newRunId, type FolderParts } from "./parts.ts";

/** Puts bytes that are kept or stand elsewhere to `path`, keeping what stands there. @throws EngineError */
export async function putLocal(parts: FolderParts, path: string, sha1: Sha1, run: string, why: Version["why"] = "replaced"): Promise<void> {
  const { rows } = parts;
  const expect = rows.entries.get(path) ?? null;
  if (expect?.sha1 === sha1) return;
  const temp = await parts.applier.stageLocal(path, sha1, rows.entries.withSha1(sha1));
  if (temp === null)
    throw new EngineError(
      "versionNotFound",
      `The kept bytes ${sha1.slice(0, 8)} of ${path} are not in the version store any more, or are damaged there.`,
    );
  await carryOut(parts, { kind: "put", path, temp, sha1, expect, copyTo: null, why }, run);
}

/** Removes `path`, keeping its bytes. @throws EngineError */
export async function removeLocal(parts: FolderParts, path: string, run: string): Promise<void> {
  const expect = parts.rows.entries.get(path);
  if (expect !== undefined) await carryOut(parts, { kind: "remove", path, expect, why: "removed" }, run);
}

/** A run id for a command; its kept versions are listed under it, so that it can be undone. */
export function commandId(parts: FolderParts): string {
  return newRunId(parts);
}

async function carryOut(parts: FolderParts, step: ApplyStep, run: string): Promise<void> {
  const { rows, state, clock } = parts;
  const origin: Origin = "restore";
  const sha1 = step.kind === "put" ? step.sha1 : null;
  state.transaction(() =>
    rows.applyIntents.put({
      path: step.path,
      sha1,
      expectSha1: step.expect?.sha1 ?? null,
      temp: step.kind === "put" ? step.temp : null,
      movesBase: false,
      origin,
      run,
    }),
  );
  const [result] = await parts.applier.commit([step], run);
  if (result?.kind !== "done") {
    state.transaction(() => rows.applyIntents.remove(step.path));
    if (step.kind === "put") await parts.applier.discard([step.temp]);
    parts.local.hint(step.expect?.diskPath ?? step.path);
    if (result?.kind === "trouble") throw new EngineError("disk", result.detail);
    throw new EngineError("changedMeanwhile", `${step.path} was changed by another program at this moment; nothing was done. Try again.`);
  }
  state.transaction(() => {
    const atMs = clock.wallMs();
    rows.applyIntents.remove(step.path);
    if (result.kept !== null) rows.versions.add(result.kept);
    if (result.entry === null) rows.entries.remove(step.path);
    else rows.entries.put(result.entry);
    rows.changes.append({
      path: step.path,
      kind: sha1 === null ? "remove" : "put",
      sha1,
      sizeBytes: result.entry?.sizeBytes ?? null,
      origin,
      atMs,
    });
    if (sha1 !== null && result.entry !== null) {
      rows.versions.add({ path: step.path, sha1, sizeBytes: result.entry.sizeBytes, why: "restored", run, atMs });
    }
  });
}

/** Renames in the folder: the new name first, then the old one goes (its bytes live on). @throws EngineError */
export async function carryOutRename(parts: FolderParts, from: string, to: string): Promise<void> {
  const { rows } = parts;
  const entry = rows.entries.get(from);
  if (entry === undefined) throw new EngineError("pathNotFound", `${from} is not in ${parts.root}.`);
  if (rows.entries.get(to) !== undefined) throw new EngineError("exists", `${to} is taken by another file. Choose another name.`);
  refuseUnsynced(parts, to);
  const run = commandId(parts);
  await putLocal(parts, to, entry.sha1, run);
  await removeLocal(parts, from, run);
}
