import type { Entry } from "../core/server-rows.ts";
import type { ServerAccountRows } from "../store/server-account.ts";
import { writeNote, type Step } from "./journal.ts";
import type { LocalContext } from "./local-context.ts";

/** Rows or versions in one note: what is in memory at once, some MiB. */
const LINES_AT_ONCE = 20_000;
/** Nobody's key: a device that asks what was its own finds nothing of it here. */
const SENDER = { device: "server", session: "snapshot" };

/** Notes all that stands now, so that a lost database can be made again without the notes before. */
export async function noteAll(context: LocalContext): Promise<void> {
  const { rows, packs, compute, clock } = context;
  await context.transaction(async () => {
    const batch = packs.batch();
    let { count } = rows.noted();
    for (const steps of stepsOf(rows, clock.wallMs())) {
      count += 1;
      const bytes = writeNote({ count, snapshot: true, steps });
      batch.note(compute.sha1(bytes), bytes);
    }
    await context.checkSpace(batch.end.at - batch.start.at);
    await packs.write(batch);
    rows.setNoted({ ...packs.next(), count });
  });
}

function* stepsOf(rows: ServerAccountRows, atMs: number): Generator<readonly Step[]> {
  const state = rows.state();
  yield [{ kind: "reset", atMs }];
  for (let usn = 0; ;) {
    const feed = rows.feed(usn, LINES_AT_ONCE);
    const entries = feed.map((row): Entry => ({ ...row, real: true }));
    if (entries.length > 0) yield [{ kind: "write", entries, sender: SENDER, atMs }];
    if (feed.length < LINES_AT_ONCE) break;
    usn = feed.at(-1)?.usn ?? usn;
  }
  for (let after = 0; ;) {
    const versions = rows.versionsAfter(after, LINES_AT_ONCE);
    if (versions.length > 0) yield [{ kind: "versions", versions }];
    if (versions.length < LINES_AT_ONCE) break;
    after = versions.at(-1)?.id ?? after;
  }
  const memories = rows.memories().map(([device, memory]): Step => ({ kind: "remember", device, memory }));
  yield [...memories, { kind: "state", state }];
}
