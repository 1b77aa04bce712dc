/** The `Disk` port over a simulated volume: every call is a scheduling point, a fault site and a crash site (RELIABILITY 3.1). */
import { hash as hashBytes } from "node:crypto";

import {
  DiskError,
  type Disk,
  type DiskFault,
  type Expected,
  type HashResult,
  type WalkBatch,
  type WalkFound,
} from "../../service/core/ports.ts";
import type { Stat } from "../../service/core/model.ts";
import { isAsExpected } from "../../service/files/disk-steps.ts";
import type { Life, Scheduler } from "./scheduler.ts";
import { refuse, type Node, type Replaced, type Volume } from "./volume.ts";

export type DiskHooks = {
  /** A fault for this call, or null. */
  readonly fault: (op: DiskOp, path: string) => DiskFault | null;
  /** The engine is about to change a name. @throws to stop the session: an oracle was violated. */
  readonly onWrite: (path: string, op: DiskOp) => void;
  readonly onReplaced: (change: Replaced) => void;
};
export type DiskOp =
  | "lstat"
  | "readdir"
  | "hash"
  | "read"
  | "create"
  | "write"
  | "fsync"
  | "append"
  | "copy"
  | "link"
  | "rename"
  | "unlink"
  | "mkdir"
  | "rmdir"
  | "fsyncDir"
  | "space"
  | "caps";

/** One process's view of a volume. */
export function simDisk(scheduler: Scheduler, life: Life, volume: Volume, hooks: DiskHooks): Disk {
  return new SimDisk(scheduler, life, volume, hooks);
}

class SimDisk implements Disk {
  readonly #scheduler: Scheduler;
  readonly #life: Life;
  readonly #volume: Volume;
  readonly #hooks: DiskHooks;

  constructor(scheduler: Scheduler, life: Life, volume: Volume, hooks: DiskHooks) {
    this.#scheduler = scheduler;
    this.#life = life;
    this.#volume = volume;
    this.#hooks = hooks;
  }

