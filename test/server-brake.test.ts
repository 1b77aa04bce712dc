/** The burst brake: what it decides, and what clients and the owner see of it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { SATCHEL } from "../protocol/anki/messages.ts";
import { buildSatchelUpload, buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { makeAdmin } from "../service/server/admin.ts";
import { brake, withBurst, withUsn, type Ask, type Tally, type Verdict } from "../service/server/brake.ts";
import { makeMetrics } from "../service/server/metrics.ts";
import { openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

const HOUR_MS = 3_600_000;
const usns = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
const tally = (change: Partial<Tally>): Tally => ({
  sinceMs: 0,
  top: 1000,
  live: 1000,
  deleted: 0,
  tripped: false,
  back: [],
  meant: [],
  ...change,
});
const ask = (change: Partial<Ask>): Ask => ({ nowMs: 1, top: 1000, live: 1000, rows: [], ...change });

const rows: readonly (readonly [rule: string, before: Tally | null, ask: Ask, answer: Verdict["answer"], deleted: number])[] = [
  ["nothing known, few deletions", null, ask({ rows: usns(1, 25) }), "pass", 25],
  ["exactly 25 % of the account", tally({ deleted: 225 }), ask({ rows: usns(1, 25) }), "pass", 250],
  ["one more than 25 %", tally({ deleted: 226 }), ask({ rows: usns(1, 25) }), "trip", 251],
  ["exactly 100 of a small account", tally({ live: 120, deleted: 75 }), ask({ live: 45, rows: usns(1, 25) }), "pass", 100],
  ["the 101st of a small account", tally({ live: 120, deleted: 100 }), ask({ live: 20, rows: [1] }), "trip", 101],
  ["the share is of what stood at the hour's beginning", tally({ deleted: 249 }), ask({ live: 751, rows: [1] }), "pass", 250],
  ["the same burst goes on", tally({ deleted: 300, tripped: true }), ask({ rows: [1] }), "hold", 301],
  ["an hour later counts anew", tally({ deleted: 300, tripped: true }), ask({ nowMs: HOUR_MS, rows: usns(1, 100) }), "pass", 100],
  ["a clock that went back counts anew", tally({ sinceMs: 50, deleted: 300, tripped: true }), ask({ nowMs: 49, rows: [1] }), "pass", 1],
  [
    "what was brought back and is deleted again is meant",
    tally({ deleted: 300, tripped: true, back: [[1, 99]] }),
    ask({ rows: usns(1, 99) }),
    "pass",
    300,
  ],
  ["meant and new ones in one batch", tally({ deleted: 300, tripped: true, back: [[1, 9]] }), ask({ rows: usns(9, 2) }), "hold", 301],
  ["files that came after the first deletion don't count", tally({ deleted: 250 }), ask({ top: 2000, rows: usns(1001, 500) }), "pass", 250],
  ["older ones among them do", tally({ deleted: 250 }), ask({ top: 2000, rows: usns(1000, 2) }), "trip", 251],
  ["no deletion", tally({ deleted: 300, tripped: true }), ask({}), "pass", 300],
];
for (const [rule, before, asked, answer, deleted] of rows)
  test(`brake() 5.2.15 ${rule}: ${answer}`, () => {
    const verdict = brake(before, asked);
    assert.deepEqual([verdict.answer, verdict.tally.deleted], [answer, deleted]);
    assert.equal(verdict.tally.tripped, answer !== "pass" || (verdict.tally.tripped && before?.tripped === true));
    assert.equal(verdict.meant.length, asked.rows.length);
  });

test("withUsn() joins neighbours and stays bounded; withBurst() makes the latest larger", () => {
  assert.deepEqual(withUsn(withUsn(withUsn([], 5), 6), 9), [
    [5, 6],
    [9, 9],
  ]);
  let many: Tally["back"] = [];
  for (let at = 0; at < 3000; at += 2) many = withUsn(many, at);
  assert.equal(many.length, 1000);
  const one = { key: "k", fromMs: 1, toMs: 1, files: 5, back: true };
  const two = withBurst(withBurst([], one, "trip"), { ...one, toMs: 2, files: 2 }, "hold");
  assert.deepEqual(two, [{ ...one, toMs: 2, files: 7 }]);
  assert.equal(withBurst(two, one, "trip").length, 2);
});

const FILES = 150;
const nameOf = (at: number): string => `f${String(at).padStart(3, "0")}`;
type Asked = { readonly key: string; readonly session: string };

/** All files in batches of 25, as a stock client sends them. */
async function sendAll(server: SyncHandle, asked: Asked, bytesOf: (at: number) => Uint8Array | null): Promise<void> {
  for (let from = 0; from < FILES; from += 25) {
    const batch = Array.from({ length: 25 }, (_, at) => ({ name: nameOf(from + at), bytes: bytesOf(from + at) }));
    const reply = await server.data("msync/uploadChanges", joinChunks(buildUploadZip(batch)), asked);
    assert.ok(Array.isArray(reply) && reply[0] === 25, "no client is ever held up");
  }
}

