import assert from "node:assert/strict";
import test from "node:test";

import { isCold } from "../service/files/disk-crew.ts";

const FILES = 256;
const chunk = { sha1s: "0".repeat(FILES * 40), bytes: FILES * 20_480 };
/** Ten times what warm data takes. */
const SLOW_MS = 200;

for (const [what, elapsedMs, waits, expected] of [
  ["fast", 8, 0, false],
  ["fast, though something was waited for meanwhile", 8, FILES, false],
  ["slow, and each file was waited for", SLOW_MS, FILES, true],
  ["slow, and nothing was waited for: other programs had the processor", SLOW_MS, 20, false],
  ["slow, where the system counts no waits", SLOW_MS, NaN, true],
] as const)
  test(`isCold() a chunk that was ${what}: ${String(expected)}`, () => {
    assert.equal(isCold({ ...chunk, elapsedMs, waits }), expected);
  });