  async lstat(path: string): Promise<Stat | null> {
    return await this.#do("lstat", path, () => {
      const node = this.#volume.find(path);
      return node === null ? null : this.#volume.stat(node, path);
    });
  }

  async *walk(root: string, skip: (diskPath: string, directory: boolean) => boolean, signal: AbortSignal): AsyncGenerator<WalkBatch> {
    const todo = [""];
    for (;;) {
      const at = todo.pop();
      if (at === undefined) return;
      signal.throwIfAborted();
      const path = at === "" ? root : `${root}/${at}`;
      const found: WalkFound[] = [];
      const unlisted: { diskPath: string; fault: DiskFault }[] = [];
      try {
        const names = await this.#do("readdir", path, () => this.#names(path));
        for (const name of names.listed) {
          const diskPath = at === "" ? name : `${at}/${name}`;
          // A look may fail or find nothing any more: unknown, never absent.
          const stat = await this.lstat(`${root}/${diskPath}`).catch(() => null);
          const directory = stat?.kind === "directory";
          if (skip(diskPath, directory)) continue;
          if (directory) todo.push(diskPath);
          else found.push({ diskPath, stat, validUnicode: true });
        }
        if (names.broken !== null) throw refuse(names.broken, "list", path);
      } catch (error) {
        if (at === "" || !(error instanceof DiskError)) throw error;
        unlisted.push({ diskPath: at, fault: error.fault });
      }
      yield { found, unlisted };
    }
  }

  async list(path: string): Promise<readonly string[]> {
    return await this.#do("readdir", path, () => {
      const { listed, broken } = this.#names(path);
      if (broken !== null) throw refuse(broken, "list", path);
      return listed;
    });
  }

  async hash(paths: readonly string[], maxBytes: number, signal: AbortSignal): Promise<readonly HashResult[]> {
    const results: HashResult[] = [];
    for (const path of paths) {
      signal.throwIfAborted();
      results.push(await this.#hashOne(path, maxBytes));
    }
    return results;
  }

  async read(path: string, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly stat: Stat } | "changed"> {
    const node = await this.#do("read", path, () => this.#regular("read", path, maxBytes));
    return await this.#readOpen(node, path);
  }

  async readRange(path: string, offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    return await this.#do("read", path, () =>
      this.#regular("read", path, Number.POSITIVE_INFINITY).bytes.slice(offsetBytes, offsetBytes + lengthBytes),
    );
  }

  async create(path: string, bytes: Uint8Array, mode = 0o644): Promise<Stat> {
    const node = await this.#do("create", path, () => {
      this.#hooks.onWrite(path, "create");
      return this.#volume.makeFile(path, mode);
    });
    return await this.#fill(node, path, bytes.slice());
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    const node = await this.#do("append", path, () => {
      this.#hooks.onWrite(path, "append");
      return this.#volume.find(path) ?? this.#volume.makeFile(path, 0o644);
    });
    await this.#do("write", path, () => {
      const whole = new Uint8Array(node.bytes.length + bytes.length);
      whole.set(node.bytes);
      whole.set(bytes, node.bytes.length);
      this.#volume.write(node, whole, path);
    });
    await this.#sync(node, path);
  }

  async copy(from: string, to: string): Promise<Stat> {
    const source = await this.#do("copy", from, () => this.#regular("copy", from, Number.POSITIVE_INFINITY));
    const node = await this.#do("create", to, () => {
      this.#hooks.onWrite(to, "copy");
      return this.#volume.makeFile(to, source.mode);
    });
    return await this.#fill(node, to, source.bytes);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#do(
      "link",
      to,
      () => {
        this.#hooks.onWrite(to, "link");
        const node = this.#volume.link(from, to);
        this.#hooks.onReplaced({ path: this.#volume.spell(to), before: null, after: node, op: "link" });
      },
      [],
      [from],
    );
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#do("rename", to, () => this.#rename(from, to), [from, to]);
  }

  #rename(from: string, to: string): void {
    this.#hooks.onWrite(to, "rename");
    this.#hooks.onWrite(from, "rename");
    const [there, standing] = [this.#volume.find(to), this.#volume.spell(from)];
    const node = this.#volume.find(from);
    this.#volume.rename(from, to);
    this.#hooks.onReplaced({ path: this.#volume.spell(to), before: there, after: node, op: "rename" });
    this.#hooks.onReplaced({ path: standing, before: node, after: null, op: "rename" });
  }

  /** One instant: the microseconds in between are no program's. */
  async replaceIf(from: string, to: string, expected: Expected | null): Promise<boolean> {
    return await this.#do(
      "rename",
      to,
      () => {
        const there = this.#volume.find(to);
        if (!isAsExpected(there === null ? null : this.#volume.stat(there, to), expected)) return false;
        this.#rename(from, to);
        return true;
      },
      [],
      [from],
    );
  }

  async unlink(path: string): Promise<void> {
    await this.#do(
      "unlink",
      path,
      () => {
        this.#hooks.onWrite(path, "unlink");
        const [before, standing] = [this.#volume.find(path), this.#volume.spell(path)];
        this.#volume.unlink(path);
        this.#hooks.onReplaced({ path: standing, before, after: null, op: "unlink" });
      },
      [path],
    );
  }

  async mkdir(path: string): Promise<void> {
    await this.#do("mkdir", path, () => {
      this.#hooks.onWrite(path, "mkdir");
      this.#volume.makeDirectory(path);
    });
  }

  async rmdir(path: string): Promise<void> {
    await this.#do("rmdir", path, () => {
      this.#hooks.onWrite(path, "rmdir");
      this.#volume.removeDirectory(path);
    });
  }

  async fsyncFile(path: string): Promise<void> {
    const node = await this.#do("fsync", path, () => this.#regular("make durable", path, Number.POSITIVE_INFINITY));
    await this.#sync(node, path);
  }

  async fsyncDir(path: string): Promise<void> {
    await this.#do("fsyncDir", path, () => {
      const node = this.#volume.find(path);
      if (node === null) throw refuse("notFound", "make durable", path);
      if (node.kind !== "directory") throw refuse("notDirectory", "make durable", path);
      this.#volume.syncDirectory(node);
    });
  }

  async space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return await this.#do("space", path, () => ({ freeBytes: 50e9, totalBytes: 100e9 }));
  }

  async caps(directory: string): Promise<{ readonly foldsCase: boolean; readonly foldsNormalization: boolean }> {
    const { names } = this.#volume.profile;
    const found = { foldsCase: names !== "exact", foldsNormalization: names === "all" || names === "nfd" };
    return await this.#do("caps", directory, () => found);
  }

  /** `claims`: names that this call takes away or replaces; `also`: further names that it needs. */
  async #do<T>(op: DiskOp, path: string, work: () => T, claims: readonly string[] = [], also = claims): Promise<T> {
    return await this.#scheduler.call(
      this.#life,
      `${op} ${path}`,
      () => {
        const fault = op === "readdir" || op === "fsync" ? null : this.#hooks.fault(op, path);
        if (fault !== null) throw refuse(fault, op, path);
        if ([path, ...also].some((at) => this.#volume.isDenied(at, op === "readdir"))) throw refuse("access", op, path);
        return work();
      },
      claims.map((claim) => claimOf(this.#volume, claim)),
    );
  }

  /** A listing may break off half-way: what came until then is not all there is. */
  #names(path: string): { listed: string[]; broken: DiskFault | null } {
    const node = this.#volume.find(path);
    if (node === null) throw refuse("notFound", "list", path);
    if (node.kind !== "directory") throw refuse("notDirectory", "list", path);
    const all = [...node.children.keys()];
    const broken = this.#hooks.fault("readdir", path);
    return { listed: broken === null ? all : all.slice(0, all.length >> 1), broken };
  }

  async #hashOne(path: string, maxBytes: number): Promise<HashResult> {
    try {
      const node = await this.#do("hash", path, () => this.#regular("hash", path, maxBytes));
      const read = await this.#readOpen(node, path);
      if (read === "changed") return { kind: "changed" };
      return { kind: "hashed", sha1: hashBytes("sha1", read.bytes), stat: read.stat };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const { fault } = error;
      return fault === "notFound" || fault === "notDirectory" ? { kind: "absent" } : { kind: "trouble", fault };
    }
  }

  #regular(attempt: string, path: string, maxBytes: number): Node {
    const node = this.#volume.find(path);
    if (node === null) throw refuse("notFound", attempt, path);
    if (node.kind === "directory") throw refuse("isDirectory", attempt, path);
    if (node.kind === "symlink") throw refuse("symlink", attempt, path);
    if (node.kind !== "file") throw refuse("notSupported", attempt, path);
    if (node.bytes.length > maxBytes) throw refuse("tooLarge", attempt, path);
    return node;
  }

  /** Two halves at two moments: an edit between them is either seen in the stat or read as a mixture, as on a real disk. */
  async #readOpen(node: Node, path: string): Promise<{ readonly bytes: Uint8Array; readonly stat: Stat } | "changed"> {
    const before = this.#volume.stat(node, path);
    const first = node.bytes.slice(0, node.bytes.length >> 1);
    return await this.#do("read", path, () => {
      const after = this.#volume.stat(node, path);
      const moved =
        before.sizeBytes !== after.sizeBytes ||
        before.mtimeNs !== after.mtimeNs ||
        before.ctimeNs !== after.ctimeNs ||
        before.fileId !== after.fileId;
      if (moved) return "changed";
      const bytes = node.bytes.slice();
      bytes.set(first);
      return { bytes, stat: before };
    });
  }

  /** Half of it stands there before the whole does; what fails half-way is removed again, as in production. */
  async #fill(node: Node, path: string, bytes: Uint8Array): Promise<Stat> {
    try {
      if (bytes.length > 1) await this.#do("write", path, () => this.#volume.write(node, bytes.slice(0, bytes.length >> 1), path));
      await this.#do("write", path, () => this.#volume.write(node, bytes, path));
      await this.#sync(node, path);
      return this.#volume.stat(node, path);
    } catch (error) {
      await this.unlink(path);
      throw error;
    }
  }

  async #sync(node: Node, path: string): Promise<void> {
    await this.#do("fsync", path, () => {
      const fault = this.#hooks.fault("fsync", path);
      this.#volume.syncFile(node, fault === null);
      if (fault !== null) throw refuse(fault, "make durable", path);
    });
  }
}

const volumeIds = new WeakMap<Volume, number>();
let volumes = 0;

/** The same for all processes on one volume. */
export function claimOf(volume: Volume, path: string): string {
  let id = volumeIds.get(volume);
  if (id === undefined) volumeIds.set(volume, (id = volumes++));
  return `${id}:${volume.keyOf(path)}`;
}
