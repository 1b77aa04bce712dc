/** File events as they are in the world: late, doubled, without a name, lost without a word (WA01–WA07). */
import { DiskError, type WatchHint } from "../../service/core/ports.ts";
import type { Rng } from "./rng.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import type { Volume } from "./volume.ts";

export type WatchFaults = {
  readonly drop: boolean;
  readonly dropAll: boolean;
  readonly double: boolean;
  readonly lost: boolean;
  readonly impossible: boolean;
};

/** Watches what lies below `root`, as the `watch` of an opened folder. */
export async function simWatch(
  given: {
    readonly scheduler: Scheduler;
    readonly life: Life;
    readonly volume: Volume;
    readonly rng: Rng;
    readonly faults: () => WatchFaults;
  },
  root: string,
  onHint: (hint: WatchHint) => void,
): Promise<{ close(): Promise<void> }> {
  const { scheduler, life, volume, rng, faults } = given;
  await scheduler.call(life, "watch", () => {
    if (faults().impossible) throw new DiskError("notSupported", `Could not watch ${root}: no events here.`);
  });
  let open = true;
  const tell = (hint: WatchHint): void => {
    scheduler.after(life, rng.below(60), `hint ${hint.kind}`, () => {
      if (open) onHint(hint);
    });
  };
  const listener = (path: string): void => {
    if (!open || !life.alive) return void volume.listeners.delete(listener);
    if (path === root) return tell({ kind: "gone" });
    if (!path.startsWith(`${root}/`) || path.startsWith(`${root}/.satchel/`)) return;
    const chance = faults();
    if (chance.dropAll || (chance.drop && rng.chance(0.3))) return;
    if (chance.lost && rng.chance(0.05)) return tell({ kind: "lost" });
    const diskPath = path.slice(root.length + 1);
    tell({ kind: "hint", diskPath: rng.chance(0.03) ? null : diskPath });
    if (chance.double && rng.chance(0.2)) tell({ kind: "hint", diskPath });
  };
  volume.listeners.add(listener);
  return {
    close: async () => {
      open = false;
      await Promise.resolve();
    },
  };
}
