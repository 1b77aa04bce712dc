import type { EventLog, StoredEvent } from "../core/state.ts";
import type { Session } from "./session.ts";
import { openToldNumbers } from "./told-numbers.ts";

type Stored = Omit<StoredEvent, "data"> & { readonly data: string };

/** Numbered, durable facts. Numbers are contiguous and never come again; only the oldest rows ever go. */
export function openEvents(session: Session): EventLog {
  const { db } = session;
  const told = openToldNumbers(session);
  const append = db.prepare<[number, string, string | null, string]>("INSERT INTO event (at_ms, kind, folder, data) VALUES (?, ?, ?, ?)");
  const since = db.prepare<[number, number, number], Stored>(
    "SELECT seq, at_ms AS atMs, kind, folder, data FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
  );
  const first = db.prepare<[], number>("SELECT seq FROM event ORDER BY seq LIMIT 1").pluck();
  const last = db.prepare<[], number>("SELECT seq FROM sqlite_sequence WHERE name = 'event'").pluck();
  const firstYoung = db.prepare<[number], number>("SELECT seq FROM event WHERE at_ms >= ? ORDER BY seq LIMIT 1").pluck();
  const trim = db.prepare<[number]>("DELETE FROM event WHERE seq < ?");
  const id = db.prepare<[], string>("SELECT event_log FROM health").pluck().get() ?? "";
  const lastSeq = session.read("read the number of the last event", () => {
    return told.upTo(last.get() ?? 0);
  });
  return {
    id,
    append: session.write("record an event", (kind: string, folder: string | null, data: unknown, atMs: number) => {
      // `undefined` has no JSON: an event without data says null.
      const seq = Number(append.run(atMs, kind, folder, JSON.stringify(data ?? null)).lastInsertRowid);
      told.gave(seq);
      return seq;
    }),
    /** A number that this log never gave (the state was lost and began anew) is a gap too: what the asker knew is not continued here. */
    since: session.read("read the events", (seq: number, limit: number) => {
      const end = lastSeq();
      const kept = first.get() ?? end + 1;
      const events = since.all(seq, end, limit).map((stored): StoredEvent => ({ ...stored, data: JSON.parse(stored.data) }));
      return { events, gap: seq + 1 < kept || seq > end };
    }),
    lastSeq,
    /** Whole prefixes only, whatever the clock did meanwhile, so that a gap can only be at the front. */
    trim: session.write("forget old events", (beforeMs: number, keepMax: number) => {
      const end = lastSeq();
      trim.run(Math.max(firstYoung.get(beforeMs) ?? end + 1, end - keepMax + 1));
    }),
  };
}
