/** Calls on one file or folder of the real disk, each with its outcome in our words. What is small is done on this thread, what waits for the disk is not. */
import { hash as hashBytes } from "node:crypto";
import * as fs from "node:fs";
import { promisify } from "node:util";
import type { Stat } from "../core/model.ts";
import type { Expected, HashResult } from "../core/ports.ts";
import { diskError, faultOf, READ_FLAGS, refuse, statOf, unmoved } from "./disk-fault.ts";
import { isAsExpected } from "./disk-steps.ts";

// The promise API of node:fs wraps each handle in an object with a finaliser; the callbacks cost half of it.
const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const statfs = promisify(fs.statfs);
const unlink = promisify(fs.unlink);
const readdir = promisify(fs.readdir);
const HERE_BYTES = 512 * 1024;
const COPY_BYTES = 1024 * 1024;
/** Up to here a file is read or written on this thread. */
export const SMALL_BYTES = 64 * 1024;
/** Windows: a virus scanner or a reader holds a file for a moment (DK06). */
const BUSY_FOR_MS = 2_000;

/** @throws DiskError */
export async function spaceAt(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
  return await attempt("ask for the free space of", path, async () => {
    const told = await statfs(path);
    return { freeBytes: told.bavail * told.bsize, totalBytes: told.blocks * told.bsize };
  });
}

export async function attempt<T>(what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(what, path, error);
  }
}

export function lookAt(path: string): Stat | null {
  try {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? null : statOf(stats);
  } catch (error) {
    if (faultOf(error) === "notDirectory" || faultOf(error) === "notFound") return null;
    throw diskError("look at", path, error);
  }
}

export async function listNames(path: string): Promise<readonly string[]> {
  if (lookAt(path)?.kind === "symlink") throw refuse("symlink", "list", path);
  return await readdir(path);
}

async function withFile<T>(path: string, flags: string | number, work: (fd: number) => Promise<T>, mode = 0o666): Promise<T> {
  const fd = await open(path, flags, mode);
  try {
    return await work(fd);
  } finally {
    await close(fd);
  }
}

/** null: too large to be read on this thread. Only a larger one's bytes are waited for: somebody waits for each save, and six hops to a thread are 1 ms. */
export async function hashHere(path: string, maxBytes: number): Promise<HashResult | null> {
  let fd: number | null = null;
  try {
    fd = fs.openSync(path, READ_FLAGS);
    const before = fs.fstatSync(fd);
    if (!before.isFile()) return { kind: "trouble", fault: before.isDirectory() ? "isDirectory" : "notSupported" };
    if (before.size > maxBytes) return { kind: "trouble", fault: "tooLarge" };
    if (before.size > HERE_BYTES) return null;
    const bytes = before.size > SMALL_BYTES ? await readSome(fd, 0, before.size + 1) : readSmall(fd, before.size);
    if (bytes.length !== before.size || !unmoved(before, fs.fstatSync(fd))) return { kind: "changed" };
    return { kind: "hashed", sha1: hashBytes("sha1", bytes, "hex"), stat: statOf(before) };
  } catch (error) {
    const fault = faultOf(error);
    return fault === "notFound" || fault === "notDirectory" ? { kind: "absent" } : { kind: "trouble", fault };
  } finally {
    if (fd !== null) fs.closeSync(fd);
  }
}

export async function readWhole(
  path: string,
  maxBytes: number,
  memory?: Uint8Array,
): Promise<{ bytes: Uint8Array; stat: Stat } | "changed"> {
  const fd = fs.openSync(path, READ_FLAGS);
  try {
    const before = fs.fstatSync(fd);
    if (!before.isFile()) throw refuse(before.isDirectory() ? "isDirectory" : "notSupported", "read", path);
    if (before.size > maxBytes) throw refuse("tooLarge", "read", path);
    const room = memory !== undefined && memory.length > before.size ? memory : undefined;
    const bytes = before.size > SMALL_BYTES ? await readSome(fd, 0, before.size + 1, room) : readSmall(fd, before.size, room);
    if (bytes.length !== before.size || !unmoved(before, fs.fstatSync(fd))) return "changed";
    return { bytes, stat: statOf(before) };
  } finally {
    fs.closeSync(fd);
  }
}

/** One byte more than there should be is asked for: a file that grew shows itself. */
function readSmall(fd: number, sizeBytes: number, memory?: Uint8Array): Uint8Array {
  const bytes = memory ?? Buffer.allocUnsafeSlow(sizeBytes + 1);
  let length = 0;
  while (length < sizeBytes) {
    const got = fs.readSync(fd, bytes, length, sizeBytes + 1 - length, length);
    if (got === 0) break;
    length += got;
  }
  return bytes.subarray(0, length);
}

/** Only the reading leaves this thread. */
export async function readPart(path: string, offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
  const fd = fs.openSync(path, READ_FLAGS);
  try {
    return await readSome(fd, offsetBytes, lengthBytes);
  } finally {
    fs.closeSync(fd);
  }
}

