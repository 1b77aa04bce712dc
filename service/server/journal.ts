/**
 * What an account's packs note beside the bytes: every durable change, in order, so that one append makes bytes and rows durable, and the
 * rows can be made again from the packs alone.
 */
import * as z from "zod";

import type { Sha1 } from "../core/model.ts";
import type { AccountState, Entry, KeptVersion, Sender } from "../core/server-rows.ts";
import { NO_STAGE, type Stage } from "../store/server-blobs.ts";
import type { ServerAccountRows } from "../store/server-account.ts";

/** One step of a change. `atMs`: wall clock. */
export type Step =
  | { readonly kind: "write"; readonly entries: readonly Entry[]; readonly sender: Sender; readonly atMs: number }
  | { readonly kind: "remember"; readonly device: string; readonly memory: string }
  | { readonly kind: "epoch"; readonly epoch: string }
  /** Of a snapshot alone, from `reset` to `state`. */
  | { readonly kind: "reset"; readonly atMs: number }
  | { readonly kind: "versions"; readonly versions: readonly KeptVersion[] }
  | { readonly kind: "state"; readonly state: Pick<AccountState, "top" | "epoch" | "generation" | "restoredTop"> };
/**
 * `count` rises by one from note to note. One that is not larger than an earlier one takes the place of that one, which failed. `snapshot`: one
 * of several that together say what stood at that moment, so that the packs before may go.
 */
export type Note = { readonly count: number; readonly snapshot: boolean; readonly steps: readonly Step[] };

const whole = z.int().min(0);
const line = z
  .tuple([whole, z.string(), z.string().nullable(), whole, z.literal([0, 1])])
  .transform(([usn, name, sha1, sizeBytes, real]): Entry => ({ usn, name, sha1, sizeBytes, real: real === 1 }));
const version = z
  .tuple([z.string(), z.string(), whole, z.number(), z.literal(["replaced", "deleted"])])
  .transform(([name, sha1, sizeBytes, atMs, why]): KeptVersion => ({ name, sha1, sizeBytes, atMs, why }));
const step = z.union([
  z
    .tuple([z.literal("write"), z.number(), z.string(), z.string(), z.array(line)])
    .transform(([kind, atMs, device, session, entries]): Step => ({ kind, atMs, sender: { device, session }, entries })),
  z.tuple([z.literal("remember"), z.string(), z.string()]).transform(([kind, device, memory]): Step => ({ kind, device, memory })),
  z.tuple([z.literal("epoch"), z.string()]).transform(([kind, epoch]): Step => ({ kind, epoch })),
  z.tuple([z.literal("reset"), z.number()]).transform(([kind, atMs]): Step => ({ kind, atMs })),
  z.tuple([z.literal("versions"), z.array(version)]).transform(([kind, versions]): Step => ({ kind, versions })),
  z
    .tuple([z.literal("state"), whole, z.string(), whole, whole])
    .transform(([kind, top, epoch, generation, restoredTop]): Step => ({ kind, state: { top, epoch, generation, restoredTop } })),
]);
const note = z.object({ v: z.literal(1), count: whole, snapshot: z.boolean().default(false), steps: z.array(step) });

export function writeNote({ count, snapshot, steps }: Note): Buffer {
  const mark = snapshot ? { snapshot } : {};
  return Buffer.from(JSON.stringify({ v: 1, count, ...mark, steps: steps.map((one) => lineOf(one)) }));
}

function lineOf(one: Step): readonly unknown[] {
  switch (one.kind) {
    case "write": {
      const lines = one.entries.map(({ usn, name, sha1, sizeBytes, real }) => [usn, name, sha1, sizeBytes, Number(real)]);
      return [one.kind, one.atMs, one.sender.device, one.sender.session, lines];
    }
    case "remember":
      return [one.kind, one.device, one.memory];
    case "epoch":
      return [one.kind, one.epoch];
    case "reset":
      return [one.kind, one.atMs];
    case "versions":
      return [one.kind, one.versions.map(({ name, sha1, sizeBytes, atMs, why }) => [name, sha1, sizeBytes, atMs, why])];
    case "state":
      return [one.kind, one.state.top, one.state.epoch, one.state.generation, one.state.restoredTop];
  }
}

/** @throws Error for a note of a later version */
export function readNote(bytes: Uint8Array): Note {
  return note.parse(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8")));
}

export function perform(rows: ServerAccountRows, one: Step, stage: Stage): void {
  switch (one.kind) {
    case "write":
      return rows.write(one.entries, one.sender, one.atMs, stage);
    case "remember":
      return rows.remember(one.device, one.memory);
    case "epoch":
      return rows.newEpoch(one.epoch);
    case "reset":
      return rows.reset(one.atMs);
    case "versions":
      for (const kept of one.versions) rows.keepVersion(kept);
      return;
    case "state":
      return rows.setState(one.state);
  }
}

/** The notes that hold, in order. */
export function standing(notes: readonly Note[]): readonly Note[] {
  const kept: Note[] = [];
  for (const one of notes) {
    while ((kept.at(-1)?.count ?? -1) >= one.count) kept.pop();
    kept.push(one);
  }
  return kept;
}

/** Of those, what the whole is made of: the latest snapshot that has its end, and what came after. */
export function fromSnapshot(notes: readonly Note[]): readonly Note[] {
  const has = (kind: Step["kind"]) => (one: Note) => one.steps.some((each) => each.kind === kind);
  const end = notes.findLastIndex(has("state"));
  const begin = notes.slice(0, end + 1).findLastIndex(has("reset"));
  return notes.filter((one, index) => (index >= begin && index <= end) || (index > end && !one.snapshot));
}

/**
 * Without those whose numbers a later one gives again: such a note was torn and not done. (What is written now takes its count as well, and so its
 * place; there are packs in which it did not.)
 */
export function rising(notes: readonly Note[]): readonly Note[] {
  let lowest = Number.POSITIVE_INFINITY;
  const kept = notes.toReversed().filter(({ steps }) => {
    const [first] = steps.flatMap((one) => (one.kind === "write" ? (one.entries[0]?.usn ?? []) : []));
    if (first === undefined) return true;
    if (first >= lowest) return false;
    lowest = first;
    return true;
  });
  return kept.toReversed();
}

/** Whether all bytes that it names are known to the rows. */
export function isWhole(rows: ServerAccountRows, { steps }: Note): boolean {
  return missing(rows, steps).size === 0;
}

function missing(rows: ServerAccountRows, steps: readonly Step[]): ReadonlySet<Sha1> {
  const found = new Set<Sha1>();
  for (const one of steps) {
    for (const { sha1, real } of one.kind === "write" ? one.entries : [])
      if (real && sha1 !== null && rows.place(sha1) === undefined) found.add(sha1);
  }
  return found;
}

/**
 * Does again what a note tells. A row whose bytes are damaged goes, without a tombstone: a device that has the file sends it again (W10). What
 * stood there before stays as a version.
 */
export function redo(rows: ServerAccountRows, { steps }: Note): void {
  const lost = missing(rows, steps);
  for (const one of steps) {
    if (one.kind !== "write" || lost.size === 0) perform(rows, one, NO_STAGE);
    else {
      const isLost = ({ sha1, real }: Entry): boolean => real && sha1 !== null && lost.has(sha1);
      const entries = one.entries.map((entry) => (isLost(entry) ? { ...entry, sha1: null, sizeBytes: 0 } : entry));
      perform(rows, { ...one, entries }, NO_STAGE);
      for (const entry of one.entries) if (isLost(entry)) rows.dropTombstone(entry.name);
    }
  }
}
