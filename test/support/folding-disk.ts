/** A disk that keeps the case of names but does not tell them apart by it, as macOS's and Windows's do. Over a real one. */
import { readdirSync } from "node:fs";

import type { Disk } from "../../service/core/ports.ts";

export function foldingDisk(disk: Disk): Disk {
  /** The spelling that stands, where one does. */
  const real = (path: string): string => {
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    const names = namesIn(path.slice(0, slash));
    const there = names.includes(name) ? name : names.find((other) => other.toLowerCase() === name.toLowerCase());
    return there === undefined ? path : `${path.slice(0, slash)}/${there}`;
  };
  return {
    lstat: async (path) => await disk.lstat(real(path)),
    walk: (root, skip, signal) => disk.walk(root, skip, signal),
    list: async (path) => await disk.list(path),
    hash: async (paths, maxBytes, signal) => await disk.hash(paths.map(real), maxBytes, signal),
    read: async (path, maxBytes) => await disk.read(real(path), maxBytes),
    readRange: async (path, offset, length) => await disk.readRange(real(path), offset, length),
    create: async (path, bytes, mode) => await disk.create(real(path), bytes, mode),
    append: async (path, bytes) => await disk.append(real(path), bytes),
    copy: async (from, to) => await disk.copy(real(from), real(to)),
    link: async (from, to) => await disk.link(real(from), real(to)),
    rename: async (from, to) => await disk.rename(real(from), real(to)),
    replaceIf: async (from, to, expected) => await disk.replaceIf(real(from), real(to), expected),
    unlink: async (path) => await disk.unlink(real(path)),
    mkdir: async (path, mode) => await disk.mkdir(path, mode),
    rmdir: async (path) => await disk.rmdir(path),
    fsyncFile: async (path) => await disk.fsyncFile(real(path)),
    fsyncDir: async (path) => await disk.fsyncDir(path),
    space: async (path) => await disk.space(path),
    caps: async () => await Promise.resolve({ foldsCase: true, foldsNormalization: false }),
  };
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Nothing stands there, under no spelling.
    return [];
  }
}
