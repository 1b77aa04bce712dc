/** The recorded tree in columns, for one scan: 100 000 objects and a map of them cost more than reading the table and comparing together. */
import type { Fingerprints } from "../core/state.ts";

/** Size, mtime, ctime, file id, and whether it is to be read again. */
const NUMBERS = 5;
/** Slots tried for one path; what finds none of them free (names made to collide) goes into a map. */
const PROBES_MAX = 32;
const SLOTS_MIN = 1024;

/** Paths are found by a hash table of plain numbers; `add` first, then `isUnchanged` and `meet`, then `missing`. */
export class KnownFiles {
  readonly #paths: string[] = [];
  readonly #crowded = new Map<string, number>();
  /** Names on disk that differ from the path. */
  readonly #diskPaths = new Map<number, string>();
  #numbers = new Float64Array(0);
  #met = new Uint8Array(0);
  /** Index + 1; 0: free. Never more than half full. */
  #slots = new Int32Array(SLOTS_MIN);

  add(page: Fingerprints): void {
    const from = this.#paths.length;
    const count = from + page.paths.length;
    this.#makeRoom(count);
    this.#numbers.set(page.numbers, from * NUMBERS);
    for (const path of page.paths) {
      this.#put(path, this.#paths.length);
      this.#paths.push(path);
    }
    for (const [index, diskPath] of page.diskPaths) this.#diskPaths.set(from + index, diskPath);
  }

  /** This very file stands as it was recorded; it is met then. `at`: where in `stats` its numbers begin. */
  isUnchanged(path: string, diskPath: string, stats: Float64Array, at: number): boolean {
    const index = this.#find(path);
    if (index < 0 || this.#met[index] === 1) return false;
    const numbers = this.#numbers;
    const own = index * NUMBERS;
    const same =
      numbers[own] === stats[at] &&
      numbers[own + 1] === stats[at + 1] &&
      numbers[own + 2] === stats[at + 2] &&
      numbers[own + 3] === stats[at + 3] &&
      numbers[own + 4] === 0 &&
      (this.#diskPaths.size === 0 ? path : (this.#diskPaths.get(index) ?? path)) === diskPath;
    if (same) this.#met[index] = 1;
    return same;
  }

  /** Something stands there; whether it is the same file is somebody else's question. */
  meet(path: string): void {
    const index = this.#find(path);
    if (index >= 0) this.#met[index] = 1;
  }

  has(path: string): boolean {
    return this.#find(path) >= 0;
  }

  /** Recorded, and not met. */
  isMissing(path: string): boolean {
    const index = this.#find(path);
    return index >= 0 && this.#met[index] !== 1;
  }

  /** By path ascending, as they were added. */
  *missing(): Generator<{ readonly path: string; readonly diskPath: string }, void> {
    for (const [index, path] of this.#paths.entries())
      if (this.#met[index] !== 1) yield { path, diskPath: this.#diskPaths.get(index) ?? path };
  }

  #find(path: string): number {
    const mask = this.#slots.length - 1;
    let slot = hashOf(path) & mask;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const taken = this.#slots[slot] ?? 0;
      if (taken === 0) return -1;
      if (this.#paths[taken - 1] === path) return taken - 1;
      slot = (slot + 1) & mask;
    }
    return this.#crowded.get(path) ?? -1;
  }

  #put(path: string, index: number): void {
    const mask = this.#slots.length - 1;
    let slot = hashOf(path) & mask;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      if (this.#slots[slot] === 0) {
        this.#slots[slot] = index + 1;
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#crowded.set(path, index);
  }

  #makeRoom(count: number): void {
    if (count * NUMBERS > this.#numbers.length) {
      const room = Math.max(count, this.#met.length * 2);
      const [numbers, met] = [new Float64Array(room * NUMBERS), new Uint8Array(room)];
      numbers.set(this.#numbers);
      met.set(this.#met);
      [this.#numbers, this.#met] = [numbers, met];
    }
    if (count * 2 <= this.#slots.length) return;
    let size = this.#slots.length;
    while (size < count * 4) size *= 2;
    this.#slots = new Int32Array(size);
    this.#crowded.clear();
    for (const [index, path] of this.#paths.entries()) this.#put(path, index);
  }
}

/** FNV-1a over the code units, its upper half mixed in: the table uses the lower bits. */
function hashOf(path: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index++) hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}
