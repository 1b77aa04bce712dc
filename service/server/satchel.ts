/** The additions between a Satchel client and a Satchel server (DESIGN §11 "Server"). */
import type * as z from "zod";

import { LIMITS } from "../../protocol/anki/limits.ts";
import type { SATCHEL } from "../../protocol/anki/messages.ts";
import type { BasedEntry } from "../../protocol/anki/zip-messages.ts";
import type { Sha1 } from "../core/model.ts";
import type { Clock } from "../core/ports.ts";
import type { AccountState, Entry, KeptVersion, Row, Sent } from "../core/server-rows.ts";
import type { Burst } from "./brake.ts";
import { brakeDeletions } from "./burst.ts";
import { stood } from "./echo.ts";
import { Refusal } from "./exchange.ts";
import { filesOf, hashEntries, twinsAmong, withMemory, type Caller, type Hashed, type MediaParts } from "./media.ts";
import { CARRIER, nameFault } from "./names.ts";
import type { Storage } from "./storage.ts";
import { writeRows } from "./write-rows.ts";

type Results = z.input<typeof SATCHEL.upload.reply>;
type Page = z.input<typeof SATCHEL.changes.reply>;
type Greeting = z.input<typeof SATCHEL.health.reply>["satchel"];

/** What the server says of itself to a device that it knows. */
export function greetingOf({ id }: { readonly id: string }, { top, epoch }: Pick<AccountState, "top" | "epoch">): Greeting {
  const { satchelEntries: entries, satchelBatchBytes: batchBytes, fileBytes, smallBodiesAtOnce: uploads } = LIMITS;
  const limits = { entries, batchBytes, fileBytes, uploads };
  return { v: 1, id, epoch, usn: top, limits };
}

/** The name of a device key for people; null: there is no such key (any more). */
export type NameOfKey = (device: string) => string | null;

/**
 * One page of the feed with sizes. Who answers, and how many rows are live, is of the same moment: a backup put back can't come between.
 * `names`: for who asks which device deleted a file; null: nobody does. `senders`: who asks takes the same of files that stand.
 */
export async function satchelChanges(
  caller: Caller,
  { last, senders }: { readonly last: number; readonly senders: boolean },
  names: (() => Promise<NameOfKey>) | null,
  { faults }: MediaParts,
): Promise<Page> {
  // What most syncs ask, and all of the answer. That this device stands here is not written down for it: should its count be asked for later, and
  // somebody else have written meanwhile, it reads on first.
  const now = caller.account.glance();
  if (now !== null && now.top === last) return { rows: [], more: false, satchel: { ...greetingOf(caller.account, now), live: now.live } };
  const nameOf = (await names?.()) ?? null;
  const limit = faults("server/feedOf1") ? 1 : LIMITS.satchelFeedRows;
  return await caller.account.change({ durable: false, files: [] }, async (tx) => {
    const state = await tx.state();
    const { top } = state;
    const found = await tx.feed(last, limit + 1);
    const more = found.length > limit;
    const page = found.slice(0, limit);
    const ofAll = senders && page.length <= LIMITS.satchelTellingRows;
    const told = nameOf === null ? [] : page.filter(({ sha1 }) => ofAll || sha1 === null);
    const uploads = told.length === 0 ? new Map<number, Sent>() : await tx.uploads(told.map(({ usn }) => usn));
    const rows = page.map((row) => lineOf(row, uploads.get(row.usn), nameOf));
    const end = more ? (found[limit - 1]?.usn ?? last) : Math.max(top, last);
    // A withdrawn row may have been the top one.
    if (!more && end > last && found.at(-1)?.usn !== end) rows.push([CARRIER, end, "", 0]);
    await withMemory(tx, caller, async (memory, session) => await Promise.resolve({ memory: stood(memory, session, end), result: null }));
    return { rows, more, satchel: { ...greetingOf(caller.account, state), live: state.live } };
  });
}

function lineOf({ name, usn, sha1, sizeBytes }: Row, sent: Sent | undefined, nameOf: NameOfKey | null): Page["rows"][number] {
  // The server's own lines (a snapshot's, a renumbered twin's) say of no device that it did something.
  if (sent === undefined || sent.device === "server" || nameOf === null) return [name, usn, sha1 ?? "", sizeBytes];
  return [name, usn, sha1 ?? "", sizeBytes, { by: nameOf(sent.device), atMs: sent.atMs }];
}

/** What a client called itself at its login, for people: a Satchel device's own name, or what Anki runs on. */
export function deviceNameOf(client: string): string {
  const ours = /^satchel-[^,]*,([a-z0-9-]{1,16}),/.exec(client)?.[1];
  if (ours !== undefined) return ours;
  const system = /,([a-z]{1,16})[^,]*$/i.exec(client)?.[1];
  return system === undefined ? "Anki" : `Anki (${system})`;
}

type Judged = { readonly entry: Hashed & BasedEntry; readonly fault: string | null };

