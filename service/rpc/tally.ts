/** What the service has done since it was started: plain numbers, kept at no cost, for whoever asks for metrics. */
import type { Progress } from "../core/ports.ts";

export type Tally = {
  /** Runs by result. */
  readonly runs: ReadonlyMap<string, number>;
  readonly moved: { readonly filesUp: number; readonly bytesUp: number; readonly filesDown: number; readonly bytesDown: number };
  runEnded(result: string): void;
  progress(run: string, progress: Progress): void;
};

/** Runs under way at once are as many as folders: what is remembered of each is let go after so many others. */
const RUNS_REMEMBERED = 1000;

export function newTally(): Tally {
  const runs = new Map<string, number>();
  const moved = { filesUp: 0, bytesUp: 0, filesDown: 0, bytesDown: 0 };
  const before = new Map<string, Progress>();
  return {
    runs,
    moved,
    runEnded: (result) => void runs.set(result, (runs.get(result) ?? 0) + 1),
    progress: (run, now) => {
      const last = before.get(run);
      for (const key of ["filesUp", "bytesUp", "filesDown", "bytesDown"] as const) moved[key] += Math.max(0, now[key] - (last?.[key] ?? 0));
      before.set(run, now);
      if (before.size > RUNS_REMEMBERED) for (const old of before.keys()) if (before.size > RUNS_REMEMBERED / 2) before.delete(old);
    },
  };
}
