/** Names: Anki's rules, legal paths, wire names both ways, folding, display. Hazards FN.. of RELIABILITY §4 by id. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";

import * as fc from "fast-check";

import { cutToBytes, isNormalised, normaliseForAnki, utf8Bytes } from "../service/core/anki-names.ts";
import { checkPath, displayName, isOwnName, wireNameProblem, type Naming } from "../service/core/paths.ts";
import { fromWire, toWire } from "../service/core/wire-names.ts";
import { anyText, check, piece } from "./support/awkward-text.ts";

/** What a scan may find: legal paths in NFC. */
const legalPath = anyText.map((text) => text.normalize("NFC")).filter((text) => checkPath(text).kind === "ok");

const wireOf = (path: string): string => {
  const wire = toWire(path);
  assert.equal(wire.kind, "name", `${path}: ${wire.kind === "problem" ? wire.detail : ""}`);
  return wire.kind === "name" ? wire.name : "";
};
const pathOf = (name: string): string | null => {
  const decoded = fromWire(name);
  return decoded.kind === "path" ? decoded.path : null;
};

// ---------------------------------------------------------------------------------------------------------------------------------------

suite("anki-names", () => {
  const vectors: readonly (readonly [name: string, expected: string])[] = [
    ["foo.jpg", "foo.jpg"],
    ["con.jpg", "con_.jpg"],
    ["aux.tar.gz", "aux_.tar.gz"],
    ["nul", "nul_"],
    ["CON", "CON_"],
    ["Lpt1.x", "Lpt1_.x"],
    ["com0.jpg", "com0.jpg"],
    ["conx.jpg", "conx.jpg"],
    ["test.", "test._"],
    ["test ", "test _"],
    ["..", ".._"],
    [".", "._"],
    ["???", ""],
    ['[a]<b>:"c"/d?e*f^g\\h|i\u0000\u001f\u007f', "abcdefghi"],
    ["a\u00a0b", "a b"],
    ["a\u00a0", "a _"],
    ["e\u0301.png", "é.png"],
    ["\u{1f970}.png", ".png"],
    ["\u{1f600}\u20bf\u9fea\u0085\u00ad\ue000.png", "\u{1f600}\u20bf\u9fea\u0085\u00ad\ue000.png"],
    [`${"x".repeat(240)}.jpg`, `${"x".repeat(115)}.jpg`],
    ["x".repeat(121), "x".repeat(118)],
    ["x".repeat(120), "x".repeat(120)],
    [`${"q".repeat(115)}.tar.gz`, `${"q".repeat(115)}..gz`],
    [`.${"n".repeat(130)}`, `.${"n".repeat(10)}`],
    [`${"y".repeat(130)}.abcdefghi jkl`, `${"y".repeat(108)}.abcdefghi _`],
    [`${"ü".repeat(70)}.jpg`, `${"ü".repeat(57)}.jpg`],
    ["co:n.png", "con_.png"],
    ["_meta", "_meta"],
    ["0", "0"],
    ["", ""],
  ];
  for (const [name, expected] of vectors)
    test(`normaliseForAnki() §10 ${JSON.stringify(name).slice(0, 60)}`, () => {
      assert.equal(normaliseForAnki(name), expected);
      assert.equal(isNormalised(name), name === expected);
    });
  test("normaliseForAnki() §10 the quick way for plain names gives what the rules give", () =>
    check(
      fc.property(fc.array(fc.constantFrom(...Array.from("aZ9_- .,()~+=@"), "con", "nul", "."), { maxLength: 140 }), (characters) => {
        const name = characters.join("");
        // A letter that Anki deletes takes the name off the quick way and must change nothing else.
        const slow = normaliseForAnki(`${name}?`);
        assert.equal(normaliseForAnki(name), slow);
      }),
    ));
  test("normaliseForAnki() FN18 never leaves half a character or more than 120 bytes", () =>
    check(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const name = normaliseForAnki(pieces.join("").toWellFormed());
        assert.ok(name.isWellFormed());
        assert.ok(Buffer.byteLength(name) <= 120);
      }),
    ));
  test("utf8Bytes() counts as UTF-8 does", () =>
    check(fc.property(anyText, (text) => assert.equal(utf8Bytes(text.toWellFormed()), Buffer.byteLength(text.toWellFormed())))));
  test("cutToBytes() FN18 gives the longest start that fits, in whole characters", () =>
    check(
      fc.property(
        anyText.map((text) => text.toWellFormed()),
        fc.nat({ max: 60 }),
        (text, maxBytes) => {
          const cut = cutToBytes(text, maxBytes);
          assert.ok(text.startsWith(cut) && cut.isWellFormed() && Buffer.byteLength(cut) <= maxBytes);
          const next = Array.from(text.slice(cut.length))[0];
          if (next !== undefined) assert.ok(Buffer.byteLength(cut + next) > maxBytes);
        },
      ),
    ));
});

