/** What must hold (RELIABILITY 2.2): judged at every name the engine changes, and at the end when everything is at rest. */
import type { DiskOp } from "./disk.ts";
import { sha1Of, type Ledger, type Written } from "./ledger.ts";
import { pathOf } from "./names.ts";
import type { Node, Replaced, Volume } from "./volume.ts";

export type OracleId =
  | "N1"
  | "N4"
  | "N11"
  | "S1"
  | "S2"
  | "S3"
  | "S4"
  | "S5"
  | "S6"
  | "S11"
  | "S14"
  | "S15"
  | "S20"
  | "N9"
  | "L1"
  | "L2"
  | "sim";
export type Violation = { readonly id: OracleId; readonly text: string };

/** Where the folder and Satchel's own directories are, on every machine. */
export const ROOT = "/media/notes";
export const STATE = "/state";

/** More deletions by the engine on one device within ten minutes than this, without the user's word, are an accident let through (S14). */
const BRAKE_FILES = 10;
const BRAKE_SHARE = 0.25;
const BRAKE_WINDOW_MS = 600_000;
/** A deletion that the product rightly takes for a rename may look like a loss here: the other end is put in place a moment later, or its going was a lost event. */
const RENAMES_UNSEEN = 2;
/** A folder that has been empty for so long was so when the run that sends was planned. */
const EMPTY_MS = 120_000;

type Owed = { readonly version: Written; readonly device: string; readonly atMs: number };

export class Oracles {
  violation: Violation | null = null;
  /** Versions the engine replaced by bytes that did not know them: they must have become visible by the end (S2). */
  readonly #owed: Owed[] = [];
  readonly #ledger: Ledger;
  readonly #nowMs: () => number;
  readonly #deletions = new Map<string, { readonly atMs: number; readonly path: string }[]>();
  readonly #empty = new Map<string, number>();
  readonly #forgetful = new Set<string>();
  readonly #unlocked = new Set<string>();
  /** What the engine put where: device, path, hash. */
  readonly #placed = new Set<string>();
  /** Files that the engine moved out of the user's sight, not yet dropped. */
  readonly #aside = new Map<Node, string>();

  constructor(ledger: Ledger, nowMs: () => number) {
    this.#ledger = ledger;
    this.#nowMs = nowMs;
  }

  fail(id: OracleId, text: string): void {
    this.violation ??= { id, text: `${(this.#nowMs() / 1000).toFixed(3)}s ${text}` };
  }

  /** The user of this device has given his word: the brake is off for what he approved. */
  approved(device: string): void {
    this.#unlocked.add(device);
    this.#deletions.delete(device);
    this.#deletions.delete(`${device} sends`);
  }

  /** This device's database was lost: it has no base any more. */
  lostState(device: string): void {
    this.#forgetful.add(device);
  }

  /** The engine once put these bytes there. */
  hasPlaced(device: string, path: string, sha1: string): boolean {
    return this.#placed.has(`${device}\0${path}\0${sha1}`);
  }

  /** N11, N4: where the engine writes at all. */
  onWrite(device: string, path: string, op: DiskOp): void {
    const own = path === STATE || path.startsWith(`${STATE}/`) || path === ROOT || path.startsWith(`${ROOT}/`);
    if (!own) this.fail("N11", `${device}: ${op} outside its places: ${path}`);
    const name = userPath(path);
    if (name !== null && (op === "create" || op === "append" || op === "copy")) {
      this.fail("N4", `${device}: ${op} straight at the user's path ${name}`);
    }
  }

