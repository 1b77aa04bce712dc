/** What is known of a conflict's two sides, for people who must choose. */
import type { Conflict, Sha1 } from "../core/model.ts";
import type { ConflictSide, ConflictView } from "./facade.ts";
import type { FolderParts } from "./parts.ts";

/** How far back the change log is looked through for the moment when bytes were saved. */
const CHANGES_SEARCHED = 200;

export function viewConflict(parts: Pick<FolderParts, "rows" | "device">, conflict: Conflict): ConflictView {
  const { rows, device } = parts;
  const saved = rows.changes.ofPath(conflict.path, CHANGES_SEARCHED).find((one) => one.kind === "put" && one.sha1 === conflict.localSha1);
  const author = rows.remoteAuthors.get(conflict.path, conflict.remoteSha1);
  const side = (sha1: Sha1, atMs: number | null, by: string | null): ConflictSide => {
    const near = [conflict.copyPath, conflict.path].map((path) => (path === null ? undefined : rows.entries.get(path)));
    const entry = near.find((one) => one?.sha1 === sha1) ?? rows.entries.withSha1(sha1);
    const kept = rows.versions.ofPath(conflict.path).find((version) => version.sha1 === sha1);
    return {
      sha1,
      sizeBytes: entry?.sizeBytes ?? kept?.sizeBytes ?? null,
      path: entry?.path ?? null,
      readable: entry !== undefined || rows.versions.has(sha1),
      atMs,
      device: by,
    };
  };
  return {
    ...conflict,
    mine: side(conflict.localSha1, saved?.atMs ?? null, device),
    theirs: side(conflict.remoteSha1, author?.atMs ?? conflict.atMs, author?.by ?? null),
    base: conflict.baseSha1 === null ? null : side(conflict.baseSha1, null, null),
  };
}
