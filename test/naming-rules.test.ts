/** What is named and left out by rule: conflict copies, ignore rules; and how long to wait after a failure. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";

import * as fc from "fast-check";

import { isNormalised, utf8Bytes } from "../service/core/anki-names.ts";
import { backOffMs } from "../service/core/back-off.ts";
import { conflictName, type ConflictCopy } from "../service/core/conflict-names.ts";
import { BUILT_IN_RULES, ignoreRules } from "../service/core/ignore-rules.ts";
import { checkPath } from "../service/core/paths.ts";
import { toWire } from "../service/core/wire-names.ts";

const RUNS = 2000;
const SHA1 = "ab12".repeat(10);
const AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const nameFor = (path: string, change: Partial<ConflictCopy> = {}): string =>
  conflictName({ path, atMs: AT_MS, device: "my-mac", sha1: SHA1, taken: () => null, ...change });
const MARK = ".conflict-20260102T030405Z-my-mac-ab12";

suite("conflict-names", () => {
  const names: readonly (readonly [what: string, path: string, expected: string])[] = [
    ["extension last", "photo.png", `photo${MARK}.png`],
    ["in its folder", "a/b/photo.png", `a/b/photo${MARK}.png`],
    ["no extension", "README", `README${MARK}`],
    ["a dotfile has none", ".hidden", `.hidden${MARK}`],
    ["only the last extension", "a.tar.gz", `a.tar${MARK}.gz`],
    ["a long ending is no extension", "Dr. Whoever wrote this", `Dr. Whoever wrote this${MARK}`],
    ["a conflict on a copy takes the original's stem", "photo.conflict-20250101T000000Z-other-cd34.png", `photo${MARK}.png`],
    ["also on a numbered copy", "photo.conflict-20250101T000000Z-other-cd34-12.png", `photo${MARK}.png`],
    ["also without an extension", "README.conflict-20250101T000000Z-other-cd34", `README${MARK}`],
    ["what only looks like a copy is none", "photo.conflict-today.png", `photo.conflict-today${MARK}.png`],
    ["a mark without a stem is a stem", ".conflict-20250101T000000Z-other-cd34.png", `.conflict-20250101T000000Z-other-cd34${MARK}.png`],
    ["a dot at the end", "photo.", `photo${MARK}.`],
  ];
  for (const [what, path, expected] of names) test(`conflictName() §4 ${what}`, () => assert.equal(nameFor(path), expected));

  test("conflictName() S19 a name that other bytes have gets -2, -3; the same bytes keep it", () => {
    const there = new Map([
      [`photo${MARK}.png`, "cd34".repeat(10)],
      [`photo${MARK}-2.png`, "ef56".repeat(10)],
    ]);
    const taken = (path: string): string | null => there.get(path) ?? null;
    assert.equal(nameFor("photo.png", { taken }), `photo${MARK}-3.png`);
    there.set(`photo${MARK}-2.png`, SHA1);
    assert.equal(nameFor("photo.png", { taken }), `photo${MARK}-2.png`);
  });
  test("conflictName() CT19 fifty conflicts on one name all get their own", () => {
    const there = new Map<string, string>();
    for (let index = 0; index < 50; index++) {
      const sha1 = `ab12${String(index).padStart(36, "0")}`;
      const name = nameFor("photo.png", { sha1, taken: (path) => there.get(path) ?? null });
      assert.ok(!there.has(name));
      there.set(name, sha1);
    }
  });
  test("conflictName() §11 the stem is cut to whole characters so that the wire name fits", () => {
    const name = nameFor(`sub/${"ü".repeat(50)}.png`);
    assert.match(name, /^sub\/ü{35}\.conflict-/);
    const wire = toWire(name);
    assert.ok(wire.kind === "name" && utf8Bytes(wire.name) <= 120 && utf8Bytes(wire.name) > 118);
  });
  test("conflictName() §11 below folders that leave no room it stands further up", () => {
    const folder = `${"d".repeat(50)}/${"e".repeat(50)}/`;
    assert.equal(nameFor(`${folder}x.png`), `${"d".repeat(50)}/x${MARK}.png`);
    assert.equal(nameFor(`${"d".repeat(110)}/x.png`), `x${MARK}.png`);
  });
  test("conflictName() §11 the longest mark, extension and first character fit, whatever they grow to", () =>
    assert.equal(
      nameFor(`${"e".repeat(100)}/\u{10fff0}${"f".repeat(100)}.${"[".repeat(15)}`, { device: "d".repeat(16) }),
      `\u{10fff0}${"f".repeat(7)}${MARK.replace("my-mac", "d".repeat(16))}.${"[".repeat(15)}`,
    ));
  test("conflictName() S19 even a path that nothing can carry gets a name", () => {
    for (const path of ["\\", "\ud800", "a/\u0007"]) assert.equal(nameFor(path), `file${MARK}`);
  });
  test("conflictName() §11 brings a device name into its form", () => {
    assert.match(nameFor("a.png", { device: "Böses/Gerät mit langem Namen" }), /-b-ses-ger-t-mit--ab12\.png$/);
    assert.match(nameFor("a.png", { device: "" }), /Z-device-ab12\.png$/);
  });
  test("conflictName() TM02 the date is UTC, for every day of the calendar", () =>
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_000 }), (atMs) => {
        const expected = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
        assert.ok(nameFor("a", { atMs }).includes(`.conflict-${expected}-`), expected);
      }),
      { numRuns: RUNS },
    ));
  test("conflictName() §4 whatever the path: legal, on the wire, another name, and its own copy has the same stem", () => {
    const part = fc.oneof(
      fc.constantFrom("a", "ü", "[", ".", " ", "con", "~2f_", "\u{1f970}", "日本語", "x".repeat(30)),
      fc.string({ maxLength: 4 }),
    );
    const path = fc
      .array(fc.array(part, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 })
      .map((segments) =>
        segments
          .map((parts) => parts.join(""))
          .join("/")
          .toWellFormed()
          .normalize("NFC"),
      )
      .filter((text) => toWire(text).kind === "name");
    fc.assert(
      fc.property(path, (original) => {
        const name = nameFor(original);
        assert.notEqual(name, original);
        assert.deepEqual(checkPath(name), { kind: "ok" });
        const wire = toWire(name);
        assert.ok(wire.kind === "name" && isNormalised(wire.name));
        const again = nameFor(name, { sha1: "cd34".repeat(10) });
        assert.equal(again.replace(/-cd34(?=(\.[^.]*)?$)/s, "-ab12"), name);
      }),
      { numRuns: RUNS },
    );
  });
});

suite("ignore-rules", () => {
  const plain = ignoreRules(null);
  const ignored: readonly (readonly [id: string, path: string, directory: boolean, rule: string])[] = [
    ["FN25", ".DS_Store", false, "built-in rule .DS_Store"],
    ["FN25", "deep/down/thumbs.DB", false, "built-in rule Thumbs.db"],
    ["FN25", "desktop.ini", false, "built-in rule desktop.ini"],
    ["FN25", "Icon\r", false, String.raw`built-in rule Icon[\u{d}]`],
    ["FN25", "._photo.png", false, "built-in rule ._*"],
    ["FN25", "~$letter.docx", false, "built-in rule ~$*"],
    ["FN25", "#draft#", false, String.raw`built-in rule \#*#`],
    ["FN25", ".note.md.swp", false, "built-in rule .*.sw?"],
    ["FN25", "movie.mp4.crdownload", false, "built-in rule *.crdownload"],
    ["FN25", "a/.syncthing.x.tmp", false, "built-in rule .syncthing.*"],
    ["FN25", ".satchel", true, "Satchel's own files"],
    ["FN25", ".satchelignore", false, "Satchel's own files"],
    ["FN25", "a/.Satchel-77.tmp", false, "Satchel's own files"],
    ["FN27", ".git", true, "built-in rule .git"],
    ["FN27", ".git", false, "built-in rule .git"],
    ["FN27", ".git/hooks/pre-commit", false, "built-in rule .git"],
    ["FN27", "sub/.vscode/tasks.json", false, "built-in rule .vscode"],
    ["FN27", ".envrc", false, "built-in rule .envrc"],
    ["FN20", ".g\u200cit/hooks/x", false, "built-in rule .git (in disguise)"],
    ["FN20", "GIT~1/hooks/x", false, "built-in rule .git (in disguise)"],
    ["FN20", ".git./x", false, "built-in rule .git (in disguise)"],
    ["FN20", ".git::$INDEX_ALLOCATION/x", false, "built-in rule .git (in disguise)"],
    ["FN20", ".vſcode/tasks.json", false, "built-in rule .vscode (in disguise)"],
    ["FN20", ".satc\u00adhel/x", false, "Satchel's own files"],
  ];
  for (const [id, path, directory, rule] of ignored)
    test(`ignoredBy() ${id} ${JSON.stringify(path)}`, () => assert.equal(plain.ignoredBy(path, directory), rule));
  for (const path of [
    "photo.png",
    "a b/ü.jpg",
    "my.git/x",
    "icons",
    "Icon",
    "git",
    "x.png~1",
    "thumbs_db",
    ".hidden.png",
    "partial.png",
    "a:b.png",
    "é. /x",
    "\u{1f970}.png",
    "gitx~1",
  ])
    test(`ignoredBy() FN25 leaves ${path} in`, () => assert.equal(plain.ignoredBy(path, false), null));

  test("ignoredBy() FN25 every published rule works: the quick look misses none of them", () => {
    for (const rule of BUILT_IN_RULES) {
      const name = rule.replace(/^\\/, "").replace("[\r]", "\r").replaceAll("*", "some").replaceAll("?", "x");
      for (const path of [name, `sub/${name}`, `${name}/below.png`, name.toUpperCase()])
        assert.match(plain.ignoredBy(path, false) ?? "", /^built-in rule/, `${rule}: ${path}`);
    }
  });
  test("ignoredBy() §5 .satchelignore adds rules in gitignore syntax, and says which", () => {
    const rules = ignoreRules("\ufeff# mine\r\n*.psd\r\n/private/\r\n!keep.psd\r\n\r\n");
    assert.equal(rules.ignoredBy("a/b.psd", false), ".satchelignore *.psd");
    assert.equal(rules.ignoredBy("keep.psd", false), null);
    assert.equal(rules.ignoredBy("private/x.png", false), ".satchelignore /private/");
    assert.equal(rules.ignoredBy("private", true), ".satchelignore /private/");
    assert.equal(rules.ignoredBy("private", false), null, "the rule is for a folder");
    assert.equal(rules.ignoredBy("sub/private/x.png", false), null, "the rule is for the root");
    assert.equal(rules.ignoredBy(".DS_Store", false), "built-in rule .DS_Store");
  });
  test("ignoredBy() FN27 only the user's own rule takes a built-in one back, and never in disguise, and never Satchel's own", () => {
    const rules = ignoreRules("!.vscode\n!.git\n!.satchel");
    assert.equal(rules.ignoredBy(".vscode/tasks.json", false), null);
    assert.equal(rules.ignoredBy(".g\u200cit/x", false), "built-in rule .git (in disguise)");
    assert.equal(rules.ignoredBy(".satchel/x", false), "Satchel's own files");
  });
  test("ignoredBy() only comments are no rules", () => assert.equal(ignoreRules("# nothing\n\n").ignoredBy("a.psd", false), null));
  test("ignoredBy() S17 answers stay right beyond what is remembered", () => {
    const rules = ignoreRules("*.psd");
    for (let index = 0; index < 10_050; index++) assert.equal(rules.ignoredBy(`${String(index)}.png`, false), null);
    assert.equal(rules.ignoredBy("x.psd", false), ".satchelignore *.psd");
    assert.equal(rules.ignoredBy("x~", false), "built-in rule *~");
  });
  test("ignoredBy() N11 what leads outside throws", () => {
    assert.throws(() => ignoreRules("x").ignoredBy("../x", false), RangeError);
  });
});

suite("back-off", () => {
  const most = { u32: () => 0xff_ff_ff_ff };
  const least = { u32: () => 0 };
  test("backOffMs() L5 the ceiling doubles from 1 s to 5 min and stays", () => {
    assert.deepEqual(
      [1, 2, 3, 9, 10, 60, 5000].map((failures) => backOffMs(failures, most)),
      [999, 1999, 3999, 255_999, 299_999, 299_999, 299_999],
    );
    assert.equal(backOffMs(0, most), 999);
  });
  test("backOffMs() L5 full jitter: anything below the ceiling", () => {
    assert.equal(backOffMs(5, least), 0);
    assert.equal(backOffMs(5, { u32: () => 0x80_00_00_00 }), 8000);
  });
  test("backOffMs() L5 what the server asked for is honoured, plus jitter, up to an hour", () => {
    assert.equal(backOffMs(1, least, 30_000), 30_000);
    assert.equal(backOffMs(1, most, 30_000), 30_999);
    assert.equal(backOffMs(1, least, 86_400_000), 3_600_000);
    assert.equal(backOffMs(1, least, -5), 0);
  });
});
