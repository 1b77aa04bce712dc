import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import type { Change, Problem, Version } from "../service/core/model.ts";
import { knowledgeOf, missingFactsOf, sizeText, type Cause, type MediaFacts, type MissingFacts } from "../service/notes/knowledge.ts";
import { below, joined, relativeTo, slashed } from "../service/notes/paths.ts";
import { findReferences } from "../service/notes/references.ts";
import { relink } from "../service/notes/relink.ts";
import { resolve, type MediaIndex, type MediaPlace } from "../service/notes/resolve.ts";
import { similarPaths } from "../service/notes/similar.ts";

/** `m` holds photo.png, sub/deep.png, sub/twice.png, twice.png here, far.png on the remote; `n` lies elsewhere. */
const here = new Set(["m/photo.png", "m/sub/deep.png", "m/sub/twice.png", "m/twice.png", "m/100%.png", "n/other.png"]);
const known = new Set(["m/far.png", "m/sub/far too.png"]);
const index: MediaIndex = {
  roots: [
    { folder: "m", root: "/v/media" },
    { folder: "n", root: "/elsewhere/n" },
  ],
  standing: ({ folder, path }) => (here.has(`${folder}/${path}`) ? "here" : known.has(`${folder}/${path}`) ? "known" : "unknown"),
  named: async (name) => {
    const found = [...here, ...known].filter((one) => one.endsWith(`/${name}`));
    return await Promise.resolve(found.map((one): MediaPlace => ({ folder: one.slice(0, 1), path: one.slice(2) })));
  },
  exists: async (absolute) => await Promise.resolve(absolute === "/v/notes/beside.png" || absolute === "/v/media/fresh.png"),
};

const rows: readonly (readonly [what: string, text: string, expected: string | null])[] = [
  ["relative to the note", "![](../media/photo.png)", "m/photo.png"],
  ["relative, nobody knows it", "![](../media/x.png)", "m/x.png"],
  ["relative, on the remote", "![](../media/far.png)", "m/far.png"],
  ["on disk, not looked at yet", "![](../media/fresh.png)", "m/fresh.png"],
  ["with . and .. and //", "![](.././media//sub/../photo.png)", "m/photo.png"],
  ["a leading / is the workspace", "![](/media/photo.png)", "m/photo.png"],
  ["an absolute path", "![](/v/media/photo.png)", "m/photo.png"],
  ["a file address", "![](file:///v/media/sub/deep.png)", "m/sub/deep.png"],
  ["backslashes of another system", "![](..\\\\media\\\\photo.png)", "m/photo.png"],
  ["beside the note, in no folder", "![](beside.png)", null],
  ["nowhere, in no folder", "![](nowhere.png)", null],
  ["from the folder's root, and there", "![](sub/deep.png)", "m/sub/deep.png"],
  ["a name that holds a percent sign", "![](../media/100%.png)", "m/100%.png"],
  ["leads out of everything", "![](../../../etc/passwd.png)", null],
  ["a note", "[n](../media/other.md)", null],
  ["a directory", "[d](../media/sub/)", null],
  ["a link without an extension", "[d](../media/thing)", null],
  ["an embed by its name", "![[deep.png]]", "m/sub/deep.png"],
  ["an embed by the end of its path", "![[sub/twice.png]]", "m/sub/twice.png"],
  ["an embed by a name that two have: the one at the root", "![[twice.png]]", "m/twice.png"],
  ["an embed from the workspace", "![[media/photo.png]]", "m/photo.png"],
  ["an embed that the remote has", "![[far too.png]]", "m/sub/far too.png"],
  ["an embed that nobody knows belongs to the nearest folder", "![[lost.png]]", "m/lost.png"],
  ["an embed of a file beside the note", "![[beside.png]]", null],
  ["an embed of a note", "![[Some Note]] ![[v1.2]]", null],
  ["a sound", "[sound:lost.mp3]", "m/lost.mp3"],
  ["a sound that leads out", "[sound:../../x.mp3]", null],
  ["another folder's file by its name", "![[other.png]]", "n/other.png"],
];
for (const [what, text, expected] of rows)
  test(`resolve() ${what}`, async () => {
    const [reference] = findReferences(text);
    const found = reference === undefined ? null : await resolve(reference, { note: "/v/notes/a.md", workspace: "/v" }, index);
    assert.equal(found === null ? null : `${found.folder}/${found.path}`, expected);
  });

