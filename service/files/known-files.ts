/** The recorded tree in columns, for one scan: 100 000 objects and a map of them cost more than reading the table and comparing together. */
import type { Fingerprints } from "../core/state.ts";

/** Size, mtime, ctime, file id, and whether it is to be read again. */
const NUMBERS = 5;
const FILE_ID = 3;
/** Slots tried for one key; what finds none of them free (names made to collide) goes into a map. */
const PROBES_MAX = 32;
const SLOTS_MIN = 1024;

/**
 * `add` first, then `isUnchanged` and `meet`, then `missing`. What did not change is found by its file's number: no name need be hashed for it, and the names
 * stand in a few long texts, for what is kept by the hundred thousand the garbage collector copies twice.
 */
export class KnownFiles {
  readonly #names = new Names();
  /** Names on disk that differ from the path. */
  readonly #diskPaths = new Map<number, string>();
  readonly #byFile = new Slots();
  /** More files bear one number, or numbers that look alike, than slots are tried: all are found by path. */
  #crowdedFiles = false;
  /** Made when something is asked by its path; most scans meet nothing but what they know. */
  #byPath: PathTable | null = null;
  #numbers = new Float64Array(0);
  #met = new Uint8Array(0);

  add(page: Fingerprints): void {
    const from = this.#names.count;
    const count = from + page.paths.length;
    this.#makeRoom(count);
    this.#numbers.set(page.numbers, from * NUMBERS);
    this.#names.add(page.paths);
    for (const [index, diskPath] of page.diskPaths) this.#diskPaths.set(from + index, diskPath);
    if (this.#byFile.isFullFor(count)) {
      this.#byFile.empty(count);
      this.#putFiles(0, count);
    } else this.#putFiles(from, count);
    this.#byPath = null;
  }

  /** This very file stands as it was recorded; it is met then. `at`: where in `stats` its numbers begin. */
  isUnchanged(path: string, diskPath: string, stats: Float64Array, at: number): boolean {
    const index = this.#crowdedFiles ? this.#find(path) : this.#findFile(path, stats[at + FILE_ID] ?? 0);
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
    for (let index = this.#met.indexOf(0); index >= 0 && index < this.#names.count; index = this.#met.indexOf(0, index + 1)) {
      const path = this.#names.at(index);
      yield { path, diskPath: this.#diskPaths.get(index) ?? path };
    }
  }

  #findFile(path: string, fileId: number): number {
    return this.#byFile.find(hashOfNumber(fileId), (index) => this.#fileIdAt(index) === fileId && this.#names.is(index, path));
  }

  #find(path: string): number {
    if (this.#names.count === 0) return -1;
    this.#byPath ??= new PathTable(this.#names.all());
    return this.#byPath.find(path);
  }

  #fileIdAt(index: number): number {
    return this.#numbers[index * NUMBERS + FILE_ID] ?? 0;
  }

  #putFiles(from: number, to: number): void {
    for (let index = from; index < to; index++) this.#crowdedFiles ||= !this.#byFile.put(hashOfNumber(this.#fileIdAt(index)), index);
  }

  #makeRoom(count: number): void {
    if (count * NUMBERS <= this.#numbers.length) return;
    const room = Math.max(count, this.#met.length * 2);
    const [numbers, met] = [new Float64Array(room * NUMBERS), new Uint8Array(room)];
    numbers.set(this.#numbers);
    met.set(this.#met);
    [this.#numbers, this.#met] = [numbers, met];
  }
}

/** No path holds it. */
const BETWEEN = "\0";

/** Many paths in few texts, by number. */
class Names {
  count = 0;
  readonly #texts: string[] = [];
  /** Per path its text, and where it begins and ends there. */
  #places = new Int32Array(0);

  add(paths: readonly string[]): void {
    if ((this.count + paths.length) * 3 > this.#places.length) {
      const places = new Int32Array(Math.max((this.count + paths.length) * 3, this.#places.length * 2));
      places.set(this.#places);
      this.#places = places;
    }
    let begin = 0;
    for (const path of paths) {
      const at = this.count++ * 3;
      this.#places[at] = this.#texts.length;
      this.#places[at + 1] = begin;
      this.#places[at + 2] = begin + path.length;
      begin += path.length + BETWEEN.length;
    }
    this.#texts.push(paths.join(BETWEEN));
  }

  is(index: number, path: string): boolean {
    const begin = this.#places[index * 3 + 1] ?? 0;
    return path.length === (this.#places[index * 3 + 2] ?? 0) - begin && this.#textOf(index).startsWith(path, begin);
  }

  at(index: number): string {
    return this.#textOf(index).slice(this.#places[index * 3 + 1], this.#places[index * 3 + 2]);
  }

  all(): readonly string[] {
    return Array.from({ length: this.count }, (_, index) => this.at(index));
  }

  #textOf(index: number): string {
    return this.#texts[this.#places[index * 3] ?? 0] ?? "";
  }
}

/** Paths and where they stand. */
class PathTable {
  readonly #paths: readonly string[];
  readonly #slots = new Slots();
  readonly #crowded = new Map<string, number>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
    this.#slots.empty(paths.length);
    for (const [index, path] of paths.entries()) if (!this.#slots.put(hashOf(path), index)) this.#crowded.set(path, index);
  }

  /** -1: nowhere. */
  find(path: string): number {
    const index = this.#slots.find(hashOf(path), (at) => this.#paths[at] === path);
    return index < 0 ? (this.#crowded.get(path) ?? -1) : index;
  }
}

/** A hash table of plain numbers. */
class Slots {
  /** Index + 1; 0: free. Never more than half full. */
  #slots = new Int32Array(SLOTS_MIN);

  isFullFor(count: number): boolean {
    return count * 2 > this.#slots.length;
  }

  empty(count: number): void {
    let size = this.#slots.length;
    while (size < count * 4) size *= 2;
    this.#slots = new Int32Array(size);
  }

  /** False: its slots are all taken. */
  put(hash: number, index: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const slot = (hash + probe) & mask;
      if (slots[slot] !== 0) continue;
      slots[slot] = index + 1;
      return true;
    }
    return false;
  }

  /** -1: there is none. */
  find(hash: number, is: (index: number) => boolean): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const taken = slots[(hash + probe) & mask] ?? 0;
      if (taken === 0) return -1;
      if (is(taken - 1)) return taken - 1;
    }
    return -1;
  }
}

/** FNV-1a over the code units, its upper half mixed in: the table uses the lower bits. */
function hashOf(path: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < path.length; index++) hash = Math.imul(hash ^ path.charCodeAt(index), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** File numbers come in rows: neighbours get slots apart. */
function hashOfNumber(value: number): number {
  const hash = Math.imul((value | 0) ^ Math.floor(value / 2 ** 32), 0x9e3779b1);
  return hash ^ (hash >>> 15);
}
