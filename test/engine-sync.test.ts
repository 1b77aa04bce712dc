/** The facade's `sync` area: plans that are shown and then applied, and runs over several folders. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { openMemoryEngine } from "./support/memory-engine.ts";

const never = AbortSignal.any([]);

test("sync.apply carries out the plan that was shown, in the turn in which it was compared", async () => {
  const { engine, clock, at } = await openMemoryEngine(["f"]);
  const { folder, account, remote } = at("f");
  await clock.settle();
  await engine.sync.pause("f");
  folder.write("shown.png", "shown");
  const plan = await engine.sync.plan("f");
  assert.deepEqual(
    plan.actions.map(({ action, path }) => `${action} ${path}`),
    ["upload shown.png"],
  );
  // Between the comparison and the transfer a file is saved: it is not part of what was approved.
  remote.before = (call) => {
    if (call === "upload") folder.write("late.png", "late");
  };
  const end = await engine.sync.apply("f", plan.hash);
  remote.before = () => {};
  assert.deepEqual([end.result, end.uploadedFiles, end.error], ["insync", 1, null]);
  assert.equal(account.text("shown.png"), "shown");
  assert.equal(account.text("late.png"), null);
  await engine.close();
});

test("sync.apply PlanDrifted: another plan is refused before anything is done, and is no failed run", async () => {
  const { engine, clock, at } = await openMemoryEngine(["f"]);
  const { folder, account } = at("f");
  await clock.settle();
  await engine.sync.pause("f");
  folder.write("shown.png", "shown");
  const plan = await engine.sync.plan("f");
  const before = engine.sync.lastRuns("f", 10).length;
  // Saved after the plan was shown, before it was approved.
  folder.write("late.png", "late");
  await assert.rejects(engine.sync.apply("f", plan.hash), { fault: "planDrifted" });
  assert.equal(account.text("shown.png"), null);
  assert.equal(engine.sync.lastRuns("f", 10).length, before);
  assert.deepEqual([engine.folders.get("f").state, engine.folders.get("f").fault], ["paused", null]);
  await engine.sync.resume("f");
  await clock.settle();
  assert.deepEqual([account.text("shown.png"), account.text("late.png")], ["shown", "late"]);
  await engine.close();
});

test("sync.apply PlanDrifted: what another device changed between plan and apply is noticed too", async () => {
  const { engine, clock, at } = await openMemoryEngine(["f"]);
  const { folder, account } = at("f");
  await clock.settle();
  await engine.sync.pause("f");
  folder.write("p.png", "mine");
  const plan = await engine.sync.plan("f");
  account.put("p.png", Buffer.from("theirs"));
  await assert.rejects(engine.sync.apply("f", plan.hash), { fault: "planDrifted" });
  assert.equal(account.text("p.png"), "theirs");
  assert.equal(folder.text("p.png"), "mine");
  await engine.close();
});

test("sync.apply nothing else runs between the comparison and the plan's last step", async () => {
  const { engine, clock, at } = await openMemoryEngine(["f"]);
  const { folder, account, remote } = at("f");
  await clock.settle();
  await engine.sync.pause("f");
  folder.write("shown.png", "shown");
  const plan = await engine.sync.plan("f");
  const gate = Promise.withResolvers<void>();
  const upload = remote.upload.bind(remote);
  remote.upload = async (batch, signal) => {
    await gate.promise;
    return await upload(batch, signal);
  };
  const applying = engine.sync.apply("f", plan.hash);
  await clock.settle();
  await engine.sync.resume("f");
  folder.write("late.png", "late");
  const asked = engine.sync.run({ folder: "f", scan: true }, never);
  await clock.settle();
  assert.equal(account.text("late.png"), null);
  gate.resolve();
  const applied = await applying;
  const [later] = await asked;
  assert.equal(applied.uploadedFiles, 1);
  assert.equal(later?.uploadedFiles, 1);
  assert.notEqual(later?.run, applied.run);
  assert.equal(account.text("late.png"), "late");
  await engine.close();
});

test("sync.apply refuses a folder that nobody is signed in for", async () => {
  const { engine, clock } = await openMemoryEngine(["f"]);
  await clock.settle();
  const plan = await engine.sync.plan("f");
  await engine.remotes.logout("f@memory");
  await assert.rejects(engine.sync.apply("f", plan.hash), { fault: "auth" });
  await engine.close();
});

test("sync.plan what it has looked at is synced soon after, not at the next poll", async () => {
  const { engine, clock, at } = await openMemoryEngine(["f"]);
  const { folder, account } = at("f");
  await clock.settle();
  folder.write("seen.png", "seen");
  await engine.sync.plan("f");
  await clock.settle();
  assert.equal(account.text("seen.png"), "seen");
  await engine.close();
});

test("sync.run over all folders: one that is signed out and one whose key is refused don't keep the others", async () => {
  const { engine, clock, at, keys, sync } = await openMemoryEngine(["out", "bad", "good"]);
  await clock.settle();
  keys.delete("out@memory");
  await engine.remotes.logout("out@memory");
  at("bad").remote.before = () => {
    throw new RemoteError("auth", "the key is not accepted any more");
  };
  at("good").folder.write("p.png", "p");
  const runs = await sync(null);
  assert.deepEqual(
    runs.map(({ folder, result, fault }) => [folder, result, fault]),
    [
      ["out", "failed", "auth"],
      ["bad", "failed", "auth"],
      ["good", "insync", null],
    ],
  );
  assert.match(runs[0]?.error ?? "", /satchel login/);
  assert.equal(at("good").account.text("p.png"), "p");
  await engine.close();
});

test("sync.run over all folders: a fault of our own in one is told in its row", async () => {
  const troubles: unknown[] = [];
  const observer = { trouble: (_folder: string, _path: string | null, error: unknown) => void troubles.push(error) };
  const { engine, clock, at, sync } = await openMemoryEngine(["bad", "good"], { observer });
  await clock.settle();
  at("good").folder.write("p.png", "p");
  at("bad").remote.before = () => {
    throw new TypeError("a fault of ours");
  };
  const runs = await sync(null);
  assert.deepEqual(
    runs.map(({ folder, result, fault }) => [folder, result, fault]),
    [
      ["bad", "failed", "internal"],
      ["good", "insync", null],
    ],
  );
  assert.equal(at("good").account.text("p.png"), "p");
  assert.equal(troubles.length, 1);
  await engine.close();
});

test("onEvent() S20 an event is told when it is durable; what the scan found waits for the disk together with what is done about it", async () => {
  const unsettled: string[] = [];
  const told: boolean[] = [];
  let look = (_phase: string): void => undefined;
  const memory = await openMemoryEngine(["f"], { observer: { phase: (_folder, _run, phase) => look(phase) } });
  const { engine, state, at } = memory;
  await memory.sync("f");
  const seen = state.events.lastSeq();
  look = (phase) => {
    if (!state.settled) unsettled.push(phase);
  };
  engine.onEvent(() => told.push(state.settled));
  at("f").folder.write("a.png", "a");
  await memory.sync("f");
  assert.ok(unsettled.includes("plan"), unsettled.join(" "));
  assert.ok(told.length > 0 && told.every(Boolean), told.join(" "));
  assert.deepEqual([state.settled, state.events.since(seen, 10).events.map(({ kind }) => kind)], [true, ["local/changed", "run"]]);
  await engine.close();
});
