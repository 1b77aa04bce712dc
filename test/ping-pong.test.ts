/** PR21: another program undoes what is synced to a path, again and again. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { isPingPong, PING_PONG_CHANGES } from "../service/core/guard.ts";
import type { Change, Origin } from "../service/core/model.ts";
import { openMemoryEngine } from "./support/memory-engine.ts";
import { pair } from "./support/memory-pair.ts";

type Seen = Pick<Change, "sha1" | "origin" | "atMs">;

/** Newest first: `u1` is what a user (or his program) made of it, `aX` what was put there for the remote, `-` is no file. */
function history(words: string): readonly Seen[] {
  const origins: Readonly<Record<string, Origin>> = { u: "user", a: "apply", r: "restore" };
  return words
    .split(" ")
    .filter((word) => word !== "")
    .map((word, index) => ({
      origin: origins[word[0] ?? ""] ?? "rebuild",
      sha1: word[1] === "-" ? null : (word[1] ?? ""),
      atMs: 1_000 - index,
    }));
}

const rows: readonly (readonly [rule: string, words: string, sinceMs: number, expected: boolean])[] = [
  ["three rounds of the same two states", "u1 a2 u1 a2 u1 a2", 0, true],
  ["and whatever was before", "u1 a2 u1 a2 u1 a2 u9 a8", 0, true],
  ["a file that is removed each time it is put there", "u- a2 u- a2 u- a2", 0, true],
  ["a file that is made again each time it is removed", "u1 a- u1 a- u1 a-", 0, true],
  ["two rounds may be two people", "u1 a2 u1 a2", 0, false],
  ["a person at work makes new bytes", "u1 a2 u3 a2 u5 a2", 0, false],
  ["so do others", "u1 a2 u1 a4 u1 a6", 0, false],
  ["one person's undo and redo is no quarrel", "u1 u2 u1 u2 u1 u2", 0, false],
  ["somebody restored it in between", "u1 a2 r1 a2 u1 a2", 0, false],
  ["the newest step was ours: there is nothing to send", "a2 u1 a2 u1 a2 u1", 0, false],
  ["the same bytes were put again", "u1 a1 u1 a1 u1 a1", 0, false],
  ["only what came after the answer counts", "u1 a2 u1 a2 u1 a2", 996, false],
  ["nothing is known", "", 0, false],
];
for (const [rule, words, sinceMs, expected] of rows)
  test(`isPingPong() PR21 ${rule}`, () => assert.equal(isPingPong(history(words), sinceMs), expected));

test("PR21 two programs that undo one another: the path waits after three rounds, the rest goes on, an answer lets it go once more", async () => {
  const { account, a, b } = pair();
  a.folder.write("torn.png", "mine");
  await a.sync();
  await b.sync();
  let rounds = 0;
  // Another sync tool on b's folder insists on bytes of its own; a's user has the other ones.
  for (; rounds < 10; rounds += 1) {
    b.folder.write("torn.png", "theirs");
    await b.sync();
    if (b.parts.rows.holds.list("held").length > 0) break;
    await a.sync();
    a.folder.write("torn.png", "mine");
    await a.sync();
    if (a.parts.rows.holds.list("held").length > 0) break;
    await b.sync();
  }
  assert.ok(rounds <= PING_PONG_CHANGES / 2 + 1, `${rounds} rounds`);
  const [held, calm] = a.parts.rows.holds.list("held").length > 0 ? [a, b] : [b, a];
  const [hold] = held.parts.rows.holds.list("held");
  assert.deepEqual([hold?.scope, hold?.reason, hold?.paths], ["paths", "pingPong", ["torn.png"]]);
  const there = account.text("torn.png");
  const here = held.folder.text("torn.png");
  assert.notEqual(here, there);
  held.folder.write("other.png", "goes on");
  const end = await held.sync();
  assert.equal(end.summary.result, "held");
  assert.equal(account.text("other.png"), "goes on");
  assert.equal(account.text("torn.png"), there);
  assert.equal(held.folder.text("torn.png"), here, "nothing is put over it either");
  held.state.transaction(() => held.parts.rows.holds.update(hold?.id ?? 0, "approved"));
  await held.sync();
  assert.equal(account.text("torn.png"), here);
  await calm.sync();
  assert.equal(calm.folder.text("torn.png"), here);
  // It goes on after the answer: three more rounds, then it is asked again.
  for (let again = 0; again < 4 && held.parts.rows.holds.list("held").length === 0; again += 1) {
    calm.folder.write("torn.png", there ?? "");
    await calm.sync();
    if (calm.parts.rows.holds.list("held").length > 0) break;
    await held.sync();
    held.folder.write("torn.png", here ?? "");
    await held.sync();
    await calm.sync();
  }
  assert.equal(held.parts.rows.holds.list("held").length + calm.parts.rows.holds.list("held").length, 1);
});

test("PR21 other bytes at last: the question answers itself", async () => {
  const { account, a } = pair();
  a.folder.write("torn.png", "mine");
  await a.sync();
  for (let round = 0; round < 3; round += 1) {
    account.put("torn.png", Buffer.from("theirs"));
    await a.sync();
    a.folder.write("torn.png", "mine");
    await a.sync();
  }
  assert.equal(a.parts.rows.holds.list("held")[0]?.reason, "pingPong");
  a.folder.write("torn.png", "something new");
  assert.equal((await a.sync()).summary.result, "insync");
  assert.equal(account.text("torn.png"), "something new");
  assert.deepEqual(a.parts.rows.holds.list("held"), []);
});

test("PR21 guard.reject of a ping-pong says what to do; approve sends what stands here", async () => {
  const memory = await openMemoryEngine(["f"]);
  const { folder, account } = memory.at("f");
  await memory.clock.settle();
  folder.write("torn.png", "mine");
  await memory.sync("f");
  for (let round = 0; round < 3; round += 1) {
    account.put("torn.png", Buffer.from("theirs"));
    await memory.sync("f");
    folder.write("torn.png", "mine");
    await memory.sync("f");
  }
  const [hold] = memory.engine.guard.list("f");
  assert.equal(hold?.reason, "pingPong");
  await assert.rejects(memory.engine.guard.reject(hold?.id ?? 0, hold?.hash ?? ""), /another program.*approve/);
  await memory.engine.guard.approve(hold?.id ?? 0, hold?.hash ?? "");
  await memory.clock.advance(5_000);
  assert.equal(account.text("torn.png"), "mine");
  assert.deepEqual(memory.engine.guard.list("f"), []);
  await memory.engine.close();
});
