/** The version store's journal is written anew when most of it is stale: nothing that stands is forgotten, whatever happens in between. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { Version } from "../service/core/model.ts";
import { isWorthRewriting } from "../service/files/version-journal.ts";
import { onDisk } from "./support/apply-steps.ts";
import { Crash, mortalDisk } from "./support/failing-disk.ts";
import { openFolderOnDisk, sha1Of, type FolderOnDisk } from "./support/folder-on-disk.ts";

function versionOf(text: string, more: Partial<Version> = {}): Version {
  return { folder: "f", path: `${text}.png`, sha1: sha1Of(text), sizeBytes: text.length, why: "replaced", run: "r1", atMs: 1, ...more };
}

async function keepAll({ versions }: FolderOnDisk, texts: readonly string[]): Promise<void> {
  for (const text of texts) await versions.put(Buffer.from(text), versionOf(text));
}

async function journal({ versions }: FolderOnDisk): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const { path } of versions.journal()) paths.push(path);
  return paths;
}

const linesOf = ({ home }: FolderOnDisk): number => fs.readFileSync(`${home}/versions/journal.ndjson`, "utf8").split("\n").length - 1;

test("isWorthRewriting() at least half must go, and short journals stay", () => {
  assert.equal(isWorthRewriting(1_000, 500), true);
  assert.equal(isWorthRewriting(1_000, 501), false);
  assert.equal(isWorthRewriting(999, 0), false);
});

onDisk("compact() what tells of bytes that are gone goes, the rest stays in order", async (given) => {
  await keepAll(given, ["a", "b", "c", "d", "e"]);
  assert.equal(await given.versions.compact(), 0, "nothing is stale");
  for (const text of ["a", "c", "e"]) await given.versions.remove(sha1Of(text));
  assert.equal(await given.versions.compact(), 3);
  assert.deepEqual(await journal(given), ["b.png", "d.png"]);
  await keepAll(given, ["later"]);
  assert.deepEqual(await journal(given), ["b.png", "d.png", "later.png"]);
  assert.equal(linesOf(given), 3);
  assert.deepEqual(
    fs.readdirSync(`${given.home}/versions`).filter((name) => name.startsWith("journal")),
    ["journal.ndjson"],
  );
});

onDisk("compact() S21 of doubles the last one stays: it says how young the bytes are", async (given) => {
  for (const atMs of [1, 2, 3, 4]) await given.versions.put(Buffer.from("same"), versionOf("same", { atMs }));
  assert.equal(await given.versions.compact(), 3);
  const left: number[] = [];
  for await (const version of given.versions.journal()) left.push(version.atMs);
  assert.deepEqual(left, [4]);
});

onDisk("compact() N1 bytes that are held but not yet filed keep their line", async (given) => {
  await keepAll(given, ["a", "b", "c", "d"]);
  for (const text of ["a", "b", "c", "d"]) await given.versions.remove(sha1Of(text));
  fs.writeFileSync(`${given.root}/p.png`, "held");
  const kept = await given.versions.hold(`${given.root}/p.png`, false);
  await given.versions.journalKept([{ kept, version: versionOf("held") }]);
  assert.equal(await given.versions.compact(), 4);
  // Killed before it was filed: the next start does.
  await given.reopen();
  assert.deepEqual(await journal(given), ["held.png"]);
  assert.notEqual(await given.versions.locate(sha1Of("held")), null);
});

onDisk("compact() leaves the journal to whoever is reading it", async (given) => {
  await keepAll(given, ["a", "b", "c", "d"]);
  for (const text of ["a", "b", "c"]) await given.versions.remove(sha1Of(text));
  const reader = given.versions.journal()[Symbol.asyncIterator]();
  await reader.next();
  assert.equal(await given.versions.compact(), 0);
  await reader.return?.();
  assert.equal(await given.versions.compact(), 3);
});

onDisk("compact() what is kept meanwhile is not lost, and who begins to read meanwhile reads the new one", async (given) => {
  await keepAll(given, ["a", "b", "c", "d"]);
  for (const text of ["a", "b", "c"]) await given.versions.remove(sha1Of(text));
  const [gone, paths] = await Promise.all([given.versions.compact(), journal(given), keepAll(given, ["x", "y", "z"])]);
  assert.equal(gone, 3);
  assert.equal(paths[0], "d.png");
  assert.deepEqual(await journal(given), ["d.png", "x.png", "y.png", "z.png"]);
});

test("compact() N5 N6 killed at any call: the next start reads every line whose bytes stand, and nothing of ours is left over", async () => {
  let ended = false;
  for (let calls = 0; !ended; calls += 1) {
    const given = await openFolderOnDisk();
    try {
      await keepAll(given, ["a", "b", "c", "d", "e", "f"]);
      for (const text of ["a", "c", "e"]) await given.versions.remove(sha1Of(text));
      const { disk, dieAfter } = mortalDisk(given.disk);
      await given.reopen({ disk });
      dieAfter(calls);
      try {
        await given.versions.compact();
        ended = true;
      } catch (error) {
        assert.ok(error instanceof Crash, String(error));
      }
      await given.reopen();
      const paths = await journal(given);
      for (const path of ["b.png", "d.png", "f.png"]) assert.ok(paths.includes(path), `${path} is lost (after ${calls} calls)`);
      assert.ok(!fs.existsSync(`${given.home}/versions/journal.ndjson.new`), `left over (after ${calls} calls)`);
      await keepAll(given, ["late"]);
      assert.equal((await journal(given)).at(-1), "late.png");
    } finally {
      await given.close();
    }
  }
});
