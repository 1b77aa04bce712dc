/** What an account's directory needs from time to time, and the look whether all of it holds. */
import { verifyPlaces, type LocalContext } from "./local-context.ts";
import { noteAll } from "./snapshot.ts";
import type { CheckReport, Retention } from "./storage.ts";

/** Lines of the log that are kept: more than a session can be behind. */
const LOG_KEEP = 200_000;
/** Rows that one transaction removes, so that others have their turn. */
const TRIM_AT_ONCE = 500;
/** A pack is rewritten when less than this part of it is needed. */
const WORTH_PART = 0.5;

/** Versions, dead bytes, packs: each step is a transaction of its own, and a crash between two leaves only room unused. */
export async function housekeep(context: LocalContext, rules: Retention): Promise<void> {
  const { rows, clock, packs } = context;
  const beforeMs = clock.wallMs() - rules.keepMs;
  for (;;) {
    const removed = await context.transaction(
      async () => await Promise.resolve(rows.trimVersions(beforeMs, rules.capBytes, clock.wallMs(), TRIM_AT_ONCE)),
    );
    if (removed < TRIM_AT_ONCE) break;
  }
  await context.transaction(async () => await Promise.resolve(rows.trimLog(LOG_KEEP)));
  // Dead bytes wait as long as versions: a row that was withdrawn or a backup of the database may still name them.
  await context.transaction(async () => await Promise.resolve(rows.dropDead(beforeMs, new Set(context.pinned.keys()))));
  const needed = await context.turns.run(async () => await Promise.resolve(rows.packs()));
  const worth = (await packs.list()).filter(
    ({ pack, sizeBytes, mtimeMs }) => pack !== packs.current() && mtimeMs <= beforeMs && (needed.get(pack) ?? 0) < sizeBytes * WORTH_PART,
  );
  if (worth.length === 0) return;
  for (const { pack } of worth) await moveOut(context, pack);
  // Their notes go with them: what stands now is noted first.
  await noteAll(context);
  for (const { pack } of worth) {
    const left = await context.turns.run(async () => await Promise.resolve(rows.inPack(pack).length));
    if (left === 0) await packs.remove(pack);
  }
}

/** Moves what is needed into the current pack. Readers who saw the old place look again. */
async function moveOut(context: LocalContext, pack: number): Promise<void> {
  const { rows, packs } = context;
  const places = await context.turns.run(async () => await Promise.resolve(rows.inPack(pack)));
  await context.checkSpace(places.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  for (let at = 0; at < places.length; at += 64) {
    const part = places.slice(at, at + 64);
    const bytes = await packs.read(part);
    await context.transaction(async () => {
      const batch = packs.batch();
      for (const [index, { sha1 }] of part.entries()) {
        const found = bytes[index] ?? null;
        // Damaged bytes stay where they are, and the pack with them: a download withdraws them.
        if (found !== null && rows.place(sha1)?.pack === pack) rows.move(batch.blob(sha1, found));
      }
      await packs.write(batch);
    });
  }
}

/** Counts everything and reads every byte once. */
export async function checkAccount(context: LocalContext): Promise<CheckReport> {
  const { rows, packs, turns } = context;
  const faults = await turns.run(async () => await Promise.resolve(rows.faults()));
  const there = new Set((await packs.list()).map(({ pack }) => pack));
  const { blobs, bytes } = rows.countBlobs();
  for (const pack of rows.packs().keys()) {
    if (!there.has(pack)) {
      faults.push(lostPack(pack, rows.inPack(pack).length));
      continue;
    }
    const places = await turns.run(async () => await Promise.resolve(rows.inPack(pack)));
    for await (const { sha1, ok } of verifyPlaces(packs, places)) if (!ok) faults.push(`Blob ${sha1} in pack ${String(pack)} is damaged.`);
  }
  return { rows: rows.state().live, blobs, bytes, faults };
}

function lostPack(pack: number, blobs: number): string {
  return `Pack ${String(pack)} is gone from the disk: ${String(blobs)} ${blobs === 1 ? "blob" : "blobs"} stood in it.`;
}
