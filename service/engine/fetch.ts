/** Phase 2: the remote's feed → the remote tree. The cursor moves only here, in the transaction that records the rows (N10). */
import type { Cursor, RemoteRow } from "../core/model.ts";
import { holdHash } from "../core/plan.ts";
import { RemoteError, type FeedRow, type Head, type Remote } from "../core/ports.ts";
import { fromWire } from "../core/wire-names.ts";
import { Halt } from "./halt.ts";
import { digestOf, type FolderParts } from "./parts.ts";
import type { RunContext } from "./run-context.ts";

const FROM_START = "0";

/** Reads the feed to its end. @throws RemoteError; Halt when another server answers than the one this folder knows. */
export async function fetchFeed(context: RunContext, remote: Remote): Promise<void> {
  const { parts, signal } = context;
  const head = await remote.state(signal, parts.rows.cursor.get()?.position ?? FROM_START);
  let cursor = prepareCursor(parts, head);
  if (!cursor.full && cursor.position === head.position && !context.refetch) return;
  context.refetch = false;
  for await (const page of remote.feed(cursor.position, signal)) {
    const next: Cursor = { ...cursor, position: page.position };
    parts.faults("fetch/beforeCommit");
    parts.state.transaction(() => {
      for (const row of page.rows) recordRow(parts, row, next.generation);
      parts.rows.cursor.put(next);
    });
    cursor = next;
  }
  if (cursor.full) finishFull(parts, cursor);
}

/** The next fetch reads everything again; base and local tree stay. For a failed verify. */
export function startOver(parts: Pick<FolderParts, "state" | "rows">): void {
  const cursor = parts.rows.cursor.get();
  if (cursor === undefined) return;
  parts.state.transaction(() =>
    parts.rows.cursor.put({ ...cursor, position: "0", full: true, generation: cursor.generation + (cursor.full ? 0 : 1) }),
  );
}

/**
 * Whatever server answers next is met as for the first time: all is read, and nothing is deleted because of it. The generation goes on, so
 * that rows of the old server which the new one does not mention go. Inside a transaction.
 */
export function meetAnew({ rows }: Pick<FolderParts, "rows">): void {
  rows.base.removeAll();
  const cursor = rows.cursor.get();
  if (cursor === undefined) return;
  rows.cursor.put({ serverId: null, epoch: null, position: "0", full: true, generation: cursor.generation + 1 });
}

/** The cursor that fits the server that answers; begins a feed from 0 where what we know may not hold any more. */
function prepareCursor(parts: FolderParts, head: Head): Cursor {
  const { rows, state } = parts;
  const known = rows.cursor.get();
  if (known === undefined) {
    const first: Cursor = { serverId: head.serverId, epoch: head.epoch, position: "0", generation: 1, full: true };
    state.transaction(() => rows.cursor.put(first));
    return first;
  }
  if (known.serverId !== null && head.serverId === null) throw namelessServer();
  if (head.serverId !== null && known.serverId !== head.serverId && agreedWithAnother(parts, known))
    throw otherServer(parts, head.serverId);
  backAgain(parts);
  const sameLine = known.serverId === head.serverId && known.epoch === head.epoch;
  if (sameLine && Number(head.position) >= Number(known.position)) return known;
  return restored(parts, known, head);
}

/**
 * A Satchel server says its name, a stock one never does: once a stock server was agreed with, one that has a name is another. Where no file
 * is agreed on (never synced, or the user approved), there is nothing that a deletion could be concluded from.
 */
function agreedWithAnother({ rows }: FolderParts, known: Cursor): boolean {
  return known.serverId !== null || rows.base.liveCount() > 0;
}

/** A page of a proxy or of a hotel's network passes for a server without a name: what we agreed on with the real one stays. */
function namelessServer(): RemoteError {
  return new RemoteError(
    "notOurServer",
    "What answers at the server's address does not say that it is the Satchel server this folder was synced with. A proxy, or a network that wants you to sign in first? Nothing was changed; it is tried again. If another kind of server lives there now for good, remove the folder from Satchel (its files stay) and add it again.",
  );
}

/** The server that this folder knows answers: the question about another one has answered itself. */
function backAgain({ rows, state }: FolderParts): void {
  const asked = rows.holds.list("held").filter((hold) => hold.reason === "otherServer");
  if (asked.length > 0) state.transaction(() => asked.forEach((hold) => rows.holds.remove(hold.id)));
}

/** Another server under this address: nothing may be concluded from it until the user says so (W17, PR22). */
function otherServer(parts: FolderParts, serverId: string): Halt {
  const { rows, state, clock } = parts;
  const hash = holdHash(`otherServer ${serverId}`, [], digestOf(parts));
  const waiting = rows.holds.list("held").find((hold) => hold.reason === "otherServer");
  if (waiting?.hash !== hash) {
    state.transaction(() => {
      if (waiting !== undefined) rows.holds.remove(waiting.id);
      rows.holds.add({ scope: "folder", reason: "otherServer", paths: [], hash, state: "held", atMs: clock.wallMs() });
      state.events.append("guard/held", rows.id, { reason: "otherServer", hash }, clock.wallMs());
    });
  }
  return new Halt(
    "held",
    "otherServer",
    "Another server answers at this address than the one this folder was synced with. Nothing was changed. Approve with `satchel guard approve` to merge with it (nothing is deleted), or put the old server back.",
    false,
  );
}

