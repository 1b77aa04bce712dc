import type { Sha1 } from "../core/model.ts";
import type { Entry, Place } from "../core/server-rows.ts";
import type { PackBatch } from "../files/pack-batch.ts";
import { NO_STAGE, type Stage } from "../store/server-blobs.ts";
import type { ServerAccountRows } from "../store/server-account.ts";
import { perform, type Step } from "./journal.ts";

/** Bytes that came with a change; null: these did not. */
export type Given = (sha1: Sha1) => Uint8Array | null;
type Mark = { readonly batch: ReturnType<PackBatch["mark"]>; readonly at: number; readonly steps: number };

/**
 * What changes that share an append write: bytes and steps, which go into the pack, and the same steps in the rows. The last write may wait until the
 * append is under way: the rows cost as much time as the disk takes, and nobody needs to wait for one after the other.
 */
export class Writing {
  readonly batch: PackBatch;
  /** What the note tells, in order. */
  readonly steps: Step[] = [];
  private readonly rows: ServerAccountRows;
  private late: Step | null = null;
  /** Where the bytes of the late step stand, if they were not stored before. */
  private readonly placed = new Map<Sha1, Place>();

  constructor(rows: ServerAccountRows, batch: PackBatch) {
    this.rows = rows;
    this.batch = batch;
  }

  /** Writes the rows at once. @throws StoreError */
  now(step: Step, given: Given): void {
    this.settle();
    perform(this.rows, step, stageOf(this.batch, given));
    this.steps.push(step);
  }

  /** As `now`, for a step of which no reader of this change learns before it asks: whoever asks for rows calls `settle` first. */
  later(step: Step, entries: readonly Entry[], given: Given): void {
    this.settle();
    for (const { real, sha1 } of entries) {
      const bytes = !real || sha1 === null || this.placed.has(sha1) ? null : given(sha1);
      if (sha1 !== null && bytes !== null && this.rows.place(sha1) === undefined) this.placed.set(sha1, this.batch.blob(sha1, bytes));
    }
    this.late = step;
    this.steps.push(step);
  }

  /** A step that no waiting one touches. */
  beside(step: Step): void {
    perform(this.rows, step, NO_STAGE);
    this.steps.push(step);
  }

  /** Writes the rows that wait. @throws StoreError */
  settle(): void {
    const { late } = this;
    if (late === null) return;
    this.late = null;
    perform(this.rows, late, { plan: (sha1) => this.placed.get(sha1) ?? null, take: () => undefined });
    this.placed.clear();
  }

  /** Nothing may wait. */
  mark(): Mark {
    return { batch: this.batch.mark(), at: this.batch.end.at, steps: this.steps.length };
  }

  /** Forgets what came since; the rows are taken back by whoever opened them. */
  undo(mark: Mark): void {
    this.late = null;
    this.placed.clear();
    this.batch.undo(mark.batch);
    this.steps.length = mark.steps;
  }
}

function stageOf(batch: PackBatch, given: Given): Stage {
  return {
    plan: (sha1) => {
      const found = given(sha1);
      return found === null ? null : batch.plan(sha1, found);
    },
    take: (sha1) => void batch.blob(sha1, given(sha1) ?? new Uint8Array(0)),
  };
}
