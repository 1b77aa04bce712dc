import type { Place } from "../core/server-rows.ts";
import { fromSnapshot, isWhole, readNote, redo, standing, writeNote, type Note } from "./journal.ts";
import type { LocalContext } from "./local-context.ts";
import { StorageError } from "./storage.ts";

/** Bytes that are read and written anew at once. */
const ANEW_BYTES = 16 * 1024 * 1024;

type Parts = Pick<LocalContext, "rows" | "packs" | "clock" | "compute">;
export type Replayed = { readonly made: boolean; readonly again: boolean };

/**
 * Brings the rows of an account up to what its packs note: after a crash the last few changes, after the loss of the database all of them.
 * `made`: the rows began from nothing just now; `again`: and
 * were made from the notes. In its turn only. @throws StorageError damaged
 */
export async function replayNotes(parts: Parts): Promise<Replayed> {
  const { rows, packs, clock } = parts;
  // What was kept and not committed is in the notes.
  rows.rollback();
  const from = rows.noted();
  const lost = from.pack === 0 && (await packs.list()).length > 0;
  const notes: Note[] = [];
  const found: Place[] = [];
  // Packs from before there were notes are not looked through.
  let end = from.pack > 0 ? { pack: from.pack, at: from.at } : packs.next();
  rows.open();
  try {
    for await (const record of from.pack < 0 ? [] : packs.records(from)) {
      end = record.end;
      if (record.kind === "note") notes.push(readNote(record.bytes));
      else {
        rows.found(record.place, clock.wallMs());
        found.push(record.place);
      }
    }
    if (lost && notes.length === 0 && rows.countBlobs().blobs > 0) throw tellsNothing();
    const all = standing(notes.filter(({ count }) => count > from.count));
    // Rows that are there need no snapshot of themselves.
    const whole = lost ? fromSnapshot(all) : all.filter(({ snapshot }) => !snapshot);
    // A power cut may have torn the last append, which nobody was told of.
    const last = whole.at(-1);
    const torn = last !== undefined && !last.snapshot && !isWhole(rows, last);
    for (const note of torn ? whole.slice(0, -1) : whole) redo(rows, note);
    const count = all.at(-1)?.count ?? from.count;
    const next = packs.next();
    if (notes.length > 0 || found.length > 0 || next.pack !== end.pack || next.at !== end.at) {
      // Of all that there is, only the newest pack can have been written to when the last process ended.
      const suspects = lost ? found.filter(({ pack }) => pack === end.pack) : found;
      await writeAnew(parts, suspects, torn || last === undefined || last !== all.at(-1) ? null : last);
    }
    rows.setNoted({ ...packs.next(), count });
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  if (from.pack <= 0 || notes.length > 0 || found.length > 0) rows.flush(true);
  return { made: from.pack === 0, again: lost && notes.length > 0 };
}

/**
 * Whoever wrote what is found here may have died of an fsync that failed: the system then shows bytes that it never wrote, and later fsyncs of that
 * file succeed and keep nothing (S18). So bytes and the last note, which may be such ones, are written once more, elsewhere. A note takes the place
 * of one with the same count.
 */
async function writeAnew({ rows, packs, compute }: Parts, found: readonly Place[], last: Note | null): Promise<void> {
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
    const read = await packs.read(part);
    const batch = packs.batch();
    for (const [index, { sha1 }] of part.entries()) {
      const content = read[index] ?? null;
      // What can't be read any more stays where it is: a download withdraws it.
      if (content !== null) rows.move(batch.blob(sha1, content));
    }
    await packs.write(batch);
  }
  if (last === null) return;
  const batch = packs.batch();
  const note = writeNote(last);
  batch.note(compute.sha1(note), note);
  await packs.write(batch);
}

function tellsNothing(): StorageError {
  return new StorageError(
    "damaged",
    "The account's database is lost or damaged, and its packs don't tell what the files in them are called. Put the account's directory back from a backup.",
  );
}
