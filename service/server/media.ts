/** What Anki's own media calls do to an account (specification §5, with the cures of §15.2). Knows nothing of HTTP. */
import { LIMITS } from "../../protocol/anki/limits.ts";
import type { UploadEntry } from "../../protocol/anki/zip-messages.ts";
import type { Sha1 } from "../core/model.ts";
import type { Clock, Compute, Faults } from "../core/ports.ts";
import type { AccountState, Entry, Logged, Row } from "../core/server-rows.ts";
import {
  asked,
  claimed,
  legacySession,
  mayHaveRowsAtZero,
  newMemory,
  paged,
  parseMemory,
  sane,
  told,
  uploaded,
  wiped,
  type Asked,
  type Hidden,
  type Memory,
} from "./echo.ts";
import type { Burst } from "./brake.ts";
import { brakeDeletions, isKey } from "./burst.ts";
import { Refusal } from "./exchange.ts";
import { CARRIER, nameFault } from "./names.ts";
import type { Account, AccountTx } from "./storage.ts";
import { writeRows } from "./write-rows.ts";

/** Raw bytes after which a download reply is closed. Anki's own server stops at 2.5 MiB; more means fewer round trips (W21). */
const DOWNLOAD_BYTES = 8 * 1024 * 1024;
/** Hashing this much at one go holds others up for 4 ms. */
const HASH_AT_ONCE_BYTES = 8 * 1024 * 1024;

/** Who asks. `session` null: a client that sends none. `folds`: to its disk `A.jpg` and `a.jpg` are one file. */
export type Caller = { readonly account: Account; readonly device: string; readonly session: string | null; readonly folds?: boolean };

/** Whether the disks of the system that a client names (`26.09.3,29bb700b,windows`) fold names. Not iOS, not Linux. */
export function foldsNames(client: string): boolean {
  return /,(?:win|mac|darwin|android)[^,]*$/i.test(client);
}

const NONE: ReadonlySet<string> = new Set();
/** Names that this client can't have beside another that it has: not shown to it, and not counted (W13). */
async function unseen(tx: AccountTx, { folds }: Caller, { cased }: Memory): Promise<ReadonlySet<string>> {
  return folds === true && !cased ? await tx.shadows() : NONE;
}
/** What only got another number. A device whose system folds names may have passed the old one without being told. */
function knownRows({ folds }: Caller, { knows, twin }: Memory): ReadonlyMap<string, number> {
  return new Map(folds === true || twin ? [] : knows);
}
export type MediaParts = {
  readonly clock: Clock;
  readonly compute: Compute;
  readonly faults: Faults;
  /** A device deleted very much: told once for each burst. */
  readonly onBurst: (account: string, burst: Burst) => void;
  /** So many names came that differ in case alone from one that stands. */
  readonly onTwins: (account: string, names: number) => void;
};
export type Hashed = UploadEntry & { readonly sha1: Sha1 | null };

/** The memory of the caller's key, handed to `work` and written back where it changed. */
export async function withMemory<T>(
  tx: AccountTx,
  caller: Caller,
  work: (memory: Memory, session: string, state: AccountState) => Promise<{ readonly memory: Memory; readonly result: T }>,
): Promise<T> {
  const state = await tx.state();
  const text = await tx.memory(caller.device);
  const before = text === null ? newMemory(state.generation) : parseMemory(text, state.generation);
  const { memory, result } = await work(before, caller.session ?? legacySession(before), state);
  // What it knows is written by whoever writes rows, which `work` may have done.
  const now = await tx.memory(caller.device);
  const { knows } = now === text ? memory : parseMemory(now, state.generation);
  const next = JSON.stringify({ ...memory, knows });
  if (next !== now) await tx.remember(caller.device, next);
  return result;
}

const light = { durable: false, files: [] } as const;

/** The account's usn, remembered as told to this key. `begins`: a client without sessions begins one. */
export async function tellUsn(caller: Caller, begins: boolean): Promise<AccountState> {
  return await caller.account.change(
    light,
    async (tx) =>
      await withMemory(tx, caller, async (memory, _session, state) => {
        const next = told(memory, state.top);
        const started = begins && caller.session === null ? { ...next, legacy: next.legacy + 1 } : next;
        return await Promise.resolve({ memory: started, result: state });
      }),
  );
}

/** One page of `mediaChanges`: `[name, usn, sha1 | ""]`. */
export async function mediaChanges(caller: Caller, last: number, { faults }: MediaParts): Promise<[string, number, string][]> {
  const limit = faults("server/feedOf1") ? 1 : LIMITS.feedRows;
  return await caller.account.change(
    light,
    async (tx) =>
      await withMemory(tx, caller, async (before, session, state) => {
        const ask = asked(before, session, last, { ...state, strangers: last === 0 && (await strangers(tx, caller)) });
        if (ask.wentBack) await tx.newEpoch();
        if (ask.answer === "empty") return { memory: ask.memory, result: [] };
        const { rows, end } = await readPage(tx, last, state.top, limit, {
          ...ask,
          unseen: await unseen(tx, caller, before),
          known: knownRows(caller, before),
        });
        const page = rows.map(({ name, usn, sha1 }): [string, number, string] => [name, usn, sha1 ?? ""]);
        // Without a row at the top the client would ask three times per sync for ever (W8).
        if (rows.at(-1)?.usn !== end && end > last) page.push([CARRIER, end, ""]);
        return { memory: paged(ask.memory, last, end, ask.hidden), result: page };
      }),
  );
}

