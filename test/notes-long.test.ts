import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { LongNotes } from "../service/notes/long-notes.ts";
import { findReferences } from "../service/notes/references.ts";

/** Everything is a long note, and every heading may end a part. */
const parted = (text: string) => new LongNotes(0, 1).find(text);

const rows: readonly (readonly [what: string, text: string])[] = [
  ["plain", "![](a.png)\n\n# One\n\n![](b.png)\n\n## Two\n\n[sound:c.mp3]\n"],
  ["a fence that holds headings", "x\n\n# A\n\n```\n\n# no heading\n\n![](never.png)\n```\n\n# B\n\n![](b.png)\n"],
  ["a fence that never ends", "# A\n\n~~~\n\n# B\n\n![](never.png)\n\n# C\n\n![](never.png)"],
  ["a fence in a list ends with it", "- x\n\n  ```\n  code\n\n# A\n\n![](a.png)\n"],
  ["a comment over headings", "# A\n\n<!--\n\n# B ![](never.png)\n\n# C\n\n-->\n\n# D\n\n![](d.png)\n"],
  ["a tag over headings", '# A\n\ntext <img\n\n# B\nsrc="a.png">\n\n# C\n\n![](c.png)'],
  ["front matter with a comment", "---\na: 1\n\n# comment\n\nb: '![](never.png)'\n---\n\n# A\n\n![](a.png)\n"],
  ["a label defined behind makes a link of its name", "[[a]](x.png) [a](y.png)\n\n# B\n\n[b][A ](z.png)\n\n# C\n\n[ a\n]: media/def.png\n"],
  ["a label that is not defined does not", "[[a]](x.png)\n\n# B\n\n[b]: media/def.png\n"],
  ["a definition in a quote", "[[a]](x.png)\n\n# B\n\n> [a]: media/def.png\n"],
  ["Windows' line ends", "![](a.png)\r\n\r\n# One\r\n\r\n![](b.png)\r\n\r\n# Two\r\n\r\n![](c.png)\r\n"],
];
for (const [what, text] of rows)
  test(`LongNotes.find() finds what a look at the whole finds: ${what}`, () => assert.deepEqual(parted(text), findReferences(text)));

const piece = fc.constantFrom(
  "# H\n",
  "## H ![](h.png)\n",
  "\n",
  "\n\n",
  "![](a.png)",
  "![[b.png]]",
  "[sound:c.mp3]",
  '<img src="d.png">',
  "<img ",
  '"',
  ">",
  "<!--",
  "-->",
  "```\n",
  "~~~~\n",
  "`",
  "- x\n",
  "  ",
  "> ",
  "---\n",
  "[a]: e.png\n",
  "[A]",
  "[[a]](f.png)",
  "[x][a](g.png)",
  "[^1]: ![](n.png)\n",
  "<div>\n",
  "</div>\n",
  "text ",
  "\\",
);
test("LongNotes.find() finds what a look at the whole finds, for any text, however it is cut", () =>
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 60 }), (pieces, partChars) => {
      const text = pieces.join("");
      assert.deepEqual(new LongNotes(0, partChars).find(text), findReferences(text));
    }),
    { numRuns: 500 },
  ));

test("LongNotes.find() an edit in the middle of what is remembered moves what stands behind it", () => {
  const notes = new LongNotes(0, 1);
  const before = "![](a.png)\n\n# One\n\n![](b.png)\n\n# Two\n\n![](c.png)\n";
  const after = before.replace("# One", "# One and more");
  for (const text of [before, after, before]) assert.deepEqual(notes.find(text), findReferences(text));
});
