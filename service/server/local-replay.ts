import { isWhole, readNote, redo, standing, type Note } from "./journal.ts";
import type { LocalContext } from "./local-context.ts";

/**
 * Brings the rows of an account up to what its packs note: after a crash the last few changes, after the loss of the database all of them.
 * Resolves with true where the whole of an account was made again. In its turn only.
 */
export async function replayNotes({ rows, packs, clock }: Pick<LocalContext, "rows" | "packs" | "clock">): Promise<boolean> {
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
    const whole = standing(notes.filter(({ count }) => count > from.count));
    let { count } = from;
    for (const [index, note] of whole.entries()) {
      // A power cut may have torn the last append, which nobody was told of.
      const torn = index === whole.length - 1 && !isWhole(rows, note);
      if (!torn) redo(rows, note);
      else packs.leave();
      count = note.count;
    }
    const next = packs.next();
    if (next.pack !== end.pack || next.at !== end.at) packs.leave();
    rows.setNoted({ ...packs.next(), count });
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  if (from.pack <= 0 || notes.length > 0) rows.flush(true);
  return lost && notes.length > 0;
}
