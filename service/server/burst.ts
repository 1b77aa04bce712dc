/** Puts the burst brake's verdict into effect, within the transaction that deletes. */
import type { Entry, Row } from "../core/server-rows.ts";
import { brake, covers, parseBursts, parseTally, withBurst, withUsn, type Burst, type Tally, type Verdict } from "./brake.ts";
import type { AccountTx } from "./storage.ts";

/** Where the owner's list is remembered. No device key has this id, nor one of the tallies'. */
export const BURSTS = "bursts";
const TALLY = "brake ";
const tallyOf = (device: string): string => `${TALLY}${device}`;
/** Whether what is remembered under this id is a device key's. */
export const isKey = (id: string): boolean => id !== BURSTS && !id.startsWith(TALLY);

export type Deletion = {
  readonly device: string;
  readonly nowMs: number;
  /** Before the batch. */
  readonly top: number;
  readonly live: number;
  readonly rows: ReadonlyMap<string, Row>;
  /** The batch as it was written. */
  readonly written: readonly Entry[];
  /** False: for a client with a brake of its own nothing is brought back. */
  readonly back: boolean;
};

/** Counts what a batch deletes and brings back what is too much. The burst that the owner has to be told of, or null. */
export async function brakeDeletions(tx: AccountTx, deletion: Deletion): Promise<Burst | null> {
  const { device, nowMs, top, live, rows, written, back } = deletion;
  const gone = written.flatMap(({ name, usn, sha1, real }) => {
    const row = rows.get(name);
    return real && sha1 === null && row !== undefined && row.sha1 !== null ? [{ name, usn, row: row.usn }] : [];
  });
  if (gone.length === 0) return null;
  const verdict = brake(parseTally(await tx.memory(tallyOf(device))), { nowMs, top, live, rows: gone.map(({ row }) => row) });
  let { tally } = verdict;
  for (const [index, { usn }] of gone.entries()) if (verdict.meant[index] === true) tally = { ...tally, meant: withUsn(tally.meant, usn) };
  const unmeant = gone.filter((_, index) => verdict.meant[index] !== true).map(({ name }) => name);
  const names = verdict.answer === "trip" ? await deletedSince(tx, device, tally, unmeant) : verdict.answer === "hold" ? unmeant : [];
  if (back && names.length > 0) tally = { ...tally, back: await bringBack(tx, names, tally) };
  await tx.remember(tallyOf(device), JSON.stringify(tally));
  if (verdict.answer === "pass") return null;
  const burst: Burst = { key: device, fromMs: tally.sinceMs, toMs: nowMs, files: names.length, back };
  await tellOwner(tx, burst, verdict);
  return verdict.answer === "trip" ? burst : null;
}

/** Names that this device deleted within the hour, this batch's among them; those that stand again by now don't matter. */
async function deletedSince(tx: AccountTx, device: string, tally: Tally, batch: readonly string[]): Promise<readonly string[]> {
  // Trimmed so far that it can't tell: at least what is at hand.
  const log = (await tx.log(tally.top)) ?? [];
  const names = new Set(batch);
  for (const line of log) if (line.device === device && line.wasLive && !line.live && !covers(tally.meant, line.usn)) names.add(line.name);
  return [...names];
}

/** As `satchel server restore` does it, name by name. Returns the ranges of what was brought back. */
async function bringBack(tx: AccountTx, names: readonly string[], tally: Tally): Promise<Tally["back"]> {
  let { top } = await tx.state();
  let { back } = tally;
  const rows = await tx.rows(names);
  const entries: Entry[] = [];
  for (const name of names) {
    if (rows.get(name)?.sha1 !== null) continue;
    const [kept] = await tx.versions(name);
    if (kept === undefined) continue;
    top += 1;
    back = withUsn(back, top);
    entries.push({ usn: top, name, sha1: kept.sha1, sizeBytes: kept.sizeBytes, real: true });
  }
  if (entries.length > 0) await tx.write(entries, { device: "server", session: "brake" });
  return back;
}

async function tellOwner(tx: AccountTx, burst: Burst, { answer }: Verdict): Promise<void> {
  if (answer === "pass") return;
  await tx.remember(BURSTS, JSON.stringify(withBurst(parseBursts(await tx.memory(BURSTS)), burst, answer)));
}
