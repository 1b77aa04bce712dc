/** Changes of one account in a directory: those that wait together share one append, and the rows follow in a transaction of many. */
import { writeNote } from "./journal.ts";
import type { LocalContext } from "./local-context.ts";
import { replayNotes } from "./local-replay.ts";
import { txOf } from "./local-tx.ts";
import { Writing } from "./local-writing.ts";
import type { Account, AccountTx, Change } from "./storage.ts";

/** Changes that share an append at most, and the bytes of files after which no more join. */
const GROUP_MAX = 32;
const GROUP_BYTES = 32 * 1024 * 1024;
/** The rows are committed after so many of them, or so many bytes in the packs: what a start after a crash has to do again. */
const FLUSH_ROWS = 8000;
const FLUSH_BYTES = 64 * 1024 * 1024;

type Wish = {
  readonly options: Change;
  /** Resolves with what tells the caller of its success. */
  readonly work: (tx: AccountTx) => Promise<() => void>;
  readonly reject: (error: unknown) => void;
};

export function makeChanges(context: LocalContext): Account["change"] {
  const waiting: Wish[] = [];
  const unflushed = { bytes: 0 };
  const turn = async (): Promise<void> => {
    const group = nextGroup(waiting);
    if (group.length === 0) return;
    try {
      if (!context.rows.intact()) await replayNotes(context);
      await performGroup(context, group, unflushed);
    } catch (error) {
      // Those that were told already don't hear it any more.
      for (const { reject } of group) reject(error);
    }
  };
  return async <T>(options: Change, work: (tx: AccountTx) => Promise<T>): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const wish = async (tx: AccountTx): Promise<() => void> => {
      const result = await work(tx);
      return () => resolve(result);
    };
    waiting.push({ options, work: wish, reject });
    const [result] = await Promise.all([promise, context.turns.run(turn)]);
    return result;
  };
}

/** A change that need not be durable goes alone: a failed append is nothing to it. */
function nextGroup(waiting: Wish[]): readonly Wish[] {
  let bytes = 0;
  let count = 0;
  for (const { options } of waiting) {
    if (count > 0 && (!options.durable || count === GROUP_MAX || bytes > GROUP_BYTES)) break;
    count += 1;
    if (!options.durable) break;
    for (const file of options.files) bytes += file.bytes.length;
  }
  return waiting.splice(0, count);
}

async function performGroup(context: LocalContext, group: readonly Wish[], unflushed: { bytes: number }): Promise<void> {
  const { rows, packs } = context;
  const durable = group[0]?.options.durable === true;
  const before = rows.state().top;
  const writing = new Writing(rows, packs.batch());
  rows.open();
  let told: readonly (() => void)[];
  try {
    told = await performEach(context, group, writing);
    if (durable && writing.steps.length > 0) await noteDown(context, writing);
    else writing.settle();
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  unflushed.bytes += writing.batch.end.at - writing.batch.start.at;
  // What only serves better is not noted: it has to be committed to outlive a kill.
  if ((!durable && writing.steps.length > 0) || rows.unflushed() >= FLUSH_ROWS || unflushed.bytes >= FLUSH_BYTES) {
    rows.flush(false);
    unflushed.bytes = 0;
  }
  const { top } = rows.state();
  if (top !== before) context.changed(top);
  for (const tell of told) tell();
}

async function performEach(context: LocalContext, group: readonly Wish[], writing: Writing): Promise<readonly (() => void)[]> {
  const { rows } = context;
  const { batch } = writing;
  const told: (() => void)[] = [];
  for (const { options, work, reject } of group) {
    // What one before it wrote may not be taken back with this one.
    writing.settle();
    const mark = writing.mark();
    rows.open();
    try {
      told.push(await work(txOf(context, options, writing)));
      if (batch.end.at > mark.at) await context.checkSpace(batch.end.at - mark.at);
      rows.keep();
    } catch (error) {
      rows.undo();
      // The database gave up those before it as well: none may be noted.
      if (!rows.intact()) throw error;
      writing.undo(mark);
      reject(error);
    }
  }
  return told;
}

/** The one append. After it the change stands, whatever becomes of the database. */
async function noteDown({ rows, packs, compute, faults }: LocalContext, writing: Writing): Promise<void> {
  const count = rows.noted().count + 1;
  const bytes = writeNote({ count, snapshot: false, steps: writing.steps });
  writing.batch.note(compute.sha1(bytes), bytes);
  const written = packs.write(writing.batch);
  try {
    // The rows are written while the bytes are on their way to the disk.
    writing.settle();
    await written;
    faults("server/afterBlobBeforeRow");
  } catch (error) {
    await Promise.allSettled([written]);
    // As after a failed fsync: the next note has the same number and stands elsewhere.
    packs.leave();
    throw error;
  }
  rows.setNoted({ ...packs.next(), count });
}