/** Whether another key's client may have rows though it stands at 0. */
async function strangers(tx: AccountTx, { device }: Caller): Promise<boolean> {
  const { generation } = await tx.state();
  const others = (await tx.memories()).filter(([id]) => id !== device && isKey(id));
  return others.some(([, text]) => mayHaveRowsAtZero(parseMemory(text, generation)));
}

/** Rows after `last` as this client may see them; `end`: where it then stands. At most one tombstone, for clients that stop at the first
 * deletion that fails (W4); none that is older than the client (W23). */
async function readPage(
  tx: AccountTx,
  last: number,
  top: number,
  limit: number,
  {
    hidden,
    bulk,
    bornAt,
    unseen: twins,
    known,
  }: Asked & { readonly unseen: ReadonlySet<string>; readonly known: ReadonlyMap<string, number> },
): Promise<{ readonly rows: readonly Row[]; readonly end: number }> {
  const rows: Row[] = [];
  let tombstones = 0;
  let from = last;
  for (;;) {
    const more = await tx.feed(from, limit, bornAt);
    for (const row of more) {
      if (isHidden(hidden, row.usn) || twins.has(row.name) || known.get(row.name) === row.usn) continue;
      tombstones += row.sha1 === null ? 1 : 0;
      if (rows.length === limit || (tombstones > 1 && !bulk)) return { rows, end: rows.at(-1)?.usn ?? last };
      rows.push(row);
    }
    const next = more.at(-1)?.usn;
    if (next === undefined || more.length < limit) return { rows, end: Math.max(top, last) };
    from = next;
  }
}

function isHidden(hidden: Hidden, usn: number): boolean {
  return hidden.some(([from, to]) => usn >= from && usn <= to);
}

/** Names and hashes of an upload. @throws Refusal 400 for a name under which nothing can be stored; a deletion may have any (W11). */
export async function hashEntries(entries: readonly UploadEntry[], { compute, clock }: MediaParts): Promise<readonly Hashed[]> {
  const hashed: Hashed[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (entry.bytes === null) {
      hashed.push({ ...entry, sha1: null });
      continue;
    }
    const fault = nameFault(entry.name);
    if (fault !== null) throw new Refusal(400, `an uploaded name cannot be used: ${fault}`);
    if (bytes > HASH_AT_ONCE_BYTES) {
      await clock.sleep(0);
      bytes = 0;
    }
    bytes += entry.bytes.length;
    hashed.push({ ...entry, sha1: await compute.sha1Fairly(entry.bytes) });
  }
  return hashed;
}

/** The bytes that are to be stored, once per hash. */
export function filesOf(entries: readonly Hashed[]): { readonly sha1: Sha1; readonly bytes: Uint8Array }[] {
  const files = new Map<Sha1, Uint8Array>();
  for (const { sha1, bytes } of entries) if (sha1 !== null && bytes !== null) files.set(sha1, bytes);
  return [...files].map(([sha1, bytes]) => ({ sha1, bytes }));
}

/** `uploadChanges`: entries handled, and the account's usn; 0 after a batch that changed nothing. */
export async function uploadChanges(caller: Caller, entries: readonly Hashed[], parts: MediaParts): Promise<[number, number]> {
  let burst: Burst | null = null;
  let twins = 0;
  const result = await caller.account.change({ durable: true, files: filesOf(entries) }, async (tx) => {
    const rows = await tx.rows(entries.map(({ name }) => name));
    return await withMemory(tx, caller, async (memory, session, { top, live }) => {
      if (entries.length === 0) return { memory, result: [0, top] satisfies [number, number] };
      const numbered = numberEntries(entries, rows, top);
      if (numbered === null) {
        const claims = entries.map(({ name, sha1 }): [string, boolean] => [name, sha1 !== null]);
        return { memory: claimed(memory, session, claims), result: [entries.length, 0] satisfies [number, number] };
      }
      await writeRows(tx, numbered, { device: caller.device, session });
      const nowMs = parts.clock.wallMs();
      burst = await brakeDeletions(tx, { device: caller.device, nowMs, top, live, rows, written: numbered, back: true });
      twins = await twinsAmong(tx, numbered);
      const cased = memory.cased || (caller.folds === true && twins > 0);
      const end = top + numbered.length;
      return {
        memory: { ...uploaded(memory, session, top, top + 1, end), cased },
        result: [entries.length, end] satisfies [number, number],
      };
    });
  });
  if (burst !== null) parts.onBurst(caller.account.id, burst);
  if (twins > 0) parts.onTwins(caller.account.id, twins);
  parts.faults("server/afterRowBeforeReply");
  return result;
}

