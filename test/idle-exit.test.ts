import assert from "node:assert/strict";
import { test } from "node:test";

import { endsWhenIdle, type IdleFacts } from "../service/core/idle-exit.ts";

const IDLE: IdleFacts = { platform: "win32", insideEditor: true, clients: 0, running: false, idleMs: 60_000 };
const rows: readonly (readonly [what: string, change: Partial<IdleFacts>, expected: boolean])[] = [
  ["60 s after the last client", {}, true],
  ["a moment before", { idleMs: 59_999 }, false],
  ["somebody is connected", { clients: 1 }, false],
  ["a run is under way", { running: true }, false],
  ["started by hand or with the session", { insideEditor: false }, false],
  ["Linux", { platform: "linux" }, false],
  ["macOS", { platform: "darwin" }, false],
];
for (const [what, change, expected] of rows)
  test(`endsWhenIdle() ${what}: ${expected ? "ends" : "goes on"}`, () => assert.equal(endsWhenIdle({ ...IDLE, ...change }), expected));
