import type { FolderRow, Session } from "./session.ts";

/** Items of one row; a number of an item is its batch's times this, and its place. */
const PLACES = 1_000;

/** What one item is in the JSON of its row. */
type Item = readonly (string | number | null)[];
type Batch<T> = { readonly id: number; readonly items: Map<number, T>; stored: boolean; next: number; changed: boolean };

/**
 * Short-lived items that come and go by the hundred, in numbers that rise and never come again: those added in one transaction share a row,
 * which goes with the last of them. They are answered from memory; the table is what survives.
 */
export class BatchedRows<T extends Item> {
  readonly #session: Session;
  readonly #folders = new Map<FolderRow, Map<number, Batch<T>>>();
  readonly #changed = new Map<Batch<T>, FolderRow>();
  /** The one that takes what the transaction under way adds. */
  #open: { readonly batch: Batch<T>; readonly folder: FolderRow } | null = null;
  #lastId: number;
  readonly #readLastId;
  readonly #all;
  readonly #insert;
  readonly #update;
  readonly #remove;

  /** `table` has the columns `id` (AUTOINCREMENT), `folder` and `intents`. */
  constructor(session: Session, table: "upload_batch" | "apply_batch") {
    this.#session = session;
    const { db } = session;
    this.#readLastId = db.prepare<[], number>(`SELECT seq FROM sqlite_sequence WHERE name = '${table}'`).pluck();
    this.#all = db.prepare<[number], [id: number, intents: string]>(`SELECT id, intents FROM ${table} WHERE folder = ? ORDER BY id`).raw();
    this.#insert = db.prepare<[number, number, string]>(`INSERT INTO ${table} (id, folder, intents) VALUES (?, ?, ?)`);
    this.#update = db.prepare<[string, number]>(`UPDATE ${table} SET intents = ? WHERE id = ?`);
    this.#remove = db.prepare<[number]>(`DELETE FROM ${table} WHERE id = ?`);
    this.#lastId = this.#readLastId.get() ?? 0;
    session.join({ beforeCommit: () => this.#write(), rolledBack: () => this.#forgetAll() });
  }

  /** Returns the item's number. */
  add(folder: FolderRow, item: T): number {
    const batch = this.#batchFor(folder);
    const place = batch.next++;
    batch.items.set(place, item);
    this.#touch(folder, batch);
    return batch.id * PLACES + place;
  }

  remove(folder: FolderRow, number: number): void {
    const batch = this.#of(folder).get(Math.floor(number / PLACES));
    if (batch?.items.delete(number % PLACES) === true) this.#touch(folder, batch);
  }

  /** Numbers ascend. */
  all(folder: FolderRow): readonly (readonly [number: number, item: T])[] {
    return [...this.#of(folder).values()].flatMap((batch) =>
      [...batch.items].map(([place, item]) => [batch.id * PLACES + place, item] as const),
    );
  }

  /** Of a folder whose rows are all removed. */
  forget(folder: FolderRow): void {
    for (const batch of this.#folders.get(folder)?.values() ?? []) this.#changed.delete(batch);
    this.#folders.delete(folder);
    if (this.#open?.folder === folder) this.#open = null;
  }

  #batchFor(folder: FolderRow): Batch<T> {
    if (this.#open?.folder === folder && this.#open.batch.next < PLACES) return this.#open.batch;
    const batch: Batch<T> = { id: ++this.#lastId, items: new Map(), stored: false, next: 0, changed: false };
    this.#of(folder).set(batch.id, batch);
    this.#open = { batch, folder };
    return batch;
  }

  #of(folder: FolderRow): Map<number, Batch<T>> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const read = new Map<number, Batch<T>>();
    for (const [id, intents] of this.#all.all(folder.key)) {
      const stored: readonly (readonly [place: number, item: T])[] = JSON.parse(intents);
      const items = new Map(stored);
      read.set(id, { id, items, stored: true, next: PLACES, changed: false });
    }
    this.#folders.set(folder, read);
    return read;
  }

  #touch(folder: FolderRow, batch: Batch<T>): void {
    if (batch.changed) return;
    batch.changed = true;
    this.#changed.set(batch, folder);
  }

  #write(): void {
    this.#open = null;
    for (const [batch, folder] of this.#changed) {
      const { id, items, stored } = batch;
      batch.changed = false;
      if (items.size === 0) {
        if (stored) this.#remove.run(id);
        this.#folders.get(folder)?.delete(id);
        continue;
      }
      const intents = JSON.stringify([...items]);
      if (stored) this.#update.run(intents, id);
      else this.#insert.run(id, this.#session.keyFor(folder), intents);
      batch.stored = true;
    }
    this.#changed.clear();
  }

  #forgetAll(): void {
    this.#folders.clear();
    this.#changed.clear();
    this.#open = null;
    this.#lastId = this.#readLastId.get() ?? 0;
  }
}
