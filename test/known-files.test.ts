import assert from "node:assert/strict";
import { test } from "node:test";

import type { Entry } from "../service/core/model.ts";
import { EarlyWalk } from "../service/files/early-walk.ts";
import { KnownFiles } from "../service/files/known-files.ts";
import { fingerprintsOf } from "./support/fingerprints.ts";

const SHA1 = "0".repeat(40);

function entryOf(path: string, change: Partial<Entry> = {}): Entry {
  return { path, sizeBytes: 5, mtimeNs: 6, ctimeNs: 7, fileId: 8, sha1: SHA1, diskPath: null, racy: false, ...change };
}

function knownOf(entries: readonly Entry[]): KnownFiles {
  const known = new KnownFiles();
  for (const page of fingerprintsOf(entries)) known.add(page);
  return known;
}

const seen = ({ sizeBytes, mtimeNs, ctimeNs, fileId }: Entry): Float64Array => Float64Array.of(-1, sizeBytes, mtimeNs, ctimeNs, fileId);
const missing = (known: KnownFiles): readonly string[] => Array.from(known.missing(), ({ diskPath }) => diskPath);

test("KnownFiles N2 every path is missing until it is met, by its name on disk, in the order of the table", () => {
  const entries = Array.from({ length: 5000 }, (_, index) =>
    entryOf(`f/${String(index).padStart(5, "0")}.jpg`, index % 100 === 0 ? { diskPath: `f/other ${String(index)}` } : {}),
  );
  const known = knownOf(entries);
  assert.deepEqual(
    missing(known),
    entries.map(({ path, diskPath }) => diskPath ?? path),
  );
  for (const entry of entries.slice(1000)) assert.equal(known.isUnchanged(entry.path, entry.diskPath ?? entry.path, seen(entry), 1), true);
  for (const entry of entries.slice(0, 500)) known.meet(entry.path);
  assert.deepEqual(
    missing(known),
    entries.slice(500, 1000).map(({ path, diskPath }) => diskPath ?? path),
  );
  assert.deepEqual([known.isMissing("f/00600.jpg"), known.isMissing("f/00400.jpg"), known.isMissing("nowhere")], [true, false, false]);
  assert.deepEqual([known.has("f/00400.jpg"), known.has("nowhere")], [true, false]);
});

test("KnownFiles files are told apart by their numbers, however large, and two names of one file by their names", () => {
  const entries = Array.from({ length: 5000 }, (_, index) => entryOf(`${String(index)}.jpg`, { fileId: 2 ** 41 + Math.floor(index / 2) }));
  const known = knownOf(entries);
  for (const entry of entries.slice(2500)) {
    assert.equal(known.isUnchanged("elsewhere.jpg", "elsewhere.jpg", seen(entry), 1), false);
    assert.equal(known.isUnchanged(`${entry.path}.jpg`, `${entry.path}.jpg`, seen(entry), 1), false);
    assert.equal(known.isUnchanged(entry.path, entry.path, seen(entry), 1), true, entry.path);
  }
  assert.deepEqual(
    missing(known),
    entries.slice(0, 2500).map(({ path }) => path),
  );
});

for (const [what, change] of [
  ["its size", { sizeBytes: 50 }],
  ["its mtime", { mtimeNs: 6.5 }],
  ["its ctime", { ctimeNs: 7.5 }],
  ["its file id", { fileId: 9 }],
] as const)
  test(`KnownFiles a file with another value of ${what} is not unchanged, and stays missing`, () => {
    const known = knownOf([entryOf("a.jpg")]);
    assert.equal(known.isUnchanged("a.jpg", "a.jpg", seen(entryOf("a.jpg", change)), 1), false);
    assert.deepEqual(missing(known), ["a.jpg"]);
    assert.equal(known.isUnchanged("a.jpg", "a.jpg", seen(entryOf("a.jpg")), 1), true);
  });

test("KnownFiles a racy file, another spelling, an unknown path and a second meeting are never unchanged", () => {
  const known = knownOf([entryOf("racy.jpg", { racy: true }), entryOf("a.jpg", { diskPath: "A.jpg" })]);
  const same = seen(entryOf(""));
  assert.equal(known.isUnchanged("racy.jpg", "racy.jpg", same, 1), false);
  assert.equal(known.isUnchanged("a.jpg", "a.jpg", same, 1), false);
  assert.equal(known.isUnchanged("b.jpg", "b.jpg", same, 1), false);
  assert.equal(known.isUnchanged("a.jpg", "A.jpg", same, 1), true);
  assert.equal(known.isUnchanged("a.jpg", "A.jpg", same, 1), false);
});

test("KnownFiles S17 names that were made to collide are found like any other", () => {
  // The hash as the table computes it: these fall into one slot of a small table, more of them than it tries slots.
  const slotOf = (path: string): number => {
    let hash = 0x811c9dc5;
    for (const char of path) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    return (hash ^ (hash >>> 15)) & 1023;
  };
  const names: string[] = [];
  for (let count = 0; names.length < 100; count++) if (slotOf(`n${String(count)}`) === 7) names.push(`n${String(count)}`);
  const known = knownOf(names.map((name) => entryOf(name)));
  for (const name of names.slice(0, 50)) assert.equal(known.isUnchanged(name, name, seen(entryOf(name)), 1), true, name);
  assert.deepEqual(missing(known), names.slice(50));
});

test("EarlyWalk hands on every batch in order, those found before it was asked first, and then what the walk threw", async () => {
  const failure = new Error("the disk refused");
  const walk = async function* (): AsyncGenerator<number> {
    yield* [1, 2, 3];
    await Promise.resolve();
    throw failure;
  };
  for (const turns of [0, 1, 2, 20]) {
    const begun = new EarlyWalk(walk());
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    const found: number[] = [];
    await assert.rejects(async () => {
      for await (const batch of begun.batches()) found.push(batch);
    }, failure);
    assert.deepEqual(found, [1, 2, 3]);
  }
});

test("EarlyWalk ends the walk when its reader has had enough, or when nobody is going to read it", async () => {
  let ends = 0;
  const walk = async function* (): AsyncGenerator<number> {
    try {
      for (let count = 0; ; count++) {
        await new Promise<void>((resolve) => void setImmediate(resolve));
        yield count;
      }
    } finally {
      ends += 1;
    }
  };
  for await (const batch of new EarlyWalk(walk()).batches()) if (batch === 5) break;
  assert.equal(ends, 1);
  await new EarlyWalk(walk()).stop();
  assert.equal(ends, 2);
});
