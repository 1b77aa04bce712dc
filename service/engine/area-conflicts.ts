/** The facade's `conflicts` and `versions` areas. */
import type { Conflict } from "../core/model.ts";
import { viewConflict } from "./conflict-view.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError, type Engine } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { readBytes, removedPaths } from "./kept-bytes.ts";
import { legalPath } from "./legal-path.ts";
import { resolveConflict, restoreVersion } from "./resolve.ts";

export function conflictsArea(context: EngineContext): Engine["conflicts"] {
  const { folders, need } = context;
  const ownerOf = (id: number): { folder: Folder; conflict: Conflict } => {
    for (const folder of folders.values()) {
      const conflict = folder.rows.conflicts.get(id);
      if (conflict !== undefined) return { folder, conflict };
    }
    throw new EngineError("conflictNotFound", `There is no conflict ${id}. See \`satchel conflicts list\`.`);
  };
  return {
    list: (folder, open) => {
      const chosen = folder === null ? [...folders.values()] : [need(folder)];
      return chosen.flatMap(({ rows }) => rows.conflicts.list({ open }));
    },
    get: (id) => {
      const { folder, conflict } = ownerOf(id);
      return viewConflict({ rows: folder.rows, device: context.deps.device }, conflict);
    },
    resolve: async (id, keep, as) => {
      const { loop, parts } = ownerOf(id).folder;
      const name = as === null ? null : legalPath(as);
      const resolved = await loop.exclusive(async () => await resolveConflict(parts, id, keep, name));
      loop.tryAgain();
      return resolved;
    },
  };
}

export function versionsArea(context: EngineContext): Engine["versions"] {
  const { deps, need } = context;
  return {
    list: (folder, path) => need(folder).rows.versions.ofPath(path),
    removed: (folder, limit) => removedPaths(need(folder), limit),
    read: async (sha1, folder, offsetBytes, lengthBytes) =>
      await readBytes(deps.versions, folder === null ? null : need(folder).parts, { sha1, offsetBytes, lengthBytes }),
    restore: async (id, path, sha1) => {
      const { loop, parts } = need(id);
      const restored = await loop.exclusive(async () => await restoreVersion(parts, path, sha1));
      loop.tryAgain();
      return restored;
    },
  };
}
