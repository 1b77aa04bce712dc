/** What the parts of the applier share: the root's own paths, the way to a target, and names of temporary files. */
import type { Entry, Sha1, Stat } from "../core/model.ts";
import { DiskError, type Clock, type Compute, type Disk, type Faults, type Random } from "../core/ports.ts";
import { twinName } from "../core/twin-names.ts";
import { isRacy, randomName } from "./disk-steps.ts";
import type { KeepingStore } from "./versions.ts";

export type DiskCaps = { readonly foldsCase: boolean; readonly foldsNormalization: boolean };

export type ApplyContext = {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly compute: Compute;
  /** Absolute. */
  readonly root: string;
  /** Folder id, for the version journal. */
  readonly folder: string;
  readonly versions: KeepingStore;
  readonly caps: DiskCaps;
  readonly faults: Faults;
  /** Copies made beside a target on the way to it, that a failure left there. They go with the next commit; no intent names them. */
  readonly leftover: Set<string>;
  /** How each staged file was left when it was made, until its commit: it need not be looked at again. */
  readonly staged: Map<string, Stat>;
};

/** Satchel's own directory in the root: temps, and files on their way out. */
export const OWN_DIRECTORY = ".satchel";

/** Where a path stands: spelled as on disk. */
export function diskPathOf(path: string, entry: Entry | null | undefined): string {
  return entry?.diskPath ?? path;
}

export function tempPath(context: ApplyContext): string {
  return `${context.root}/${OWN_DIRECTORY}/put-${randomName(context.random)}`;
}

/** The same file system as the target, where `.satchel/` is on another one. */
export function tempBeside(context: ApplyContext, target: string): string {
  return `${parentOf(target)}/${OWN_DIRECTORY}-${randomName(context.random)}.tmp`;
}

/** Where a file waits between its removal and its end. The path's hash in the name lets a start find out whose it was. */
export function exitPath(context: ApplyContext, path: string): string {
  return `${context.root}/${OWN_DIRECTORY}/${exitPrefix(context, path)}${randomName(context.random)}`;
}

export function exitPrefix(context: ApplyContext, path: string): string {
  return `del-${context.compute.sha1(new TextEncoder().encode(path)).slice(0, 16)}-`;
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** The directories between the root and a path, outermost first, root-relative. */
export function foldersAbove(diskPath: string): string[] {
  const parts = diskPath.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/**
 * No directory above the path is a symlink, so nothing we do leaves the root (N11, CT10). Returns the missing ones, outermost first.
 * @throws DiskError symlink, notDirectory
 */
export async function checkParents(context: ApplyContext, diskPath: string): Promise<string[]> {
  const missing: string[] = [];
  for (const folder of foldersAbove(diskPath)) {
    const stat = missing.length > 0 ? null : await context.disk.lstat(`${context.root}/${folder}`);
    if (stat === null) missing.push(folder);
    else if (stat.kind === "symlink") {
      throw new DiskError(
        "symlink",
        `Could not change ${diskPath}: the folder ${folder} is a symbolic link, and Satchel never goes through one. Put a real folder there.`,
      );
    } else if (stat.kind !== "directory") {
      throw new DiskError(
        "notDirectory",
        `Could not change ${diskPath}: a file stands at ${folder}, where a folder is needed. Rename one.`,
      );
    }
  }
  return missing;
}

/** Where the later of two twins stands. */
export function twinPath(context: ApplyContext, path: string): string {
  return twinName(path, (text) => context.compute.sha1(new TextEncoder().encode(text)));
}

/** Racy by mtime: the ctime is of our own rename. A write that came after has another mtime, unless it shares a tick with the staging. */
export function entryOf(path: string, diskPath: string, stat: Stat, sha1: Sha1, wallMs: number): Entry {
  const { sizeBytes, mtimeNs, ctimeNs, fileId } = stat;
  return {
    path,
    sizeBytes,
    mtimeNs,
    ctimeNs,
    fileId,
    sha1,
    diskPath: diskPath === path ? null : diskPath,
    racy: isRacy({ ctimeNs: mtimeNs }, wallMs),
  };
}

/** The file stands under a name that is not a spelling of its path. */
export function isTwinEntry(entry: Entry): entry is Entry & { readonly diskPath: string } {
  return entry.diskPath !== null && entry.diskPath.normalize("NFC") !== entry.path;
}
