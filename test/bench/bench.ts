import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type { Anki } from "../anki/venv.ts";
import { WORKLOADS, type Workload } from "./workload.ts";

/** One measured figure beside its reference. `ratio` null: nothing to compare with. */
export type Figure = {
  readonly what: string;
  readonly value: string;
  readonly reference: string;
  readonly ratio: number | null;
  /** The target of PERFORMANCE as written; `met` null where it can't be judged here. */
  readonly target: string;
  readonly met: boolean | null;
};

/** A row of PERFORMANCE "Targets". `run` throws when what it measures did not work; a reason in words when a reference is missing. */
export type Row = { readonly id: string; readonly run: (bench: Bench) => Promise<readonly Figure[] | { readonly skipped: string }> };

/** What the rows of one `npm run bench` share: scratch space, and references that are measured once. */
export type Bench = {
  readonly anki: Anki;
  scratch(): Promise<string>;
  /** Measured at the first call of this key in a run, then remembered. */
  once<T>(key: string, measure: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

export function openBench(anki: Anki): Bench {
  const folders: string[] = [];
  const known = new Map<string, Promise<unknown>>();
  return {
    anki,
    async scratch() {
      const folder = await mkdtemp(path.join(tmpdir(), "satchel-bench-"));
      folders.push(folder);
      return folder;
    },
    async once<T>(key: string, measure: () => Promise<T>) {
      const found = known.get(key) ?? measure();
      known.set(key, found);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one key, one type: they stand beside each other in the callers
      return (await found) as T;
    },
    // Only at the end: for minutes after many files were removed, new ones cost ten times as much here (ext4; 0.1 and 0.9 ms, measured).
    async close() {
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Everything written so far is on the disk: the next measurement does not pay for it. */
export function flushDisk(): void {
  execFileSync("sync");
}

/** @throws Error when the folder does not hold exactly as many files as the workload: a fast sync of half the files is no result. */
export async function checkFolder(folder: string, workload: Workload): Promise<void> {
  const found = (await readdir(folder)).filter((name) => !name.startsWith(".satchel")).length;
  if (found !== WORKLOADS[workload].files)
    throw new Error(`${folder} holds ${String(found)} files, not ${String(WORKLOADS[workload].files)}`);
}

/** A figure with a ratio that must be at most `most`. */
export function ratioFigure(what: string, value: string, reference: string, ratio: number, most: number): Figure {
  return { what, value, reference, ratio, target: `≤ ${String(most)} ×`, met: ratio <= most };
}

/** A figure with a limit of its own. */
export function limitFigure(what: string, value: string, target: string, met: boolean | null): Figure {
  return { what, value, reference: "", ratio: null, target, met };
}
