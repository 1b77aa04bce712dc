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

test("fetchFeed() L6 W17 S2 a server put back between the question who it is and the list: what was uploaded is no ancestor of what comes", async () => {
  const { account, a, remoteA } = pair();
  a.folder.write("p", "first");
  await a.sync();
  const backup = account.backup();
  a.folder.write("p", "second");
  await a.sync();
  remoteA.afterState = () => {
    remoteA.afterState = () => {};
    account.restore(backup);
    account.epoch = "epoch-2";
    // Somebody who met the backup's bytes alone, and writes on until the numbers of before are reached again.
    for (const text of ["other", "other again"]) account.put("p", Buffer.from(text));
  };
  await a.sync();
  await a.sync();
  await a.sync();
  const texts = [...a.folder.files.keys()].toSorted((one, two) => one.length - two.length).map((path) => a.folder.text(path));
  assert.deepEqual(texts, ["other again", "second"], "both stand there, for people to see");
  assertConverged(account, a);
});

test("fetchFeed() L6 W17 a server put back between two pages of the list: the run ends, the next one begins anew", async () => {
  const { account, a, remoteA } = pair();
  for (let index = 0; index < 8; index += 1) account.put(`f${index}`, Buffer.from(`bytes ${index}`));
  const backup = account.backup();
  let commits = 0;
  a.faults = (point) => {
    commits += point === "fetch/beforeCommit" ? 1 : 0;
    if (point === "fetch/beforeCommit" && commits === 2) {
      account.restore(backup);
      account.epoch = "epoch-2";
    }
    return false;
  };
  const end = await a.sync();
  assert.deepEqual([end.summary.result, end.summary.fault, end.retry], ["failed", "retry", true]);
  assert.equal(a.parts.rows.cursor.get()?.epoch, "epoch-1");
  await a.sync();
  assert.equal(a.parts.rows.cursor.get()?.epoch, "epoch-2");
  assert.equal((await remoteA.state(new AbortController().signal)).epoch, "epoch-2");
  assertConverged(account, a);
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

/** Agreed with a stock server; then a deletion here, and a Satchel server where that one was. */
async function moved() {
  const { account, a, remoteA } = pair({ stock: true });
  for (const name of ["stays.png", "gone.png"]) a.folder.write(name, name);
  await a.sync();
  a.folder.remove("gone.png");
  const stockState = remoteA.state.bind(remoteA);
  remoteA.state = async (...asked) => ({ ...(await stockState(...asked)), serverId: "server-2", epoch: "epoch-2" });
  return { account, a, remoteA, stockState };
}

test("fetchFeed() PR22 W17 a Satchel server where a stock one was: the folder waits, no deletion reaches it; approved, both are merged", async () => {
  const { account, a } = await moved();
  for (const end of [await a.sync(), await a.sync()]) assert.deepEqual([end.summary.result, end.summary.fault], ["held", "otherServer"]);
  assert.equal(account.text("gone.png"), "gone.png");
  const [hold, ...more] = a.parts.rows.holds.list("held");
  assert.ok(hold !== undefined && more.length === 0, `${more.length} more holds`);
  // As `guard approve` does.
  a.state.transaction(() => {
    meetAnew(a.parts);
    a.parts.rows.holds.remove(hold.id);
  });
  await a.sync();
  assert.equal((await a.sync()).summary.result, "insync");
  assert.equal(a.parts.rows.cursor.get()?.serverId, "server-2");
  assertConverged(account, a);
  assert.equal(a.folder.text("gone.png"), "gone.png");
});

test("fetchFeed() PR22 the stock server is put back: the question goes by itself, and the deletion made here is sent to it", async () => {
  const { account, a, remoteA, stockState } = await moved();
  assert.equal((await a.sync()).summary.fault, "otherServer");
  remoteA.state = stockState;
  await a.sync();
  assert.deepEqual(a.parts.rows.holds.list("held"), []);
  assert.equal((await a.sync()).summary.result, "insync");
  assertConverged(account, a);
  assert.ok(!a.folder.files.has("gone.png"));
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
