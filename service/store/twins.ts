import { foldKey } from "../core/case-folding.ts";
import type { FolderRow } from "./session.ts";

/** Which paths of a folder are one name to a disk that folds names (S16). In memory, built at the first question: only such disks ask. */
export interface Twins {
  added(folder: FolderRow, path: string): void;
  removed(folder: FolderRow, path: string): void;
  /** The other paths with this key, ascending. `paths` reads every path of the folder. */
  find(folder: FolderRow, path: string, key: string, paths: () => readonly string[]): readonly string[];
  forget(folder: FolderRow): void;
  forgetAll(): void;
}

export function makeTwins(): Twins {
  const known = new Map<FolderRow, Map<string, Set<string>>>();
  return {
    added: (folder, path) => {
      const byKey = known.get(folder);
      if (byKey !== undefined) add(byKey, foldKey(path), path);
    },
    removed: (folder, path) => {
      const byKey = known.get(folder);
      if (byKey === undefined) return;
      const key = foldKey(path);
      const paths = byKey.get(key);
      paths?.delete(path);
      if (paths?.size === 0) byKey.delete(key);
    },
    find: (folder, path, key, paths) => {
      let byKey = known.get(folder);
      if (byKey === undefined) {
        byKey = new Map();
        for (const other of paths()) add(byKey, foldKey(other), other);
        known.set(folder, byKey);
      }
      // Sorted, so that the answer does not depend on what was asked or written before.
      return [...(byKey.get(key) ?? [])].filter((other) => other !== path).toSorted();
    },
    forget: (folder) => void known.delete(folder),
    forgetAll: () => known.clear(),
  };
}

function add(byKey: Map<string, Set<string>>, key: string, path: string): void {
  const paths = byKey.get(key);
  if (paths === undefined) byKey.set(key, new Set([path]));
  else paths.add(path);
}
