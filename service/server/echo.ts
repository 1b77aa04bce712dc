/**
 * What the server remembers of one device key, so that an unmodified client's own uploads never come back over its newer edits, and a
 * restored server is met gently (specification §15.2, W8, W17, W31, W32). Pure: each function takes a memory and returns the next.
 */
import * as z from "zod";

import type { Renumbered } from "../core/server-rows.ts";

const position = z.int().min(0);
const echoSchema = z.object({
  /** Positions from which the client may ask for its own upload again. */
  at: z.array(position),
  /** The usns of the upload, as ranges from … to. */
  own: z.array(z.tuple([position, position])),
  session: z.string(),
  /** Somebody wrote in between: the client's arithmetic can't hold, so it stays where it stood. */
  failed: z.boolean(),
  /** A later request of the session proves that the reply arrived. */
  confirmed: z.boolean(),
  /** The client has been met beyond 0 since: if it asks from 0 again, its state was lost, and it needs everything. */
  moved: z.boolean(),
});
const memorySchema = z.object({
  /** Where the client may stand; null: it has never asked. */
  pos: z.array(position).nullable(),
  /** The usn told last, while nothing was asked since. */
  told: position.nullable(),
  session: z.string().nullable(),
  /** Where it stands in this session, once that is known. */
  stand: position.nullable(),
  echo: echoSchema.nullable(),
  /** Two clients share this key (a copied profile): nothing can be concluded about either. */
  twin: z.boolean(),
  /** A client from before a restored backup: `sanity` makes it start over, `zero` lets it send all it has first, `sent` ends it. */
  way: z.enum(["none", "sanity", "zero", "sent"]),
  /** The account's generation that this client has been met in. */
  generation: z.int(),
  /** The session whose first request was for the feed from 0 when nothing was known of the key: that client has no rows that a deletion
   * could meet. Empty: there was no such session; null: nothing was asked yet. */
  fresh: z.string().nullable(),
  /** Tombstones up to this usn say nothing to the client: when it stood at 0 without a row that a deletion could meet, this was the top, and none of those
   * names has stood since (W23). null: it may need all. */
  bornAt: position.nullable().default(null),
  /** Its system folds names as a rule, but it sent both of two twins: its disk keeps them apart. */
  cased: z.boolean().default(false),
  /** Rows that only got another number, and that it knew before: name and number. Never told to it, unless its system folds names. */
  knows: z.array(z.tuple([z.string(), position])).default([]),
  /** What this session said of names without a real change: name and whether it has it. */
  claims: z.array(z.tuple([z.string(), z.boolean()])),
  /** Counts the syncs of clients that send no session (before 2.1.57). */
  legacy: z.int(),
});
export type Memory = z.output<typeof memorySchema>;
type Echo = z.output<typeof echoSchema>;

/** Usns that are left out of what a client is told. */
export type Hidden = readonly (readonly [from: number, to: number])[];

const CLAIMS_MAX = 500;
/** Beyond it the oldest are told again, which can cost an edit that was not sent yet, and only then. */
const KNOWS_MAX = 500;
const AT_MAX = 1000;
const RANGES_MAX = 10_000;
const NEVER_FRESH = "";

/** What is remembered of a key that was never seen. `generation`: the account's. */
export function newMemory(generation: number): Memory {
  return {
    pos: null,
    told: null,
    session: null,
    stand: null,
    echo: null,
    twin: false,
    way: "none",
    generation,
    fresh: null,
    bornAt: null,
    cased: false,
    knows: [],
    claims: [],
    legacy: 0,
  };
}

/** These rows got another number: the client knows those whose old one it has passed for certain, or made itself. The same memory where it knows none. */
export function knowing(memory: Memory, moved: readonly Renumbered[]): Memory {
  if (memory.pos === null) return memory;
  const stands = Math.min(...memory.pos);
  const own = memory.echo?.own ?? [];
  const known = moved.filter(({ from }) => from <= stands || own.some(([first, last]) => from >= first && from <= last));
  if (known.length === 0) return memory;
  const open = memory.knows.filter(([, usn]) => usn > stands);
  return { ...memory, knows: [...open, ...known.map(({ name, to }): [string, number] => [name, to])].slice(-KNOWS_MAX) };
}

