/** `core/line-batches.ts`: how large the requests of a transfer are. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { partBytes } from "../service/core/line-batches.ts";

const MIB = 1024 * 1024;

for (const [what, total, expected] of [
  ["nothing", 0, MIB],
  ["less than the least for each", 5 * MIB, MIB],
  ["sixteen parts between the bounds", 40 * MIB, 2.5 * MIB],
  ["a part of a byte more is a whole byte", 40 * MIB + 1, 2.5 * MIB + 1],
  ["more than the most for each", 1000 * MIB, 8 * MIB],
] as const)
  test(`partBytes() ${what}`, () => assert.equal(partBytes(total, MIB, 8 * MIB), expected));
