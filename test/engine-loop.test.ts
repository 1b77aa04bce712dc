import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { FolderLoop } from "../service/engine/folder-loop.ts";
import { openDevice } from "./support/memory-device.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";
import { SteppedClock } from "./support/stepped-clock.ts";

/** A loop over a folder in memory, in time that the test moves; `runs` counts how often the remote was asked. */
function openLoop(options: { readonly paused?: boolean } = {}) {
  const account = new MemoryAccount();
  const remote = memoryRemote(account);
  const clock = new SteppedClock();
  const device = openDevice("laptop", remote);
  const parts = { ...device.parts, clock };
  const loop = new FolderLoop(parts, { paused: options.paused ?? false, firstOrigin: "user" });
  loop.setWatching(true);
  return { account, remote, clock, loop, folder: device.folder, parts, runs: () => remote.calls.filter((call) => call === "state").length };
}

test("FolderLoop a save is synced when it has settled, without being asked", async () => {
  const { account, clock, loop, folder } = openLoop();
  await clock.settle();
  folder.write("p.png", "p");
  loop.wake();
  await clock.settle();
  assert.equal(account.text("p.png"), "p");
  await loop.close();
});

test("FolderLoop idle: asks the remote once a poll, not more", async () => {
  const { clock, loop, runs } = openLoop();
  await clock.settle();
  assert.equal(runs(), 1);
  await clock.advance(59_000);
  assert.equal(runs(), 1);
  await clock.advance(1_500);
  assert.equal(runs(), 2);
  await loop.close();
});

test("FolderLoop request: callers share the first run begun after the call", async () => {
  const { clock, loop, remote, account, folder, parts } = openLoop();
  await clock.settle();
  const gate = Promise.withResolvers<void>();
  const state = remote.state.bind(remote);
  let calls = 0;
  remote.state = async (signal) => {
    calls += 1;
    if (calls === 1) await gate.promise;
    return await state(signal);
  };
  const first = loop.request(false);
  await clock.settle();
  folder.write("late.png", "late");
  const second = loop.request(false);
  const third = loop.request(true);
  gate.resolve();
  const [one, two, three] = await Promise.all([first, second, third]);
  assert.notEqual(one.run, two.run);
  assert.equal(two.run, three.run);
  assert.equal(two.uploadedFiles, 1);
  assert.equal(account.text("late.png"), "late");
  assert.equal(parts.rows.runs.last()?.run, two.run);
  await loop.close();
});

test("FolderLoop L5 after a failure it waits longer and longer, honours what the remote asks, then goes on", async () => {
  const { clock, loop, remote, runs, account, folder } = openLoop();
  await clock.settle();
  remote.before = () => {
    throw new RemoteError("retry", "busy", { retryAfterMs: 120_000 });
  };
  folder.write("p.png", "p");
  loop.wake();
  await clock.settle();
  const failed = runs();
  assert.equal(loop.status().lastEnd?.summary.fault, "retry");
  await clock.advance(100_000);
  assert.equal(runs(), failed, "not before the remote said");
  remote.before = () => {};
  await clock.advance(3_600_000);
  assert.equal(account.text("p.png"), "p");
  await loop.close();
});

test("FolderLoop paused: nothing by itself; resumed: what waited goes", async () => {
  const { clock, loop, account, folder } = openLoop({ paused: true });
  folder.write("p.png", "p");
  loop.wake();
  await clock.advance(600_000);
  assert.equal(account.text("p.png"), null);
  loop.setPaused(false);
  await clock.settle();
  assert.equal(account.text("p.png"), "p");
  await loop.close();
});

test("FolderLoop cancel ends the run under way; what it finished stays", async () => {
  const { clock, loop, remote, folder, account } = openLoop();
  await clock.settle();
  for (let index = 0; index < 100; index += 1) folder.write(`f${index}`, `bytes ${index}`);
  let uploads = 0;
  remote.after = (call) => {
    if (call === "upload" && ++uploads === 2) loop.cancel();
  };
  const summary = await loop.request(false);
  assert.equal(summary.fault, "cancelled");
  assert.ok(summary.uploadedFiles >= 25 && summary.uploadedFiles < 100, `${summary.uploadedFiles} files were acknowledged`);
  const there = [...account.rows.values()].length;
  remote.after = () => {};
  const rest = await loop.request(false);
  assert.equal(rest.uploadedFiles + there, 100, "nothing is sent twice");
  await loop.close();
});

test("FolderLoop a live stream: no request while nothing changed, a run when it tells", async () => {
  const { clock, loop, remote, account, folder, parts } = openLoop();
  await clock.settle();
  const current = { ...parts, streamIsCurrent: () => loop.streamIsCurrent() };
  assert.equal(current.streamIsCurrent(), false);
  loop.setStream(parts.rows.cursor.get()?.position ?? "");
  assert.equal(loop.streamIsCurrent(), true);
  await clock.settle();
  remote.calls.length = 0;
  await clock.advance(240_000);
  assert.deepEqual(remote.calls, [], "the poll is only a safety net now");
  account.put("there.png", Buffer.from("there"));
  loop.setStream(String(account.usn));
  await clock.settle();
  assert.equal(folder.text("there.png"), "there");
  await loop.close();
});

test("FolderLoop exclusive work and runs take turns", async () => {
  const { clock, loop, remote } = openLoop();
  await clock.settle();
  remote.calls.length = 0;
  const gate = Promise.withResolvers<void>();
  const work = loop.exclusive(async () => await gate.promise);
  const run = loop.request(false);
  await clock.settle();
  assert.deepEqual(remote.calls, []);
  gate.resolve();
  await work;
  await run;
  assert.deepEqual(remote.calls, ["state"]);
  await loop.close();
});

test("FolderLoop close ends what waits with a clear word", async () => {
  const { clock, loop } = openLoop();
  await clock.settle();
  const gate = Promise.withResolvers<void>();
  const work = loop.exclusive(async () => await gate.promise);
  const waiting = assert.rejects(loop.request(false), /stopping/);
  const closing = loop.close();
  gate.resolve();
  await Promise.all([work, closing, waiting]);
  await assert.rejects(loop.request(false), /stopping/);
});
