/** The facade's `conflicts` and `versions` areas. */
import type { Conflict } from "../core/model.ts";
import { viewConflict } from "./conflict-view.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { readBytes, removedPaths } from "./kept-bytes.ts";
import { legalPath } from "./legal-path.ts";
import { bringVersion, listVersions } from "./remote-versions.ts";
import { resolveConflict, restoreVersion, wantedVersion } from "./resolve.ts";

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
    list: async (folder, path) => await listVersions(need(folder).parts, legalPath(path)),
    removed: (folder, limit) => removedPaths(need(folder), limit),
    read: async ({ folder, path, ...slice }) => {
      const parts = folder === null ? null : need(folder).parts;
      try {
        return await readBytes(deps.versions, parts, slice);
      } catch (error) {
        if (!(error instanceof EngineError) || error.fault !== "versionNotFound" || parts === null || path === null) throw error;
        if (!(await bringVersion(parts, legalPath(path), slice.sha1))) throw error;
        return await readBytes(deps.versions, parts, slice);
      }
    },
    restore: async (id, path, sha1) => {
      const { loop, parts } = need(id);
      // What only the remote keeps is fetched before the folder's turn, so that no run waits for a slow line.
      const wanted = await wantedVersion(parts, path, sha1);
      const restored = await loop.exclusive(async () => await restoreVersion(parts, path, wanted));
      loop.tryAgain();
      return restored;
    },
  };
}
