import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync, copyFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import { openLedger } from "./bench/ledger.ts";

/** Two folders in step over one file, and what a judge of them needs. */
function inStep(t: TestContext) {
  const home = mkdtempSync(path.join(tmpdir(), "satchel-ledger-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const [a, b, store] = [path.join(home, "a"), path.join(home, "b"), path.join(home, "store")] as const;
  for (const folder of [a, b, store]) mkdirSync(folder);
  const ledger = openLedger(home);
  ledger.save(a, "one.bin", Buffer.from("first"));
  copyFileSync(path.join(a, "one.bin"), path.join(b, "one.bin"));
  return { a, b, ledger, store, judge: () => ledger.judge([a, b], [store]) };
}

test("judge() S1 folders in step are right, before and after a user's own edit and deletion", (t) => {
  const { a, b, ledger, judge } = inStep(t);
  assert.deepEqual(judge(), { wrong: [], onlyRecoverable: 0 });
  ledger.save(a, "one.bin", Buffer.from("second"));
  copyFileSync(path.join(a, "one.bin"), path.join(b, "one.bin"));
  assert.deepEqual(judge(), { wrong: [], onlyRecoverable: 0 });
  ledger.remove(a, "one.bin");
  rmSync(path.join(b, "one.bin"));
  assert.deepEqual(judge(), { wrong: [], onlyRecoverable: 0 });
});

test("judge() S1 a file that is gone or old in one folder is found", (t) => {
  const { b, judge } = inStep(t);
  writeFileSync(path.join(b, "one.bin"), "older");
  assert.equal(judge().wrong.length, 2); // the version, and the name
  rmSync(path.join(b, "one.bin"));
  assert.equal(judge().wrong.length, 2);
});

test("judge() S1 a deletion that did not arrive is found", (t) => {
  const { a, ledger, judge } = inStep(t);
  ledger.remove(a, "one.bin");
  assert.equal(judge().wrong.length, 1);
});

test("judge() S1 of two edits of one version each must stand somewhere, or be kept", (t) => {
  const { a, b, ledger, store, judge } = inStep(t);
  ledger.save(a, "one.bin", Buffer.from("by a"));
  ledger.save(b, "one.bin", Buffer.from("by b"));
  copyFileSync(path.join(a, "one.bin"), path.join(store, "kept"));
  renameSync(path.join(b, "one.bin"), path.join(a, "one.bin"));
  copyFileSync(path.join(a, "one.bin"), path.join(b, "one.bin"));
  assert.deepEqual(judge(), { wrong: [], onlyRecoverable: 1 });
  rmSync(path.join(store, "kept"));
  assert.equal(judge().wrong.length, 1);
});
