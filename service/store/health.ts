import { existsSync, renameSync } from "node:fs";

import { StoreError } from "./errors.ts";
import { openState, type OpenOptions, type StateStore } from "./open.ts";

/** What happened to a state that could not be read any more. */
export type LostState = {
  /** Where the damaged database is kept, for whoever wants to look. */
  readonly movedTo: string;
  /** What was wrong with it. */
  readonly reason: string;
};

/**
 * Opens the state; a damaged one is set aside and a new one begun. `lost` is then not null: the caller reads the versions' journal in
 * again and lets every folder merge anew, equal files adopted (N6). Any other trouble throws, for a busy or full disk loses no state.
 * @throws StoreError with every fault but `corrupt`
 */
export function rebuildIfCorrupt(options: OpenOptions & { readonly path: string }): {
  readonly state: StateStore;
  readonly lost: LostState | null;
} {
  try {
    return { state: openState(options), lost: null };
  } catch (error) {
    if (!(error instanceof StoreError) || error.fault !== "corrupt") throw error;
    const movedTo = setAside(options.path, options.now());
    return { state: openState(options), lost: { movedTo, reason: error.message } };
  }
}

/**
 * Moves a (closed) database with its log to `<path>.corrupt-<date>`, never over an older one. Returns the new path.
 * For damage that a quick check found while the service ran: close, set aside, open. @throws StoreError io
 */
export function setAside(path: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, "").replace(/\.\d+/, "");
  let target = `${path}.corrupt-${stamp}`;
  for (let count = 2; existsSync(target); count++) target = `${path}.corrupt-${stamp}-${count}`;
  try {
    // The log first: a database that stood alone after a crash in between would be opened without its last commits.
    for (const suffix of ["-wal", "-journal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, target + suffix);
    renameSync(path, target);
  } catch (error) {
    throw new StoreError("io", `Could not set the damaged database ${path} aside. Move it away by hand and start again.`, { cause: error });
  }
  return target;
}