test("resolve() a note of another place: what nobody knows is not taken for ours", async () => {
  const [reference] = findReferences("![[lost.png]]");
  assert.ok(reference !== undefined);
  assert.equal(await resolve(reference, { note: "/home/x/a.md", workspace: "/home/x" }, index), null);
});

const FACTS: MediaFacts = {
  folder: "m",
  path: "a.png",
  diskPath: "/v/media/a.png",
  entry: null,
  synced: false,
  remote: null,
  ignoredBy: null,
  problems: [],
  changes: [],
  versions: [],
  conflicts: [],
  movedTo: null,
};
const SHA = "a".repeat(40);
const entry = { sizeBytes: 5, sha1: SHA, mtimeMs: 0 };
const live = { sha1: SHA, sizeBytes: 1_234_567, deleted: null };
const change = (kind: Change["kind"], origin: Change["origin"]): Change => ({
  seq: 1,
  folder: "m",
  path: "a.png",
  kind,
  sha1: null,
  sizeBytes: null,
  origin,
  atMs: 0,
});
const problem = (side: Problem["side"], reason: Problem["reason"]): Problem => ({
  path: "a.png",
  side,
  reason,
  detail: "So it is.",
  sinceMs: 0,
});
const version = (why: Version["why"]): Version => ({ folder: "m", path: "a.png", sha1: SHA, sizeBytes: 5, why, run: "r", atMs: 0 });
const conflict = {
  id: 3,
  folder: "m",
  path: "a.png",
  copyPath: "a.copy.png",
  localSha1: SHA,
  remoteSha1: SHA,
  baseSha1: null,
  policy: "keep-both",
  state: "open",
  resolution: null,
  atMs: 0,
  run: "r",
} as const;