/**
 * The server went back in time (a restored backup) or was re-made: what both sides once agreed on proves nothing about it any more. Files
 * that stand here lose their base, so nothing is deleted because of it; deletions made here that it has not heard of stay due.
 */
function restored(parts: FolderParts, known: Cursor, head: Head): Cursor {
  const { rows, state, clock } = parts;
  const next: Cursor = { serverId: head.serverId, epoch: head.epoch, position: "0", full: true, generation: known.generation + 1 };
  state.transaction(() => {
    const standing = [...rows.base.livePaths()].filter((path) => rows.entries.get(path) !== undefined);
    for (const path of standing) rows.base.remove(path);
    rows.cursor.put(next);
    state.events.append("remote/restored", rows.id, { paths: standing.length }, clock.wallMs());
  });
  return next;
}

function recordRow(parts: FolderParts, row: FeedRow, generation: number): void {
  const { rows, clock } = parts;
  const decoded = fromWire(row.name);
  if (decoded.kind === "path") recordAuthor(parts, decoded.path, row);
  if (
    decoded.kind === "path" &&
    restamped(parts, { path: decoded.path, wireName: row.name, sha1: row.sha1, usn: row.usn, sizeBytes: row.sizeBytes }, generation)
  )
    return;
  const taken = decoded.kind === "path" ? rows.remote.get(decoded.path) : undefined;
  const second = taken !== undefined && taken.wireName !== row.name && taken.sha1 !== null;
  if (decoded.kind === "path" && !second) {
    recordKnown(parts, { path: decoded.path, wireName: row.name, sha1: row.sha1, usn: row.usn, sizeBytes: row.sizeBytes }, generation);
    return;
  }
  // Kept under its own spelling, so that the count for `verify` holds; its problem keeps the planner away from it.
  rows.remote.put({ path: row.name, wireName: row.name, sha1: row.sha1, usn: row.usn, sizeBytes: row.sizeBytes }, generation);
  if (row.sha1 === null) {
    rows.problems.clear(row.name, "remote");
    return;
  }
  const detail =
    decoded.kind === "path"
      ? `The remote holds two names for one path, ${decoded.path}: this one is left alone. Rename one of them there.`
      : `The remote's file can't be stored here under this name: ${decoded.detail} Rename it there.`;
  const reason = decoded.kind === "path" ? "secondName" : "unsafeName";
  rows.problems.put({ path: row.name, side: "remote", reason, detail, sinceMs: clock.wallMs() });
}

/** Of all that stands, only what comes in the way of ours is ever asked for. What is said of other bytes than a path's last is of no use: it is replaced in time. */
function recordAuthor({ rows }: FolderParts, path: string, { sha1, author }: FeedRow): void {
  if (sha1 === null) {
    rows.remoteAuthors.put(path, null, author ?? null);
    return;
  }
  if (author === undefined) return;
  const here = rows.entries.get(path)?.sha1;
  if (here !== undefined && here !== sha1 && here !== rows.base.get(path)) rows.remoteAuthors.put(path, sha1, author);
}

/** Nothing new: what our own upload's success told us, or a feed that is read again. An open intent needs the whole answer. */
function restamped({ rows }: FolderParts, row: RemoteRow, generation: number): boolean {
  return (
    rows.problems.count() === 0 &&
    rows.uploadIntents.ofPath(row.path).length === 0 &&
    rows.base.get(row.path) === row.sha1 &&
    rows.remote.restamp(row, generation)
  );
}

function recordKnown(parts: FolderParts, row: RemoteRow, generation: number): void {
  const { rows } = parts;
  rows.remote.put(row, generation);
  if (rows.problems.count() > 0) rows.problems.clear(row.path, "remote");
  // The echo of an own upload whose reply was lost: it was agreed on when it was sent (W31, PR01).
  const echo = rows.uploadIntents.ofPath(row.path).findLast((intent) => intent.sha1 === row.sha1);
  if (echo !== undefined) {
    rows.base.put(row.path, row.sha1);
    rows.uploadIntents.removeUpTo(row.path, echo.id);
    return;
  }
  // Never agreed (any more), but these bytes once stood here before what stands now: ours is the descendant (N3).
  if (row.sha1 === null || rows.base.get(row.path) !== undefined) return;
  const entry = rows.entries.get(row.path);
  if (entry !== undefined && entry.sha1 !== row.sha1 && rows.changes.knows(row.path, row.sha1)) rows.base.put(row.path, row.sha1);
}

/** A feed from 0 has ended: a path that it did not mention was lost there, so ours will be sent again (no deletion is concluded). */
function finishFull(parts: FolderParts, cursor: Cursor): void {
  const { rows, state } = parts;
  state.transaction(() => {
    for (const path of rows.remote.removeOlderThan(cursor.generation)) {
      rows.base.remove(path);
      rows.problems.clear(path, "remote");
    }
    rows.cursor.put({ ...cursor, full: false });
  });
}
