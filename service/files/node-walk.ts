/** The walk over a real disk: synchronous looks, which are fast, in slices that are short, so that nobody waits. */
import { lstatSync, opendirSync, readdirSync, type Dir } from "node:fs";
import { setImmediate } from "node:timers/promises";

import type { Stat } from "../core/model.ts";
import type { WalkBatch, WalkFound } from "../core/ports.ts";
import { diskError, faultOf, refuse, statOf } from "./disk-fault.ts";

/** The event loop is never held longer than 10 ms; what the caller does with a batch comes on top. */
const SLICE_MS = 5;
/** Looking at the clock costs as much as half a look at a file. */
const CLOCK_EVERY = 16;
/** Names per system call: one call's strings are made in under a millisecond. */
const NAMES_PER_READ = 512;
const REPLACEMENT = "\uFFFD";

type Unlisted = WalkBatch["unlisted"][number];
type Skip = (diskPath: string, directory: boolean) => boolean;

/** See `Disk.walk`. */
export async function* walkTree(root: string, skip: Skip, signal: AbortSignal): AsyncGenerator<WalkBatch> {
  const walk = new Walk(root, skip);
  try {
    while (walk.step()) {
      yield walk.take();
      await setImmediate();
      signal.throwIfAborted();
    }
    yield walk.take();
  } finally {
    walk.close();
  }
}

class Walk {
  readonly #root: string;
  readonly #skip: Skip;
  /** Directories still to be listed, root-relative ("" is the root). */
  readonly #todo: string[] = [""];
  #open: { readonly dir: Dir; readonly prefix: string; odd: boolean } | null = null;
  #found: WalkFound[] = [];
  #unlisted: Unlisted[] = [];

  constructor(root: string, skip: Skip) {
    this.#root = root;
    this.#skip = skip;
  }

  take(): WalkBatch {
    const batch = { found: this.#found, unlisted: this.#unlisted };
    this.#found = [];
    this.#unlisted = [];
    return batch;
  }

  /** Works for one slice; false when everything was seen. */
  step(): boolean {
    const untilMs = performance.now() + SLICE_MS;
    for (let looks = 1; ; looks++) {
      if (this.#open === null && !this.#next()) return false;
      else if (this.#open !== null) this.#look(this.#open);
      if (looks % CLOCK_EVERY === 0 && performance.now() >= untilMs) return true;
    }
  }

  close(): void {
    this.#open?.dir.closeSync();
    this.#open = null;
  }

  /** Opens the next directory; false when there is none. */
  #next(): boolean {
    const at = this.#todo.pop();
    if (at === undefined) return false;
    const path = at === "" ? this.#root : `${this.#root}/${at}`;
    try {
      // Between the look and the listing a directory may have become a symlink (CT10): what it leads to is not ours.
      if (at !== "" && !lstatSync(path).isDirectory()) throw refuse("symlink", "list", path);
      this.#open = { dir: opendirSync(path, { bufferSize: NAMES_PER_READ }), prefix: at === "" ? "" : `${at}/`, odd: false };
    } catch (error) {
      if (at === "") throw diskError("list", path, error);
      this.#unlisted.push({ diskPath: at, fault: faultOf(error) });
    }
    return true;
  }

  #look(open: { readonly dir: Dir; readonly prefix: string; odd: boolean }): void {
    let name: string | null;
    try {
      name = open.dir.readSync()?.name ?? null;
    } catch (error) {
      this.close();
      if (open.prefix === "") throw diskError("list", this.#root, error);
      this.#unlisted.push({ diskPath: open.prefix.slice(0, -1), fault: faultOf(error) });
      return;
    }
    if (name === null) {
      this.close();
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
