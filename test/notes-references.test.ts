import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import * as fc from "fast-check";

import { findReferences, type MediaReference } from "../service/notes/references.ts";
import { canSpell, spellTarget } from "../service/notes/spelling.ts";

const CORPUS = path.resolve(import.meta.dirname, "../../shared/corpus/foam-docs/docs");

/** `syntax written→target` of each reference; `written` is the exact range. */
function told(text: string): string[] {
  return findReferences(text).map(({ syntax, start, end, target }) => `${syntax} ${text.slice(start, end)}→${target}`);
}

const rows: readonly (readonly [what: string, text: string, expected: readonly string[]])[] = [
  ["image", "a ![alt](img/a.png) b", ["image img/a.png→img/a.png"]],
  ["image with a title", '![](a.png "A (title)")', ["image a.png→a.png"]],
  ["image in a link: both", "[![x](a.png)](b.pdf)", ["image a.png→a.png", "link b.pdf→b.pdf"]],
  ["link", "[the paper](papers/x.pdf)", ["link papers/x.pdf→papers/x.pdf"]],
  ["percent-encoding", "![](my%20photo%C3%A9.png)", ["image my%20photo%C3%A9.png→my photoé.png"]],
  ["a percent sign that encodes nothing", "![](100%.png)", ["image 100%.png→100%.png"]],
  ["angle brackets hold spaces", "![](<my photo (1).png>)", ["image my photo (1).png→my photo (1).png"]],
  ["a bare space is no destination", "![](my photo.png)", []],
  ["parentheses that pair", "![](a(1).png)", ["image a(1).png→a(1).png"]],
  ["escapes and entities", String.raw`![](a\_b\(c&amp;d&#x20;e.png)`, [String.raw`image a\_b\(c&amp;d&#x20;e.png→a_b(c&d e.png`]],
  ["query and fragment are not the path", "![](a.png?raw=1#x) [p](b.pdf#page=2)", ["image a.png→a.png", "link b.pdf→b.pdf"]],
  ["an encoded # belongs to the name", "![](a%23b.png) ![](c&#35;d.png)", ["image a%23b.png→a#b.png", "image c&#35;d.png→c"]],
  ["definition", "![x][logo]\n\n[logo]: img/logo.png 'T'", ["definition img/logo.png→img/logo.png"]],
  ["definition in brackets", "[logo]: <img/the logo.png>", ["definition img/the logo.png→img/the logo.png"]],
  ["a footnote is no definition", "[^1]: image.png", []],
  [
    "media that is all of a footnote",
    "a[^1] b[^2]\n\n[^1]: ![](a.png)\n> [^2]: ![[b.png]]\n[^3]: [x](c.pdf)",
    ["image a.png→a.png", "embed b.png→b.png", "link c.pdf→c.pdf"],
  ],
  ["a destination on a quote's next line", "> [logo]:\n> img/a.png", ["definition img/a.png→img/a.png"]],
  ["an image whose destination stands on a quote's next line", "> ![x](\n> a.png)", ["image a.png→a.png"]],
  ["addresses", "![](https://e.org/a.png) ![](//e.org/a.png) ![](data:image/png;base64,AA) [m](mailto:a@b)", []],
  ["a bare anchor", "[up](#top)", []],
  ["notes", "[n](other.md) [m](<my note.markdown#part>)\n\n[d]: ../x.md", []],
  ["media among notes", "[n](other.md)[p](y.png)", ["link y.png→y.png"]],
  ["a destination that begins with parentheses", "![]((1).png)", ["image (1).png→(1).png"]],
  ["a fragment of a note that looks like media", "[n](other.md#a.png)", []],
  [
    "HTML image, quoted both ways and not at all",
    `<img src="a.png"> <img src='b.png'> <img src=c.png>`,
    ["html a.png→a.png", "html b.png→b.png", "html c.png→c.png"],
  ],
  [
    "HTML audio, video, source, poster",
    `<audio src="a.mp3"></audio>\n\n<video poster=p.jpg src="v.mp4"><source src="w.webm"></video>`,
    ["html a.mp3→a.mp3", "html p.jpg→p.jpg", "html v.mp4→v.mp4", "html w.webm→w.webm"],
  ],
  ["HTML entities and spaces", `<IMG alt="x > y" SRC = " my &amp; yours%20.png ">`, ["html my &amp; yours%20.png→my & yours .png"]],
  ["HTML value without quotes that holds a slash", "x <img src=img/a.png> y", ["html img/a.png→img/a.png"]],
  ["HTML data-src is another attribute", `<img data-src="a.png">`, []],
  ["HTML over several lines", `<p>\n<img\n  width="3"\n  src="a.png"\n/>\n</p>`, ["html a.png→a.png"]],
  ["HTML comment and script", `<!-- <img src="a.png"> ![[b.png]] [sound:c.mp3] -->\n\n<script>\n"<img src='a.png'>"\n</script>`, []],
  ["embed", "x ![[photo.png]] y", ["embed photo.png→photo.png"]],
  [
    "embed with size, alignment, caption",
    "![[a.png|300]] ![[b.png|300x200|left]] ![[c d.png|a caption]]",
    ["embed a.png→a.png", "embed b.png→b.png", "embed c d.png→c d.png"],
  ],
  ["embed with an anchor", "![[book.pdf#page=3]] ![[v.mp4#t=10|200]]", ["embed book.pdf→book.pdf", "embed v.mp4→v.mp4"]],
  ["embed in a table", String.raw`| ![[a.png\|100]] | x |`, ["embed a.png→a.png"]],
  ["embed with blanks around the name", "![[ img/a.png | 100 ]]", ["embed img/a.png→img/a.png"]],
  ["embed does not decode", "![[a%20b.png]]", ["embed a%20b.png→a%20b.png"]],
  ["embed beside a definition of its name", "![[n.png]]\n\n[n.png]: other.png", ["embed n.png→n.png", "definition other.png→other.png"]],
  ["a wikilink that is not embedded", "[[photo.png]]", []],
  ["an escaped embed", String.raw`\![[a.png]]`, []],
  ["sound", "[sound:a b.mp3] and [sound:c&amp;d.mp3]", ["sound a b.mp3→a b.mp3", "sound c&amp;d.mp3→c&d.mp3"]],
  ["sound in HTML", "<div>[sound:a.mp3]</div>", ["sound a.mp3→a.mp3"]],
  ["never in inline code", "`![](a.png)` ``[sound:a.mp3]`` `![[b.png]]` `<img src=c.png>`", []],
  ["never in fenced code", "```md\n![](a.png)\n![[b.png]]\n[sound:c.mp3]\n<img src=d.png>\n```\n~~~\n![](a.png)\n~~~", []],
  ["never in indented code", "text\n\n    ![](a.png) ![[b.png]]\n\ntext", []],
  ["never in code inside a list or a quote", "- a\n  ```\n  ![](a.png)\n  ```\n\n> ```\n> ![[b.png]]\n> ```", []],
  [
    "in lists, quotes and headings",
    "# ![](a.png)\n- ![](b.png)\n> ![[c.png]]",
    ["image a.png→a.png", "image b.png→b.png", "embed c.png→c.png"],
  ],
  ["front matter is no text", "---\ncover: ![](a.png)\ncode: |\n  ```\n---\n![](b.png)", ["image b.png→b.png"]],
  ["an unclosed fence hides the rest", "```\n![](a.png)", []],
  ["behind astral characters and CRLF", "𝒳\r\n\r\n![](𝒴.png)", ["image 𝒴.png→𝒴.png"]],
  ["a drive letter is a path", "![](C:/x/a.png)", ["image C:/x/a.png→C:/x/a.png"]],
];
for (const [what, text, expected] of rows) test(`findReferences() ${what}`, () => assert.deepEqual(told(text), expected));

