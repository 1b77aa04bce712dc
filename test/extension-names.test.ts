import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import {
  isInFence,
  isInside,
  linkSnippet,
  linkTarget,
  mediaName,
  mediaRootFor,
  numberedName,
  settingDestination,
  type Incoming,
  type Note,
} from "../extension/names.ts";
import { checkPath } from "../service/core/paths.ts";
import { toWire } from "../service/core/wire-names.ts";

const NOTE: Note = { path: "/home/ada/notes/trips/My Trip.md", workspace: "/home/ada/notes" };
const NOW = new Date(2026, 0, 2, 3, 4, 5);
const SHA1 = "0123456789abcdef0123456789abcdef01234567";
const shot: Incoming = { name: null, mime: "image/png", sha1: SHA1 };
const USUAL = "${documentBaseName}-${date}-${time}";

const names: readonly (readonly [what: string, template: string, incoming: Partial<Incoming>, expected: string])[] = [
  ["a picture without a name gets the template's", USUAL, {}, "My-Trip-2026-01-02-030405.png"],
  ["what the clipboard calls image is no name", USUAL, { name: "image.png" }, "My-Trip-2026-01-02-030405.png"],
  ["a file with a name keeps it", USUAL, { name: "Rome (1).JPG", mime: "image/jpeg" }, "Rome (1).jpg"],
  ["a path is not a name", USUAL, { name: "C:\\pics\\Rome.jpeg", mime: "image/jpeg" }, "Rome.jpeg"],
  ["sub-folders", "trips/${documentBaseName}/${hash8}", {}, "trips/My-Trip/01234567.png"],
  ["no way out of the folder", "../../${fileName}", {}, "image.png.png"],
  ["a transform", "${documentBaseName/^My //}-${hash8}", {}, "Trip-01234567.png"],
  ["a transform that is none changes nothing", "${documentBaseName/(/x/}", {}, "My-Trip.png"],
  ["an unknown variable is seen", "${nope}-x", {}, "${nope}-x.png"],
  ["an escaped dollar", "\\${date}", {}, "${date}.png"],
  ["nothing left", "../..", {}, "media-01234567.png"],
  ["forbidden signs", "a[b]c:d|e", {}, "a-b-c-d-e.png"],
  ["a device of Windows", USUAL, { name: "con.png" }, "con-.png"],
  ["Anki's NFC", USUAL, { name: "u\u0308ber.png" }, "\u00fcber.png"],
  ["own names of Satchel's", ".satchel", {}, "satchel.png"],
  ["kind without a name's ending", USUAL, { mime: "image/svg+xml" }, "My-Trip-2026-01-02-030405.svg"],
  ["kind nobody knows", USUAL, { mime: "application/octet-stream", name: "data" }, "data"],
  ["a long name is cut, whole characters only", USUAL, { name: `${"ä".repeat(200)}.png` }, `${"ä".repeat(36)}.png`],
];
for (const [what, template, incoming, expected] of names)
  test(`mediaName() ${what}`, () => assert.equal(mediaName(template, NOTE, { ...shot, ...incoming }, NOW), expected));

test("mediaName() whatever comes in: a path that may stand in a media folder and can travel", () => {
  const text = fc.string({ unit: "binary", maxLength: 60 });
  fc.assert(
    fc.property(text, text, fc.constantFrom("image/png", "audio/mpeg", "x/y", ""), (template, name, mime) => {
      const made = mediaName(template, NOTE, { name, mime, sha1: SHA1 }, NOW);
      assert.deepEqual(checkPath(made, "windows"), { kind: "ok" }, made);
      assert.equal(made.startsWith(".satchel"), false);
      // Without sub-folders: how deep they nest is the template's writer's choice.
      if (!made.includes("/")) assert.equal(toWire(made).kind, "name", made);
    }),
    { numRuns: 2000 },
  );
});

const destinations: readonly (readonly [setting: string, expected: string])[] = [
  ["", "/home/ada/notes/trips/image.png"],
  ["media/", "/home/ada/notes/trips/media/image.png"],
  ["/media/", "/home/ada/notes/media/image.png"],
  ["/media/${documentBaseName}/${fileName}", "/home/ada/notes/media/My Trip/image.png"],
  [
    "${documentWorkspaceFolder}/assets/${isoTime/[^0-9]//}.${fileExtName}",
    `/home/ada/notes/assets/${NOW.toISOString().replace("-", "")}.png`,
  ],
  ["../shared/${documentRelativeDirName}-${fileName}", "/home/ada/notes/shared/trips-image.png"],
];
for (const [setting, expected] of destinations)
  test(`settingDestination() ${setting === "" ? "empty" : setting}`, () =>
    assert.equal(settingDestination(setting, NOTE, shot, NOW), expected));