/** Every row after `last` as this client is shown it: name to hash. */
async function feed(server: SyncHandle, asked: Asked, last: number): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (let at = last; ;) {
    const page = await server.data("msync/mediaChanges", { lastUsn: at }, asked);
    assert.ok(Array.isArray(page));
    if (page.length === 0) return found;
    for (const row of page as readonly (readonly [string, number, string])[]) {
      at = row[1];
      if (!row[0].startsWith(":")) found.set(row[0], row[2]);
    }
  }
}

test("uploadChanges 5.2.15 W3 a stock client that lost its folder deletes nothing; meant once more, it does", async () => {
  const metrics = makeMetrics();
  const server = await openSyncHandle({ options: { observeBurst: metrics.observeBurst } });
  try {
    const [laptop, phone] = [await server.login(), await server.login()];
    const first = { key: laptop, session: "s1" };
    await sendAll(server, first, (at) => Buffer.from(`bytes ${String(at)}`));
    await server.data("msync/mediaSanity", { local: FILES }, first);
    assert.equal((await feed(server, { key: phone, session: "p1" }, 0)).size, FILES);

    const lost = { key: laptop, session: "s2" };
    await server.data("msync/begin", { v: "anki,26.09.3 (x),linux" }, lost);
    await sendAll(server, lost, () => null);
    assert.equal(await server.data("msync/mediaSanity", { local: 0 }, lost), "OK", "its state is not thrown away for it");
    const other = await feed(server, { key: phone, session: "p2" }, FILES);
    assert.ok(
      [...other.values()].every((sha1) => sha1 !== ""),
      "no other device is told of a deletion",
    );
    assert.equal(server.logs.filter((line) => line.includes("deletion burst")).length, 1, "one burst, told once");
    assert.match(await metrics.text(), /satchel_server_deletion_bursts_total\{back="true"\} 1/);
    const admin = makeAdmin(server.storage, server.accounts, server.clock);
    const [user] = await admin.call("user/list", {});
    assert.deepEqual([user?.files, user?.bursts.map(({ files, back }) => [files, back])], [FILES, [[FILES, true]]]);
    const [checked] = await admin.call("check", { name: null });
    assert.deepEqual(checked?.faults, []);
    assert.match(String(checked?.notes), /deleted 150 files within an hour.*brought back/);

    // The client that deleted them gets them all again.
    const again = await feed(server, { key: laptop, session: "s3" }, FILES);
    assert.equal([...again.values()].filter((sha1) => sha1 !== "").length, FILES);
    const top = (await server.storage.account(user?.id ?? "")).change({ durable: false, files: [] }, async (tx) => await tx.state());
    assert.equal((await top).live, FILES);

    const meant = { key: laptop, session: "s4" };
    await sendAll(server, meant, () => null);
    const after = await feed(server, { key: phone, session: "p3" }, (await top).top);
    assert.deepEqual([after.size, [...after.values()].every((sha1) => sha1 === "")], [FILES, true]);
    assert.equal(server.logs.filter((line) => line.includes("deletion burst")).length, 1);
  } finally {
    await server.close();
  }
});

test("uploadChanges 5.2.15 files that come and go all day trip nothing", async () => {
  const server = await openSyncHandle();
  try {
    const asked = { key: await server.login(), session: "s" };
    for (let round = 0; round < 3; round += 1) {
      await sendAll(server, asked, (at) => Buffer.from(`round ${String(round)} bytes ${String(at)}`));
      // The first round's files stand before the hour's first deletion: fewer than a hundred of them go.
      for (let from = 0; from < (round === 0 ? 75 : FILES); from += 25) {
        const batch = Array.from({ length: 25 }, (_, at) => ({ name: nameOf(from + at), bytes: null }));
        await server.data("msync/uploadChanges", joinChunks(buildUploadZip(batch)), asked);
      }
    }
    const account = await server.storage.account((await server.storage.accounts.list())[0]?.id ?? "");
    assert.equal((await account.change({ durable: false, files: [] }, async (tx) => await tx.state())).live, 0);
    assert.equal(server.logs.filter((line) => line.includes("deletion burst")).length, 0);
  } finally {
    await server.close();
  }
});

test("satchel/upload 5.2.15 what a Satchel client deletes was asked about there: the owner is told, nothing comes back", async () => {
  const server = await openSyncHandle();
  try {
    const key = await server.login();
    await sendAll(server, { key, session: "s" }, (at) => Buffer.from(`bytes ${String(at)}`));
    const page = SATCHEL.changes.reply.parse(await server.data("satchel/changes", { lastUsn: 0 }, { key }));
    const entries = page.rows.map(({ name, sha1 }) => ({ name, bytes: null, baseSha1: sha1 }));
    await server.data("satchel/upload", joinChunks(buildSatchelUpload(entries)), { key });
    const admin = makeAdmin(server.storage, server.accounts, server.clock);
    const [user] = await admin.call("user/list", {});
    assert.deepEqual([user?.files, user?.bursts.map(({ files, back }) => [files, back])], [0, [[FILES, false]]]);
    server.clock.nowMs += 31 * 24 * HOUR_MS;
    assert.deepEqual((await admin.call("user/list", {}))[0]?.bursts, []);
  } finally {
    await server.close();
  }
});
