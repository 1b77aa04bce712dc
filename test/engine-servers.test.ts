import assert from "node:assert/strict";
import { test } from "node:test";

import { meetAnew } from "../service/engine/fetch.ts";
import { assertConverged, pair } from "./support/memory-pair.ts";

test("fetchFeed() L6 W17 a restored server: newer files go up again, deletions made since come back, nothing is lost", async () => {
  const { account, a, b } = pair();
  for (const name of ["edited", "deleted", "same"]) a.folder.write(name, "old");
  await a.sync();
  const backup = account.backup();
  a.folder.write("edited", "new");
  a.folder.remove("deleted");
  a.folder.write("added", "added");
  await a.sync();
  await b.sync();
  account.restore(backup);
  account.epoch = "epoch-2";
  const end = await a.sync();
  assert.equal(end.summary.conflicts, 0, "the old bytes are known as older");
  await b.sync();
  await a.sync();
  assertConverged(account, a, b);
  assert.equal(account.text("edited"), "new");
  assert.equal(account.text("added"), "added");
  assert.equal(account.text("deleted"), "old");
});

test("fetchFeed() L6 a stock server whose usn went back is noticed without an epoch", async () => {
  const { account, a } = pair({ stock: true });
  a.folder.write("p", "old");
  await a.sync();
  const backup = account.backup();
  a.folder.write("p", "new");
  await a.sync();
  account.restore(backup);
  await a.sync();
  assert.equal(account.text("p"), "new");
  assert.equal(a.folder.text("p"), "new");
});

test("fetchFeed() PR22 another server under the same address: the folder waits, nothing moves", async () => {
  const { account, a, remoteA } = pair();
  a.folder.write("p", "p");
  await a.sync();
  account.serverId = "server-2";
  account.rows.clear();
  account.usn = 0;
  const end = await a.sync();
  assert.equal(end.summary.result, "held");
  assert.equal(end.summary.fault, "otherServer");
  assert.equal(account.rows.size, 0);
  assert.equal(a.folder.text("p"), "p");
  assert.ok(!remoteA.calls.slice(-1).includes("upload"));
  await a.sync();
  assert.equal(a.parts.rows.holds.list("held").length, 1);
});

test("fetchFeed() a path that a feed from 0 does not mention was lost there: sent again, not deleted here", async () => {
  const { account, a } = pair();
  a.folder.write("p", "p");
  a.folder.write("q", "q");
  await a.sync();
  account.rows.delete("p");
  a.folder.write("r", "r");
  await a.sync();
  await a.sync();
  assert.equal(account.text("p"), "p");
  assert.equal(a.folder.text("p"), "p");
});

for (const stock of [false, true])
  test(`meetAnew() W17 PR22 another ${stock ? "stock " : ""}server, approved: all that stands here is sent to it, nothing is deleted`, async () => {
    const { account, a } = pair({ stock });
    for (let index = 0; index < 5; index += 1) a.folder.write(`f${index}.png`, `bytes ${index}`);
    await a.sync();
    account.rows.clear();
    account.usn = 0;
    account.serverId = "server-2";
    account.epoch = "epoch-2";
    account.put("f1.png", null);
    account.put("f2.png", Buffer.from("other"));
    account.put("theirs.png", Buffer.from("theirs"));
    a.state.transaction(() => meetAnew(a.parts));
    await a.sync();
    const end = await a.sync();
    assert.equal(end.summary.result, "insync");
    for (const index of [0, 1, 3, 4]) assert.equal(account.text(`f${index}.png`), `bytes ${index}`);
    assert.equal(a.folder.text("theirs.png"), "theirs");
    assertConverged(account, a);
  });
