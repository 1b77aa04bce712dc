/** One media folder on the real disk with the product's own tree, applier and version store, and a clock that the test moves. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { foldKey } from "../../service/core/case-folding.ts";
import type { Applier, LocalTree, Observation } from "../../service/core/local.ts";
import type { Entry, Sha1 } from "../../service/core/model.ts";
import { fingerprintsOf } from "./fingerprints.ts";
import type { Clock, Disk, Faults } from "../../service/core/ports.ts";
import { openApplier } from "../../service/files/apply.ts";
import { nodeCompute } from "../../service/files/compute.ts";
import { openLocalTree } from "../../service/files/local-tree.ts";
import { openNodeDisk, type NodeDisk } from "../../service/files/node-disk.ts";
import { openVersionStore, type KeepingStore } from "../../service/files/versions.ts";

export const never = new AbortController().signal;
const CAPS = { foldsCase: false, foldsNormalization: false };
type Caps = typeof CAPS;

/** Real time plus what the test has added. */
export class ShiftedClock implements Clock {
  addedMs = 0;
  /** No sleep ends any more: what waits for another turn never runs. */
  asleep = false;
  wallMs(): number {
    return Date.now() + this.addedMs;
  }
  monoMs(): number {
    return performance.now() + this.addedMs;
  }
  async sleep(): Promise<void> {
    await (this.asleep ? Promise.withResolvers<never>().promise : Promise.resolve());
  }
}

let lastRandom = 1;
const random = { u32: () => (lastRandom = (lastRandom * 1_664_525 + 1_013_904_223) >>> 0) };

function openRealDisk(options: DiskOptions): NodeDisk {
  return openNodeDisk({ diskWorker: new URL("../../service/files/disk-worker.ts", import.meta.url), ...options });
}

export function sha1Of(text: string): Sha1 {
  return nodeCompute.sha1(Buffer.from(text));
}

type Reopen = { readonly disk?: Disk; readonly caps?: Caps; readonly faults?: Faults; readonly reserveBytes?: number };

export type FolderOnDisk = {
  readonly home: string;
  readonly root: string;
  readonly disk: NodeDisk;
  readonly clock: ShiftedClock;
  /** The local tree as an engine would have recorded it. */
  readonly entries: Map<string, Entry>;
  readonly problems: Map<string, string>;
  readonly ignored: Set<string>;
  tree: LocalTree;
  versions: KeepingStore;
  applier: Applier;
  /** Records observations as the engine does; returns them in short words. */
  record(observations: readonly Observation[]): string[];
  /** A whole look, then what is dirty until nothing settles any more within `addMs` of time. */
  scan(addMs?: number): Promise<string[]>;
  dirty(addMs: number): Promise<string[]>;
  /** New objects over the same disk, as after a restart. `disk` and `faults`: a test's own. */
  reopen(options?: Reopen): Promise<void>;
  close(): Promise<void>;
};

/** See `openNodeDisk`. */
type DiskOptions = { readonly nearNames?: number; readonly nearParts?: number };

export async function openFolderOnDisk(diskOptions: DiskOptions = {}): Promise<FolderOnDisk> {
  const home = realpathSync(mkdtempSync(path.join(tmpdir(), "satchel-files-")));
  const root = `${home}/media`;
  mkdirSync(`${root}/.satchel`, { recursive: true });
  const disk = openRealDisk(diskOptions);
  const clock = new ShiftedClock();
  const entries = new Map<string, Entry>();
  const problems = new Map<string, string>();
  const ignored = new Set<string>();
  const make = async (options: Reopen) => {
    const { disk: other, caps = CAPS, ...rest } = options;
    const used = other ?? disk;
    const versions = await openVersionStore({ disk: used, clock, random, directory: `${home}/versions`, compactLinesMin: 4 });
    const applier = openApplier({
      disk: used,
      clock,
      random,
      compute: nodeCompute,
      root,
      folder: "f",
      versions,
      caps,
      reserveBytes: 0,
      ...rest,
    });
    const tree = openLocalTree({
      disk: used,
      clock,
      root,
      entries: {
        get: (at) => entries.get(at),
        all: () => entries.values(),
        fingerprints: () => fingerprintsOf(entries.values()),
        twinOf: (at, key) => [...entries.values()].find((entry) => entry.path !== at && foldKey(entry.path) === key),
      },
      problems: () => problems.keys(),
      ignored: (at) => ignored.has(at),
      judgeName: (at) => (at.includes("bad|name") ? { reason: "badName", detail: `${at} is badly named` } : null),
      caps,
      sha1: (text) => nodeCompute.sha1(Buffer.from(text)),
      limits: { fileBytes: 100 * 1024 * 1024 },
    });
    return { versions, applier, tree };
  };
  const given: FolderOnDisk = {
    home,
    root,
    disk,
    clock,
    entries,
    problems,
    ignored,
    ...(await make({})),
    record: (observations) => observations.map((observation) => recordOne(entries, problems, observation)),
    scan: async (addMs = 3_000) => {
      clock.addedMs += addMs;
      const words: string[] = [];
      for await (const batch of given.tree.observeAll({ rehash: false }, never)) words.push(...given.record(batch));
      return words.toSorted();
    },
    dirty: async (addMs) => {
      clock.addedMs += addMs;
      return given.record(await given.tree.observeDirty(never)).toSorted();
    },
    reopen: async (options = {}) => {
      Object.assign(given, await make(options));
    },
    close: async () => {
      await disk.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
  return given;
}

function recordOne(entries: Map<string, Entry>, problems: Map<string, string>, observation: Observation): string {
  switch (observation.kind) {
    case "put":
    case "touched":
      entries.set(observation.entry.path, observation.entry);
      problems.delete(observation.entry.path);
      return `${observation.kind} ${observation.entry.path}`;
    case "gone":
      entries.delete(observation.path);
      problems.delete(observation.path);
      return `gone ${observation.path}`;
    case "problem":
      problems.set(observation.path, observation.reason);
      return `problem ${observation.path} ${observation.reason}`;
  }
}
