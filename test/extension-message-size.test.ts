import assert from "node:assert/strict";
import { test } from "node:test";

import { fitsMessage } from "../extension/message-size.ts";

/** What the service takes in one message. */
const MESSAGE_MAX = 1024 * 1024;

const rows: readonly (readonly [what: string, unit: string, units: number, fits: boolean])[] = [
  ["a long note in plain letters", "word ", 200_000, true],
  ["one in plain letters that is too long", "word ", 220_000, false],
  ["Japanese takes three bytes a character", "\u65E5", 300_000, true],
  ["Japanese that is too long", "\u65E5", 360_000, false],
  ["control characters take six", "\u0001", 170_000, true],
  ["control characters that are too many", "\u0001", 180_000, false],
  ["line ends take two", "\n", 510_000, true],
  ["line ends that are too many", "\n", 530_000, false],
];
for (const [what, unit, units, fits] of rows)
  test(`fitsMessage() ${what}`, () => {
    const text = unit.repeat(units);
    assert.equal(fitsMessage(text), fits);
    const message = { jsonrpc: "2.0", method: "textDocument/didOpen", params: { textDocument: { uri: "u".repeat(8000), text } } };
    if (fits) assert.ok(Buffer.byteLength(JSON.stringify(message)) <= MESSAGE_MAX);
  });
