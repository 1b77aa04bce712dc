/** The disk side of a folder as `service/main.ts` puts it together, over simulated ports. */
import type { Applier, LocalTree } from "../../service/core/local.ts";
import type { Clock, Disk, Faults, Random } from "../../service/core/ports.ts";
import type { FolderState } from "../../service/core/state.ts";
import type { OpenedRoot } from "../../service/engine/deps.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { openRootParts } from "../../service/files/open-root.ts";
import type { KeepingStore } from "../../service/files/versions.ts";
import type { Rng } from "./rng.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import type { Volume } from "./volume.ts";
import { simWatch, type WatchFaults } from "./watcher.ts";

export type RootGiven = {
  readonly scheduler: Scheduler;
  readonly life: Life;
  readonly volume: Volume;
  readonly watchRng: Rng;
  readonly watchFaults: () => WatchFaults;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly versions: KeepingStore;
  readonly rows: FolderState;
  readonly faults: Faults;
  readonly root: string;
  /** A canary's hand on the applier. */
  readonly applier?: (applier: Applier) => Applier;
  readonly local?: (local: LocalTree) => LocalTree;
};

const FILE_BYTES_MAX = 100 * 1024 * 1024;

/** What `service/main.ts` does for production; there the ports are Node's. */
export async function openSimRoot(given: RootGiven): Promise<OpenedRoot> {
  const { disk, clock, random, root, versions, rows, faults } = given;
  const parts = await openRootParts({
    disk,
    clock,
    random,
    compute: syncCompute,
    versions,
    root,
    rows,
    naming: "posix",
    fileMaxBytes: FILE_BYTES_MAX,
    faults,
  });
  return {
    ...parts,
    applier: given.applier?.(parts.applier) ?? parts.applier,
    local: given.local?.(parts.local) ?? parts.local,
    watch: async (onHint) =>
      await simWatch(
        { scheduler: given.scheduler, life: given.life, volume: given.volume, rng: given.watchRng, faults: given.watchFaults },
        root,
        onHint,
      ),
    close: async () => await Promise.resolve(),
  };
}
