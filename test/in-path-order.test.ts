import assert from "node:assert/strict";
import { test } from "node:test";

import type { Observation } from "../service/core/local.ts";
import { inPathOrder } from "../service/engine/in-path-order.ts";
import { entry } from "./support/store-rows.ts";

const put = (path: string, sizeBytes = 1): Observation => ({ kind: "put", entry: entry(path, path, { sizeBytes }) });
const pathOf = (one: Observation): string => ("entry" in one ? one.entry.path : one.path);

async function* given(batches: readonly (readonly Observation[])[], error?: Error): AsyncGenerator<readonly Observation[]> {
  yield* batches;
  if (error !== undefined) throw error;
}

/** What comes out, as paths; `ended` is the error it ended with. */
async function handedOn(
  batches: readonly (readonly Observation[])[],
  { error, nowMs = () => 0 }: { readonly error?: Error; readonly nowMs?: () => number } = {},
): Promise<{ readonly paths: readonly (readonly string[])[]; readonly ended: unknown }> {
  const paths: (readonly string[])[] = [];
  try {
    for await (const batch of inPathOrder(given(batches, error), { monoMs: nowMs })) paths.push(batch.map(pathOf));
  } catch (ended) {
    return { paths, ended };
  }
  return { paths, ended: undefined };
}

test("inPathOrder() N9 hands on every observation once, sorted over batches, a thousand at once", async () => {
  const names = Array.from({ length: 2500 }, (_, index) => `${String((index * 7919) % 2500).padStart(4, "0")}.png`);
  const problem: Observation = { kind: "problem", path: "0000.txt", reason: "empty", detail: "" };
  const { paths, ended } = await handedOn([
    names.slice(0, 2000).map((name) => put(name)),
    [...names.slice(2000).map((name) => put(name)), problem],
  ]);
  assert.equal(ended, undefined);
  assert.deepEqual(
    paths.map((part) => part.length),
    [1000, 1000, 501],
  );
  assert.deepEqual(paths.flat(), [...names, "0000.txt"].toSorted());
});

test("inPathOrder() N2 absences come after all that was seen before them, as they were listed", async () => {
  const gone: Observation = { kind: "gone", path: "a" };
  const { paths } = await handedOn([
    [put("z"), put("c")],
    [gone, put("b")],
    [put("y"), put("x")],
  ]);
  assert.deepEqual(paths, [
    ["c", "z"],
    ["a", "b"],
    ["x", "y"],
  ]);
});

test("inPathOrder() N5 what a broken scan had found is handed on, then the scan's error", async () => {
  const error = new Error("the root went away");
  assert.deepEqual(await handedOn([[put("b"), put("a")]], { error }), { paths: [["a", "b"]], ended: error });
});

test("inPathOrder() N5 never holds back more than a gibibyte or ten seconds of reading", async () => {
  const GIB = 1024 ** 3;
  assert.deepEqual((await handedOn([[put("b", GIB - 1)], [put("a")], [put("0")]])).paths, [["a", "b"], ["0"]]);
  let nowMs = 0;
  const later = (): number => (nowMs += 4_000);
  assert.deepEqual((await handedOn([[put("d")], [put("c")], [put("b")], [put("a")]], { nowMs: later })).paths, [["b", "c", "d"], ["a"]]);
});
