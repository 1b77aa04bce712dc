import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";

import type { CheckNode, Missing, Report } from "../extension/check/findings.ts";
import { Chosen, childrenOf, groupsOf, isClean, isOnly, LISTED_MAX, noteDirectories } from "../extension/check/findings.ts";
import { speak, TreeItemCheckboxState } from "./support/fake-vscode.ts";

const { CheckTree } = await import("../extension/check/check-tree.ts");
const { missingSentence, missingText } = await import("../extension/check/cause-words.ts");

const SHA = "a".repeat(40);
const AT = Date.UTC(2026, 2, 5, 12);
const NO_FACTS: Missing["facts"] = { sizeBytes: null, renamedTo: null, ignoredBy: null, problem: null, deletion: null, kept: null };

function missing(cause: Missing["cause"], facts: Partial<Missing["facts"]> = {}, references = 1): Missing {
  return {
    path: "sub/gone.png",
    cause,
    detail: "What the service says.",
    facts: { ...NO_FACTS, ...facts },
    references: Array.from({ length: references }, (_, at) => ({
      note: `/n/note${String(at)}.md`,
      line: at + 3,
      column: 5,
      written: "gone.png",
    })),
  };
}

function report(parts: Partial<Report> = {}): Report {
  return {
    folder: "f",
    root: "/n/media",
    notes: 1,
    references: 1,
    unread: [],
    missing: [],
    unused: [],
    duplicates: [],
    badNames: [],
    ...parts,
  };
}

const unused = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ path: `${String(at)}.png`, sizeBytes: 1000, sha1: SHA, mtimeMs: AT }));

const counts = (nodes: readonly CheckNode[]) => nodes.map((node) => (node.kind === "group" ? [node.group, node.count] : [node.kind]));

suite("findings of a check", () => {
  test("groupsOf() every group with its count, the unread only where there are any", () => {
    assert.deepEqual(counts(groupsOf(report({ unused: unused(2), missing: [missing("never")] }))), [
      ["missing", 1],
      ["badNames", 0],
      ["duplicates", 0],
      ["unused", 2],
    ]);
  });

  test("groupsOf() N2 while a note could not be read, how many are unused is not known", () => {
    const groups = groupsOf(report({ unread: ["/n/large.md"] }));
    assert.deepEqual(counts(groups)[0], ["unread", 1]);
    assert.deepEqual(counts(groups).at(-1), ["unused", null]);
    assert.equal(isClean(report({ unread: ["/n/large.md"] })), false);
    assert.equal(isClean(report()), true);
  });

  test("childrenOf() one place needs no list, several have one; files are absolute", () => {
    const told = report({
      missing: [missing("never"), { ...missing("never", {}, 3), path: "b.png" }],
      duplicates: [
        {
          sha1: SHA,
          sizeBytes: 5,
          files: [
            { path: "a.png", references: 1 },
            { path: "b.png", references: 0 },
          ],
        },
      ],
    });
    const [group] = groupsOf(told);
    assert.ok(group !== undefined);
    const files = childrenOf(told, group);
    assert.deepEqual(
      files.map((node) => childrenOf(told, node).length),
      [0, 3],
    );
    assert.deepEqual(
      files.map((node) => "file" in node && node.file),
      ["/n/media/sub/gone.png", "/n/media/b.png"],
    );
    const [twice] = childrenOf(told, { kind: "group", group: "duplicates", count: 1 });
    assert.ok(twice !== undefined);
    assert.deepEqual(
      childrenOf(told, twice).map((node) => "file" in node && node.file),
      ["/n/media/a.png", "/n/media/b.png"],
    );
  });

  test("childrenOf() a list without end is cut, and says how many there are besides", () => {
    const told = report({ unused: unused(LISTED_MAX + 7) });
    const listed = childrenOf(told, { kind: "group", group: "unused", count: LISTED_MAX + 7 });
    assert.equal(listed.length, LISTED_MAX + 1);
    assert.deepEqual(listed.at(-1), { kind: "more", group: "unused", count: 7 });
  });

  test("noteDirectories() the workspace's folders around the media; else all of them and where the media lies; else that alone", () => {
    assert.deepEqual(noteDirectories(["/a", "/n"], "/n/media"), ["/n"]);
    assert.deepEqual(noteDirectories(["/a", "/nn"], "/n/media"), ["/a", "/nn", "/n"]);
    assert.deepEqual(noteDirectories([], "/n/media"), ["/n"]);
  });

  test("Chosen a path that is not unused is never among the chosen", () => {
    const chosen = new Chosen();
    for (const path of ["1.png", "used.png", "0.png"]) chosen.set(path, true);
    chosen.set("0.png", false);
    assert.deepEqual(
      chosen.of(report({ unused: unused(3) })).map(({ path }) => path),
      ["1.png"],
    );
  });

  test("isOnly() an undo takes back this removal and nothing else", () => {
    const skipped = [{ path: "b.png", reason: "changed" }];
    assert.equal(isOnly(["a.png", "b.png"], { undone: ["a.png"], skipped }), true);
    assert.equal(isOnly(["a.png"], { undone: ["a.png"], skipped }), false);
    assert.equal(isOnly(["a.png"], { undone: ["a.png", "replaced since.png"], skipped: [] }), false);
  });
});

