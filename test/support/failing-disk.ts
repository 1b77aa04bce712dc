/** A disk that dies, or refuses, at a call of the test's choice. */
import { DiskError, type Disk, type DiskFault } from "../../service/core/ports.ts";

/** The process was killed: no call comes through any more. */
export class Crash extends Error {}

/** Lives until it is told how many more calls are carried out; that one and all later ones are not. */
export function mortalDisk(disk: Disk): { readonly disk: Disk; readonly dieAfter: (calls: number) => void } {
  let left = Infinity;
  const gate = (): void => {
    left -= 1;
    if (left < 0) throw new Crash("killed");
  };
  return {
    disk: gated(disk, gate),
    dieAfter: (calls) => {
      left = calls;
    },
  };
}

/** `refuse` names the fault of a call, or null where it goes through. */
export function refusingDisk(disk: Disk, refuse: (method: keyof Disk, path: string) => DiskFault | null): Disk {
  return gated(disk, (method, path) => {
    const fault = refuse(method, path);
    if (fault !== null) throw new DiskError(fault, `Could not ${method} ${path}: injected ${fault}.`);
  });
}

/** `.satchel/` is on a file system of its own, and so is the version store: no links or renames across (DK05). */
export function splitDisk(disk: Disk): Disk {
  const refuseCrossing = async <T>(from: string, to: string, work: () => Promise<T>): Promise<T> => {
    for (const apart of ["/.satchel/", "/versions/"])
      if (from.includes(apart) !== to.includes(apart)) throw new DiskError("crossDevice", `Could not move ${from} to ${to}.`);
    return await work();
  };
  return {
    ...gated(disk, () => undefined),
    link: async (from, to) => await refuseCrossing(from, to, async () => await disk.link(from, to)),
    rename: async (from, to) => await refuseCrossing(from, to, async () => await disk.rename(from, to)),
    replaceIf: async (from, to, expected) => await refuseCrossing(from, to, async () => await disk.replaceIf(from, to, expected)),
  };
}

/** Calls `gate` before each call, which may throw. */
export function gated(disk: Disk, gate: (method: keyof Disk, path: string) => void | Promise<void>): Disk {
  return {
    lstat: async (path) => (await gate("lstat", path), await disk.lstat(path)),
    walk: (root, skip, signal) => disk.walk(root, skip, signal),
    list: async (path) => (await gate("list", path), await disk.list(path)),
    hash: async (paths, maxBytes, signal) => (await gate("hash", paths[0] ?? ""), await disk.hash(paths, maxBytes, signal)),
    read: async (path, maxBytes) => (await gate("read", path), await disk.read(path, maxBytes)),
    readRange: async (path, offset, length) => (await gate("readRange", path), await disk.readRange(path, offset, length)),
    create: async (path, bytes, mode) => (await gate("create", path), await disk.create(path, bytes, mode)),
    append: async (path, bytes) => (await gate("append", path), await disk.append(path, bytes)),
    copy: async (from, to) => (await gate("copy", to), await disk.copy(from, to)),
    link: async (from, to) => (await gate("link", to), await disk.link(from, to)),
    rename: async (from, to) => (await gate("rename", to), await disk.rename(from, to)),
    replaceIf: async (from, to, expected) => (await gate("replaceIf", to), await disk.replaceIf(from, to, expected)),
    unlink: async (path) => (await gate("unlink", path), await disk.unlink(path)),
    mkdir: async (path, mode) => (await gate("mkdir", path), await disk.mkdir(path, mode)),
    rmdir: async (path) => (await gate("rmdir", path), await disk.rmdir(path)),
    fsyncFile: async (path) => (await gate("fsyncFile", path), await disk.fsyncFile(path)),
    fsyncDir: async (path) => (await gate("fsyncDir", path), await disk.fsyncDir(path)),
    space: async (path) => (await gate("space", path), await disk.space(path)),
    caps: async (directory) => (await gate("caps", directory), await disk.caps(directory)),
  };
}
