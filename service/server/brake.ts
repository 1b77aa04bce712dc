/**
 * The burst brake (RELIABILITY §5.2.15): a device that deletes very much within an hour has more likely lost its folder than cleaned it up.
 * What it deleted is brought back at once, as changes like any other: devices that have the files notice nothing, the one that deleted them gets
 * them again. Whoever means it deletes them once more. So no client ever waits, and none has to know.
 */
import * as z from "zod";

const HOUR_MS = 3_600_000;
const LEAST = 100;
const PART = 0.25;
/** Ranges that are remembered; beyond it the oldest go, and a repeat of those counts as new. */
const RANGES_MAX = 1000;

const usn = z.int().min(0);
const ranges = z.array(z.tuple([usn, usn]));
const tallySchema = z.object({
  /** Wall clock when the hour began, the top usn and the rows with bytes then. */
  sinceMs: z.number(),
  top: usn,
  live: usn,
  deleted: usn,
  tripped: z.boolean(),
  /** Usns of rows that were brought back: to delete one of those again is meant. */
  back: ranges,
  /** Usns of deletions that don't count. */
  meant: ranges,
});
/** Deletions of one device key within the hour that is counted. */
export type Tally = z.output<typeof tallySchema>;

/** What cannot be read (a later version wrote it) begins anew. */
export function parseTally(text: string | null): Tally | null {
  const parsed = text === null ? null : tallySchema.safeParse(JSON.parse(text));
  return parsed?.success === true ? parsed.data : null;
}

export type Ask = {
  readonly nowMs: number;
  /** Top usn and rows with bytes before this batch. */
  readonly top: number;
  readonly live: number;
  /** Of the rows that it deletes, as they stood before: their usns. */
  readonly rows: readonly number[];
};
/** `pass`: nothing is brought back. `trip`: all that was deleted since `tally.top`. `hold`: what this batch deletes. Never what is `meant`. */
export type Verdict = {
  readonly tally: Tally;
  readonly answer: "pass" | "trip" | "hold";
  /** Which of `rows` don't count: deleted for the second time, or younger than the hour. */
  readonly meant: readonly boolean[];
};

export function brake(before: Tally | null, { nowMs, top, live, rows }: Ask): Verdict {
  const over = before === null || nowMs - before.sinceMs >= HOUR_MS || nowMs < before.sinceMs;
  const fresh: Tally = { sinceMs: nowMs, top, live, deleted: 0, tripped: false, back: before?.back ?? [], meant: [] };
  const tally = over ? fresh : before;
  // What came after the hour's first deletion and goes again is somebody at work, not a folder that was lost.
  const meant = rows.map((row) => row > tally.top || covers(tally.back, row));
  const deleted = tally.deleted + meant.filter((one) => !one).length;
  const next = { ...tally, deleted };
  if (deleted === tally.deleted) return { tally: next, answer: "pass", meant };
  if (tally.tripped) return { tally: next, answer: "hold", meant };
  if (deleted <= Math.max(LEAST, tally.live * PART)) return { tally: next, answer: "pass", meant };
  return { tally: { ...next, tripped: true }, answer: "trip", meant };
}

export function covers(known: Tally["back"], one: number): boolean {
  return known.some(([from, to]) => one >= from && one <= to);
}

/** One usn more; neighbours are one range. */
export function withUsn(known: Tally["back"], one: number): Tally["back"] {
  const last = known.at(-1);
  if (last !== undefined && last[1] + 1 === one) return [...known.slice(0, -1), [last[0], one]];
  return [...known, [one, one] satisfies [number, number]].slice(-RANGES_MAX);
}

const burstSchema = z.object({
  /** Id of the device key. */
  key: z.string(),
  /** Wall clock at its first and last deletion over the limit. */
  fromMs: z.number(),
  toMs: z.number(),
  files: usn,
  /** False: the device has a brake of its own, whose question was answered; the owner is only told. */
  back: z.boolean(),
});
/** What the owner is told of. */
export type Burst = z.output<typeof burstSchema>;
const BURSTS_MAX = 20;

/** Newest first. */
export function parseBursts(text: string | null): readonly Burst[] {
  const parsed = text === null ? null : z.array(burstSchema).safeParse(JSON.parse(text));
  return parsed?.success === true ? parsed.data : [];
}

/** `trip` begins one, `hold` makes the key's latest larger. */
export function withBurst(known: readonly Burst[], burst: Burst, answer: "trip" | "hold"): readonly Burst[] {
  const at = answer === "trip" ? -1 : known.findIndex(({ key }) => key === burst.key);
  const same = known[at];
  if (same === undefined) return [burst, ...known].slice(0, BURSTS_MAX);
  return known.with(at, { ...same, toMs: burst.toMs, files: same.files + burst.files });
}
