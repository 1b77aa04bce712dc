/** What the service does once a day, in time that the test moves. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { Version } from "../service/core/model.ts";
import type { EngineContext, EngineDeps } from "../service/engine/deps.ts";
import type { Folder } from "../service/engine/folder.ts";
import { maintainDaily } from "../service/engine/maintenance.ts";
import { openDevice } from "./support/memory-device.ts";
import { sha1 } from "./support/memory-folder.ts";
import { SteppedClock } from "./support/stepped-clock.ts";

const DAY_MS = 86_400_000;

/** One kept version of each age, 10 bytes each; the upkeep has run `days` times when it resolves. */
async function upkeep(agesDays: readonly number[], days: number, given: Partial<EngineDeps> = {}) {
  const { folder, parts, state } = openDevice("laptop", null);
  const clock = new SteppedClock();
  clock.nowMs = 1_000 * DAY_MS;
  const kept = agesDays.map((age): Version => {
    const bytes = Buffer.from(`age ${age}`.padEnd(10));
    folder.kept.set(sha1(bytes), bytes);
    return {
      folder: "f",
      path: `${age}.png`,
      sha1: sha1(bytes),
      sizeBytes: 10,
      why: "replaced",
      run: "r",
      atMs: clock.nowMs - age * DAY_MS,
    };
  });
  folder.lines.push(...kept);
  state.transaction(() => kept.forEach((version) => parts.rows.versions.add(version)));
  const troubles: unknown[] = [];
  const deps = {
    state,
    clock,
    versions: folder.versions,
    observer: { trouble: (_folder: string, _file: string | null, error: unknown) => troubles.push(error) },
    ...given,
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the upkeep uses this much of the engine, and the rows of its folders
  const context = { deps, folders: new Map([["f", { rows: parts.rows } as Folder]]) } as unknown as EngineContext;
  const stop = new AbortController();
  const working = maintainDaily(context, stop.signal);
  await clock.advance(11 * 60_000 + (days - 1) * DAY_MS);
  stop.abort(new Error("the test is over"));
  await working;
  const left = agesDays.filter((age) => folder.kept.has(sha1(Buffer.from(`age ${age}`.padEnd(10)))));
  const rows = agesDays.filter((age) => parts.rows.versions.ofPath(`${age}.png`).length > 0);
  return { left, rows, troubles };
}

test("maintainDaily() S21 over the cap the oldest versions go, none before its 30 days, rows and bytes together", async () => {
  const retention = { keepMs: 30 * DAY_MS, capBytes: 15 };
  const { left, rows, troubles } = await upkeep([50, 40, 31.5, 29], 1, { retention });
  assert.deepEqual([left, rows, troubles], [[29], [29], []]);
});

test("maintainDaily() S21 what was too young one day goes on a later one", async () => {
  const retention = { keepMs: 30 * DAY_MS, capBytes: 10 };
  assert.deepEqual((await upkeep([29, 5], 1, { retention })).left, [29, 5]);
  assert.deepEqual((await upkeep([29, 5], 3, { retention })).left, [5]);
});

test("maintainDaily() without a setting 2 GiB are kept whatever their age", async () => {
  assert.deepEqual((await upkeep([400, 50], 1)).left, [400, 50]);
});

test("maintainDaily() the journal is looked through each day, after what is too old has gone", async () => {
  const { folder } = openDevice("other", null);
  const left: number[] = [];
  const versions = {
    ...folder.versions,
    compact: async () => {
      left.push(folder.kept.size);
      return await Promise.resolve(0);
    },
  };
  folder.kept.set(sha1("old"), Buffer.from("old"));
  folder.lines.push({ folder: "f", path: "old.png", sha1: sha1("old"), sizeBytes: 3, why: "replaced", run: "r", atMs: 0 });
  await upkeep([], 2, { retention: { keepMs: 30 * DAY_MS, capBytes: 0 }, versions });
  assert.deepEqual(left, [0, 0]);
});

test("maintainDaily() a day that fails is told, and the next one works", async () => {
  const retention = { keepMs: 30 * DAY_MS, capBytes: 0 };
  const { folder } = openDevice("other", null);
  let days = 0;
  const journal = folder.versions.journal.bind(folder.versions);
  const versions = {
    ...folder.versions,
    journal: () => {
      days += 1;
      if (days === 1) throw new Error("the journal can't be read");
      return journal();
    },
  };
  const { troubles } = await upkeep([50], 2, { retention, versions });
  assert.equal(days, 2);
  assert.match(String(troubles[0]), /can't be read/);
});
