/** What one run carries through its phases: counters, progress, and what it learnt for the next round. */
import type { Progress } from "../core/ports.ts";
import type { FolderParts } from "./parts.ts";

export type RunContext = {
  readonly parts: FolderParts;
  readonly run: string;
  readonly signal: AbortSignal;
  readonly counts: {
    uploadedFiles: number;
    uploadedBytes: number;
    downloadedFiles: number;
    downloadedBytes: number;
    deletedLocal: number;
    deletedRemote: number;
    conflicts: number;
  };
  readonly totals: { filesUp: number; bytesUp: number; filesDown: number };
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
    counts: {
      uploadedFiles: 0,
      uploadedBytes: 0,
      downloadedFiles: 0,
      downloadedBytes: 0,
      deletedLocal: 0,
      deletedRemote: 0,
      conflicts: 0,
    },
    totals: { filesUp: 0, bytesUp: 0, filesDown: 0 },
    refetch: false,
    workLeft: false,
    restless: new Set(),
    skipped: new Set(),
  };
}

/** Tells the observer how far the run is. */
export function tellProgress(context: RunContext): void {
  const { counts, totals } = context;
  const progress: Progress = {
    filesUp: counts.uploadedFiles + counts.deletedRemote,
    filesUpTotal: totals.filesUp,
    bytesUp: counts.uploadedBytes,
    bytesUpTotal: totals.bytesUp,
    filesDown: counts.downloadedFiles + counts.deletedLocal,
    filesDownTotal: totals.filesDown,
    bytesDown: counts.downloadedBytes,
  };
  context.parts.observer.progress?.(context.parts.id, context.run, progress);
}

/** A path that can't be dealt with now: left as it is, looked at again later. */
export function skip(context: RunContext, path: string): void {
  context.skipped.add(path);
  context.workLeft = true;
}
