/** Native file events as hints. They are known to get lost, and to go on about a folder that has moved: both are told, never hidden. */
import { lstatSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { sep } from "node:path";

import type { AsyncSubscription, Event } from "@parcel/watcher";

import { DiskError, type WatchHint, type Watcher } from "../core/ports.ts";

/** So many events in one burst, and some were probably dropped (measured: 90 of 10 000 in a burst, silently). */
const BURST_EVENTS = 1_000;
/** A burst has ended when nothing came for this long; a stream that never pauses is told of again and again at this distance. */
const QUIET_MS = 500;
const BURST_MAX_MS = 10_000;
/** The library holds events back for 50 ms and more: how old they are is asked of the disk, for as many as a person makes at once. */
const LOOKS_MAX = 16;
/** Older changes are no news of this moment: a copied file keeps its times. */
const AGE_MAX_MS = 1_000;
/** Node's two clocks say the same within this. */
const CLOCKS_APART_MS = 2;
/** Events stop coming, without a word, when the folder is replaced: so the root is looked at. Every run looks as well, before it does anything. */
const ROOT_LOOK_MS = 5_000;

/** Watches with the platform's own events. Production only: timers of its own. */
export function parcelWatcher(): Watcher {
  return { watch: async (root, onHint) => await watchRoot(root, onHint) };
}

type RootId = { readonly dev: number; readonly ino: number };

async function watchRoot(root: string, onHint: (hint: WatchHint) => void): Promise<{ close(): Promise<void> }> {
  const id = await rootId(root);
  if (id === null) throw new DiskError("notFound", `Could not watch ${root}: it is not a folder (any more).`);
  let closed = false;
  const burst = new Burst(() => onHint({ kind: "lost" }));
  const tell = (hint: WatchHint): void => {
    if (!closed) onHint(hint);
  };
  let subscription: AsyncSubscription;
  try {
    // Loaded when something is watched, not at the start.
    const { subscribe } = await import("@parcel/watcher");
    subscription = await subscribe(
      root,
      (error, events) => {
        if (closed) return;
        if (error !== null) {
          tell({ kind: "lost" });
          return;
        }
        burst.count(events.length);
        hintsOf(root, events).forEach((hint, _index, all) => tell(all.length > LOOKS_MAX ? hint : withAge(root, hint)));
      },
      { ignore: [`${root}${sep}.satchel`] },
    );
  } catch (error) {
    throw watchError(root, error);
  }
  const look = setInterval(() => {
    void rootId(root).then((now) => {
      if (now === null || now.dev !== id.dev || now.ino !== id.ino) tell({ kind: "gone" });
      return now;
    });
  }, ROOT_LOOK_MS);
  look.unref();
  return {
    close: async () => {
      if (closed) return;
      closed = true;
      clearInterval(look);
      burst.close();
      try {
        await subscription.unsubscribe();
      } catch (error) {
        // It rejects when the folder was moved or replaced: the watch is dead then, which is what was asked for.
        if ((await rootId(root))?.ino === id.ino) throw watchError(root, error);
      }
    },
  };
}

type Hint = Extract<WatchHint, { kind: "hint" }>;

function hintsOf(root: string, events: readonly Event[]): Hint[] {
  const seen = new Set<string>();
  for (const { path } of events) {
    if (path === root) seen.add("");
    else if (path.startsWith(root + sep)) seen.add(path.slice(root.length + 1).replaceAll(sep, "/"));
  }
  return [...seen].map((diskPath) => ({ kind: "hint", diskPath: diskPath === "" ? null : diskPath }));
}

/** A change that the disk itself can date. Its clock is the wall clock: one that was set meanwhile makes the age useless, not wrong by more than the limit. */
function withAge(root: string, hint: Hint): Hint {
  if (hint.diskPath === null) return hint;
  try {
    const stats = lstatSync(`${root}/${hint.diskPath}`, { throwIfNoEntry: false });
    const agoMs = stats === undefined ? 0 : wallMs() - stats.ctimeMs;
    return agoMs > 0 && agoMs <= AGE_MAX_MS ? { ...hint, agoMs } : hint;
  } catch {
    // The look that comes later is told the fault.
    return hint;
  }
}

/** Finer than a millisecond, unless the clock was set since the process began. */
function wallMs(): number {
  const [wholeMs, fineMs] = [Date.now(), performance.timeOrigin + performance.now()];
  return Math.abs(fineMs - wholeMs) <= CLOCKS_APART_MS ? fineMs : wholeMs;
}

/** Counts events; a burst is told of when it has ended, for a rescan in its middle would find half of it. */
class Burst {
  readonly #onEnd: () => void;
  #events = 0;
  #startedMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  count(events: number): void {
    const nowMs = performance.now();
    if (this.#timer === null) this.#startedMs = nowMs;
    else clearTimeout(this.#timer);
    this.#events += events;
    if (nowMs - this.#startedMs >= BURST_MAX_MS) this.#end();
    else this.#timer = setTimeout(() => this.#end(), QUIET_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #end(): void {
    this.close();
    const lossy = this.#events >= BURST_EVENTS;
    this.#events = 0;
    if (lossy) this.#onEnd();
  }
}

/** null: no folder is there, or it can't be asked; a watch on it can't be trusted in either case. */
async function rootId(root: string): Promise<RootId | null> {
  try {
    const stats = await lstat(root);
    return stats.isDirectory() ? { dev: stats.dev, ino: stats.ino } : null;
  } catch {
    // Whatever the reason: the engine closes the watch, scans by time, and is told the fault by its own look at the root.
    return null;
  }
}

/** The watcher's own messages carry no code: the two that a person can cure are told in words. */
function watchError(root: string, error: unknown): DiskError {
  const text = error instanceof Error ? error.message : String(error);
  const full = /no space left|max_user_watches|ENOSPC/i.test(text);
  const cure = full ? " The system's limit of watched folders is used up (fs.inotify.max_user_watches)." : "";
  const fault = full ? "tooManyOpen" : "notSupported";
  return new DiskError(fault, `Could not watch ${root}: ${text}.${cure} Satchel looks at the folder by time instead.`, { cause: error });
}
