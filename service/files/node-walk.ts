/**
 * The walk over a real disk: synchronous looks, which are fast, in slices that are short, so that nobody waits. A large directory is
 * listed and looked at in a worker: a hundred thousand looks take a quarter of a second.
 */
import { lstatSync, opendirSync, readdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";

import type { Stat } from "../core/model.ts";
import { PACK_NUMBERS, type WalkBatch, type WalkFound, type WalkPack } from "../core/ports.ts";
import { diskError, faultOf, refusal, refuse, statOf } from "./disk-fault.ts";
import { LOOKED, STAT_NUMBERS, statAt, type ListReply } from "./disk-message.ts";

/** The event loop is never held longer than 10 ms; what the caller does with a batch comes on top. */
const SLICE_MS = 5;
/** Looking at the clock costs as much as half a look at a file. */
const CLOCK_EVERY = 16;
/** Names per system call: one call's strings are made in under a millisecond. */
const NAMES_PER_READ = 512;
/** What a name takes in a directory, at least; and what is listed without asking. */
const NAME_BYTES = 40;
const HUGE_BYTES = 1024 * 1024;
const REPLACEMENT = "\uFFFD";

type Unlisted = WalkBatch["unlisted"][number];
type Skip = (diskPath: string, directory: boolean) => boolean;

/** `listFar` lists a directory of more than `nearNames` names elsewhere, with a look at each. */
type Far = { readonly listFar: (path: string) => AsyncIterable<ListReply>; readonly nearNames: number };

/** See `Disk.walk`. */
export async function* walkTree(root: string, skip: Skip, signal: AbortSignal, { listFar, nearNames }: Far): AsyncGenerator<WalkBatch> {
  const walk = new Walk(root, skip, nearNames);
  while (walk.step()) {
    yield walk.take();
    await setImmediate();
    signal.throwIfAborted();
    const far = walk.takeLarge();
    if (far === null) continue;
    for await (const part of listFar(far === "" ? root : `${root}/${far}`)) {
      signal.throwIfAborted();
      walk.takeIn(far, part);
      yield walk.take();
    }
  }
  yield walk.take();
}

class Walk {
  readonly #root: string;
  readonly #skip: Skip;
  readonly #nearNames: number;
  /** Directories still to be listed, root-relative ("" is the root). */
  readonly #todo: string[] = [""];
  #open: { readonly names: readonly string[]; readonly prefix: string; next: number; odd: boolean } | null = null;
  #large: string | null = null;
  /** The large directory under way has names to be asked for again. */
  #oddFar = false;
  #found: WalkFound[] = [];
  #unlisted: Unlisted[] = [];
  #packs: WalkPack[] = [];

  constructor(root: string, skip: Skip, nearNames: number) {
    this.#nearNames = nearNames;
    this.#root = root;
    this.#skip = skip;
  }

  take(): WalkBatch {
    const batch = { found: this.#found, unlisted: this.#unlisted, packs: this.#packs };
    this.#found = [];
    this.#unlisted = [];
    this.#packs = [];
    return batch;
  }

  /** A directory that is too large to be listed here, or null. */
  takeLarge(): string | null {
    const large = this.#large;
    this.#large = null;
    return large;
  }

  /** Works for one slice; false when everything was seen. */
  step(): boolean {
    const untilMs = performance.now() + SLICE_MS;
    for (let looks = 1; ; looks++) {
      if (this.#open !== null) this.#look(this.#open);
      else if (!this.#next()) return false;
      if (this.#large !== null || (looks % CLOCK_EVERY === 0 && performance.now() >= untilMs)) return true;
    }
  }

  /** What a worker saw of a large directory. */
  takeIn(at: string, { names, kinds, stats, fault, more }: ListReply): void {
    const path = at === "" ? this.#root : `${this.#root}/${at}`;
    const prefix = at === "" ? "" : `${at}/`;
    if (fault !== null) {
      if (at === "") throw refusal(fault.fault, "list", path, fault.code);
      this.#unlisted.push({ diskPath: at, fault: fault.fault });
      return;
    }
    const diskPaths: string[] = [];
    const places: number[] = [];
    for (const [index, name] of kinds.length === 0 ? [] : names.split("/").entries()) {
      const diskPath = prefix + name;
      if (name.includes(REPLACEMENT)) this.#oddFar = true;
      else if (kinds[index] === LOOKED.file) {
        if (this.#skip(diskPath, false)) continue;
        diskPaths.push(diskPath);
        places.push(index);
      } else this.#report(diskPath, `${this.#root}/${diskPath}`, true);
    }
    if (diskPaths.length > 0) this.#packs.push(packOf(diskPaths, places.length === kinds.length ? null : places, stats));
    if (more || !this.#oddFar) return;
    this.#oddFar = false;
    this.#lookAtOddNames(prefix);
  }

  /** Lists the next directory; false when there is none. */
  #next(): boolean {
    const at = this.#todo.pop();
    if (at === undefined) return false;
    const path = at === "" ? this.#root : `${this.#root}/${at}`;
    try {
      // Between the look and the listing a directory may have become a symlink (CT10): what it leads to is not ours.
      if (at !== "" && !lstatSync(path).isDirectory()) throw refuse("symlink", "list", path);
      const names = isHuge(path, this.#nearNames) ? null : namesOf(path, this.#nearNames);
      if (names === null) this.#large = at;
      else this.#open = { names, prefix: at === "" ? "" : `${at}/`, next: 0, odd: false };
    } catch (error) {
      if (at === "") throw diskError("list", path, error);
      this.#unlisted.push({ diskPath: at, fault: faultOf(error) });
    }
    return true;
  }

  #look(open: { readonly names: readonly string[]; readonly prefix: string; next: number; odd: boolean }): void {
    const name = open.names[open.next];
    open.next += 1;
    if (name === undefined) {
      this.#open = null;
      if (open.odd) this.#lookAtOddNames(open.prefix);
    } else if (name.includes(REPLACEMENT)) open.odd = true;
    else this.#report(open.prefix + name, `${this.#root}/${open.prefix}${name}`, true);
  }

  #report(diskPath: string, path: string | Buffer, validUnicode: boolean): void {
    const stat = look(path);
    const directory = stat?.kind === "directory";
    if (this.#skip(diskPath, directory)) return;
    if (!directory) this.#found.push({ diskPath, stat, validUnicode });
    else if (validUnicode) this.#todo.push(diskPath);
    else this.#unlisted.push({ diskPath, fault: "other" });
  }

  /** Names with U+FFFD are either that character or bytes that are no UTF-8: only the raw bytes tell (FN19). */
  #lookAtOddNames(prefix: string): void {
    const path = `${this.#root}/${prefix}`;
    try {
      for (const raw of readdirSync(path, { encoding: "buffer" })) {
        const name = raw.toString("utf8");
        if (!name.includes(REPLACEMENT)) continue;
        const valid = Buffer.from(name, "utf8").equals(raw);
        this.#report(prefix + name, Buffer.concat([Buffer.from(path, "utf8"), raw]), valid);
      }
    } catch (error) {
      this.#unlisted.push({ diskPath: prefix.slice(0, -1), fault: faultOf(error) });
    }
  }
}

/** Its own size says that it holds more names than `most`: listing them to find that out would be done twice. */
function isHuge(path: string, most: number): boolean {
  return lstatSync(path).size > Math.max(HUGE_BYTES, most * NAME_BYTES);
}

/** Complete, or null: there are more than `most`, or it broke off; half a listing is none (N2). @throws what the system said to opening it */
function namesOf(path: string, most: number): readonly string[] | null {
  const dir = opendirSync(path, { bufferSize: NAMES_PER_READ });
  try {
    const names: string[] = [];
    for (let next = dir.readSync(); next !== null; next = dir.readSync()) {
      if (names.length === most) return null;
      names.push(next.name);
    }
    return names;
  } catch {
    // Node looks at each entry where the file system does not say what it is, and throws where one went meanwhile. The worker asks for names
    // alone, and tells what else may be wrong.
    return null;
  } finally {
    dir.closeSync();
  }
}

/** `places`: where in `stats` the path of the same index has its numbers; null: just there. */
function packOf(diskPaths: readonly string[], places: readonly number[] | null, stats: Float64Array): WalkPack {
  const packed = places === null ? stats : new Float64Array(diskPaths.length * PACK_NUMBERS);
  for (const [index, place] of places?.entries() ?? [])
    packed.set(stats.subarray(place * STAT_NUMBERS, (place + 1) * STAT_NUMBERS), index * PACK_NUMBERS);
  const found = (index: number): WalkFound => ({
    diskPath: diskPaths[index] ?? "",
    stat: statAt(packed, index * PACK_NUMBERS),
    validUnicode: true,
  });
  return { diskPaths, stats: packed, found };
}

/** null: it went away or refused between the list and the look. */
function look(path: string | Buffer): Stat | null {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? null : statOf(stats);
  } catch {
    // Which of the two it was does not matter: the interface says unknown for both.
    return null;
  }
}
