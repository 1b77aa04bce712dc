/** On a disk that folds names: files whose twin went away get their own names back. */
import { foldKey } from "../core/case-folding.ts";
import type { Entry } from "../core/model.ts";
import { DiskError } from "../core/ports.ts";
import type { RunContext } from "./run-context.ts";

/** `all`: every file is looked at, as after a scan; else those whose twin went in this run. What the disk refuses stays as it is. */
export async function freeTwins(context: RunContext, all: boolean): Promise<void> {
  const { parts, freed } = context;
  const { applier, rows, state, observer } = parts;
  if (!applier.foldsNames) return;
  const waiting = new Map<string, Entry>();
  for (const path of freed) {
    const twin = rows.entries.twinOf(path, foldKey(path));
    if (twin !== undefined) waiting.set(twin.path, twin);
  }
  freed.clear();
  if (all) for (const entry of rows.entries.all()) if (entry.diskPath !== null) waiting.set(entry.path, entry);
  for (const entry of waiting.values()) {
    try {
      await applier.freeTwin(entry, (now) => state.transaction(() => void rows.entries.put(now)));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      observer.trouble?.(parts.id, entry.path, error);
    }
  }
}