const causes: readonly (readonly [what: string, facts: Partial<MediaFacts>, onDisk: boolean, cause: Cause, said: RegExp])[] = [
  ["in sync", { entry, synced: true }, true, "present", /^in sync$/],
  ["not yet", { entry }, true, "present", /^not yet in sync$/],
  ["on disk, not looked at yet", {}, true, "present", /not yet/],
  ["seen, gone this very moment: the watcher tells soon", { entry }, false, "present", /./],
  ["two of it", { entry, conflicts: [conflict] }, true, "conflict", /as a\.copy\.png\. Choose with `satchel conflicts resolve 3`/],
  ["two of it, one as a version", { entry, conflicts: [{ ...conflict, copyPath: null }] }, true, "conflict", /kept as a version/],
  [
    "here alone",
    { ignoredBy: "built-in rule *.tmp" },
    true,
    "ignoredHere",
    /only on this device: it is left alone by built-in rule \*\.tmp/,
  ],
  ["too large here", { problems: [problem("local", "tooLarge")] }, true, "tooLargeHere", /Other devices don't get a\.png\. So it is\./],
  ["empty here", { problems: [problem("local", "empty")] }, true, "troubleHere", /Other devices don't get/],
  [
    "ignored, on the remote",
    { ignoredBy: ".satchelignore *.png", remote: live },
    false,
    "ignored",
    /left alone by \.satchelignore \*\.png, so it is not fetched/,
  ],
  ["on the remote", { remote: live }, false, "remote", /on the remote \(1\.2 MB\) and not fetched yet/],
  ["on the remote, of unknown size", { remote: { ...live, sizeBytes: null } }, false, "remote", /on the remote and not fetched/],
  [
    "on the remote, refused",
    { remote: live, problems: [problem("remote", "hashMismatch")] },
    false,
    "remoteTrouble",
    /can't be fetched\. So it is\./,
  ],
  ["on the remote, too large", { remote: live, problems: [problem("remote", "tooLargeThere")] }, false, "tooLarge", /can't be fetched/],
  ["renamed", { movedTo: "b.png", changes: [change("remove", "user")] }, false, "renamed", /the same file is now b\.png/],
  ["deleted here", { changes: [change("remove", "user")] }, false, "deleted", /deleted on this device on 19/],
  [
    "deleted there",
    { changes: [change("remove", "apply")], versions: [version("removed")] },
    false,
    "deleted",
    /on another device; that arrived here on .*Its bytes are kept/,
  ],
  [
    "deleted there before it ever came",
    { remote: { sha1: null, sizeBytes: null, deleted: null } },
    false,
    "deleted",
    /^a\.png was deleted on another device\.$/,
  ],
  [
    "deleted there, and the server tells by whom: that counts before the arrival here",
    { remote: { sha1: null, sizeBytes: null, deleted: { by: "laptop", atMs: 86_400_000 * 122 } }, changes: [change("remove", "apply")] },
    false,
    "deleted",
    /^a\.png was deleted by laptop on 1970-05-03 \d\d:\d\d\.$/,
  ],
  [
    "deleted there by a device that is not known any more",
    { remote: { sha1: null, sizeBytes: null, deleted: { by: null, atMs: 86_400_000 * 122 } } },
    false,
    "deleted",
    /^a\.png was deleted on another device on 1970-05-03 \d\d:\d\d\.$/,
  ],
  [
    "deleted here, whatever a server says of its echo",
    { remote: { sha1: null, sizeBytes: null, deleted: { by: "laptop", atMs: 0 } }, changes: [change("remove", "user")] },
    false,
    "deleted",
    /deleted on this device on 19/,
  ],
  ["nobody has seen it", {}, false, "never", /has never been seen/],
];
for (const [what, facts, onDisk, cause, said] of causes)
  test(`knowledgeOf() ${cause}: ${what}`, () => {
    const found = knowledgeOf({ ...FACTS, ...facts }, onDisk);
    assert.equal(found.cause, cause);
    assert.match(found.sentence, said);
    assert.equal(found.missing, !onDisk && facts.entry === undefined);
  });

const NOTHING = { sizeBytes: null, renamedTo: null, ignoredBy: null, problem: null, deletion: null, kept: null };
const stories: readonly (readonly [what: string, facts: Partial<MediaFacts>, told: Partial<MissingFacts>])[] = [
  ["never seen", {}, {}],
  ["on the remote: its size", { remote: live }, { sizeBytes: 1_234_567 }],
  [
    "on the remote and refused: why",
    { remote: live, problems: [problem("remote", "hashMismatch")] },
    { sizeBytes: 1_234_567, problem: "hashMismatch" },
  ],
  ["renamed: to what, and no deletion", { movedTo: "b.png", changes: [change("remove", "user")] }, { renamedTo: "b.png" }],
  ["ignored: by which rule", { ignoredBy: ".satchelignore *.png", movedTo: "b.png" }, { ignoredBy: ".satchelignore *.png" }],
  ["deleted here: when", { changes: [change("remove", "user")] }, { deletion: { where: "here", by: null, atMs: 0 } }],
  [
    "deleted there: by whom and when, and what is kept",
    { remote: { sha1: null, sizeBytes: null, deleted: { by: "laptop", atMs: 7 } }, versions: [version("removed")] },
    { deletion: { where: "told", by: "laptop", atMs: 7 }, kept: { sha1: SHA, sizeBytes: 5, atMs: 0 } },
  ],
  [
    "deleted there before it ever came: nobody knows when",
    { remote: { sha1: null, sizeBytes: null, deleted: null } },
    { deletion: { where: "elsewhere", by: null, atMs: null } },
  ],
];
for (const [what, facts, told] of stories)
  test(`missingFactsOf() ${what}`, () => {
    const given = { ...FACTS, ...facts };
    assert.deepEqual(missingFactsOf(given, knowledgeOf(given, false)), { ...NOTHING, ...told });
  });

test("knowledgeOf() what was replaced or removed can be restored, what was fetched or restored is no version", () => {
  const restorable = (...kept: readonly Version[]): Version["why"] | undefined =>
    knowledgeOf({ ...FACTS, versions: kept }, false).restorable?.why;
  assert.equal(restorable(version("restored"), version("fetched"), version("replaced"), version("removed")), "replaced");
  assert.equal(restorable(version("restored")), undefined);
});

test("sizeText()", () => {
  assert.deepEqual([0, 999, 1000, 12_345, 999_999, 1_000_000, 2.5e12].map(sizeText), [
    "0 B",
    "999 B",
    "1.0 kB",
    "12.3 kB",
    "1000 kB",
    "1.0 MB",
    "2.5 TB",
  ]);
});

const NAMES = ["photo.png", "Photo-1.png", "sub/photo.png", "fotos.png", "phtoo.png", "photo.jpeg", "räume.png", "unrelated.png", "x.png"];
for (const [wanted, expected] of [
  ["other/photo.png", ["photo.png", "sub/photo.png", "photo.jpeg"]],
  ["PHOTO_1.PNG", ["Photo-1.png", "photo.png", "sub/photo.png"]],
  ["raume.png", ["räume.png"]],
  ["y.png", []],
  ["nothing like it.png", []],
] as const)
  test(`similarPaths() ${wanted}`, () => assert.deepEqual(similarPaths(wanted, NAMES, 3), expected));

const spelled: readonly (readonly [text: string, to: string, expected: string | null])[] = [
  ["![](../media/a.png)", "b c.png", "../media/b%20c.png"],
  ["![](<../media/a.png>)", "sub/b c.png", "../media/sub/b c.png"],
  ["![](/media/a.png)", "b.png", "/media/b.png"],
  ["![[a.png]]", "sub/b.png", "b.png"],
  ["![[a.png]]", "b[1].png", null],
  ["![[media/a.png]]", "sub/b.png", "media/sub/b.png"],
  ["[sound:a.png]", "sub/b&c.png", "sub/b&c.png"],
  ["![](a.png)", "b.png", "b.png"],
  ["<img src='../media/a.png'>", "it's.png", "../media/it&#39;s.png"],
];
for (const [text, to, expected] of spelled)
  test(`relink() ${text} to ${to}`, () => {
    const [reference] = findReferences(text);
    assert.ok(reference !== undefined);
    const place = { note: "/v/notes/a.md", workspace: "/v" };
    const found = relink(reference, place, { absolute: "/v/media/a.png", path: "a.png" }, { absolute: `/v/media/${to}`, path: to });
    assert.equal(found, expected);
  });

const segment = fc.string({ unit: fc.constantFrom("a", "b", ".x", "é"), minLength: 1, maxLength: 3 }).filter((name) => !/^\.+$/.test(name));
const absolute = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join("/")}`);

test("relativeTo() leads from the directory to the path, for any two", () =>
  fc.assert(fc.property(absolute, absolute, (directory, path) => assert.equal(joined(directory, relativeTo(directory, path)), path))));

test("below() and joined() are inverse; slashed() keeps what is not another system's", () => {
  fc.assert(fc.property(absolute, absolute, (root, rest) => assert.equal(below(root, `${root}${rest}`), rest.slice(1))));
  assert.equal(below("/a/b", "/a/bc"), null);
  assert.deepEqual([slashed("C:\\x\\y"), slashed("/x\\y/"), slashed("/")], ["C:/x/y", "/x\\y", "/"]);
});
