import type { Place } from "../core/server-rows.ts";
import type { PackBatch, PackPosition } from "../files/pack-batch.ts";
import { fromSnapshot, isWhole, readNote, redo, rising, standing, writeNote, type Note } from "./journal.ts";
import { isSure, type LocalContext } from "./local-context.ts";
import { StorageError } from "./storage.ts";

/** Bytes that are read and written anew at once. */
const ANEW_BYTES = 16 * 1024 * 1024;

type Parts = Pick<LocalContext, "rows" | "packs" | "clock" | "compute" | "anew" | "checkSpace">;
export type Replayed = { readonly made: boolean; readonly again: boolean };

/**
 * Brings the rows of an account up to what its packs note: after a crash the last few changes, after the loss of the database all of them.
 * `made`: the rows began from nothing just now; `again`: and
 * were made from the notes. In its turn only. @throws StorageError damaged, full
 */
export async function replayNotes(parts: Parts): Promise<Replayed> {
  const { rows, packs, clock, anew } = parts;
  // What was kept and not committed is in the notes.
  rows.rollback();
  const from = rows.noted();
  const lost = from.pack === 0 && (await packs.list()).length > 0;
  const notes: Note[] = [];
  const sure = new Set<Note>();
  const found: Place[] = [];
  // Packs from before there were notes are not looked through.
  let end = from.pack > 0 ? { pack: from.pack, at: from.at } : packs.next();
  rows.open();
  try {
    for await (const record of from.pack < 0 ? [] : packs.records(from)) {
      end = record.end;
      if (record.kind === "note") {
        const note = readNote(record.bytes);
        notes.push(note);
        if (isSure(anew, end)) sure.add(note);
      } else {
        meet(rows, record.place, from, clock.wallMs());
        found.push(record.place);
      }
    }
    if (lost && notes.length === 0 && rows.countBlobs().blobs > 0) throw tellsNothing();
    const all = standing(notes.filter(({ count }) => count > from.count));
    // Rows that are there need no snapshot of themselves.
    const whole = rising(lost ? fromSnapshot(all) : all.filter(({ snapshot }) => !snapshot));
    // A power cut may have torn the last append, which nobody was told of.
    const last = whole.at(-1);
    const torn = last !== undefined && last === all.at(-1) && !last.snapshot && !isWhole(rows, last);
    for (const note of torn ? whole.slice(0, -1) : whole) redo(rows, note);
    // The next note takes the number of a torn one, and with it its place: what it told was never done.
    const count = torn ? last.count - 1 : (all.at(-1)?.count ?? from.count);
    const next = packs.next();
    if (notes.length > 0 || found.length > 0 || next.pack !== end.pack || next.at !== end.at) {
      // Of all that there is, only the newest pack can have been written to when the last process ended.
      anew.since ??= lost ? end.pack : from.pack;
      const { since } = anew;
      const suspects = found.filter(({ pack, start }) => pack >= since && !isSure(anew, { pack, at: start }));
      await writeAnew(parts, suspects, torn || last === undefined || last !== all.at(-1) || sure.has(last) ? null : last);
    }
    rows.setNoted({ ...packs.next(), count });
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  if (from.pack <= 0 || notes.length > 0 || found.length > 0) rows.flush(true);
  anew.since = null;
  anew.ends.clear();
  return { made: from.pack === 0, again: lost && notes.length > 0 };
}

/** Of several places the latest holds: an earlier one was written again as its append had failed. One from before `from` is sure. */
function meet(rows: Parts["rows"], place: Place, from: PackPosition, nowMs: number): void {
  const known = rows.place(place.sha1);
  if (known === undefined) rows.found(place, nowMs);
  else if (known.pack > from.pack || (known.pack === from.pack && known.start > from.at)) rows.move(place);
}

/**
 * Whoever wrote what is found here may have died of an fsync that failed: the system then shows bytes that it never wrote, and later fsyncs of that
 * file succeed and keep nothing (S18). So bytes and the last note, which may be such ones, are written once more, elsewhere. A note takes the place
 * of one with the same count.
 */
async function writeAnew(parts: Parts, found: readonly Place[], last: Note | null): Promise<void> {
  const { rows, packs, compute } = parts;
  packs.leave();
  const here = found.filter((one) => {
    const place = rows.place(one.sha1);
    return place?.pack === one.pack && place.start === one.start;
  });
  for (let at = 0; at < here.length;) {
    let bytes = 0;
    const begin = at;
    while (at < here.length && bytes < ANEW_BYTES) bytes += here[at++]?.sizeBytes ?? 0;
    const part = here.slice(begin, at);
    await parts.checkSpace(bytes);
    const read = await packs.read(part);
    const batch = packs.batch();
    for (const [index, { sha1 }] of part.entries()) {
      const content = read[index] ?? null;
      // What can't be read any more stays where it is: a download withdraws it.
      if (content !== null) rows.move(batch.blob(sha1, content));
    }
    await writeSurely(parts, batch);
  }
  if (last === null) return;
  const batch = packs.batch();
  const note = writeNote(last);
  batch.note(compute.sha1(note), note);
  await parts.checkSpace(note.length);
  await writeSurely(parts, batch);
}

async function writeSurely({ packs, anew }: Parts, batch: PackBatch): Promise<void> {
  await packs.write(batch);
  anew.ends.set(batch.end.pack, batch.end.at);
}

function tellsNothing(): StorageError {
  return new StorageError(
    "damaged",
    "The account's database is lost or damaged, and its packs don't tell what the files in them are called. Put the account's directory back from a backup.",
  );
}
