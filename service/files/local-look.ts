/** What one look at one path means: read it, leave it, or say why it can't be synced. Shared by the scan and by events. */
import type { Observation } from "../core/local.ts";
import type { Entry, LocalReason, Stat } from "../core/model.ts";
import type { Clock, Disk, DiskFault, HashResult } from "../core/ports.ts";
import type { FolderState } from "../core/state.ts";
import { foldersAbove, OWN_DIRECTORY, type DiskCaps } from "./apply-context.ts";
import { standsFor } from "../core/twin-names.ts";
import { isFault, isRacy, isSameFile } from "./disk-steps.ts";
import type { Spellings } from "./spellings.ts";

export type LookContext = {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Absolute, symlinks resolved. */
  readonly root: string;
  /** The local tree as the engine has recorded it. */
  readonly entries: Pick<FolderState["entries"], "get" | "all" | "fingerprints" | "twinOf">;
  /** Paths that have a problem of the local side now: those that went away must be told as gone. */
  readonly problems: () => Iterable<string>;
  /** Left alone by the ignore rules. */
  readonly ignored: (diskPath: string, directory: boolean) => boolean;
  /** Why a path may not be synced by its name, or null. */
  readonly judgeName: (path: string) => { readonly reason: LocalReason; readonly detail: string } | null;
  readonly caps: DiskCaps;
  /** Of a text's UTF-8 bytes. */
  readonly sha1: (text: string) => string;
  readonly limits: { readonly fileBytes: number };
};

export type Look =
  | { readonly kind: "same"; readonly entry: Entry }
  | { readonly kind: "read" }
  | { readonly kind: "problem"; readonly reason: LocalReason; readonly detail: string };

/** A path to be hashed. `stat`: what the look saw. `isNew`: nothing is recorded there, so nobody need ask. */
export type ToRead = { readonly path: string; readonly diskPath: string; readonly stat: Stat; readonly isNew?: boolean };
/** What became of it: an observation, or a reason to look again. */
export type Read = {
  readonly item: ToRead;
  readonly observation: Observation | null;
  readonly again: "moved" | "absent" | "later" | "racy" | null;
};

/** Satchel's own files, at any depth: `.satchel/`, `.satchel-*.tmp`, `.satchelignore`. */
export function isOwn(diskPath: string): boolean {
  return diskPath.startsWith(OWN_DIRECTORY) || diskPath.includes(`/${OWN_DIRECTORY}`);
}

/** The identity cache holds: same size, mtime, ctime and file id, and hashed when nothing could hide behind them. */
export function isCached(entry: Entry | undefined, diskPath: string, stat: Stat): entry is Entry {
  return entry !== undefined && !entry.racy && (entry.diskPath ?? entry.path) === diskPath && isSameFile(stat, entry, true);
}

export function classify(context: LookContext, path: string, stat: Stat): Look {
  const problem = (reason: LocalReason, detail: string): Look => ({ kind: "problem", reason, detail });
  if (stat.kind === "symlink") {
    return problem("symlink", `${path} is a symbolic link. Satchel never follows one; put the file itself there, or ignore it.`);
  }
  if (stat.kind === "special")
    return problem("special", `${path} is a pipe, socket or device, not a file. Move it elsewhere, or ignore it.`);
  if (stat.kind === "directory") {
    return problem("special", `A folder stands where the file ${path} was. Rename the folder, or delete the file on the other devices.`);
  }
  const named = context.judgeName(path);
  if (named !== null) return problem(named.reason, named.detail);
  if (stat.sizeBytes === 0)
    return problem("empty", `${path} is empty. Nothing is synced until it has content; delete it if it is not needed.`);
  if (stat.sizeBytes > context.limits.fileBytes) {
    const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
    return problem(
      "tooLarge",
      `${path} has ${mib(stat.sizeBytes)} MiB; files over ${mib(context.limits.fileBytes)} MiB can't be synced. Make it smaller; the last synced version stays on the other devices.`,
    );
  }
  return { kind: "read" };
}

/** Hashes a batch off the main thread and tells what it means. What a symlinked folder led to is never taken (CT10). */
export async function readAll(context: LookContext, items: readonly ToRead[], signal: AbortSignal): Promise<readonly Read[]> {
  if (items.length === 0) return [];
  const { disk, clock, root } = context;
  const wallMs = clock.wallMs();
  const results = await disk.hash(
    items.map((item) => `${root}/${item.diskPath}`),
    context.limits.fileBytes,
    signal,
  );
  const solid = new Map<string, boolean>();
  const reads: Read[] = [];
  for (const [index, item] of items.entries()) {
    const result = results[index];
    if (result === undefined) throw new Error("scan: fewer hashes than files");
    // Without a folder above there is nothing to ask, and 100 000 promises are worth saving.
    const real = !item.diskPath.includes("/") || (await isSolid(context, item.diskPath, solid));
    reads.push(real ? meaning(context, item, result, wallMs) : { item, observation: null, again: "moved" });
  }
  return reads;
}

async function isSolid(context: LookContext, diskPath: string, solid: Map<string, boolean>): Promise<boolean> {
  for (const folder of foldersAbove(diskPath)) {
    let known = solid.get(folder);
    if (known === undefined) {
      known = (await lookOrFault(context, folder)).stat?.kind === "directory";
      solid.set(folder, known);
    }
    if (!known) return false;
  }
  return true;
}

