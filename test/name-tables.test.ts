/** The tables of Unicode 10.0 and how names are shown. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";

import * as fc from "fast-check";

import { foldKey } from "../service/core/case-folding.ts";
import { displayName } from "../service/core/paths.ts";
import { isUnassigned10 } from "../service/core/unicode10.ts";
import { anyText, check } from "./support/awkward-text.ts";

suite("unicode10", () => {
  test("isUnassigned10() §10 knows as many code points as Unicode 10.0 leaves, and every one that Node's newer tables leave", () => {
    let count = 0;
    for (let codePoint = 0; codePoint <= 0x10_ff_ff; codePoint++) {
      const unassigned = isUnassigned10(codePoint);
      if (unassigned) count += 1;
      else if (codePoint < 0xd800 || codePoint > 0xdfff)
        assert.doesNotMatch(String.fromCodePoint(codePoint), /\p{Cn}/u, codePoint.toString(16));
    }
    // The Unicode Consortium's own count for version 10.0: 837 775 reserved code points and 66 noncharacters.
    assert.equal(count, 837_775 + 66);
  });
  for (const [codePoint, expected] of [
    [0x1f970, true],
    [0x1f600, false],
    [0x20bf, false],
    [0x9fea, false],
    [0x9feb, true],
    [0xfdd0, true],
    [0xe000, false],
    [0x80, false],
    [0xad, false],
    [0x10ffff, true],
    [0x10fffd, false],
    [0x377, false],
    [0x378, true],
    [0, false],
  ] as const)
    test(`isUnassigned10() §10 U+${codePoint.toString(16)} ${expected ? "was" : "was not"} free in 2017`, () =>
      assert.equal(isUnassigned10(codePoint), expected));
});

suite("display", () => {
  const shown: readonly (readonly [id: string, name: string, expected: string])[] = [
    ["FN21", "a\u202egpj.exe", String.raw`a\u{202e}gpj.exe`],
    ["FN22", "\u001b[2J\u0007\u009b\r\n", String.raw`\u{1b}[2J\u{7}\u{9b}\u{d}\u{a}`],
    ["FN19", "a\ud800b", String.raw`a\u{d800}b`],
    ["FN21", "\u2028\ufeff\u00ad\u{e0041}", String.raw`\u{2028}\u{feff}\u{ad}\u{e0041}`],
    ["FN21", `z${"\u0301".repeat(6)}`, `z${"\u0301".repeat(4)}\\u{301}\\u{301}`],
    ["FN21", "👩‍👩‍👧 é 日本 \u200c", "👩‍👩‍👧 é 日本 \u200c"],
    ["FN23", "<b>{{x}}", "<b>{{x}}"],
  ];
  for (const [id, name, expected] of shown) test(`displayName() ${id} ${expected}`, () => assert.equal(displayName(name), expected));
  test("displayName() FN22 nothing that steers a terminal gets through", () =>
    check(fc.property(anyText, (text) => assert.doesNotMatch(displayName(text), /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u))));
});

suite("folding", () => {
  const twins: readonly (readonly [one: string, other: string, same: boolean])[] = [
    ["A.jpg", "a.jpg", true],
    ["ﬁ", "FI", true],
    ["ß", "SS", true],
    ["ẞ", "ss", true],
    ["\u212a", "k", true],
    ["ΣΑΣ", "σας", true],
    ["é", "E\u0301", true],
    ["ǅ", "ǆ", true],
    ["Ⴀ", "ⴀ", true],
    ["Ꭰ", "ꭰ", true],
    ["\u{10400}", "\u{10428}", true],
    ["İ", "i", false],
    ["ı", "i", false],
    ["a", "b", false],
    ["a\u200d", "a", false],
  ];
  for (const [one, other, same] of twins)
    test(`foldKey() FN12 ${one} and ${other} ${same ? "are" : "are not"} twins`, () => assert.equal(foldKey(one) === foldKey(other), same));
  test("foldKey() FN12 meets the upper and the lower case of every character that Unicode 10.0 knows", () => {
    const known = (text: string): boolean => Array.from(text).every((character) => !isUnassigned10(character.codePointAt(0) ?? 0));
    const apart: string[] = [];
    for (let codePoint = 0; codePoint <= 0x10_ff_ff; codePoint++) {
      const character = String.fromCodePoint(codePoint);
      for (const other of [character.toLowerCase(), character.toUpperCase()])
        if (other !== character && known(character + other) && foldKey(character) !== foldKey(other)) apart.push(character);
    }
    // The dotless i is a letter of its own everywhere but in its capital.
    assert.deepEqual(apart, ["ı"]);
  });
  test("foldKey() FN12 is stable, and blind to normalisation", () =>
    check(
      fc.property(
        anyText.map((text) => text.toWellFormed()),
        (text) => {
          const key = foldKey(text);
          assert.equal(foldKey(text.normalize("NFD")), foldKey(text.normalize("NFC")));
          assert.equal(foldKey(key), key);
        },
      ),
    ));
});
