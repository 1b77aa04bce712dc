/** The facade's `conflicts` and `versions` areas. */
import type { Conflict } from "../core/model.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError, type Engine } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { resolveConflict, restoreVersion } from "./resolve.ts";

/** One answer reads at most this much: messages are limited to 1 MiB. */
const READ_BYTES_MAX = 512 * 1024;

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
    get: (id) => ownerOf(id).conflict,
    resolve: async (id, keep) => {
      const { loop, parts } = ownerOf(id).folder;
      const resolved = await loop.exclusive(async () => await resolveConflict(parts, id, keep));
      loop.tryAgain();
      return resolved;
    },
  };
}

export function versionsArea(context: EngineContext): Engine["versions"] {
  const { deps, need } = context;
  return {
    list: (folder, path) => need(folder).rows.versions.ofPath(path),
    read: async (sha1, offsetBytes, lengthBytes) => {
      if ((await deps.versions.locate(sha1)) === null) throw new EngineError("versionNotFound", `No kept bytes ${sha1.slice(0, 8)}.`);
      return await deps.versions.readRange(sha1, offsetBytes, Math.min(lengthBytes, READ_BYTES_MAX));
    },
    restore: async (id, path, sha1) => {
      const { loop, parts } = need(id);
      const restored = await loop.exclusive(async () => await restoreVersion(parts, path, sha1));
      loop.tryAgain();
      return restored;
    },
  };
}
