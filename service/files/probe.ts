/** What `doctor` tries on a real disk: may we write in a folder's own directory, does the system tell of it, do the clocks agree. */
import { lstatSync, statSync } from "node:fs";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { subscribe } from "@parcel/watcher";

export type RootProbe =
  | { readonly kind: "refused"; readonly why: string }
  | {
      readonly kind: "written";
      /** From the write to the event; null: none came. `why`: what the watcher said. */
      readonly eventMs: number | null;
      readonly why: string | null;
      /** How far the disk's clock is ahead of ours (a network disk has its own). */
      readonly aheadMs: number;
    };

/** An event that has not come by then is none: they take 10 to 100 ms. */
const EVENT_MS = 3000;

/**
 * Writes a file into a scratch directory below `<root>/.satchel/` and waits for its event. Leaves nothing behind. Nothing below
 * `.satchel` is watched by the service, so no run is begun for it. Never throws for what the disk does.
 */
export async function probeRoot(root: string, eventMs = EVENT_MS): Promise<RootProbe> {
  const own = path.join(root, ".satchel");
  let scratch: string;
  try {
    // A root that is not there is not made.
    if (!(await stat(root)).isDirectory()) return { kind: "refused", why: `${root} is not a folder` };
    await mkdir(own, { recursive: true });
    scratch = await mkdtemp(path.join(own, "doctor-"));
  } catch (error) {
    return { kind: "refused", why: messageOf(error) };
  }
  try {
    return await probeIn(scratch, eventMs);
  } catch (error) {
    return { kind: "refused", why: messageOf(error) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function probeIn(scratch: string, waitMs: number): Promise<RootProbe> {
  const told = Promise.withResolvers<number>();
  let why: string | null = null;
  const watching = await subscribe(scratch, (error) => {
    if (error === null) told.resolve(performance.now());
    else why = error.message;
  }).catch((error: unknown) => {
    why = messageOf(error);
    return null;
  });
  const file = path.join(scratch, "probe");
  const [beganMs, wallMs] = [performance.now(), Date.now()];
  await writeFile(file, "probe");
  const aheadMs = Math.round((await stat(file)).mtimeMs - wallMs);
  if (watching === null) return { kind: "written", eventMs: null, why, aheadMs };
  const waiting = new AbortController();
  const late = sleep(waitMs, null, { signal: waiting.signal }).catch(() => null);
  const atMs = await Promise.race([told.promise, late]);
  waiting.abort();
  await watching.unsubscribe();
  return { kind: "written", eventMs: atMs === null ? null : Math.round(atMs - beganMs), why, aheadMs };
}

/** Those of our own files and directories that others may read or change, or that belong to somebody else; absent ones are fine. */
export function looseOnes(names: readonly string[]): readonly string[] {
  const self = process.getuid?.();
  if (self === undefined) return [];
  return names.filter((name) => {
    const found = lstatSync(name, { throwIfNoEntry: false });
    const there = found?.isSymbolicLink() === true ? statSync(name, { throwIfNoEntry: false }) : found;
    return there !== undefined && (there.uid !== self || (there.mode & 0o077) !== 0);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
