/**
 * What really happened, kept by the simulator; the product never sees it (RELIABILITY 2.1). A version is the bytes of one path: the same
 * bytes written there on two devices are one version with both histories (N7).
 */
import { hash } from "node:crypto";

export type Written = {
  readonly path: string;
  readonly sha1: string;
  /** What its writer saw at the path just before, or had deleted there. */
  readonly parents: Set<Written>;
  readonly children: Set<Written>;
  /** Devices whose user wrote it. Empty: only the engine put these bytes at this path (a conflict copy). */
  readonly writers: Set<string>;
  /** A user overwrote or deleted it where it was current. */
  explicit: boolean;
  /** A user deleted it. */
  deleted: boolean;
  /** A user went back to it after it had been replaced: from then on it is young as well as old. */
  reverted: boolean;
  /** It stood there before the services ever met: nobody can know what came from what. */
  initial: boolean;
};

const EMPTY = hash("sha1", "");
const hashes = new WeakMap<Uint8Array, string>();

export function sha1Of(bytes: Uint8Array): string {
  let found = hashes.get(bytes);
  if (found === undefined) hashes.set(bytes, (found = hash("sha1", bytes)));
  return found;
}

export class Ledger {
  /** Every byte string a user ever made, anywhere. */
  readonly contents = new Map<string, number>();
  readonly #versions = new Map<string, Written>();
  readonly #loose = new Set<string>();
  #allLoose = false;
  /** What a user last deleted at this device and path. */
  readonly #gone = new Map<string, Written>();

  /** Forgets how things came about, as the product must: what stands on the disks when the services first start has no history. */
  begin(standing: Iterable<readonly [device: string, path: string, bytes: Uint8Array]>): void {
    this.#versions.clear();
    this.#gone.clear();
    for (const [device, path, bytes] of standing) this.wrote(device, path, null, bytes);
    for (const version of this.#versions.values()) version.initial = true;
  }

  /** The services have met and agree. */
  met(): void {
    for (const version of this.#versions.values()) version.initial = false;
  }

  /** A program has unlinked this version as a step of a save, and has yet to make the file anew. */
  isBeingSaved(device: string, path: string, sha1: string): boolean {
    const version = this.#gone.get(`${device}\0${path}`);
    return version !== undefined && version.sha1 === sha1 && !version.deleted;
  }

  /** A client that asks nobody before it overwrites has been at this path: only what the server acknowledged is promised there (S1′). */
  loosen(path: string): void {
    this.#loose.add(path);
  }

  /** Nor at any other. */
  loosenAll(): void {
    this.#allLoose = true;
  }

  isLoose(path: string): boolean {
    return this.#allLoose || this.#loose.has(path);
  }

  get(path: string, sha1: string): Written | undefined {
    return this.#versions.get(`${path}\0${sha1}`);
  }

  all(): Iterable<Written> {
    return this.#versions.values();
  }

  /** A user's program left these bytes there. */
  wrote(device: string, path: string, before: string | null, bytes: Uint8Array): void {
    const sha1 = sha1Of(bytes);
    this.contents.set(sha1, bytes.length);
    if (before === sha1) return;
    // An empty file is no version (it is never synced): what it replaced is the parent of what replaces it.
    if (bytes.length === 0) {
      if (before !== null) this.removed(device, path, before, false);
      return;
    }
    const version = this.#make(path, sha1);
    if (version.explicit) version.reverted = true;
    version.writers.add(device);
    const parent = before === null || before === EMPTY ? this.#gone.get(`${device}\0${path}`) : this.#make(path, before);
    this.#gone.delete(`${device}\0${path}`);
    if (parent === undefined || parent === version) return;
    version.parents.add(parent);
    parent.children.add(version);
    parent.explicit = true;
  }

  /** A user removed what stood there: for good (`deleted`), or as a step of a save. */
  removed(device: string, path: string, before: string, deleted: boolean): void {
    // Who deletes an empty file deletes what it was before he emptied it.
    if (before === EMPTY) {
      if (deleted) this.abandoned(device, path);
      return;
    }
    const version = this.#make(path, before);
    this.#gone.set(`${device}\0${path}`, version);
    version.explicit = true;
    if (deleted) version.deleted = true;
  }

  /** The program that removed it as a step of a save will never finish: it is a deletion now. */
  abandoned(device: string, path: string): void {
    const version = this.#gone.get(`${device}\0${path}`);
    if (version !== undefined) version.deleted = true;
  }

  /** A user kept what others had deleted: it follows what they deleted, though he never saw that. */
  revived(path: string, sha1: string): void {
    const version = this.#make(path, sha1);
    for (const other of this.#versions.values()) {
      if (other.path !== path || other === version || !other.deleted) continue;
      version.parents.add(other);
      other.children.add(version);
    }
  }

  /** The engine put bytes there. */
  placed(path: string, sha1: string): Written {
    return this.#make(path, sha1);
  }

  /**
   * `old` is a proper ancestor of `young`. `plainly`: by a history that one device can know; where two wrote the same bytes without having
   * seen each other's, or went back to them, what came before them in the other history is not counted.
   */
  isAncestor(old: Written, young: Written, plainly: boolean): boolean {
    const seen = new Set<Written>([young]);
    const todo = [young];
    for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
      if (plainly && (one.writers.size > 1 || one.reverted)) continue;
      for (const parent of one.parents) {
        if (parent === old) return true;
        if (seen.has(parent)) continue;
        seen.add(parent);
        todo.push(parent);
      }
    }
    return false;
  }

  /** Somebody deleted this version or one made from it. */
  isDeleted(version: Written): boolean {
    const seen = new Set<Written>();
    const todo = [version];
    for (let one = todo.pop(); one !== undefined; one = todo.pop()) {
      if (one.deleted) return true;
      if (seen.has(one)) continue;
      seen.add(one);
      todo.push(...one.children);
    }
    return false;
  }

  #make(path: string, sha1: string): Written {
    const key = `${path}\0${sha1}`;
    let version = this.#versions.get(key);
    if (version === undefined) {
      version = {
        path,
        sha1,
        parents: new Set(),
        children: new Set(),
        writers: new Set(),
        explicit: false,
        deleted: false,
        reverted: false,
        initial: false,
      };
      this.#versions.set(key, version);
    }
    return version;
  }
}