const roots = (...paths: string[]) => paths.map((root) => ({ folder: root, root }));
const folders: readonly (readonly [what: string, note: Note, roots: readonly string[], expected: string | null])[] = [
  ["below the workspace", NOTE, ["/home/ada/notes/media"], "/home/ada/notes/media"],
  ["the nearer of two", NOTE, ["/home/ada/notes/media", "/home/ada/notes/trips/media"], "/home/ada/notes/trips/media"],
  ["the root around the note", NOTE, ["/home/ada/notes"], "/home/ada/notes"],
  [
    "beside a folder above, outside of the workspace",
    { ...NOTE, workspace: "/home/ada/notes/trips" },
    ["/home/ada/media"],
    "/home/ada/media",
  ],
  ["somewhere else", NOTE, ["/srv/anki/collection.media"], null],
  ["no folder", NOTE, [], null],
];
for (const [what, note, given, expected] of folders)
  test(`mediaRootFor() ${what}`, () => assert.equal(mediaRootFor(note, roots(...given))?.root ?? null, expected));

test("isInside() by segments, not by letters", () => {
  assert.deepEqual(
    [isInside("/a/b", "/a/b"), isInside("/a/b", "/a/b/c"), isInside("/a/b", "/a/bc"), isInside("/a/b", "/a"), isInside("/a", "/a/..b")],
    [true, true, false, false, true],
  );
});

test("numberedName() before the extension, in its folder", () => {
  assert.deepEqual(
    ["a/b.png", "b", "a.b/c", "v1.2 final.pdf"].map((name) => numberedName(name, 2)),
    ["a/b-2.png", "b-2", "a.b/c-2", "v1.2 final-2.pdf"],
  );
});

const targets: readonly (readonly [file: string, expected: string])[] = [
  ["/home/ada/notes/media/a.png", "../media/a.png"],
  ["/home/ada/notes/trips/a b (1).png", "a%20b%20%281%29.png"],
  ["/home/ada/notes/trips/100% #1?.png", "100%25%20%231%3F.png"],
  ["/home/ada/notes/trips/über_tal*.png", "über_tal*.png"],
];
for (const [file, expected] of targets)
  test(`linkTarget() ${expected}`, () => {
    assert.equal(linkTarget(NOTE.path, file), expected);
    assert.equal(decodeURIComponent(expected), file.startsWith("/home/ada/notes/trips/") ? file.slice(22) : expected);
  });

test("linkSnippet() pictures, sound and film, others; a dollar is no variable", () => {
  const words = { alt: "alt text", name: 'a "b" [c].x' };
  assert.equal(linkSnippet("m/a.png", "image/png", words), "![${1:alt text}](m/a.png)");
  assert.equal(linkSnippet("m/$a}.png", "image/png", words), "![${1:alt text}](m/\\$a\\}.png)");
  assert.equal(linkSnippet("m/a.mp3", "audio/mpeg", words), '<audio controls src="m/a.mp3" title="${1:a b c.x}"></audio>');
  assert.equal(linkSnippet("m/a&b.mp4", "video/mp4", words), '<video controls src="m/a&amp;b.mp4" title="${1:a b c.x}"></video>');
  assert.equal(linkSnippet("m/a.pdf", "application/pdf", words), '[${1:a "b" c.x}](m/a.pdf)');
});

const fences: readonly (readonly [what: string, text: string, expected: boolean])[] = [
  ["plain", "text\n|", false],
  ["open fence", "```js\n|", true],
  ["closed fence", "```js\nx\n```\n|", false],
  ["the fence's own line", "```js|", false],
  ["other signs do not close it", "~~~\n```\n|", true],
  ["a longer one closes it", "```\n````\n|", false],
  ["a shorter one does not", "````\n```\n|", true],
  ["inline code", "```x```\n|", false],
  ["indented too far", "     ```\n|", false],
];
for (const [what, text, expected] of fences)
  test(`isInFence() ${what}`, () => assert.equal(isInFence(text.replace("|", ""), text.indexOf("|")), expected));
