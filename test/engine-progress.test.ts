/** How far a run is: bytes count as they move, also within a large file, and never go back. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { RemoteError, type Progress } from "../service/core/ports.ts";
import { pair } from "./support/memory-pair.ts";

const SIZE = 1_000;

function bytesOf(progress: readonly Progress[], name: "bytesUp" | "bytesDown"): number[] {
  return progress.map((one) => one[name]);
}

function assertRises(values: readonly number[]): void {
  for (const [index, value] of values.entries()) assert.ok(value >= (values[index - 1] ?? 0), `${values.join(" ")} goes back`);
}

test("tellProgress() within one large file: half of it is told before it has arrived, both ways", async () => {
  const { a, b } = pair();
  a.folder.write("large.bin", "x".repeat(SIZE));
  await a.sync();
  const up = bytesOf(a.progress, "bytesUp");
  assert.ok(up.includes(SIZE / 2), up.join(" "));
  assertRises(up);
  assert.deepEqual([up.at(-1), a.progress.at(-1)?.bytesUpTotal], [SIZE, SIZE]);
  await b.sync();
  const down = bytesOf(b.progress, "bytesDown");
  assert.ok(down.includes(SIZE / 2), down.join(" "));
  assertRises(down);
  const last = b.progress.at(-1);
  assert.deepEqual([last?.bytesDown, last?.bytesDownTotal, last?.filesDown, last?.filesDownTotal], [SIZE, SIZE, 1, 1]);
});

test("tellProgress() many files: totals are known from the start, what goes with the files on the wire is not counted", async () => {
  const { a, b } = pair();
  for (let index = 0; index < 60; index += 1) a.folder.write(`f${index}`, "x".repeat(SIZE));
  await a.sync();
  await b.sync();
  for (const [progress, name, total] of [
    [a.progress, "bytesUp", "bytesUpTotal"],
    [b.progress, "bytesDown", "bytesDownTotal"],
  ] as const) {
    assertRises(bytesOf(progress, name));
    assert.ok(progress.every((one) => one[name] <= 60 * SIZE && one[total] === 60 * SIZE));
    assert.equal(progress.at(-1)?.[name], 60 * SIZE);
  }
});

test("tellProgress() a request that failed is sent again: progress does not go back", async () => {
  const { a, remoteA } = pair();
  for (let index = 0; index < 60; index += 1) a.folder.write(`f${index}`, "x".repeat(SIZE));
  let uploads = 0;
  remoteA.after = () => {
    if (++uploads === 2) throw new RemoteError("retry", "the reply was lost");
  };
  await a.sync();
  assertRises(bytesOf(a.progress, "bytesUp"));
  remoteA.after = () => {};
  a.progress.length = 0;
  await a.sync();
  assertRises(bytesOf(a.progress, "bytesUp"));
});

test("tellProgress() a remote that does not tell sizes: no total, but what has come", async () => {
  const { a, b } = pair({ stock: true });
  a.folder.write("large.bin", "x".repeat(SIZE));
  await a.sync();
  await b.sync();
  const last = b.progress.at(-1);
  assert.deepEqual([last?.bytesDownTotal, (last?.bytesDown ?? 0) >= SIZE], [0, true]);
});
