/** Undo: the last run or command that replaced or removed local bytes is taken back, file by file, as a new change. */
import type { Conflict, Sha1, Version } from "../core/model.ts";
import { commandId, putLocal, removeLocal } from "./change-local.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";

export type UndoResult = {
  readonly undone: readonly string[];
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
};

/** Each path still as that step left it gets back what stood there before; others are listed. An undo can be undone. @throws EngineError nothingToUndo */
export async function undoLast(parts: FolderParts, options: { readonly preview: boolean } = { preview: false }): Promise<UndoResult> {
  const steps = lastDestructiveSteps(parts);
  if (steps.size === 0)
    throw new EngineError(
      "nothingToUndo",
      "No sync or command has replaced or removed a file here that is still kept: there is nothing to undo.",
    );
  const run = commandId(parts);
  const undone: string[] = [];
  const skipped: { path: string; reason: string }[] = [];
  for (const [path, before] of steps) {
    if (!standsAsLeft(parts, path)) {
      skipped.push({ path, reason: "it was changed since" });
      continue;
    }
    if (options.preview) {
      undone.push(path);
      continue;
    }
    try {
      if (before === null) await removeLocal(parts, path, run);
      else await putLocal(parts, path, before, run);
      undone.push(path);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      skipped.push({ path, reason: error.message });
    }
  }
  if (options.preview) return { undone, skipped };
  const atMs = parts.clock.wallMs();
  parts.state.transaction(() => {
    parts.state.events.append("undo", parts.id, { undone, skipped: skipped.length }, atMs);
    conflictsFollow(parts, new Set(undone), atMs);
  });
  return { undone, skipped };
}

/**
 * A conflict's answer goes with the step that gave it: what stands at its two paths after the undo says how things are. Theirs under the name
 * and ours beside it: open. Ours under the name: answered with `mine`. Only theirs: with `theirs`. An older conflict of the same path is history.
 */
function conflictsFollow(parts: FolderParts, undone: ReadonlySet<string>, atMs: number): void {
  const { rows, state } = parts;
  const seen = new Set<string>();
  for (const conflict of rows.conflicts.list({ open: false })) {
    const { id, path, copyPath } = conflict;
    const touched = undone.has(path) || (copyPath !== null && undone.has(copyPath));
    if (touched && copyPath !== null && conflict.resolution !== "both" && !seen.has(path)) {
      const answer = answerByFiles(parts, conflict, copyPath);
      if (answer === "open" && conflict.state !== "open") {
        rows.conflicts.update(id, { state: "open", resolution: null });
        state.events.append("conflict", parts.id, { id, path, copyPath }, atMs);
      } else if (answer !== "open" && answer !== null && answer !== conflict.resolution) {
        rows.conflicts.update(id, { state: "resolved", resolution: answer });
        state.events.append("conflict/resolved", parts.id, { id, path, keep: answer }, atMs);
      }
    }
    seen.add(path);
  }
}

/** null: the files were changed since and say nothing. */
function answerByFiles(
  { rows }: FolderParts,
  { path, localSha1, remoteSha1 }: Conflict,
  copyPath: string,
): "open" | "mine" | "theirs" | null {
  const standing = rows.entries.get(path)?.sha1;
  if (standing === localSha1) return "mine";
  if (rows.entries.get(copyPath)?.sha1 === localSha1) return "open";
  return standing === remoteSha1 ? "theirs" : null;
}

/** Path → what stood there before the newest run that kept something (null: nothing did). */
function lastDestructiveSteps(parts: FolderParts): Map<string, Sha1 | null> {
  const steps = new Map<string, Sha1 | null>();
  const run = newestRun(parts);
  if (run === null) return steps;
  const versions = parts.rows.versions.ofRun(run);
  for (const version of versions) {
    if (version.why === "restored" && !steps.has(version.path)) steps.set(version.path, null);
  }
  for (const version of versions) {
    if (isKept(version)) steps.set(version.path, version.sha1);
  }
  return steps;
}

function newestRun(parts: FolderParts): string | null {
  let newest: Version | null = null;
  for (const version of parts.rows.versions.before(Number.MAX_SAFE_INTEGER)) {
    if (version.why !== "fetched" && (newest === null || version.atMs >= newest.atMs)) newest = version;
  }
  return newest?.run ?? null;
}

function isKept(version: Version): boolean {
  return version.why === "replaced" || version.why === "removed" || version.why === "conflict";
}

/** The newest observation of the path is a step of ours: nobody has touched it since. */
function standsAsLeft(parts: FolderParts, path: string): boolean {
  const [newest] = parts.rows.changes.ofPath(path, 1);
  return newest !== undefined && (newest.origin === "apply" || newest.origin === "restore");
}