suite("the Check view's tree", () => {
  const rowsOf = (tree: InstanceType<typeof CheckTree>) => {
    const all = (nodes: readonly CheckNode[]): CheckNode[] => nodes.flatMap((node) => [node, ...all(tree.getChildren(node))]);
    return all(tree.getChildren()).map((node) => ({ node, item: tree.getTreeItem(node) }));
  };
  const full = report({
    unread: [],
    missing: [missing("deleted", { kept: { sha1: SHA, sizeBytes: 1, atMs: AT } }), { ...missing("never", {}, 2), path: "b\u202Egnp.png" }],
    unused: unused(3),
    duplicates: [
      {
        sha1: SHA,
        sizeBytes: 5,
        files: [
          { path: "a.png", references: 1 },
          { path: "b.png", references: 0 },
        ],
      },
    ],
    badNames: [{ path: "a[1].png", reason: "badName", detail: "No.", suggestion: "a1.png" }],
  });

  beforeEach(() => speak("en"));

  test("nothing before the first check", () => assert.deepEqual(new CheckTree().getChildren(), []));

  for (const language of ["en", "de"] as const)
    test(`every row says aloud what it is, has an id of its own, and shows no control characters (${language})`, () => {
      speak(language);
      const tree = new CheckTree();
      tree.show(full);
      const rows = rowsOf(tree);
      assert.deepEqual(
        new Set(rows.map(({ node }) => node.kind)),
        new Set(["group", "missing", "reference", "badName", "duplicate", "copy", "unused"]),
      );
      assert.equal(new Set(rows.map(({ item }) => item.id)).size, rows.length);
      for (const { node, item } of rows) {
        assert.ok((item.accessibilityInformation?.label ?? "").length > 3, JSON.stringify(node));
        for (const text of [item.label, item.description, item.tooltip, item.accessibilityInformation?.label])
          assert.ok(!(JSON.stringify(text) ?? "").includes("\u202E"), JSON.stringify(node));
        assert.equal(item.checkboxState !== undefined, node.kind === "unused" || (node.kind === "group" && node.group === "unused"));
      }
    });

  test("one place opens its note with the name marked; kept bytes are offered in the menu", () => {
    const tree = new CheckTree();
    tree.show(full);
    const { item } = rowsOf(tree).find(({ node }) => node.kind === "missing") ?? assert.fail("no missing file");
    assert.equal(item.contextValue, "missing.kept");
    assert.deepEqual(JSON.parse(JSON.stringify(item.command?.arguments)), [
      { scheme: "file", fsPath: "/n/note0.md" },
      { selection: { start: { line: 2, character: 4 }, end: { line: 2, character: 12 } } },
    ]);
  });

  test("nothing is ticked beforehand; the group ticks its files, and a new report has no ticks", () => {
    const tree = new CheckTree();
    tree.show(full);
    let changes = 0;
    tree.onDidChangeTreeData(() => (changes += 1));
    const ticked = () => rowsOf(tree).filter(({ item }) => JSON.stringify(item.checkboxState)?.startsWith('{"state":1,')).length;
    assert.deepEqual([tree.chosen, ticked()], [[], 0]);
    const rows = rowsOf(tree);
    const group = rows.find(({ node }) => node.kind === "group" && node.group === "unused")?.node ?? assert.fail("no group");
    const file = rows.find(({ node }) => node.kind === "unused")?.node ?? assert.fail("no file");
    tree.tick([[file, TreeItemCheckboxState.Checked]]);
    assert.deepEqual([tree.chosen.map(({ path }) => path), ticked()], [["0.png"], 1]);
    tree.tick([[group, TreeItemCheckboxState.Checked]]);
    assert.deepEqual([tree.chosen.length, ticked()], [3, 4]);
    tree.tick([[file, TreeItemCheckboxState.Unchecked]]);
    assert.deepEqual([tree.chosen.length, ticked()], [2, 2], "not all any more");
    assert.equal(changes, 3);
    tree.show(full);
    assert.deepEqual([tree.chosen, ticked()], [[], 0]);
  });
});