  onReplaced(device: string, volume: Volume, change: Replaced): void {
    const path = pathThere(volume, change.path);
    if (path === null) return this.#onOwnName(device, volume, change);
    if (change.after !== null) this.#aside.delete(change.after);
    if (change.after === null && change.before !== null && change.op === "rename") {
      // Moved aside to be looked at: it may still go back. Judged when it goes for good.
      this.#aside.set(change.before, path);
      return;
    }
    const before = change.before === null ? null : sha1Of(change.before.bytes);
    const after = change.after === null ? null : sha1Of(change.after.bytes);
    if (after !== null && !this.#ledger.contents.has(after)) this.fail("S6", `${device}: bytes nobody wrote came to ${path}`);
    const placed = after === null ? null : this.#ledger.placed(path, after);
    if (after !== null) this.#placed.add(`${device}\0${path}\0${after}`);
    if (change.before === null || before === null || before === after) return;
    const version = this.#ledger.placed(path, before);
    if (!isKept(volume, change.before, before))
      this.fail("N1", `${device}: ${change.op} of ${path} dropped ${short(before)}, which is kept nowhere`);
    if (this.#ledger.isLoose(path)) return;
    if (placed === null) this.#judgeDeletion(device, volume, path, version, change.before);
    else this.#judgeReplacement(device, volume, path, version, placed);
  }

  #onOwnName(device: string, volume: Volume, change: Replaced): void {
    if (change.op !== "unlink" || change.before === null) return;
    const path = this.#aside.get(change.before);
    if (path === undefined) return;
    this.#aside.delete(change.before);
    this.onReplaced(device, volume, { path: `${ROOT}/${path}`, before: change.before, after: null, op: "unlink" });
  }

  #judgeReplacement(device: string, volume: Volume, path: string, old: Written, young: Written): void {
    const back = this.#ledger.isAncestor(young, old, true);
    const forward = this.#ledger.isAncestor(old, young, false);
    // Before the first meeting, without its database, where somebody else wrote the same bytes without having seen ours, or went back to
    // them, a device can't know which is older: both stay visible then, but for one that a user deleted.
    const forgiven =
      (young.initial || young.reverted || young.writers.size > 1 || this.#forgetful.has(device)) &&
      ([...userFiles(volume).values()].includes(old.sha1) || (young.initial && this.#ledger.isDeleted(old)));
    if (back && !forward && !forgiven)
      this.fail("S3", `${device}: ${path} went back from ${short(old.sha1)} to its ancestor ${short(young.sha1)}`);
    if (!forward && !old.explicit) this.#owed.push({ version: old, device, atMs: this.#nowMs() });
  }

  #judgeDeletion(device: string, volume: Volume, path: string, version: Written, node: Node): void {
    // A second name that the engine gave a file and took back: the file itself never went.
    if (version.writers.size === 0 && node.links > 0 && isVisible(volume, node)) return;
    if (!this.#ledger.isDeleted(version)) this.fail("S4", `${device}: deleted ${path} (${short(version.sha1)}), which nobody deleted`);
    const nowMs = this.#nowMs();
    const standing = [...userFiles(volume).values()];
    // A rename is no loss: the bytes stand under another name already.
    if (standing.includes(version.sha1)) return;
    const recent = (this.#deletions.get(device) ?? []).filter((one) => nowMs - one.atMs < BRAKE_WINDOW_MS && one.path !== path);
    recent.push({ atMs: nowMs, path });
    this.#deletions.set(device, recent);
    const limit = Math.max(BRAKE_FILES, (standing.length + recent.length) * BRAKE_SHARE);
    if (!this.#unlocked.has(device) && recent.length > limit + RENAMES_UNSEEN) {
      this.fail("S14", `${device}: ${recent.length} files deleted within ten minutes without a word of the user`);
    }
  }

  /** S5, S14: the device tells the server that this path is gone. `sha1`: what it had agreed on there. */
  onDeletionSent(device: string, volume: Volume, path: string, sha1: string): void {
    if (this.#ledger.isBeingSaved(device, path, sha1))
      this.fail("S5", `${device}: sent the deletion of ${path} (${short(sha1)}), which a program is about to make anew`);
    const standing = [...userFiles(volume).values()];
    // A rename is no loss, here as there.
    if (standing.includes(sha1)) return;
    const nowMs = this.#nowMs();
    const key = `${device} sends`;
    const recent = (this.#deletions.get(key) ?? []).filter((one) => nowMs - one.atMs < BRAKE_WINDOW_MS && one.path !== path);
    recent.push({ atMs: nowMs, path });
    this.#deletions.set(key, recent);
    const limit = Math.max(BRAKE_FILES, (standing.length + recent.length) * BRAKE_SHARE);
    if (this.#unlocked.has(device)) return;
    if (recent.length > limit + RENAMES_UNSEEN)
      this.fail("S14", `${device}: ${recent.length} deletions sent within ten minutes without a word of the user`);
    const emptySinceMs = this.#empty.get(device);
    if (emptySinceMs !== undefined && nowMs - emptySinceMs > EMPTY_MS)
      this.fail("S14", `${device}: the deletion of the last of its files (${path}) was sent without a word of the user`);
  }

  /** After each step: since when a device's folder has nothing in it. */
  watchEmptiness(device: string, volume: Volume): void {
    if (userFiles(volume).size > 0) this.#empty.delete(device);
    else if (!this.#empty.has(device)) this.#empty.set(device, this.#nowMs());
  }

  /** S6 after a crash or at any time: every byte string at a user's path is one that a user wrote. */
  checkContents(device: string, volume: Volume): void {
    for (const [path, sha1] of userFiles(volume)) {
      if (!this.#ledger.contents.has(sha1)) this.fail("S6", `${device}: ${path} holds bytes that nobody wrote`);
    }
  }

  /** S1, S2 at rest. `stores`: every hash that some device or the server still can give back. */
  checkAtRest(world: {
    readonly devices: readonly {
      readonly name: string;
      readonly files: ReadonlyMap<string, string>;
      readonly problems: ReadonlySet<string>;
    }[];
    readonly stored: ReadonlySet<string>;
    /** Hashes that the server ever had: from then on they may not vanish. */
    readonly uploaded: ReadonlySet<string>;
  }): void {
    // A user has seen these bytes, at this path or as a copy, and done away with them.
    const answered = new Set<string>();
    for (const version of this.#ledger.all()) if (version.explicit) answered.add(version.sha1);
    const troubled = new Set(world.devices.flatMap(({ problems }) => [...problems]));
    for (const device of world.devices) {
      const visible = new Set(device.files.values());
      for (const version of this.#ledger.all()) {
        if (answered.has(version.sha1) || visible.has(version.sha1) || troubled.has(version.path)) continue;
        if (this.#ledger.isLoose(version.path)) continue;
        this.fail("S1", `${device.name}: ${version.path} (${short(version.sha1)}), which nobody overwrote or deleted, is not visible`);
      }
      for (const { version, device: where, atMs } of this.#owed) {
        if (visible.has(version.sha1) || answered.has(version.sha1) || troubled.has(version.path)) continue;
        if (this.#ledger.isLoose(version.path)) continue;
        const when = (atMs / 1000).toFixed(3);
        this.fail("S2", `${device.name}: ${version.path} (${short(version.sha1)}) was silently superseded on ${where} at ${when}s`);
      }
    }
    for (const sha1 of world.uploaded) {
      if (this.#ledger.contents.has(sha1) && !world.stored.has(sha1))
        this.fail("S1", `bytes ${short(sha1)} were synced and can't be given back`);
    }
  }
}

export function short(sha1: string): string {
  return sha1.slice(0, 8);
}

/** The path below the root, or null for everything that is not the user's. */
export function userPath(path: string): string | null {
  if (!path.startsWith(`${ROOT}/`)) return null;
  const below = path.slice(ROOT.length + 1);
  return below.split("/").some((part) => part.startsWith(".satchel") || part.endsWith(".tmp")) ? null : below;
}

/** As `userPath`, by the name that the file has on the other devices. */
function pathThere(volume: Volume, path: string): string | null {
  const own = userPath(path);
  return own === null ? null : pathOf(volume, ROOT, own);
}

/** Path → SHA-1 of everything a user sees. The second of two spellings of one path stands under its own. */
export function userFiles(volume: Volume): Map<string, string> {
  const files = new Map<string, string>();
  for (const [diskPath, sha1] of diskFiles(volume)) {
    const path = pathOf(volume, ROOT, diskPath);
    files.set(files.has(path) || (path !== diskPath && volume.profile.names === "exact" && hasOwn(volume, path)) ? diskPath : path, sha1);
  }
  return files;
}

function hasOwn(volume: Volume, path: string): boolean {
  return volume.find(`${ROOT}/${path}`)?.kind === "file";
}

/** The same by the names that stand on the disk. */
export function diskFiles(volume: Volume): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (node: Node, prefix: string): void => {
    for (const [name, child] of node.children) {
      if (name.startsWith(".satchel") || name.endsWith(".tmp")) continue;
      if (child.kind === "directory") visit(child, `${prefix}${name}/`);
      else if (child.kind === "file") files.set(prefix + name, sha1Of(child.bytes));
    }
  };
  const root = volume.find(ROOT);
  if (root !== null) visit(root, "");
  return files;
}

/** Hashes of every file below Satchel's own directory, whatever its name. */
export function keptHashes(volume: Volume, durably: boolean): Set<string> {
  const kept = new Set<string>();
  const visit = (node: Node): void => {
    for (const child of node.children.values()) {
      if (child.kind === "directory") visit(child);
      else if (!durably || volume.survives(child)) kept.add(sha1Of(child.bytes));
    }
  };
  const state = volume.find(STATE);
  if (state !== null) visit(state);
  return kept;
}

/** N1: in the version store and durable there, or still visible under another name. */
function isKept(volume: Volume, node: Node, sha1: string): boolean {
  if (node.bytes.length === 0) return true;
  if (keptHashes(volume, true).has(sha1)) return true;
  for (const [, standing] of userFiles(volume)) if (standing === sha1) return true;
  return false;
}

function isVisible(volume: Volume, wanted: Node): boolean {
  const within = (directory: Node): boolean =>
    [...directory.children].some(
      ([name, node]) => !name.startsWith(".satchel") && (node === wanted || (node.kind === "directory" && within(node))),
    );
  const root = volume.find(ROOT);
  return root !== null && within(root);
}