/** How many of the names that were just written stand in another's shadow. */
export async function twinsAmong(tx: AccountTx, written: readonly Entry[]): Promise<number> {
  const shadows = await tx.shadows();
  return shadows.size === 0 ? 0 : written.filter(({ name, sha1, real }) => real && sha1 !== null && shadows.has(name)).length;
}

/**
 * In a batch with a real change every entry takes one usn, so that the client's arithmetic holds exactly when nobody else wrote; a batch
 * without one takes none (null): W8, PR03. Real changes come last, so that a row carries the top usn.
 */
function numberEntries(entries: readonly Hashed[], rows: ReadonlyMap<string, Row>, top: number): readonly Entry[] | null {
  const now = new Map<string, Sha1 | null>();
  for (const [name, row] of rows) now.set(name, row.sha1);
  const same: Hashed[] = [];
  const real: Hashed[] = [];
  for (const entry of entries) {
    const changes = (now.get(entry.name) ?? null) !== entry.sha1;
    (changes ? real : same).push(entry);
    if (changes) now.set(entry.name, entry.sha1);
  }
  if (real.length === 0) return null;
  return [...same, ...real].map(({ name, sha1, bytes }, index) => ({
    usn: top + 1 + index,
    name,
    sha1,
    sizeBytes: bytes?.length ?? 0,
    real: index >= same.length,
  }));
}

/** `mediaSanity`: whether the client's count is right, or right for what its session could know (W32). */
export async function mediaSanity(caller: Caller, local: number): Promise<"OK" | "mediaSanity"> {
  return await caller.account.change(
    light,
    async (tx) =>
      await withMemory(tx, caller, async (before, session, state) => {
        const { memory, answer } = sane(before, session);
        if (answer === "reset") return { memory, result: "mediaSanity" as const };
        const hidden = (await unseen(tx, caller, before)).size;
        const fits = (count: number): boolean => local === count || local === count - hidden;
        if (answer === "ok" || fits(state.live)) return { memory, result: "OK" as const };
        const stand = memory.stand ?? memory.told;
        const log = stand === null ? null : await tx.log(stand);
        const known = log === null ? null : knownLive(state.live, log, memory, { device: caller.device, session });
        return known !== null && fits(known)
          ? { memory, result: "OK" as const }
          : { memory: wiped(memory), result: "mediaSanity" as const };
      }),
  );
}

/** Live rows at the session's position, with the session's own changes on top. */
function knownLive(live: number, log: readonly Logged[], memory: Memory, own: { device: string; session: string }): number {
  const names = new Map<string, { now: boolean; known: boolean }>();
  for (const line of log) {
    const state = names.get(line.name) ?? { now: line.wasLive, known: line.wasLive };
    state.now = line.live;
    if (line.device === own.device && line.session === own.session) state.known = line.live;
    names.set(line.name, state);
  }
  for (const [name, has] of memory.claims) {
    const state = names.get(name);
    if (state !== undefined) state.known = has;
  }
  let count = live;
  for (const { now, known } of names.values()) count += Number(known) - Number(now);
  return count;
}

export type Served = { readonly name: string; readonly bytes: Uint8Array | null };

/**
 * The files of a non-empty prefix of `names`; null: not here any more. Bytes that can't be read are withdrawn first, all of them at once (W10).
 * `strict`: Anki's own rule, @throws Refusal 409 when any name is not here.
 */
export async function downloadFiles(
  caller: Caller,
  names: readonly string[],
  strict: boolean,
  parts: MediaParts,
): Promise<readonly Served[]> {
  const { account } = caller;
  const rows = await account.change(light, async (tx) => await tx.rows(names));
  const live = names.map((name) => rows.get(name) ?? null).map((row) => (row === null || row.sha1 === null ? null : row));
  if (strict && live.includes(null)) throw new Refusal(409, "a name that was asked for is not here");
  const count = parts.faults("server/shortPrefix") ? 1 : prefixLength(live);
  const wanted = live.slice(0, count);
  const sha1s = [...new Set(wanted.flatMap((row) => row?.sha1 ?? []))];
  const read = await account.read(sha1s);
  const bytes = new Map(sha1s.map((sha1, index) => [sha1, read[index] ?? null]));
  const lost = sha1s.filter((sha1) => bytes.get(sha1) === null);
  if (lost.length > 0) {
    await account.withdraw(lost);
    if (strict) throw new Refusal(409, "files that were asked for can't be read");
  }
  return wanted.map((row, index) => ({ name: names[index] ?? "", bytes: row?.sha1 == null ? null : (bytes.get(row.sha1) ?? null) }));
}

/** At least one; the file that crosses the line stays out. */
function prefixLength(rows: readonly (Row | null)[]): number {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    bytes += row?.sizeBytes ?? 0;
    if (index > 0 && bytes > DOWNLOAD_BYTES) return index;
  }
  return rows.length;
}
