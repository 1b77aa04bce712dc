/** What one run carries through its phases: counters, progress, and what it learnt for the next round. */
import { NO_COUNTS, type RunCounts } from "../core/model.ts";
import type { OnBytes, Progress } from "../core/ports.ts";
import type { FolderParts } from "./parts.ts";

export type RunContext = {
  readonly parts: FolderParts;
  readonly run: string;
  readonly signal: AbortSignal;
  readonly counts: { -readonly [Count in keyof RunCounts]: number };
  /** `bytesDown` null: of some file the remote does not tell the size. */
  readonly totals: { filesUp: number; bytesUp: number; filesDown: number; bytesDown: number | null };
  /** Bytes that have moved and are not yet counted as files. */
  readonly moving: { up: number; down: number };
  /** What was told last: progress never goes back, though a request that failed is sent again. */
  readonly told: { up: number; down: number };
  /** The remote said that its list changed under us: read the feed again before the next plan. */
  refetch: boolean;
  /** Something had to be left for later (restless path, file changed under us): run again soon. */
  workLeft: boolean;
  /** Of these an editor is just busy with (RELIABILITY 3.8); they are free again within seconds. */
  readonly restless: Set<string>;
  /** Paths skipped in this run: not planned again in it, so that a run ends. */
  readonly skipped: Set<string>;
};

export function newRunContext(parts: FolderParts, run: string, signal: AbortSignal): RunContext {
  return {
    parts,
    run,
    signal,
    counts: { ...NO_COUNTS },
    totals: { filesUp: 0, bytesUp: 0, filesDown: 0, bytesDown: 0 },
    moving: { up: 0, down: 0 },
    told: { up: 0, down: 0 },
    refetch: false,
    workLeft: false,
    restless: new Set(),
    skipped: new Set(),
  };
}

/** Tells the observer how far the run is. */
export function tellProgress(context: RunContext): void {
  const { counts, totals, moving, told } = context;
  told.up = Math.max(told.up, Math.min(totals.bytesUp, counts.uploadedBytes + moving.up));
  told.down = Math.max(told.down, Math.min(totals.bytesDown ?? Number.POSITIVE_INFINITY, counts.downloadedBytes + moving.down));
  const progress: Progress = {
    filesUp: counts.uploadedFiles + counts.deletedRemote,
    filesUpTotal: totals.filesUp,
    bytesUp: told.up,
    bytesUpTotal: totals.bytesUp,
    filesDown: counts.downloadedFiles + counts.deletedLocal,
    filesDownTotal: totals.filesDown,
    bytesDown: told.down,
    bytesDownTotal: totals.bytesDown ?? 0,
  };
  context.parts.observer.progress?.(context.parts.id, context.run, progress);
}

/** For one request: counts what it moves, and forgets it again when the files it carried are counted, or it failed. */
export function meter(context: RunContext, way: "up" | "down"): { readonly onBytes: OnBytes; readonly end: () => void } {
  let moved = 0;
  return {
    onBytes: (bytes) => {
      moved += bytes;
      context.moving[way] += bytes;
      tellProgress(context);
    },
    end: () => {
      context.moving[way] = Math.max(0, context.moving[way] - moved);
      moved = 0;
    },
  };
}

/** A path that can't be dealt with now: left as it is, looked at again later. */
export function skip(context: RunContext, path: string): void {
  context.skipped.add(path);
  context.workLeft = true;
}