// ---------------------------------------------------------------------------------------------------------------------------------------

suite("paths", () => {
  const paths: readonly (readonly [id: string, path: string, posix: string, windows: string])[] = [
    ["FN01", "../x", "badName", "badName"],
    ["FN01", "..\\x", "badName", "badName"],
    ["FN01", "a/../../x", "badName", "badName"],
    ["FN02", "/etc/x", "badName", "badName"],
    ["FN02", "C:\\x", "badName", "badName"],
    ["FN02", "\\\\srv\\s\\x", "badName", "badName"],
    ["FN02", "C:x", "ok", "badName"],
    ["FN03", "", "badName", "badName"],
    ["FN03", ".", "badName", "badName"],
    ["FN03", "..", "badName", "badName"],
    ["FN03", "...", "badName", "badName"],
    ["FN03", " . ", "badName", "badName"],
    ["FN03", "a//b", "badName", "badName"],
    ["FN03", "a/", "badName", "badName"],
    ["FN04", "a\0.jpg", "badName", "badName"],
    ["FN05", "a\\b.jpg", "badName", "badName"],
    ["FN06", "a／b", "ok", "ok"],
    ["FN06", "．．", "ok", "ok"],
    ["FN06", "a\u2215b\u2044c", "ok", "ok"],
    ["FN07", "%2e%2e%2fx", "ok", "ok"],
    ["FN13", "con.jpg", "ok", "reserved"],
    ["FN13", "sub/NUL", "ok", "reserved"],
    ["FN13", "aux.tar.gz", "ok", "reserved"],
    ["FN13", "COM¹", "ok", "reserved"],
    ["FN13", "LPT1 .txt", "ok", "reserved"],
    ["FN13", "CONIN$", "ok", "reserved"],
    ["FN13", "console.txt", "ok", "ok"],
    ["FN14", "a.", "ok", "badName"],
    ["FN14", "a ", "ok", "badName"],
    ["FN14", "dir./x", "ok", "badName"],
    ["FN15", "a.jpg:stream", "ok", "badName"],
    ["FN15", "a.jpg::$DATA", "ok", "badName"],
    ["FN17", "x".repeat(255), "ok", "ok"],
    ["FN17", "x".repeat(256), "nameTooLong", "nameTooLong"],
    ["FN17", "ü".repeat(128), "nameTooLong", "nameTooLong"],
    ["FN17", `${"x/".repeat(512)}y`, "nameTooLong", "nameTooLong"],
    ["FN19", "a\ud800.jpg", "badName", "badName"],
    ["FN09", "e\u0301.png", "badName", "badName"],
    ["FN22", "a\nb", "badName", "badName"],
    ["FN22", "\u001b[2J", "badName", "badName"],
    ["FN22", "a\u009b2J", "badName", "badName"],
    ["FN23", "${process.env} {{7+7}} '; DROP TABLE %s%n", "ok", "ok"],
    ["FN23", "<img src=x onerror=1>", "ok", "badName"],
    ["FN24", "__proto__", "ok", "ok"],
    ["FN25", ".satchel/x", "reserved", "reserved"],
    ["FN25", "sub/.satchel-1.tmp", "reserved", "reserved"],
    ["FN20", ".s\u200catchel/x", "reserved", "reserved"],
    ["FN20", ".ſatchel", "reserved", "reserved"],
    ["FN20", "SATCHE~1", "reserved", "reserved"],
    ["FN21", "a\u202egpj.exe", "ok", "ok"],
    ["FN28", "\u{1f970}.png", "ok", "ok"],
  ];
  for (const [id, path, posix, windows] of paths)
    for (const [naming, expected] of [
      ["posix", posix],
      ["windows", windows],
    ] satisfies [Naming, string][])
      test(`checkPath() ${id} ${displayName(JSON.stringify(path)).slice(0, 50)} on ${naming}: ${expected}`, () => {
        const checked = checkPath(path, naming);
        assert.equal(checked.kind === "ok" ? "ok" : checked.reason, expected);
        if (checked.kind === "problem") {
          assert.doesNotMatch(checked.detail, /[\p{Cc}\p{Cs}\u202e]/u, "FN22: shown escaped");
          assert.match(checked.detail, /(Rename it|shorter name)/);
        }
      });
  test("checkPath() suggests a name that is legal", () => {
    for (const path of ["a\\b.png", "a\u0007.png", "what?.png", "a. "]) {
      const checked = checkPath(path, "windows");
      const better = checked.kind === "problem" ? /to "([^"]+)"/.exec(checked.detail)?.[1] : undefined;
      assert.deepEqual(checkPath(better ?? "", "windows"), { kind: "ok" }, path);
    }
    const device = checkPath("aux.png", "windows");
    assert.match(device.kind === "problem" ? device.detail : "", /"aux_\.png"/);
  });
  test("checkPath() a very long name is shown cut", () => {
    const checked = checkPath("y".repeat(2000));
    assert.ok(checked.kind === "problem" && checked.detail.length < 400 && checked.detail.includes("…"));
  });
  test("isOwnName() FN25 knows its own names and leaves others alone", () => {
    for (const own of [".satchel", ".satchelignore", "a/.SATCHEL-x.tmp/b", ".satchel.", ".satchel::$INDEX_ALLOCATION"])
      assert.ok(isOwnName(own), own);
    for (const other of ["satchel.png", "a.satchel", "x/satchel~", "a"]) assert.ok(!isOwnName(other), other);
  });

  const wireNames: readonly (readonly [id: string, name: string, satchel: boolean, anki: boolean])[] = [
    ["FN01", "../x", false, false],
    ["FN02", "C:x", false, false],
    ["FN03", "..", false, false],
    ["FN03", " ", false, false],
    ["FN03", "", false, false],
    ["FN04", "a\0.jpg", false, false],
    ["FN05", "a\\b.jpg", false, false],
    ["FN15", "a.jpg:stream", false, false],
    ["FN17", "x".repeat(255), true, true],
    ["FN17", "x".repeat(256), false, false],
    ["FN17", "ü".repeat(128), false, false],
    ["FN19", "\ud800", false, false],
    ["FN22", "a\nb", false, false],
    ["FN22", "a\u009b2J", false, true],
    ["5.5", "e\u0301.jpg", false, false],
    ["FN06", "／．．", true, true],
    ["FN28", "\u{1f970}.png", true, true],
    ["FN29", "_meta", true, true],
  ];
  for (const [id, name, satchel, anki] of wireNames)
    test(`wireNameProblem() ${id} ${displayName(JSON.stringify(name)).slice(0, 40)}`, () => {
      assert.equal(wireNameProblem(name) === null, satchel);
      assert.equal(wireNameProblem(name, "anki") === null, anki);
    });
  test("wireNameProblem() W11 takes every name that a stock client can make", () =>
    check(
      fc.property(anyText, (text) => {
        const name = normaliseForAnki(text.toWellFormed());
        if (name !== "" && isNormalised(name) && !/^[ .]+$/.test(name)) assert.equal(wireNameProblem(name, "anki"), null, name);
      }),
    ));
});

