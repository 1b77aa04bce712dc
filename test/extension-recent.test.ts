import assert from "node:assert/strict";
import { test } from "node:test";

import { RecentChanges, type Change } from "../extension/recent.ts";
import type { Session } from "../extension/session.ts";

/** A change log of so many rows, and how often it was asked. */
function log(length: number) {
  const world = { length, asked: 0 };
  const row = (seq: number): Change => ({
    seq,
    folder: "f",
    path: `${String(seq % 50)}.png`,
    kind: "put",
    sha1: null,
    sizeBytes: 1,
    origin: seq % 50 === 7 ? "rebuild" : "user",
    atMs: seq,
  });
  const call = async (_method: string, { since = 0, limit = 1000 }: { since?: number; limit?: number }) => {
    world.asked += 1;
    const count = Math.max(0, Math.min(limit, world.length - since));
    return await Promise.resolve({ changes: Array.from({ length: count }, (_, at) => row(since + at + 1)) });
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one method that is used
  return { world, recent: new RecentChanges({ call } as unknown as Session) };
}

for (const length of [0, 1, 2, 199, 200, 201, 100_000])
  test(`RecentChanges finds the end of a log of ${String(length)}, with few questions, and follows it with fewer`, async () => {
    const { world, recent } = log(length);
    const first = await recent.read(30);
    assert.equal(first[0]?.seq, length === 0 ? undefined : length);
    assert.equal(new Set(first.map(({ path }) => path)).size, first.length, "each path once");
    assert.ok(first.every(({ origin }) => origin !== "rebuild"));
    assert.ok(world.asked <= 40, String(world.asked));
    world.asked = 0;
    world.length += 3;
    assert.equal((await recent.read(30))[0]?.seq, length + 3);
    assert.ok(world.asked <= 8, String(world.asked));
  });

test("RecentChanges N6 a log that was built anew and is shorter is searched from its start", async () => {
  const { world, recent } = log(500);
  await recent.read(5);
  world.length = 12;
  assert.equal((await recent.read(5))[0]?.seq, 12);
});