test("findReferences() keeps what is literal: a name may hold %20", () => {
  const [found] = findReferences("![](a%20b.png)");
  assert.equal(found?.literal, "a%20b.png");
  assert.equal(found.target, "a b.png");
});

const PLACES: readonly (readonly [place: Pick<MediaReference, "syntax" | "angle" | "quote">, write: (name: string) => string])[] = [
  [{ syntax: "image", angle: false, quote: "" }, (name) => `![x](${name})`],
  [{ syntax: "image", angle: true, quote: "" }, (name) => `![x](<${name}> "t")`],
  [{ syntax: "definition", angle: false, quote: "" }, (name) => `[x]: ${name}`],
  [{ syntax: "html", angle: false, quote: '"' }, (name) => `<img src="${name}">`],
  [{ syntax: "html", angle: false, quote: "'" }, (name) => `<img src='${name}'>`],
  [{ syntax: "html", angle: false, quote: "" }, (name) => `<img src=${name}>`],
  [{ syntax: "embed", angle: false, quote: "" }, (name) => `![[${name}|100]]`],
  [{ syntax: "sound", angle: false, quote: "" }, (name) => `[sound:${name}]`],
];
const awkward = fc
  .string({
    unit: fc.constantFrom(...Array.from("aB9 .-_/%#?&;|()[]<>\"'`*!~^{}\\=+,:$@é\u00a0\u3000𝒳"), "%20", "&amp;", "![[", "]]", "http:"),
    minLength: 1,
    maxLength: 12,
  })
  .filter((text) => !text.includes("//"));