function readSome(fd: number, offsetBytes: number, lengthBytes: number, memory?: Uint8Array): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const bytes = memory ?? Buffer.allocUnsafeSlow(lengthBytes);
  const more = (length: number): void => {
    if (length >= lengthBytes) return resolve(bytes.subarray(0, length));
    fs.read(fd, bytes, length, lengthBytes - length, offsetBytes + length, (error, got) => {
      if (error !== null) reject(error);
      else if (got === 0) resolve(bytes.subarray(0, length));
      else more(length + got);
    });
  };
  more(0);
  return promise;
}

function writeAll(fd: number, bytes: Uint8Array, positionBytes: number | null): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const more = (done: number): void => {
    if (done >= bytes.length) return resolve();
    fs.write(fd, bytes, done, bytes.length - done, positionBytes === null ? null : positionBytes + done, (error, wrote) => {
      if (error !== null) reject(error);
      else more(done + wrote);
    });
  };
  more(0);
  return promise;
}

/** What was begun and failed is removed again: no half file stays behind (DK01). */
export async function createFile(path: string, bytes: Uint8Array, mode: number | undefined): Promise<Stat> {
  return await making(path, mode, async (fd) => {
    await writeAll(fd, bytes, 0);
    await fsync(fd);
    return statOf(await fstat(fd));
  });
}

/** Up to this much goes to the page cache in less time than the hops to a thread for open, write and close take on a busy machine. */
const APPEND_HERE_BYTES = 1024 * 1024;

export async function appendTo(path: string, bytes: Uint8Array): Promise<void> {
  const fd = fs.openSync(path, "a");
  try {
    if (bytes.length > APPEND_HERE_BYTES) await writeAll(fd, bytes, null);
    else for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
    await fsync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Only the fsync leaves this thread. */
export async function createSmall(path: string, bytes: Uint8Array, mode: number | undefined): Promise<Stat> {
  const fd = fs.openSync(path, "wx", mode ?? 0o666);
  let done = false;
  try {
    for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
    await fsync(fd);
    const stat = statOf(fs.fstatSync(fd));
    done = true;
    return stat;
  } finally {
    fs.closeSync(fd);
    if (!done) fs.unlinkSync(path);
  }
}

export async function copyFile(from: string, to: string): Promise<Stat> {
  return await withFile(from, READ_FLAGS, async (source) => {
    const stats = await fstat(source);
    if (!stats.isFile()) throw refuse(stats.isDirectory() ? "isDirectory" : "notSupported", "copy", from);
    return await making(to, stats.mode & 0o777, async (fd) => {
      for (let at = 0; ;) {
        const piece = await readSome(source, at, COPY_BYTES);
        await writeAll(fd, piece, at);
        at += piece.length;
        if (piece.length < COPY_BYTES) break;
      }
      await fsync(fd);
      return statOf(await fstat(fd));
    });
  });
}

async function making(path: string, mode: number | undefined, work: (fd: number) => Promise<Stat>): Promise<Stat> {
  const fd = await open(path, "wx", mode ?? 0o666);
  let done = false;
  try {
    const stat = await work(fd);
    done = true;
    return stat;
  } finally {
    await close(fd);
    if (!done) await unlink(path);
  }
}

export function linkFile(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch (error) {
    // FAT answers EPERM, and so does Linux for files of others (protected_hardlinks): a copy does it in both cases.
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "EPERM") throw refuse("notSupported", "link", `${from} to ${to}`);
    throw diskError("link", `${from} to ${to}`, error);
  }
}

/** No other call between the look and the rename, on this thread for that reason; false: it is not as expected. */
export async function replaceFileIf(from: string, to: string, expected: Expected | null): Promise<boolean> {
  let done = false;
  await patiently(() => {
    if (!isAsExpected(lookAt(to), expected)) return;
    fs.renameSync(from, to);
    done = true;
  });
  return done;
}

export async function syncFile(path: string): Promise<void> {
  // Windows refuses to flush what was opened for reading only.
  const flags = process.platform === "win32" ? "r+" : READ_FLAGS;
  await withFile(path, flags, async (fd) => await fsync(fd));
}

export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  await withFile(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY, async (fd) => await fsync(fd));
}

/** Tried again while Windows says busy; elsewhere the first answer is the answer. */
export async function patiently(work: () => void | Promise<void>): Promise<void> {
  const untilMs = performance.now() + (process.platform === "win32" ? BUSY_FOR_MS : 0);
  for (let pauseMs = 10; ; pauseMs = Math.min(200, pauseMs * 2)) {
    try {
      await work();
      return;
    } catch (error) {
      const fault = faultOf(error);
      const busy = fault === "busy" || fault === "access";
      if (!busy || performance.now() >= untilMs) {
        if (busy && process.platform === "win32") throw refuse("busy", "change", "a file that another program holds open");
        throw error;
      }
      await promisify(setTimeout)(pauseMs);
    }
  }
}

/** Makes one file and asks for it under other spellings. */
export async function probe(directory: string): Promise<{ foldsCase: boolean; foldsNormalization: boolean }> {
  const name = `caps-${Math.random().toString(36).slice(2)}-Ab\u00e9`;
  const path = `${directory}/${name}`;
  await createFile(path, new Uint8Array(), 0o600);
  try {
    return {
      foldsCase: lookAt(`${directory}/${name.toUpperCase()}`) !== null,
      foldsNormalization: lookAt(`${directory}/${name.normalize("NFD")}`) !== null,
    };
  } finally {
    await unlink(path);
  }
}
