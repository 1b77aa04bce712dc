/** The pure core is decided to the last branch: its own tests alone must take every branch and function of it, or this fails. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

/** Tests of `service/core` alone: no disk, no network, a few seconds of processor. `core-files` loads every file, so that none can hide. */
const OF_CORE = ["names", "naming-rules", "name-tables", "reconcile", "idle-exit", "line-batches", "core-rules", "core-files"];
const WHOLE = ["branches", "functions", "lines"].map((what) => `--test-coverage-${what}=100`);

test("core §6 its tests take every branch, function and line of service/core", async () => {
  const files = OF_CORE.map((name) => `test/${name}.test.ts`);
  const flags = ["--test", "--test-reporter=tap", "--experimental-test-coverage", "--test-coverage-include=service/core/**", ...WHOLE];
  // A test runner that finds itself inside another one reports to that, and counts nothing. Code that was compiled before is not always counted.
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, NODE_COMPILE_CACHE: ___, ...env } = process.env;
  const child = spawn(process.execPath, [...flags, ...files], {
    cwd: new URL("..", import.meta.url),
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let told = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (told += text));
  const [code]: unknown[] = await once(child, "close");
  const report = told.slice(told.indexOf("# start of coverage report"));
  assert.match(report, /reconcile\.ts/, `no coverage was measured:\n${told.slice(-2000)}`);
  assert.equal(code, 0, report);
});
