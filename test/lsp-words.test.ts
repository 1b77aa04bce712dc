import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsOf } from "../service/lsp/words.ts";
import { knowledgeOf, type Cause, type MediaFacts } from "../service/notes/knowledge.ts";

const SHA = "a".repeat(40);
const FACTS: MediaFacts = {
  folder: "m",
  path: "sub/a.png",
  diskPath: "/v/media/sub/a.png",
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
const live = { sha1: SHA, sizeBytes: 1_234_567, deleted: null };
const kept = { folder: "m", path: "sub/a.png", sha1: SHA, sizeBytes: 5, why: "removed", run: "r", atMs: 0 } as const;
const trouble = (side: "local" | "remote", reason: "tooLarge" | "tooLargeThere") =>
  ({ path: "sub/a.png", side, reason, detail: "So it is.", sinceMs: 0 }) as const;
const conflict = (copyPath: string | null) =>
  ({
    id: 3,
    folder: "m",
    path: "sub/a.png",
    copyPath,
    localSha1: SHA,
    remoteSha1: SHA,
    baseSha1: null,
    policy: "keep-both",
    state: "open",
    resolution: null,
    atMs: 0,
    run: "r",
  }) as const;

/** What the service tells in English (names, sizes, rules, devices) stands in the German sentence too. */
const rows: readonly (readonly [cause: Cause, facts: Partial<MediaFacts>, onDisk: boolean, told: RegExp])[] = [
  ["remote", { remote: live }, false, /^sub\/a\.png ist auf dem Server \(1,2 MB\) und noch nicht geholt\.$/],
  ["remote", { remote: { ...live, sizeBytes: null } }, false, /^sub\/a\.png ist auf dem Server und noch nicht geholt\.$/],
  ["tooLarge", { remote: live, problems: [trouble("remote", "tooLargeThere")] }, false, /zu groß \(1,2 MB\)\.$/],
  [
    "tooLargeHere",
    { entry: { sizeBytes: 120_000_000, sha1: SHA, mtimeMs: 0 }, problems: [trouble("local", "tooLarge")] },
    true,
    /zu groß \(120 MB\)\.$/,
  ],
  ["renamed", { movedTo: "other/b.png" }, false, /heißt jetzt other\/b\.png\.$/],
  ["ignored", { ignoredBy: ".satchelignore *.png" }, false, /Die Regel \.satchelignore \*\.png lässt es aus/],
  ["ignoredHere", { ignoredBy: "*.tmp" }, true, /Die Regel \*\.tmp lässt es aus\.$/],
  ["conflict", { conflicts: [conflict("a.copy.png")] }, true, /die andere Fassung steht daneben als a\.copy\.png\./],
  ["conflict", { conflicts: [conflict(null)] }, true, /beide Fassungen sind aufgehoben\./],
  [
    "deleted",
    { remote: { sha1: null, sizeBytes: null, deleted: { by: "laptop", atMs: 86_400_000 * 122 } }, versions: [kept] },
    false,
    /^sub\/a\.png wurde am 1970-05-03 \d\d:\d\d von laptop gelöscht\. Der Inhalt ist aufgehoben\.$/,
  ],
];
for (const [cause, given, onDisk, told] of rows)
  test(`wordsOf() l10n German, ${cause}: ${told.source}`, () => {
    const facts = { ...FACTS, ...given };
    const knowledge = knowledgeOf(facts, onDisk);
    assert.equal(knowledge.cause, cause);
    assert.match(wordsOf("de-AT").sentence({ facts, knowledge }), told);
    assert.equal(wordsOf("en").sentence({ facts, knowledge }), knowledge.sentence);
  });

test("wordsOf() l10n sizes have the language's own comma", () => {
  assert.deepEqual([wordsOf("de").size(1_234_567), wordsOf("fr").size(1_234_567)], ["1,2 MB", "1.2 MB"]);
});
