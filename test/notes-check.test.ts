import assert from "node:assert/strict";
import { access, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import type { ResultOf } from "../protocol/api/table.ts";
import { badNames, duplicatesOf, lineFinder, NameSearch, unusedFiles, type FolderFile } from "../service/notes/check.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";

const file = (name: string, sha1 = name): FolderFile => ({ path: name, sizeBytes: 10, sha1, mtimeMs: 0 });

test("unusedFiles() Anki's rule: `_` names are used by templates; what is no media is nobody's", () => {
  const files = ["a.png", "used.png", "_template.png", "sub/_x.js", "sub/b.mp3", "notes.md", "mentioned.png"].map((name) => file(name));
  const found = unusedFiles(files, new Map([["used.png", 1]]), new Set(["mentioned.png"]));
  assert.deepEqual(
    found.map((one) => one.path),
    ["a.png", "sub/b.mp3"],
  );
});

test("duplicatesOf() equal bytes, the largest waste first", () => {
  const large = (name: string): FolderFile => ({ ...file(name, "large"), sizeBytes: 1000 });
  const found = duplicatesOf([file("a.png", "one"), file("b.png", "one"), file("c.png"), large("d.png"), large("e.png")], (name) =>
    name === "e.png" ? 2 : 0,
  );
  assert.deepEqual(found, [
    {
      sha1: "large",
      sizeBytes: 1000,
      files: [
        { path: "d.png", references: 0 },
        { path: "e.png", references: 2 },
      ],
    },
    {
      sha1: "one",
      sizeBytes: 10,
      files: [
        { path: "a.png", references: 0 },
        { path: "b.png", references: 0 },
      ],
    },
  ]);
});

test("badNames() what can't be synced, and what Anki's clients would show otherwise", () => {
  const problem = { path: "x\\y.png", side: "local", reason: "badName", detail: "It holds a backslash.", sinceMs: 0 } as const;
  const found = badNames(
    [file("fine.png"), file("a[1].png"), file("sub/b[1].png")],
    [problem, { ...problem, path: "big", reason: "tooLarge" }],
  );
  assert.deepEqual(
    found.map(({ path: name, reason, suggestion }) => [name, reason, suggestion]),
    [
      ["x\\y.png", "badName", null],
      ["a[1].png", "changedByAnki", "a1.png"],
    ],
  );
});

test("lineFinder() lines and columns from 1, in UTF-16 units", () => {
  const at = lineFinder("ab\n\n𝒳c\r\nd");
  assert.deepEqual(
    [at(0), at(2), at(3), at(4), at(6), at(9)],
    [
      { line: 1, column: 1 },
      { line: 1, column: 3 },
      { line: 2, column: 1 },
      { line: 3, column: 1 },
      { line: 3, column: 3 },
      { line: 4, column: 1 },
    ],
  );
});

for (const [text, expected] of [
  ["see photo.png.", ["photo.png"]],
  ["PHOTO.PNG", ["photo.png"]],
  ["`my%20photo.png`, url('a&b.png')", ["my photo.png", "photo.png", "a&b.png"]],
  ["a&amp;b.png", ["a&b.png"]],
  ["photo.pngx: the letters stand there, so it is spared", ["photo.png"]],
  ["photo.jpg photopng my photo", []],
  ["archive.tar.gz", ["archive.tar.gz"]],
] as const)
  test(`NameSearch.look() ${text}`, () => {
    const search = new NameSearch(["photo.png", "my photo.png", "a&b.png", "archive.tar.gz"]);
    search.look(text);
    assert.deepEqual([...search.found].toSorted(), [...expected].toSorted());
  });

suite("satchel check", () => {
  let top = "";
  let media = "";
  let server: SyncServer;
  let laptop: Satchel;

  const report = async (...args: string[]): Promise<ResultOf<"notes/check">> => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the assertions look at every field they use
    return (await laptop.json(["check", "--notes", top, ...args])) as ResultOf<"notes/check">;
  };
  const isThere = async (name: string): Promise<boolean> =>
    await access(path.join(media, name)).then(
      () => true,
      () => false,
    );

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), "satchel-check-"));
    media = path.join(top, "media");
    await mkdir(media);
    for (const name of ["used.png", "unused.png", "old.png", "_kept.png", "mentioned.png", "a[1].png"])
      await writeFile(path.join(media, name), name);
    await writeFile(path.join(media, "twin.png"), "used.png");
    await utimes(path.join(media, "old.png"), 1_600_000_000, 1_600_000_000);
    await writeFile(
      path.join(top, "a.md"),
      "![](media/used.png) ![](media/a%5B1%5D.png)\nand\n  ![[missing.png]] [](media/lost.pdf) ![](media/twin.png)\n",
    );
    await writeFile(
      path.join(top, "b.md"),
      "```\nmentioned.png\n```\n![](media/lost.pdf) ![](elsewhere/x.png) <img src='https://e.org/media/y.png'>\n",
    );
    server = await startSyncServer({ kind: "satchel" }, 1);
    laptop = await makeSatchel(media);
    await laptop.run();
    await laptop.join(server.url, "user1");
    await laptop.sync();
  });
  after(async () => {
    await laptop.close();
    await server.close();
    await rm(top, { recursive: true, force: true });
  });

  test("notes/check: missing with every place, unused, doubled, badly named, and nothing else", async () => {
    const found = await report();
    assert.deepEqual([found.notes, found.references, found.unread], [2, 6, []]);
    assert.deepEqual(
      found.missing.map(({ path: name, cause, references }) => [
        name,
        cause,
        references.map(({ note, line, column }) => `${path.basename(note)}:${line}:${column}`),
      ]),
      [
        ["lost.pdf", "never", ["a.md:3:23", "b.md:4:5"]],
        ["missing.png", "never", ["a.md:3:6"]],
      ],
    );
    assert.deepEqual(
      found.unused.map(({ path: name }) => name),
      ["old.png", "unused.png"],
    );
    assert.deepEqual(
      found.duplicates.map(({ files }) => files.map(({ path: name, references }) => [name, references])),
      [
        [
          ["twin.png", 1],
          ["used.png", 1],
        ],
      ],
    );
    assert.deepEqual(
      found.badNames.map(({ path: name, suggestion }) => [name, suggestion]),
      [["a[1].png", "a1.png"]],
    );
  });

  test("satchel check: says it in words, by age, and with an exit code", async () => {
    const ended = await laptop.cli(["check", "--notes", top]);
    assert.equal(ended.code, 1);
    assert.ok(ended.stdout.includes(`    ${path.join(top, "a.md")}:3:23`), ended.stdout);
    assert.match(ended.stdout, /2 notes, 6 references/);
    assert.match(ended.stdout, /Missing: 2\n {2}lost\.pdf has never been seen, neither here nor on the remote\./);
    const old = await report("--older-than", "30");
    assert.deepEqual(
      old.unused.map(({ path: name }) => name),
      ["old.png"],
    );
  });

  test("satchel check --remove-unused: exactly the named ones, kept, and one undo brings them back", async () => {
    const ended = await laptop.cli([
      "check",
      "--notes",
      top,
      "--remove-unused",
      "unused.png",
      path.join(media, "old.png"),
      "used.png",
      "nothing.png",
    ]);
    assert.equal(ended.code, 1, ended.stderr);
    assert.match(ended.stdout, /^removed unused\.png\nremoved old\.png\n$/);
    assert.match(ended.stderr, /used\.png stays: it is not unused\./);
    assert.match(ended.stderr, /nothing\.png stays: it is not there\./);
    assert.deepEqual([await isThere("unused.png"), await isThere("old.png"), await isThere("used.png")], [false, false, true]);
    await writeFile(path.join(top, "c.md"), "![](media/old.png)\n");
    const { missing } = await report();
    const [gone] = missing.filter((one) => one.path === "old.png");
    assert.deepEqual(
      [gone?.cause, gone?.facts.deletion?.where, gone?.facts.kept?.sizeBytes],
      ["deleted", "command", 7],
      "told as data too",
    );
    await rm(path.join(top, "c.md"));
    assert.equal((await laptop.cli(["undo"])).code, 0);
    assert.deepEqual([await isThere("unused.png"), await isThere("old.png")], [true, true]);
    assert.equal((await laptop.cli(["check", "--notes", top, "--remove-unused"])).code, 2, "nothing is pre-selected");
  });

  test("notes/clean: while a note can't be read, nothing is known to be unused and nothing is removed (N2)", async (context) => {
    // Larger than any note may be: it might name anything.
    const large = path.join(top, "large.md");
    await writeFile(large, Buffer.alloc(5 * 1024 * 1024, "x"));
    context.after(async () => await rm(large, { force: true }));
    const { unread, unused } = await report();
    assert.deepEqual([unread, unused], [[large], []]);
    const ended = await laptop.cli(["check", "--notes", top, "--remove-unused", "unused.png"]);
    assert.equal(ended.code, 4);
    assert.match(ended.stderr, /Not every note could be read .*large\.md/);
    assert.equal(await isThere("unused.png"), true);
  });

  test("notes/check: a link to a note outside is not followed", async () => {
    await symlink("/etc/hostname", path.join(top, "link.md"));
    assert.equal((await report()).notes, 2);
  });
});