// ---------------------------------------------------------------------------------------------------------------------------------------

suite("wire-names", () => {
  const pairs: readonly (readonly [path: string, name: string])[] = [
    ["a.png", "a.png"],
    ["sub/a[1].png", "sub~2f_a~5b_1~5d_.png"],
    ["con.png", "co~6e_.png"],
    ["CON", "CO~4e_"],
    ["con.d/x", "co~6e_.d~2f_x"],
    ["con/x", "con~2f_x"],
    ["a.", "a~2e_"],
    ["a. ", "a.~20_"],
    ["a/b ", "a~2f_b~20_"],
    ["a~2f_b", "a~7e_2f_b"],
    ["~7e_2f_", "~7e_7e_2f_"],
    ["a~b", "a~b"],
    ["~2F_", "~2F_"],
    ["~2_", "~2_"],
    ["\u{1f970}.png", "~1f970_.png"],
    ["a\u00a0b", "a~a0_b"],
    ["x:y", "x~3a_y"],
    [".hidden/_x", ".hidden~2f__x"],
    ["日本/é.png", "日本~2f_é.png"],
    ["x".repeat(120), "x".repeat(120)],
  ];
  for (const [path, name] of pairs)
    test(`toWire() §11 ${JSON.stringify(path).slice(0, 50)}`, () => {
      assert.equal(wireOf(path), name);
      assert.equal(pathOf(name), path);
      assert.ok(isNormalised(name));
    });
  test("toWire() §11 round trip: every legal path with a wire name comes back as it was", () =>
    check(
      fc.property(legalPath, (path) => {
        const wire = toWire(path);
        if (wire.kind === "name") assert.deepEqual(fromWire(wire.name), { kind: "path", path });
        else assert.equal(wire.reason, "nameTooLong");
      }),
    ));
  test("toWire() §11 legality: Anki leaves every wire name unchanged, and a server takes it", () =>
    check(
      fc.property(legalPath, (path) => {
        const wire = toWire(path);
        if (wire.kind === "problem") return;
        assert.equal(normaliseForAnki(wire.name), wire.name);
        assert.equal(wireNameProblem(wire.name), null);
      }),
    ));
  test("toWire() §11 identity: a flat name that Anki leaves unchanged is its own wire name", () =>
    check(
      fc.property(legalPath, (path) => {
        if (path.includes("/") || !isNormalised(path) || /~[0-9a-f]{2,6}_/.test(path)) return;
        assert.equal(wireOf(path), path);
      }),
    ));
  test("toWire() §11 the quick way for plain paths gives what the rules give", () =>
    check(
      fc.property(fc.array(fc.constantFrom(...Array.from("aZ9_- .,()+=@/"), "con", "nul", ".png"), { maxLength: 30 }), (characters) => {
        const path = characters.join("");
        const quick = toWire(path);
        // A character with an escape takes the path off the quick way; the rest of the answer must be the same.
        const slow = toWire(`${path}[z`);
        if (
          checkPath(path).kind === "ok" &&
          !/[ .]$/.test(path) &&
          slow.kind === "name" &&
          !/^(con|nul)(\.|$)/i.test(path) &&
          quick.kind === "name"
        )
          assert.equal(`${quick.name}~5b_z`, slow.name);
        assert.equal(quick.kind === "problem" && quick.reason !== "nameTooLong", checkPath(path).kind === "problem");
      }),
    ));
  test("fromWire() N11 whatever arrives is a legal path that stays inside, or unsafe", () =>
    check(
      fc.property(anyText, (name) => {
        const decoded = fromWire(name);
        if (decoded.kind === "unsafe") {
          assert.doesNotMatch(decoded.detail, /[\p{Cc}\p{Cs}]/u);
          return;
        }
        assert.deepEqual(checkPath(decoded.path), { kind: "ok" });
        assert.ok(!isOwnName(decoded.path));
        // Decoded only what encodes back to itself; all else is literal.
        assert.ok(decoded.path === name.normalize("NFC") || wireOf(decoded.path) === name);
      }),
    ));
  const literal: readonly (readonly [id: string, name: string, path: string | null])[] = [
    ["§11", "a[1].png", "a[1].png"],
    ["§11", "~5B_.png", "~5B_.png"],
    ["§11", "a~05b_.png", "a~05b_.png"],
    ["§11", "~61_.png", "~61_.png"],
    ["FN01", "~2e_~2e_~2f_x", "~2e_~2e_~2f_x"],
    ["FN01", "../x", null],
    ["FN02", "~2f_etc~2f_x", "~2f_etc~2f_x"],
    ["FN04", "a~00_.jpg", "a~00_.jpg"],
    ["FN05", "a~5c_b", "a~5c_b"],
    ["FN07", "%2e%2e%2fx", "%2e%2e%2fx"],
    ["FN07", "~7e_2f_x", "~2f_x"],
    ["FN15", "a.jpg:stream", null],
    ["FN19", "a\ud800.jpg", null],
    ["FN19", "a~d800_.jpg", "a~d800_.jpg"],
    ["FN19", "a~110000_.jpg", "a~110000_.jpg"],
    ["FN22", "a\u009b2J", null],
    ["FN25", ".satchel", null],
    ["FN25", ".satchel~2f_x", null],
    ["FN25", "sub~2f_.satchel-1.tmp", "sub~2f_.satchel-1.tmp"],
    ["FN30", "e\u0301.png", "é.png"],
    ["FN28", "\u{1f970}.png", "\u{1f970}.png"],
    ["W8", ":usn", null],
    ["FN17", "x".repeat(255), "x".repeat(255)],
    ["FN17", "x".repeat(256), null],
  ];
  for (const [id, name, path] of literal)
    test(`fromWire() ${id} ${displayName(JSON.stringify(name)).slice(0, 40)}`, () => assert.equal(pathOf(name), path));
  test("toWire() §11 what does not fit says by how much, and how Anki would spell it", () => {
    const wire = toWire(`sub/${"x".repeat(118)}`);
    assert.ok(wire.kind === "problem" && wire.reason === "nameTooLong");
    assert.match(wire.detail, /5 bytes longer than the 120/);
    assert.match(wire.detail, /sub~2f_/);
    assert.equal(toWire(`a/${"x".repeat(115)}`).kind, "name");
    assert.equal(toWire(`a/${"x".repeat(117)}`).kind, "problem");
    const flat = toWire("x".repeat(121));
    assert.match(flat.kind === "problem" ? flat.detail : "", /^"x+" is 1 byte longer/);
  });
  test("toWire() FN05 an illegal path keeps its own reason", () => {
    const wire = toWire("a\\b");
    assert.equal(wire.kind === "problem" ? wire.reason : "", "badName");
  });
});