/** Conditional put, entry by entry: bytes are taken only where what stands there is what the sender knew. Each real change takes one usn. */
export async function satchelUpload(caller: Caller, entries: readonly BasedEntry[], parts: MediaParts): Promise<Results> {
  const judged = await judge(entries, parts);
  const good = judged.flatMap(({ entry, fault }) => (fault === null ? [entry] : []));
  let burst: Burst | null = null;
  let twins = 0;
  const result = await caller.account.change({ durable: true, files: filesOf(good) }, async (tx): Promise<Results> => {
    const { top, live } = await tx.state();
    const rows = await tx.rows(good.map(({ name }) => name));
    const now = new Map<string, Sha1 | null>();
    for (const [name, row] of rows) now.set(name, row.sha1);
    const real: Entry[] = [];
    const results = judged.map(({ entry, fault }): Results["results"][number] => {
      if (fault !== null) return { refused: fault };
      const current = now.get(entry.name) ?? null;
      if (current === entry.sha1) return "same";
      if (current !== entry.baseSha1) return { changed: current ?? "" };
      now.set(entry.name, entry.sha1);
      real.push({ usn: top + 1 + real.length, name: entry.name, sha1: entry.sha1, sizeBytes: entry.bytes?.length ?? 0, real: true });
      return "done";
    });
    if (real.length > 0) {
      await withMemory(tx, caller, async (memory, session) => {
        await writeRows(tx, real, { device: caller.device, session });
        const nowMs = parts.clock.wallMs();
        // Our clients ask their user before they delete so much: what comes was meant.
        burst = await brakeDeletions(tx, { device: caller.device, nowMs, top, live, rows, written: real, back: false });
        twins = await twinsAmong(tx, real);
        return { memory, result: null };
      });
    }
    return { usn: top + real.length, results };
  });
  if (burst !== null) parts.onBurst(caller.account.id, burst);
  if (twins > 0) parts.onTwins(caller.account.id, twins);
  parts.faults("server/afterRowBeforeReply");
  return result;
}

/** A bad name refuses its entry alone (PR10); of a deletion it can only be a name that is not here. */
async function judge(entries: readonly BasedEntry[], parts: MediaParts): Promise<readonly Judged[]> {
  const faults = entries.map((entry) => (entry.bytes === null ? null : nameFault(entry.name)));
  const hashed = await hashEntries(
    entries.map((entry, index) => (faults[index] === null ? entry : { ...entry, bytes: null })),
    parts,
  );
  return entries.map((entry, index) => {
    const fault = faults[index] ?? null;
    return {
      entry: { ...entry, sha1: hashed[index]?.sha1 ?? null },
      fault: fault === null ? null : `the server does not take this name: ${fault}`,
    };
  });
}

/** What is kept of a name, newest first. */
export async function keptVersions(caller: Caller, name: string): Promise<readonly KeptVersion[]> {
  return await caller.account.change({ durable: false, files: [] }, async (tx) => await tx.versions(name));
}

/** Bytes of a kept or current version of a name. @throws Refusal 404 */
export async function versionBytes(caller: Caller, name: string, sha1: Sha1): Promise<Uint8Array> {
  const known = await caller.account.change({ durable: false, files: [] }, async (tx) => {
    const row = (await tx.rows([name])).get(name);
    return row?.sha1 === sha1 || (await tx.versions(name)).some((version) => version.sha1 === sha1);
  });
  const [bytes] = known ? await caller.account.read([sha1]) : [];
  if (bytes === undefined || bytes === null) throw new Refusal(404, "no such version is kept");
  return bytes;
}

export type EventOptions = {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly since: number;
  /** Asked at each event and comment: a revoked key ends the stream (AU15). */
  readonly stillValid: () => Promise<boolean>;
};

/** Server-sent events: one as soon as the top usn is above `since`, and at each change after. Ends with the signal or the key. */
export async function* eventStream(
  caller: Caller,
  { storage, clock, since, stillValid }: EventOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let wake = (): void => undefined;
  let top = 0;
  let told = since;
  const unsubscribe = storage.onChange(caller.account.id, (usn) => {
    top = Math.max(top, usn);
    wake();
  });
  try {
    // The reply begins at once, so that the client knows that it is heard.
    yield Buffer.from(": satchel\n\n");
    const state = await caller.account.change({ durable: false, files: [] }, async (tx) => await tx.state());
    top = Math.max(top, state.top);
    for (;;) {
      if (top > told) {
        told = top;
        yield Buffer.from(`data: {"usn":${String(top)}}\n\n`);
        continue;
      }
      const changed = await changeOrPause(
        clock,
        (call) => (wake = call),
        () => top > told,
        signal,
      );
      if (signal.aborted || !(await stillValid())) return;
      if (!changed) yield Buffer.from(":\n\n");
    }
  } finally {
    unsubscribe();
  }
}

/** True: something changed. False: nothing did for so long that the line wants a sign of life. */
async function changeOrPause(
  clock: Clock,
  onWake: (call: () => void) => void,
  changed: () => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<true>();
  onWake(() => resolve(true));
  if (changed()) return true;
  const pause = clock.sleep(LIMITS.eventsKeepAliveMs, AbortSignal.any([signal, stop.signal])).then(
    () => false,
    () => false,
  );
  const result = await Promise.race([promise, pause]);
  stop.abort();
  return result;
}
