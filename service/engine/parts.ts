/** What one folder's runs work with; put together in `service/main.ts`, or by a test. */
import type { Applier, LocalTree, VersionStore } from "../core/local.ts";
import type { Policy, Sha1 } from "../core/model.ts";
import type { Clock, Compute, Faults, Observer, Random, Remote } from "../core/ports.ts";
import type { FolderState, State } from "../core/state.ts";

export type FolderParts = {
  readonly id: string;
  readonly root: string;
  readonly policy: () => Policy;
  readonly state: State;
  readonly rows: FolderState;
  readonly local: LocalTree;
  readonly applier: Applier;
  readonly versions: VersionStore;
  /** null while none is configured or nobody is signed in. */
  readonly remote: () => Remote | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  /** The rule that keeps this path out of the sync, or null. Ignored: not looked at, not applied, deleted nowhere. */
  readonly ignoredBy: (path: string) => string | null;
  /** The rules behind `ignoredBy`, as the last scan went by them. */
  readonly ignoreRules: () => string;
  /** `[a-z0-9-]{1,16}`, for conflict names. */
  readonly device: string;
  readonly faults: Faults;
  readonly observer: Observer;
  /** The change stream is live and has told of nothing since the cursor: the remote need not be asked (O(1)). */
  readonly streamIsCurrent: () => boolean;
  /** Paths that went from this disk: their names may be what a twin has waited for. */
  readonly freed: Set<string>;
};

const encoder = new TextEncoder();

/** Hex digest of a text, for plan and hold hashes. */
export function digestOf(parts: FolderParts): (text: string) => Sha1 {
  return (text) => parts.compute.sha1(encoder.encode(text));
}

/** Sorts by time of start, unique by chance: `<base36 ms>-<8 hex>`. */
export function newRunId(parts: Pick<FolderParts, "clock" | "random">): string {
  return `${parts.clock.wallMs().toString(36)}-${parts.random.u32().toString(16).padStart(8, "0")}`;
}
