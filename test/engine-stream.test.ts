/** The change stream: what its breaking and its return mean for status and runs, in time that the test moves. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { nextLookMs, streamRetryMs } from "../service/core/schedule.ts";
import { openMemoryEngine } from "./support/memory-engine.ts";

/** A folder in sync over a remote with a change stream; `down` ends the server, `up` brings it back. */
async function openStreamed() {
  const memory = await openMemoryEngine(["f"]);
  const { account, remote, folder } = memory.at("f");
  let isDown = false;
  let line: { readonly tell: (position: string) => void; readonly end: () => void } | null = null;
  const opened: number[] = [];
  Object.assign(remote.can, { changeStream: true });
  remote.follow = async (position, onChange, signal) => {
    opened.push(memory.clock.nowMs);
    if (isDown) throw new RemoteError("offline", "nobody answers");
    const { promise, resolve } = Promise.withResolvers<void>();
    line = { tell: onChange, end: resolve };
    signal.addEventListener("abort", () => resolve(), { once: true });
    onChange(position);
    await promise;
    line = null;
  };
  await memory.clock.settle();
  const state = () => memory.engine.folders.get("f").state;
  const down = async (): Promise<void> => {
    isDown = true;
    remote.before = () => {
      throw new RemoteError("offline", "nobody answers");
    };
    line?.end();
    await memory.clock.settle();
  };
  const up = (): void => {
    isDown = false;
    remote.before = () => {};
  };
  return { ...memory, account, remote, folder, state, down, up, opened, cut: () => line?.end(), isOpen: () => line !== null };
}

test("followRemote() an open stream without news: nothing is asked until the safety poll", async () => {
  const { engine, clock, remote, isOpen, state } = await openStreamed();
  assert.ok(isOpen());
  remote.calls.length = 0;
  await clock.advance(290_000);
  assert.deepEqual(remote.calls, []);
  assert.equal(state(), "insync");
  await clock.advance(20_000);
  assert.deepEqual(remote.calls, ["state"]);
  await engine.close();
});

test("followRemote() the server is gone: the status says offline as soon as the stream has broken", async () => {
  const { engine, state, down } = await openStreamed();
  assert.equal(state(), "insync");
  await down();
  assert.equal(state(), "offline");
  await engine.close();
});

test("followRemote() the server is back after a long absence: in sync within a minute, what was saved meanwhile goes, what others sent comes", async () => {
  const { engine, clock, state, down, up, account, folder } = await openStreamed();
  await down();
  folder.write("mine.png", "mine");
  await clock.advance(2 * 3_600_000);
  assert.equal(state(), "offline");
  up();
  account.put("theirs.png", Buffer.from("theirs"));
  await clock.advance(60_000);
  assert.equal(state(), "insync");
  assert.deepEqual([account.text("mine.png"), folder.text("theirs.png")], ["mine", "theirs"]);
  await engine.close();
});

test("followRemote() a server that is started anew is met within seconds", async () => {
  const { engine, clock, state, down, up } = await openStreamed();
  await clock.advance(100_000);
  await down();
  await clock.advance(2_000);
  assert.equal(state(), "offline");
  up();
  await clock.advance(2_500);
  assert.equal(state(), "insync");
  await engine.close();
});

test("followRemote() L5 a line that breaks again and again is opened less and less often, and the remote asked no more than that", async () => {
  const { engine, clock, remote, cut, opened } = await openStreamed();
  opened.length = 0;
  remote.calls.length = 0;
  const until = clock.nowMs + 600_000;
  while (clock.nowMs < until) {
    cut();
    await clock.advance(1_000);
  }
  assert.ok(opened.length >= 5 && opened.length < 60, `${opened.length} openings in ten minutes`);
  assert.ok(remote.calls.length <= 2 * opened.length + 10, `${remote.calls.length} requests for ${opened.length} openings`);
  await engine.close();
});

test("streamRetryMs() three quick tries, then doubling, never more than a minute apart", () => {
  const most = { u32: () => 0xff_ff_ff_ff };
  assert.deepEqual(
    [1, 2, 3, 4, 5, 9, 50].map((failures) => Math.ceil(streamRetryMs(failures, most) / 1_000)),
    [1, 1, 1, 2, 4, 60, 60],
  );
  assert.equal(streamRetryMs(50, { u32: () => 0 }), 0);
});

for (const [name, next, expected] of [
  ["an open stream: the run that is due", { runAtMs: 300, streamTryAtMs: null, notBeforeMs: null }, 300],
  ["the stream is tried before the poll", { runAtMs: 300, streamTryAtMs: 20, notBeforeMs: null }, 20],
  ["the run comes before the stream", { runAtMs: 10, streamTryAtMs: 20, notBeforeMs: null }, 10],
  ["the remote asked to be left alone", { runAtMs: 300, streamTryAtMs: 20, notBeforeMs: 200 }, 200],
  ["nothing but the stream", { runAtMs: null, streamTryAtMs: 20, notBeforeMs: null }, 20],
  ["nothing at all", { runAtMs: null, streamTryAtMs: null, notBeforeMs: null }, null],
] as const)
  test(`nextLookMs() ${name}`, () => assert.equal(nextLookMs(next), expected));

test("followRemote() the status of a folder whose server is away tells of the stream's next try, and nothing happens before it", async () => {
  const { engine, clock, down, up, state, opened } = await openStreamed();
  await clock.advance(100_000);
  await down();
  await clock.advance(600_000);
  up();
  const { nextRunAt } = engine.folders.get("f");
  const waitMs = (nextRunAt ?? Number.POSITIVE_INFINITY) - clock.wallMs();
  assert.ok(waitMs > 0 && waitMs <= 60_000, String(waitMs));
  const before = opened.length;
  await clock.advance(waitMs - 1);
  assert.deepEqual([opened.length, state()], [before, "offline"]);
  await clock.advance(2);
  assert.equal(state(), "insync");
  await engine.close();
});
