/** Production's way to a folder's disk side: locked for us alone, over the real disk and its watcher. */
import type { Clock, Compute, Disk, Random } from "../core/ports.ts";
import type { State } from "../core/state.ts";
import { openRootParts } from "../files/open-root.ts";
import type { KeepingStore } from "../files/versions.ts";
import { parcelWatcher } from "../files/watch.ts";
import { rootLockPath, takeLock } from "../store/lock.ts";
import type { EngineDeps } from "./deps.ts";
import { EngineError } from "./errors.ts";

/** Locks in a shared /tmp are touched this often, so that its cleaner leaves them. */
const TOUCH_MS = 6 * 3_600_000;

export type LockedRootOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  readonly versions: KeepingStore;
  readonly state: State;
  readonly limits: { readonly fileMaxBytes: number; readonly freeMinBytes: number };
  readonly platform: NodeJS.Platform;
  /** Where the locks of all homes are, so that two homes can't share a root. */
  readonly tmpDir: string;
  /** Somebody took the lock's file away: another service could now open the same root. */
  readonly lockLost: (root: string) => void;
};

/** See `EngineDeps.openRoot`. */
export function lockedRootOpener(options: LockedRootOptions): EngineDeps["openRoot"] {
  const { disk, state, tmpDir, lockLost, limits, platform, ...ports } = options;
  const watcher = parcelWatcher();
  return async ({ id, root }) => {
    const found = await disk.lstat(root);
    if (found?.kind !== "directory")
      throw new EngineError(
        "notADirectory",
        `${root} is not there (moved, deleted, or on a disk that is not mounted). Nothing is synced until it is back.`,
      );
    const lock = takeLock(rootLockPath({ tmpDir, dev: found.dev, ino: found.fileId }));
    if (lock === null)
      throw new EngineError(
        "rootLocked",
        `Another Satchel service looks after ${root} already. Stop that one, or remove the folder there.`,
      );
    const touch = setInterval(() => {
      if (!lock.stillHeld()) lockLost(root);
    }, TOUCH_MS);
    touch.unref();
    const close = async (): Promise<void> => {
      clearInterval(touch);
      lock.release();
      await Promise.resolve();
    };
    try {
      const naming = platform === "win32" ? "windows" : "posix";
      const { fileMaxBytes, freeMinBytes } = limits;
      const parts = await openRootParts({ ...ports, disk, root, rows: state.folder(id), naming, fileMaxBytes, freeMinBytes });
      return { ...parts, watch: async (onHint) => await watcher.watch(root, onHint), close };
    } catch (error) {
      await close();
      throw error;
    }
  };
}