const told: readonly (readonly [what: string, missing: Missing, sentence: RegExp, few: RegExp])[] = [
  [
    "by a device that is known",
    missing("deleted", { deletion: { where: "told", by: "laptop", atMs: AT } }),
    /^sub\/gone\.png wurde am 05\.03\.2026, .* von laptop gelöscht\.$/,
    /^von laptop gelöscht, vor /,
  ],
  [
    "by nobody knows whom",
    missing("deleted", { deletion: { where: "told", by: null, atMs: AT } }),
    /am 05\.03\.2026, .* auf einem anderen Gerät gelöscht\.$/,
    /^auf einem anderen Gerät gelöscht, /,
  ],
  [
    "here, and it is kept",
    missing("deleted", { deletion: { where: "here", by: null, atMs: AT }, kept: { sha1: SHA, sizeBytes: 1_500_000, atMs: AT } }),
    /auf diesem Gerät gelöscht\. Der Inhalt ist aufgehoben \(1,5 MB\)\.$/,
    /^hier gelöscht, /,
  ],
  [
    "by a command",
    missing("deleted", { deletion: { where: "command", by: null, atMs: AT } }),
    /von einem Befehl von Satchel auf diesem Gerät gelöscht\.$/,
    /^hier gelöscht, /,
  ],
  [
    "while the state was lost",
    missing("deleted", { deletion: { where: "rebuild", by: null, atMs: AT } }),
    /spätestens am 05\.03\.2026/,
    /^gelöscht, /,
  ],
  [
    "elsewhere, arrived",
    missing("deleted", { deletion: { where: "elsewhere", by: null, atMs: AT } }),
    /hier kam das am 05\.03\.2026, .* an\.$/,
    /^auf einem anderen Gerät gelöscht, /,
  ],
  [
    "elsewhere, never arrived",
    missing("deleted", { deletion: { where: "elsewhere", by: null, atMs: null } }),
    /^sub\/gone\.png wurde auf einem anderen Gerät gelöscht\.$/,
    /^auf einem anderen Gerät gelöscht$/,
  ],
  ["on the server", missing("remote", { sizeBytes: 2_300_000 }), /\(2,3 MB\) und noch nicht geholt/, /^noch nicht geholt, 2,3 MB$/],
  ["on the server, of unknown size", missing("remote"), /auf dem Server und noch nicht geholt/, /^noch nicht geholt$/],
  [
    "on the server and damaged",
    missing("remoteTrouble", { problem: "hashMismatch" }),
    /lässt sich nicht holen.*Sie kam beschädigt an/,
    /^beschädigt angekommen$/,
  ],
  ["too large", missing("tooLarge", { problem: "tooLargeThere" }), /für dieses Gerät zu groß/, /^zu groß$/],
  ["renamed", missing("renamed", { renamedTo: "new.png" }), /heißt jetzt new\.png\.$/, /^jetzt new\.png$/],
  [
    "ignored",
    missing("ignored", { ignoredBy: ".satchelignore *.png" }),
    /Die Regel \.satchelignore \*\.png nimmt/,
    /^von einer Regel ausgenommen$/,
  ],
  ["never seen", missing("never"), /war noch nie da/, /^nie gesehen$/],
];
for (const [what, one, sentence, few] of told)
  test(`missingSentence() l10n ${one.cause}: ${what}: German says no less than English`, () => {
    speak("de");
    assert.match(missingSentence(one), sentence);
    assert.match(missingText(one), few);
    speak("en");
    assert.equal(missingSentence(one), one.detail, "the service's own words");
  });
