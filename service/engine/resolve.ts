/** Conflicts answered by a person, and kept versions put back. Whatever the answer, both byte strings stay recoverable. */
import type { Conflict, Sha1 } from "../core/model.ts";
import { carryOutRename, commandId, putLocal, removeLocal } from "./change-local.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";
import { bringVersion, newestThere } from "./remote-versions.ts";

export type Keep = "mine" | "theirs" | "both";

/**
 * `mine`: our bytes take the path again; `theirs`: the visible copy goes to the version store; `both`: both stay, the copy under the name
 * `as` where one is given. @throws EngineError
 */
export async function resolveConflict(parts: FolderParts, id: number, keep: Keep, as: string | null = null): Promise<Conflict> {
  const { rows, state, clock } = parts;
  const conflict = rows.conflicts.get(id);
  if (conflict === undefined) throw new EngineError("conflictNotFound", `There is no conflict ${id}. See \`satchel conflicts list\`.`);
  if (conflict.state === "resolved")
    throw new EngineError("conflictNotFound", `Conflict ${id} is resolved already (kept: ${conflict.resolution ?? "both"}).`);
  const run = commandId(parts);
  if (keep === "both" && as !== null) await nameCopy(parts, conflict, as, run);
  if (keep === "mine") await putLocal(parts, conflict.path, conflict.localSha1, run, "conflict");
  if (keep !== "both" && conflict.copyPath !== null) await removeCopy(parts, conflict.copyPath, conflict.localSha1, run);
  state.transaction(() => {
    rows.conflicts.update(id, { state: "resolved", resolution: keep });
    state.events.append("conflict/resolved", rows.id, { id, path: conflict.path, keep }, clock.wallMs());
  });
  return rows.conflicts.get(id) ?? conflict;
}

/** The bytes that lost the name get one of their own choosing. A copy that was edited meanwhile is renamed as it is now. */
async function nameCopy(parts: FolderParts, conflict: Conflict, as: string, run: string): Promise<void> {
  const { entries, conflicts } = parts.rows;
  if (as === conflict.copyPath) return;
  if (conflict.copyPath !== null && entries.get(conflict.copyPath) !== undefined) {
    await carryOutRename(parts, conflict.copyPath, as);
  } else {
    if (entries.get(as) !== undefined) throw new EngineError("exists", `${as} is taken by another file. Choose another name.`);
    await putLocal(parts, as, conflict.policy === "local-wins" ? conflict.remoteSha1 : conflict.localSha1, run);
  }
  parts.state.transaction(() => conflicts.update(conflict.id, { copyPath: as }));
}

/** A copy that somebody has edited meanwhile is a file of its own: it stays. */
async function removeCopy(parts: FolderParts, copyPath: string, sha1: Sha1, run: string): Promise<void> {
  if (parts.rows.entries.get(copyPath)?.sha1 === sha1) await removeLocal(parts, copyPath, run);
}

/**
 * Which bytes are meant, and that they are here: `sha1` null: the newest kept here that differ from what stands there, else the newest of the
 * remote. @throws EngineError versionNotFound, unreachable
 */
export async function wantedVersion(parts: FolderParts, path: string, sha1: Sha1 | null): Promise<Sha1> {
  const { rows } = parts;
  const standing = rows.entries.get(path)?.sha1 ?? null;
  const kept = rows.versions.ofPath(path);
  const here = sha1 === null ? kept.find((version) => version.sha1 !== standing) : kept.find((version) => version.sha1.startsWith(sha1));
  const wanted = here?.sha1 ?? sha1 ?? (await newestThere(parts, path, standing));
  if (wanted !== null && (await bringVersion(parts, path, wanted))) return wanted;
  const what = sha1 === null ? "No earlier bytes" : `No bytes ${sha1.slice(0, 8)}`;
  throw new EngineError(
    "versionNotFound",
    `${what} of ${path} are kept, neither here nor on the remote. See \`satchel versions ${path}\` for what is.`,
  );
}

/** Puts kept bytes back at a path, as a new change. @throws EngineError */
export async function restoreVersion(parts: FolderParts, path: string, sha1: Sha1): Promise<{ path: string; sha1: Sha1 }> {
  await putLocal(parts, path, sha1, commandId(parts));
  return { path, sha1 };
}
