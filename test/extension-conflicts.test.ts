import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { readBytes } from "../extension/compare/bytes.ts";
import { conflictIdOf, nameTrouble, suggestedName } from "../extension/conflict-names.ts";
import type { Session } from "../extension/session.ts";
import { checkPath } from "../service/core/paths.ts";

const suggestions: readonly (readonly [name: string, device: string | null, expected: string])[] = [
  ["photo.png", "laptop", "photo (laptop).png"],
  ["trips/rome/photo.tar.gz", "laptop", "trips/rome/photo.tar (laptop).gz"],
  ["notes", "laptop", "notes (laptop)"],
  ["a.b/notes", null, "a.b/notes (2)"],
];
for (const [name, device, expected] of suggestions)
  test(`suggestedName() ${name}`, () => {
    assert.equal(suggestedName(name, device), expected);
    assert.equal(nameTrouble(expected), null);
  });

const names: readonly (readonly [name: string, trouble: string | null])[] = [
  ["photo (laptop).png", null],
  ["ordner/über.png", null],
  ["a?.png", "?"],
  ["a\u0007.png", "\u0007"],
  ["[a].png", "["],
  ["../a.png", ".."],
  ["/a.png", ""],
  ["a//b.png", ""],
  ["", ""],
  ["a. ", "a. "],
  [".satchel/x", ".satchel"],
];
for (const [name, trouble] of names)
  test(`nameTrouble() ${JSON.stringify(name)}`, () => {
    assert.equal(nameTrouble(name), trouble);
    if (trouble === null) assert.deepEqual(checkPath(name, "windows"), { kind: "ok" });
  });

const items: readonly (readonly [what: string, item: unknown, id: number | null])[] = [
  ["an item of the view", { kind: "conflict", conflict: { id: 3, path: "p.png" } }, 3],
  ["a conflict", { id: 4 }, 4],
  ["an event's data", { id: 5, path: "p.png", keep: "mine" }, 5],
  ["a document's subject", "conflict:6", 6],
  ["a number", 7, 7],
  ["a version's subject", "version:f:p.png", null],
  ["a forged subject", "conflict:6;rm", null],
  ["half a number", 1.5, null],
  ["nothing", undefined, null],
  ["another item", { kind: "folder", folder: {} }, null],
];
for (const [what, item, id] of items) test(`conflictIdOf() ${what}`, () => assert.equal(conflictIdOf(item), id));

/** A session that knows one method. */
function sessionOf(whole: Buffer, asked: (offset: number) => void): Session {
  const call = async (_method: string, params: { readonly offsetBytes: number; readonly lengthBytes: number }) => {
    asked(params.offsetBytes);
    const slice = whole.subarray(params.offsetBytes, params.offsetBytes + params.lengthBytes);
    return await Promise.resolve({ base64: slice.toString("base64"), lengthBytes: slice.length });
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one method that is asked
  return { call } as unknown as Session;
}

for (const sizeBytes of [0, 1, 512 * 1024, 512 * 1024 + 1, 5 * 512 * 1024 - 7])
  test(`readBytes() puts ${String(sizeBytes)} bytes together from slices, each asked for once`, async () => {
    const whole = randomBytes(sizeBytes);
    const offsets: number[] = [];
    const session = sessionOf(whole, (offset) => offsets.push(offset));
    const sha1 = createHash("sha1").update(whole).digest("hex");
    const got = await readBytes(session, { folder: "f", path: "p", sha1, sizeBytes });
    assert.ok(whole.equals(got));
    assert.deepEqual(
      offsets.toSorted((a, b) => a - b),
      Array.from({ length: Math.ceil(sizeBytes / (512 * 1024)) }, (_, at) => at * 512 * 1024),
    );
  });

test("readBytes() one slice that can't be read fails the whole: no half picture is shown", async () => {
  const session = sessionOf(randomBytes(2 * 1024 * 1024), (offset) => {
    if (offset > 0) throw new Error("gone");
  });
  await assert.rejects(readBytes(session, { folder: "f", path: "p", sha1: "0".repeat(40), sizeBytes: 2 * 1024 * 1024 }), /gone/);
});

test("readBytes() N8 bytes that are not the ones asked for are not handed on", async () => {
  const session = sessionOf(Buffer.from("other bytes"), () => undefined);
  const sha1 = createHash("sha1").update("these bytes").digest("hex");
  await assert.rejects(readBytes(session, { folder: "f", path: "p.png", sha1, sizeBytes: 11 }), /p\.png was changed while/);
});
