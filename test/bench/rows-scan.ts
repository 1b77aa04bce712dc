import path from "node:path";
import { pathToFileURL } from "node:url";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

import type { Entry } from "../../service/core/model.ts";
import type { FolderState } from "../../service/core/state.ts";
import { openLocalTree } from "../../service/files/local-tree.ts";
import { openNodeDisk } from "../../service/files/node-disk.ts";
import { openState } from "../../service/store/open.ts";
import { satchelEntry } from "../support/entry.ts";
import { realClock } from "../support/real-clock.ts";
import { flushDisk, limitFigure, ratioFigure, type Bench, type Figure, type Row } from "./bench.ts";
import { buildFloor } from "./floor.ts";
import { inTime, quantile } from "./measure.ts";
import { makeWorkload, WORKLOADS, type Workload } from "./workload.ts";

/** The one that ships. */
const diskWorker = (): URL => new URL("disk-worker.cjs", pathToFileURL(satchelEntry()));
const ROUNDS = 5;
const RESCAN_MS = 300;
const HELD_MS = 10;
const SETTLED_MS = 3000;
const never = new AbortController().signal;

/** One whole look over `root` with workers that have yet to start, as after the start of a service. */
async function scan(
  root: string,
  entries: Pick<FolderState["entries"], "get" | "all" | "fingerprints">,
  files: number | null,
): Promise<{ readonly ms: number; readonly seen: Entry[] }> {
  const disk = openNodeDisk({ diskWorker: diskWorker() });
  try {
    const begun = performance.now();
    const tree = openLocalTree({
      disk,
      clock: realClock,
      root,
      entries: {
        get: (at) => entries.get(at),
        all: () => entries.all(),
        fingerprints: () => entries.fingerprints(),
        twinOf: () => undefined,
      },
      problems: () => [],
      ignored: () => false,
      judgeName: () => null,
      caps: { foldsCase: false, foldsNormalization: false },
      sha1: () => "",
      limits: { fileBytes: 104_857_600 },
    });
    const seen: Entry[] = [];
    for await (const batch of tree.observeAll({ rehash: false }, never))
      for (const one of batch) {
        if (one.kind !== "put") throw new Error(`the scan made ${JSON.stringify(one)} of an ordinary file`);
        seen.push(one.entry);
      }
    const ms = performance.now() - begun;
    if (files !== null && seen.length !== files) throw new Error(`the scan saw ${String(seen.length)} files, not ${String(files)}`);
    return { ms, seen };
  } finally {
    await disk.close();
  }
}

const nothingKnown = { get: () => undefined, all: () => [], fingerprints: () => [] };

/** Files that have settled: younger ones are looked at again later, as they may still be written to. */
async function folderOf(bench: Bench, workload: Workload): Promise<string> {
  return await bench.once(`folder ${workload}`, async () => {
    const folder = path.join(await bench.scratch(), "media");
    makeWorkload(folder, workload);
    flushDisk();
    await sleep(SETTLED_MS);
    return folder;
  });
}

async function firstScan(bench: Bench, workload: Workload, most: number): Promise<readonly Figure[] | { readonly skipped: string }> {
  const floor = await buildFloor();
  if ("missing" in floor) return { skipped: floor.missing };
  try {
    const root = await folderOf(bench, workload);
    const [theirs, ours]: [number[], number[]] = [[], []];
    await floor.scan(root);
    for (let round = 0; round < ROUNDS; round++) {
      theirs.push(await floor.scan(root));
      ours.push((await scan(root, nothingKnown, WORKLOADS[workload].files)).ms);
    }
    const [mine, bare] = [quantile(ours, 0.5), quantile(theirs, 0.5)];
    return [
      ratioFigure(
        `first scan and hash, ${workload}, warm, p50 of ${String(ROUNDS)}`,
        inTime(mine),
        `C, 2 threads ${inTime(bare)}`,
        mine / bare,
        most,
      ),
    ];
  } finally {
    await floor.close();
  }
}

/** The scan after a restart: every file known, nothing changed. */
async function rescan(bench: Bench): Promise<readonly Figure[]> {
  const root = await folderOf(bench, "W2");
  const state = openState({ path: path.join(await bench.scratch(), "state.db"), now: () => Date.now() });
  try {
    const { seen } = await scan(root, nothingKnown, WORKLOADS.W2.files);
    const { entries } = state.folder("bench");
    state.transaction(() => {
      for (const entry of seen) entries.put({ ...entry, racy: false });
    });
    const times = [];
    const held = [];
    for (let round = 0; round < ROUNDS; round++) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      times.push((await scan(root, entries, 0)).ms);
      delay.disable();
      held.push(delay.max / 1e6);
    }
    const [ms, heldMs] = [quantile(times, 0.5), quantile(held, 0.5)];
    return [
      limitFigure("rescan of 100 000 unchanged files, p50 of 5", inTime(ms), `≤ ${String(RESCAN_MS)} ms`, ms <= RESCAN_MS),
      limitFigure(
        "longest hold of the event loop in it (timer of 1 ms), p50 of 5",
        inTime(heldMs),
        `≤ ${String(HELD_MS)} ms`,
        heldMs <= HELD_MS,
      ),
    ];
  } finally {
    state.close();
  }
}

/** Looking at files: against C, and after a restart. */
export const SCAN_ROWS: readonly Row[] = [
  {
    id: "scan",
    async run(bench) {
      const small = await firstScan(bench, "W1", 1.15);
      if ("skipped" in small) return small;
      const large = await firstScan(bench, "W2", 1.5);
      return "skipped" in large ? large : [...small, ...large];
    },
  },
  { id: "rescan", run: rescan },
];
