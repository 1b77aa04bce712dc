/** On a disk that folds names: files whose twin went away get their own names back. */
import { foldKey } from "../core/case-folding.ts";
import type { Entry } from "../core/model.ts";
import { DiskError } from "../core/ports.ts";
import type { RunContext } from "./run-context.ts";

/**
 * `all`: every file is looked at, as after a scan; else those whose twin went lately. What the disk refuses stays as it is. A name that went a moment ago
 * may be in an editor's hands, which makes it anew: given to the twin, it would be overwritten, and the editor's file would pass for deleted.
 */
export async function freeTwins(context: RunContext, all: boolean): Promise<void> {
  const { parts } = context;
  const { applier, rows, state, observer, freed } = parts;
  if (!applier.foldsNames) return freed.clear();
  const waiting = new Map<string, Entry>();
  for (const path of freed) {
    if (parts.local.isRestless(path)) {
      context.workLeft = true;
      continue;
    }
    freed.delete(path);
    const twin = rows.entries.twinOf(path, foldKey(path));
    if (twin !== undefined && twin.diskPath !== null) waiting.set(twin.path, twin);
    // A twin itself stands here when the disk refused to give it its name before, or to take away the other one.
    const itself = rows.entries.get(path);
    if (itself !== undefined) waiting.set(path, itself);
  }
  const busy = new Set([...freed].map(foldKey));
  if (all) for (const entry of rows.entries.all()) if (entry.diskPath !== null) waiting.set(entry.path, entry);
  for (const entry of waiting.values()) {
    const key = foldKey(entry.path);
    // Who holds the name may be missing and not yet be known to be gone.
    if (entry.diskPath !== null && (busy.has(key) || rows.entries.holderOf(entry.path, key) !== undefined)) continue;
    try {
      await applier.freeTwin(entry, (now) => state.transaction(() => void rows.entries.put(now)));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // Both names may show the file now, and nothing may be put at either: it is tried again with the next run.
      freed.add(entry.path);
      observer.trouble?.(parts.id, entry.path, error);
    }
  }
}