function meaning(context: LookContext, item: ToRead, result: HashResult, wallMs: number): Read {
  const { path, diskPath } = item;
  switch (result.kind) {
    case "changed":
      return { item, observation: null, again: "moved" };
    case "absent":
      return { item, observation: null, again: "absent" };
    case "trouble":
      return { item, observation: refused(path, result.fault), again: isPassing(result.fault) ? "later" : null };
    case "hashed": {
      const { sizeBytes, mtimeNs, ctimeNs, fileId } = result.stat;
      if (sizeBytes === 0) return { item, observation: null, again: "moved" };
      const racy = isRacy(result.stat, wallMs);
      const { sha1 } = result;
      const entry: Entry = { path, sizeBytes, mtimeNs, ctimeNs, fileId, sha1, diskPath: diskPath === path ? null : diskPath, racy };
      const kind = item.isNew !== true && context.entries.get(path)?.sha1 === sha1 ? "touched" : "put";
      // A file from the future stays racy for as long as it is from there: the scan reads it each time, that must do.
      return { item, observation: { kind, entry }, again: racy && ctimeNs <= wallMs * 1e6 ? "racy" : null };
    }
  }
}

/** Heals by itself within moments. */
function isPassing(fault: DiskFault): boolean {
  return fault === "busy" || fault === "tooManyOpen";
}

/** The disk would not let it be read: said, never taken for a deletion (CT13, CT14). */
export function refused(path: string, fault: DiskFault): Observation {
  const problem = (reason: LocalReason, detail: string): Observation => ({ kind: "problem", path, reason, detail });
  switch (fault) {
    case "busy":
      return problem("locked", `${path} can't be read: another program holds it. It is tried again; close that program if it stays so.`);
    case "access":
      return problem("unreadable", `${path} can't be read: permission denied. Give yourself the right to read it.`);
    case "nameTooLong":
      return problem("nameTooLong", `${path} can't be read: its name is too long for this system. Give it a shorter one.`);
    case "symlink":
      return problem("symlink", `${path} is a symbolic link, or lies behind one. Satchel never follows one; put the file itself there.`);
    case "tooLarge":
      return problem("tooLarge", `${path} is too large to be synced. Make it smaller; the last synced version stays on the other devices.`);
    case "isDirectory":
    case "notSupported":
      return problem("special", `${path} is not a regular file. Move it elsewhere, or ignore it.`);
    case "notFound":
    case "exists":
    case "noSpace":
    case "quota":
    case "readOnly":
    case "io":
    case "crossDevice":
    case "notDirectory":
    case "notEmpty":
    case "tooManyOpen":
    case "other":
      return problem("unreadable", `${path} can't be read: the disk refused (${fault}). It is tried again; check the disk if it stays so.`);
  }
}

/** A look that says the fault instead of throwing it; "" is the root. */
export async function lookOrFault(
  context: LookContext,
  diskPath: string,
): Promise<{ readonly stat: Stat | null; readonly fault: DiskFault | null }> {
  try {
    return { stat: await context.disk.lstat(diskPath === "" ? context.root : `${context.root}/${diskPath}`), fault: null };
  } catch (error) {
    if (!isFault(error, "access", "io", "nameTooLong", "symlink", "busy", "tooManyOpen", "other")) throw error;
    return { stat: null, fault: error.fault };
  }
}

/** Two spellings of one path stand side by side (a disk that keeps NFC and NFD apart): the other one is the file, this is its twin. */
export async function isTwin(context: LookContext, path: string, diskPath: string, stat: Stat): Promise<boolean> {
  if (diskPath === path) return false;
  // Its own name shows the other twin; it stands in, and is no rival.
  if (mayStandIn(context, diskPath) && standsFor(diskPath.normalize("NFC"), context.sha1) === path) return false;
  const recorded = context.entries.get(path)?.diskPath ?? path;
  for (const other of new Set([recorded, path])) {
    if (other === diskPath) return false;
    const { stat: there } = await lookOrFault(context, other);
    if (there !== null && there.fileId !== stat.fileId) return true;
  }
  return false;
}

export function twinProblem(path: string, diskPath: string): Observation {
  const detail = `${diskPath} has the same name as another file there, written with other Unicode characters. Only the other one is synced; rename this one.`;
  return { kind: "problem", path: diskPath === path ? path : diskPath, reason: "twin", detail };
}

/** A name that may stand in for another: then `ownerOf` tells. */
export function mayStandIn(context: LookContext, diskPath: string): boolean {
  return (context.caps.foldsCase || context.caps.foldsNormalization) && diskPath.includes(".twin-");
}

/**
 * The path of a file under a stand-in name: told by the name alone, so that a lost database loses no twin. Where another file stands under
 * the real name, this one is a file like any other. @throws DiskError when the folder can't be listed
 */
export async function ownerOf(context: LookContext, diskPath: string, stat: Stat, spellings: Spellings): Promise<string> {
  const name = diskPath.normalize("NFC");
  const real = standsFor(name, context.sha1);
  if (real === null || context.entries.get(name) !== undefined) return name;
  if ((await spellings.other(real)) !== null) return real;
  const { stat: there } = await lookOrFault(context, real);
  return there === null || there.fileId === stat.fileId ? real : name;
}