for (const [place, write] of PLACES)
  test(`spellTarget() in ${place.syntax}${place.angle ? " <>" : ""}${place.quote}: what is written means the path, for any path`, () =>
    fc.assert(
      fc.property(awkward, fc.constantFrom("", "text ", "`code` ", "| "), (wanted, before) => {
        fc.pre(canSpell(place, wanted) && (place.syntax !== "definition" || before === ""));
        const found = findReferences(`${before}${write(spellTarget(place, wanted))}\n`);
        assert.deepEqual(
          found.map(({ target }) => target),
          [wanted],
        );
        const [reference] = found;
        assert.equal(reference?.syntax, place.syntax);
      }),
      { numRuns: 1000 },
    ));

test("findReferences() ranges: exactly the written path, never overlapping, for any text", () =>
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(
          ...Array.from("a.[]()!<>\"'`|#\\ \n&;%-"),
          "![](",
          "![[",
          "]]",
          "[sound:",
          "<img src=",
          "```\n",
          "    ",
          "> ",
          "- ",
          "[a]: ",
        ),
        maxLength: 40,
      }),
      (text) => {
        let end = -1;
        for (const reference of findReferences(text)) {
          assert.ok(reference.start < reference.end && reference.end <= text.length);
          // An image's destination may lie in a link's text, never in another destination.
          assert.ok(reference.start >= end, `${JSON.stringify(text)} at ${reference.start}`);
          ({ end } = reference);
        }
      },
    ),
    { numRuns: 3000, examples: [["![](![[a)]]"]] },
  ));

test("findReferences() over a real notes folder: every range spells its target", async (context) => {
  if (!existsSync(CORPUS)) return context.skip(`no notes folder at ${CORPUS}`);
  const files = (await readdir(CORPUS, { recursive: true })).filter((name) => name.endsWith(".md"));
  let count = 0;
  for (const file of files) {
    const text = await readFile(path.join(CORPUS, file), "utf8");
    for (const reference of findReferences(text)) {
      count += 1;
      assert.equal(text.slice(reference.start, reference.end), reference.literal, file);
      assert.doesNotMatch(reference.literal, /^https?:/);
    }
  }
  assert.ok(files.length > 80 && count >= 20, `${count} references in ${files.length} notes`);
});