/** What cannot be read (a later version wrote it) is as good as never seen, but for one thing: its client may have rows. The other cures
 * then rest for one sync. */
export function parseMemory(text: string | null, generation: number): Memory {
  if (text === null) return newMemory(generation);
  const parsed = memorySchema.safeParse(jsonOrNull(text));
  return parsed.success ? parsed.data : { ...newMemory(generation), fresh: NEVER_FRESH };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A request of `session` came: a new one begins, or the same one proves that its last reply arrived. */
function enter(memory: Memory, session: string): Memory {
  if (memory.session !== session) {
    return { ...memory, session, stand: null, claims: [], fresh: memory.fresh ?? NEVER_FRESH };
  }
  const { echo } = memory;
  if (echo === null || echo.session !== session || echo.confirmed) return memory;
  return { ...memory, echo: { ...echo, confirmed: true }, pos: echo.failed || memory.stand === null ? memory.pos : [memory.stand] };
}

/** The client was told the top usn (`begin`, `meta`, `health`). */
export function told(memory: Memory, usn: number): Memory {
  return memory.told === usn ? memory : { ...memory, told: usn };
}

/** A Satchel client has read the feed up to `at`; it knows its own uploads itself. */
export function stood(before: Memory, session: string, at: number): Memory {
  return { ...enter(before, session), stand: at, told: null };
}

/** The session of a client that sends none: one per `begin`. */
export function legacySession(memory: Memory): string {
  return `legacy ${String(memory.legacy)}`;
}

/** Whether a client with this memory may stand at 0 and have rows that others' deletions could meet: its first upload failed the arithmetic. Should it
 * sign in again, its new key looks like that of a new device. */
export function mayHaveRowsAtZero({ echo, pos }: Memory): boolean {
  return echo !== null && pos?.includes(0) === true;
}

/** `strangers`: another key's client may have rows at 0. */
type Line = { readonly top: number; readonly generation: number; readonly restoredTop: number; readonly strangers?: boolean };
export type Asked = {
  readonly memory: Memory;
  /** Rows that are not shown. */
  readonly hidden: Hidden;
  /** `empty`: answer with an empty page whatever there is. */
  readonly answer: "page" | "empty";
  /** A client that we know stands above everything we have: our data went back in time. */
  readonly wentBack: boolean;
  /** More than one tombstone a page does no harm. */
  readonly bulk: boolean;
  /** Tombstones up to this usn are left out. */
  readonly bornAt: number;
};

/** `mediaChanges(last)`. */
export function asked(before: Memory, session: string, last: number, line: Line): Asked {
  const memory = { ...met(before, session, last), bornAt: born(before, last, line) };
  const bulk = session !== NEVER_FRESH && memory.fresh === session;
  const ahead = last > line.top || (memory.generation < line.generation && last > line.restoredTop);
  if (ahead) {
    const wentBack = memory.pos !== null && memory.generation === line.generation;
    const generation = wentBack ? line.generation + 1 : line.generation;
    return {
      memory: { ...memory, way: "sanity", generation, pos: [last], stand: last, told: null, echo: null, bornAt: null },
      hidden: [],
      answer: "empty",
      wentBack,
      bulk,
      bornAt: 0,
    };
  }
  if (memory.way === "zero" && last === 0) {
    const next: Memory = { ...memory, way: "sent", pos: [0], stand: 0, told: null, generation: line.generation };
    return { memory: next, hidden: [], answer: "empty", wentBack: false, bulk, bornAt: 0 };
  }
  const twin = memory.twin || (last !== 0 && memory.pos !== null && !memory.pos.includes(last));
  const hidden = hides({ ...memory, twin }, session, last) ? (memory.echo?.own ?? []) : [];
  const way = last !== 0 && memory.way === "zero" ? "none" : memory.way;
  const echo = memory.echo !== null && last !== 0 ? { ...memory.echo, moved: true } : memory.echo;
  const next: Memory = { ...memory, twin, way, echo, pos: [last], stand: last, told: null, generation: line.generation };
  return { memory: next, hidden, answer: "page", wentBack: false, bulk, bornAt: twin ? 0 : (memory.bornAt ?? 0) };
}

/** A client that signs in again has a new key, but keeps its rows and its `lastUsn`. */
function met(before: Memory, session: string, last: number): Memory {
  const entered = enter(before, session);
  return before.fresh === null && last === 0 ? { ...entered, fresh: session } : entered;
}

/** Who asks from 0 has no rows that a deletion could meet, if nothing is known of the key, or if it was met elsewhere only: then its state was lost, and
 * what it finds in its folder waits to be sent. */
function born({ fresh, pos, echo, twin, generation, bornAt }: Memory, last: number, line: Line): number | null {
  // Numbers of another line mean nothing on this one.
  if (generation !== line.generation) return null;
  if (last !== 0) return bornAt;
  const isNew = fresh === null && pos === null && line.strangers === false;
  const startsOver = pos !== null && !pos.includes(0) && echo?.at.includes(0) !== true && !twin;
  return isNew || startsOver ? line.top : bornAt;
}

function hides(memory: Memory, session: string, last: number): boolean {
  const { echo } = memory;
  if (echo === null || memory.twin || echo.session === session || !echo.at.includes(last)) return false;
  if (!echo.failed && echo.confirmed) return false;
  // A client whose state was wiped begins at 0 as well. Should it be wrongly taken for one that still stands there, its count will differ,
  // it is told to start over, and is then shown everything.
  return last !== 0 || !echo.moved;
}

/** The page that answered `asked` ends at `end`. */
export function paged(memory: Memory, last: number, end: number, hidden: Hidden): Memory {
  if (end === last) return memory;
  const echo = hidden.length === 0 || memory.echo === null ? memory.echo : { ...memory.echo, at: [...memory.echo.at, end].slice(-AT_MAX) };
  return { ...memory, pos: [last, end], stand: end, echo };
}

/** An upload took the usns `from` … `to`; `topBefore` is what stood before it. */
export function uploaded(before: Memory, session: string, topBefore: number, from: number, to: number): Memory {
  const memory = enter(before, session);
  const stand = memory.stand ?? memory.told;
  const { echo } = memory;
  if (echo !== null && echo.session === session && echo.failed) {
    return { ...memory, stand, echo: { ...echo, own: joined(echo.own, from, to), confirmed: false }, told: null };
  }
  const failed = stand !== topBefore;
  const at = stand === null ? (memory.pos ?? []) : [stand];
  const next: Echo = { at, own: [[from, to]], session, failed, confirmed: false, moved: false };
  if (failed) return { ...memory, stand, pos: at, echo: next, told: null };
  return { ...memory, stand: to, pos: [...at, to], echo: next, told: null };
}

function joined(own: Echo["own"], from: number, to: number): Echo["own"] {
  const last = own.at(-1);
  if (last !== undefined && last[1] + 1 === from) return [...own.slice(0, -1), [last[0], to]];
  return own.length >= RANGES_MAX ? [...own.slice(1), [from, to]] : [...own, [from, to]];
}

/**
 * An upload changed nothing; `claims` is what it says that the client has. It may be one that came twice (a proxy that tried again), so it proves nothing of
 * the reply before it.
 */
export function claimed(before: Memory, session: string, claims: Memory["claims"]): Memory {
  const memory = before.session === session ? before : enter(before, session);
  const stand = memory.stand ?? memory.told;
  return { ...memory, stand, claims: [...memory.claims, ...claims].slice(-CLAIMS_MAX) };
}

/** `mediaSanity`. `reset`: a client from before a restored backup starts over now; `ok`: it has sent all it had. */
export function sane(before: Memory, session: string): { readonly memory: Memory; readonly answer: "count" | "reset" | "ok" } {
  const memory = enter(before, session);
  if (memory.way === "sanity") return { memory: { ...wiped(memory), way: "zero" }, answer: "reset" };
  if (memory.way === "sent") return { memory: { ...memory, way: "none" }, answer: "ok" };
  return { memory, answer: "count" };
}

/** The client is told to forget what it knows: it will ask from 0, and nothing may be hidden from it then. */
export function wiped(memory: Memory): Memory {
  return { ...memory, echo: null };
}
