/** One device for engine tests: the real engine and the real store over a folder and a remote in memory. */
import type { RunEnd } from "../../service/engine/run.ts";
import { runFolder } from "../../service/engine/run.ts";
import type { Policy } from "../../service/core/model.ts";
import { noFaults, type Clock, type Faults, type Progress, type Remote } from "../../service/core/ports.ts";
import { recoverFolder } from "../../service/engine/recover.ts";
import type { FolderParts } from "../../service/engine/parts.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { openState, type StateStore } from "../../service/store/open.ts";
import { MemoryFolder } from "./memory-folder.ts";

/** Time that passes only when somebody sleeps or a test moves it. */
export class ManualClock implements Clock {
  nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  wallMs(): number {
    return this.nowMs;
  }
  monoMs(): number {
    return this.nowMs;
  }
  async sleep(ms: number): Promise<void> {
    this.nowMs += ms;
    await Promise.resolve();
  }
}

export type Device = {
  readonly folder: MemoryFolder;
  readonly parts: FolderParts;
  readonly state: StateStore;
  readonly clock: ManualClock;
  faults: Faults;
  policy: Policy;
  /** Paths that the ignore rules leave alone, beside `.git/`; as in `.satchelignore`, they survive a restart. */
  readonly ignored: Set<string>;
  /** All that the observer was told of how far runs are. */
  readonly progress: Progress[];
  readonly sync: () => Promise<RunEnd>;
  /** Forgets everything that is not committed, as a killed process does, and starts again. */
  readonly restart: (image?: Buffer) => Promise<Device>;
};

let seeds = 0;

export function openDevice(
  name: string,
  remote: Remote | null,
  given: { readonly folder?: MemoryFolder; readonly image?: Buffer; readonly clock?: ManualClock; readonly ignored?: Set<string> } = {},
): Device {
  const clock = given.clock ?? new ManualClock();
  const state = openState({ path: given.image ?? ":memory:", now: () => clock.wallMs() });
  const rows = state.folder("f");
  const folder = given.folder ?? new MemoryFolder("f", () => rows.entries.all());
  let seed = ++seeds;
  const device: Device = {
    folder,
    state,
    clock,
    faults: noFaults,
    policy: "keep-both",
    ignored: given.ignored ?? new Set(),
    progress: [],
    parts: {
      id: "f",
      root: `/${name}`,
      policy: () => device.policy,
      state,
      rows,
      local: folder.local,
      applier: folder.applier,
      versions: folder.versions,
      remote: () => remote,
      clock,
      random: { u32: () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) },
      compute: syncCompute,
      ignoredBy: (path) => (path.startsWith(".git/") ? ".git/**" : device.ignored.has(path) ? path : null),
      ignoreRules: () => [...device.ignored].join("\n"),
      device: name,
      faults: (point) => device.faults(point),
      observer: { progress: (_folder, _run, progress) => void device.progress.push(progress) },
      freed: new Set(),
      streamIsCurrent: () => false,
    },
    sync: async () => {
      clock.nowMs += 1_000;
      return await runFolder(
        device.parts,
        { scan: true, rehash: false, waitSettle: false, ask: true, origin: "user" },
        AbortSignal.any([]),
      );
    },
    restart: async (image = state.serialize()) => {
      const next = openDevice(name, remote, { folder, image, clock, ignored: device.ignored });
      next.policy = device.policy;
      await recoverFolder(next.parts);
      return next;
    },
  };
  return device;
}
