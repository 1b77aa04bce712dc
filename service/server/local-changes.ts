/** Changes of one account in a directory: those that wait together share one append, and the rows follow in a transaction of many. */
import type { Sha1 } from "../core/model.ts";
import type { Entry, Renumbered, Sender, Sent } from "../core/server-rows.ts";
import type { PackBatch } from "../files/pack-batch.ts";
import type { Stage } from "../store/server-blobs.ts";
import { perform, writeNote, type Step } from "./journal.ts";
import { epochOf, type LocalContext } from "./local-context.ts";
import { replayNotes } from "./local-replay.ts";
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
  const batch = packs.batch();
  const steps: Step[] = [];
  rows.open();
  let told: readonly (() => void)[];
  try {
    told = await performEach(context, group, batch, steps);
    if (durable && steps.length > 0) await noteDown(context, batch, steps);
    rows.keep();
  } catch (error) {
    rows.undo();
    throw error;
  }
  unflushed.bytes += batch.end.at - batch.start.at;
  // What only serves better is not noted: it has to be committed to outlive a kill.
  if ((!durable && steps.length > 0) || rows.unflushed() >= FLUSH_ROWS || unflushed.bytes >= FLUSH_BYTES) {
    rows.flush(false);
    unflushed.bytes = 0;
  }
  const { top } = rows.state();
  if (top !== before) context.changed(top);
  for (const tell of told) tell();
}

async function performEach(
  context: LocalContext,
  group: readonly Wish[],
  batch: PackBatch,
  steps: Step[],
): Promise<readonly (() => void)[]> {
  const { rows } = context;
  const told: (() => void)[] = [];
  for (const { options, work, reject } of group) {
    const mark = batch.mark();
    const count = steps.length;
    rows.open();
    try {
      told.push(await work(txOf(context, options, batch, steps)));
      if (batch.end.at > mark.at) await context.checkSpace(batch.end.at - mark.at);
      rows.keep();
    } catch (error) {
      rows.undo();
      batch.undo(mark);
      steps.length = count;
      reject(error);
    }
  }
  return told;
}

/** The one append. After it the change stands, whatever becomes of the database. */
async function noteDown({ rows, packs, compute, faults }: LocalContext, batch: PackBatch, steps: readonly Step[]): Promise<void> {
  const count = rows.noted().count + 1;
  const bytes = writeNote({ count, snapshot: false, steps });
  batch.note(compute.sha1(bytes), bytes);
  await packs.write(batch);
  try {
    faults("server/afterBlobBeforeRow");
  } catch (error) {
    // As after a failed fsync: the next note has the same number and stands elsewhere.
    packs.leave();
    throw error;
  }
  rows.setNoted({ ...packs.next(), count });
}

function txOf({ rows, clock, secrets }: LocalContext, { files }: Change, batch: PackBatch, steps: Step[]): AccountTx {
  const soon = async <T>(value: T): Promise<T> => await Promise.resolve(value);
  const bytes = new Map(files.map((file) => [file.sha1, file.bytes]));
  const given = (sha1: Sha1): Uint8Array | null => bytes.get(sha1) ?? null;
  const stage: Stage = {
    plan: (sha1) => {
      const found = given(sha1);
      return found === null ? null : batch.plan(sha1, found);
    },
    take: (sha1) => void batch.blob(sha1, given(sha1) ?? new Uint8Array(0)),
  };
  const step = async (one: Step): Promise<void> => {
    perform(rows, one, stage);
    steps.push(one);
    await Promise.resolve();
  };
  return {
    state: async () => await soon(rows.state()),
    rows: async (names) => {
      const found = new Map<string, NonNullable<ReturnType<typeof rows.row>>>();
      for (const name of names) {
        const row = rows.row(name);
        if (row !== undefined) found.set(name, row);
      }
      return await soon(found);
    },
    feed: async (usn, limit, bornAt) => await soon(rows.feed(usn, limit, bornAt)),
    write: async (entries, sender) => {
      const atMs = clock.wallMs();
      await step({ kind: "write", entries, sender, atMs });
      const { entries: freed, told } = renumbered(rows);
      if (freed.length > 0) await step({ kind: "write", entries: freed, sender: TWINS, atMs });
      return told;
    },
    shadows: async () => await soon(rows.shadows()),
    log: async (usn) => await soon(rows.log(usn)),
    uploads: async (usns) => {
      const sent = usns.flatMap((usn): (readonly [number, Sent])[] => {
        const found = rows.upload(usn);
        return found === undefined ? [] : [[usn, found]];
      });
      return await soon(new Map(sent));
    },
    memory: async (device) => await soon(rows.memory(device)),
    remember: async (device, memory) => await step({ kind: "remember", device, memory }),
    memories: async () => await soon(rows.memories()),
    newEpoch: async () => await step({ kind: "epoch", epoch: epochOf(secrets) }),
    versions: async (name) => await soon(rows.versions(name)),
  };
}

/** Nobody's key: to every device the new number is somebody else's change. */
const TWINS: Sender = { device: "server", session: "twins" };

/** Shadows whose leader went, with a number that no device has passed. */
function renumbered(rows: LocalContext["rows"]): { readonly entries: readonly Entry[]; readonly told: readonly Renumbered[] } {
  const { top } = rows.state();
  const freed = rows.freed().flatMap((name) => rows.row(name) ?? []);
  return {
    entries: freed.map((row, at) => ({ ...row, usn: top + 1 + at, real: true })),
    told: freed.map(({ name, usn }, at) => ({ name, from: usn, to: top + 1 + at })),
  };
}
