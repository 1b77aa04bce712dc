/** The names of one folder's files by their last part, for notes that write names alone. Built at the first question, then led by the change log. */
import { setImmediate } from "node:timers/promises";

import type { FolderState } from "../core/state.ts";
import { baseName } from "../notes/paths.ts";
import type { MediaName } from "./facade.ts";

/** Rows between two breaths while the list is built: others have their turn. */
const ROWS_AT_ONCE = 1000;
/** More changes than this are dearer to follow than the list is to build. */
const CHANGES_MAX = 20_000;
const CHANGES_PAGE = 1000;
/** So many of the newest changes tell which names were there not long ago. */
const GONE_CHANGES = 2000;
/** What only the remote has waits to be fetched: it is among the pending. */
const PENDING_MAX = 5000;

type Names = { readonly sizes: Map<string, number>; readonly byLast: Map<string, Set<string>>; seq: number };
type Elsewhere = { readonly key: string; readonly names: readonly MediaName[]; readonly byLast: ReadonlyMap<string, readonly MediaName[]> };

export class MediaNames {
  readonly #rows: FolderState;
  #names: Names | null = null;
  #building: Promise<Names> | null = null;
  #elsewhere: Elsewhere | null = null;

  constructor(rows: FolderState) {
    this.#rows = rows;
  }

  /** Here, only on the remote, or gone: in that order. */
  async all(): Promise<readonly MediaName[]> {
    const { sizes } = await this.#current();
    const names: MediaName[] = [];
    for (const [path, sizeBytes] of sizes) names.push({ path, sizeBytes, where: "here" });
    return [...names, ...this.#notHere(sizes).names];
  }

  /** With exactly this last part. */
  async named(last: string): Promise<readonly MediaName[]> {
    const { sizes, byLast } = await this.#current();
    const here = [...(byLast.get(last) ?? [])].map((path): MediaName => ({ path, sizeBytes: sizes.get(path) ?? null, where: "here" }));
    return [...here, ...(this.#notHere(sizes).byLast.get(last) ?? [])];
  }

  async #current(): Promise<Names> {
    const names = this.#names;
    if (names !== null && this.#follow(names)) return names;
    this.#names = null;
    this.#building ??= this.#build().finally(() => (this.#building = null));
    return await this.#building;
  }

  async #build(): Promise<Names> {
    for (;;) {
      const names: Names = { sizes: new Map(), byLast: new Map(), seq: this.#rows.changes.lastSeq() };
      let read = 0;
      for (const { path, sizeBytes } of this.#rows.entries.all()) {
        add(names, path, sizeBytes);
        read += 1;
        if (read % ROWS_AT_ONCE === 0) await setImmediate();
      }
      // What changed while others had their turn is in the log.
      if (this.#follow(names)) return (this.#names = names);
    }
  }

  /** False: the list has to be built anew. */
  #follow(names: Names): boolean {
    const { changes, entries } = this.#rows;
    const newest = changes.lastSeq();
    if (newest - names.seq > CHANGES_MAX) return false;
    while (names.seq < newest) {
      const page = changes.since(names.seq, CHANGES_PAGE);
      for (const { path, kind, sizeBytes } of page) {
        if (kind === "put") add(names, path, sizeBytes ?? 0);
        else drop(names, path);
      }
      names.seq = page.at(-1)?.seq ?? newest;
    }
    // A rename that was recovered after a crash is in the tree before it is in the log.
    return names.sizes.size === entries.totals().files;
  }

  #notHere(sizes: ReadonlyMap<string, number>): Elsewhere {
    const { changes, pending } = this.#rows;
    const key = `${changes.lastSeq()} ${pending.count()}`;
    if (this.#elsewhere?.key === key) return this.#elsewhere;
    const names = new Map<string, MediaName>();
    for (const { path, remote, remoteSizeBytes } of pending.rows(PENDING_MAX))
      if (typeof remote === "string" && !sizes.has(path)) names.set(path, { path, sizeBytes: remoteSizeBytes, where: "remote" });
    for (const { path, kind } of changes.since(Math.max(0, changes.lastSeq() - GONE_CHANGES), GONE_CHANGES))
      if (kind === "remove" && !sizes.has(path) && !names.has(path)) names.set(path, { path, sizeBytes: null, where: "gone" });
    const list = [...names.values()];
    return (this.#elsewhere = { key, names: list, byLast: Map.groupBy(list, ({ path }) => baseName(path)) });
  }
}

function add({ sizes, byLast }: Names, path: string, sizeBytes: number): void {
  sizes.set(path, sizeBytes);
  const last = baseName(path);
  const list = byLast.get(last);
  if (list === undefined) byLast.set(last, new Set([path]));
  else list.add(path);
}

function drop({ sizes, byLast }: Names, path: string): void {
  sizes.delete(path);
  const last = baseName(path);
  const list = byLast.get(last);
  list?.delete(path);
  if (list?.size === 0) byLast.delete(last);
}
