import { fromSnapshot, isWhole, readNote, redo, standing, type Note } from "./journal.ts";
import type { LocalContext } from "./local-context.ts";
import { StorageError } from "./storage.ts";

export type Replayed = { readonly made: boolean; readonly again: boolean };

/**
 * Brings the rows of an account up to what its packs note: after a crash the last few changes, after the loss of the database all of them.
 * `made`: the rows began from nothing just now; `again`: and
 * were made from the notes. In its turn only. @throws StorageError damaged
 */
export async function replayNotes({ rows, packs, clock }: Pick<LocalContext, "rows" | "packs" | "clock">): Promise<Replayed> {
  // What was kept and not committed is in the notes.
  rows.rollback();
  const from = rows.noted();
  const lost = from.pack === 0 && (await packs.list()).length > 0;
  const notes: Note[] = [];
  // Packs from before there were notes are not looked through.
  let end = from.pack > 0 ? { pack: from.pack, at: from.at } : packs.next();
  rows.open();
  try {
    for await (const record of from.pack < 0 ? [] : packs.records(from)) {
      end = record.end;
      if (record.kind === "note") notes.push(readNote(record.bytes));
      else rows.found(record.place, clock.wallMs());
    }
    if (lost && notes.length === 0 && rows.countBlobs().blobs > 0) throw tellsNothing();
    const all = standing(notes.filter(({ count }) => count > from.count));
    // Rows that are there need no snapshot of themselves.
    const whole = lost ? fromSnapshot(all) : all.filter(({ snapshot }) => !snapshot);
    for (const [index, note] of whole.entries()) {
      // A power cut may have torn the last append, which nobody was told of.
      const torn = index === whole.length - 1 && !note.snapshot && !isWhole(rows, note);
      if (!torn) redo(rows, note);
      else packs.leave();
    }
    const count = all.at(-1)?.count ?? from.count;
    const next = packs.next();
    // Whoever wrote what is found here may have died of an fsync that failed: later ones of that file would succeed, and keep nothing (S18).
    if (notes.length > 0 || next.pack !== end.pack || next.at !== end.at) packs.leave();
    rows.setNoted({ ...packs.next(), count });
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  if (from.pack <= 0 || notes.length > 0) rows.flush(true);
  return { made: from.pack === 0, again: lost && notes.length > 0 };
}

function tellsNothing(): StorageError {
  return new StorageError(
    "damaged",
    "The account's database is lost or damaged, and its packs don't tell what the files in them are called. Put the account's directory back from a backup.",
  );
}
