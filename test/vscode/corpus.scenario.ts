/** A real folder of notes, of which some media are absent: the Problems view lists exactly those, though no note is open. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cp, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { until } from "../support/children.ts";
import { TOP } from "./editor.ts";
import { join } from "./joined.ts";
import { scenario } from "./scenario.ts";

const CORPUS = path.resolve(TOP, "../shared/corpus/foam-docs/docs");
const IMAGES = "assets/images";

/**
 * Written apart from the product, by patterns instead of a parser: outside of code, what pictures, links and HTML images lead to below the media
 * folder and what isn't there; `note: file`, ascending.
 */
async function missingBy(workspace: string): Promise<readonly string[]> {
  const media = path.join(workspace, IMAGES);
  const missing: string[] = [];
  for (const note of (await readdir(workspace, { recursive: true })).filter((name) => name.endsWith(".md"))) {
    const text = (await readFile(path.join(workspace, note), "utf8"))
      .replaceAll(/^( *)(```+|~~~+)[^\n]*\n[\s\S]*?^ *\2`* *$/gm, "")
      .replaceAll(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, "");
    const named = [...text.matchAll(/\]\(([^)\s]+)\)|<img[^>]*\bsrc="([^"]+)"|^\[[^\]]+\]: +(\S+)/gm)].map(
      ([, a, b, c]) => a ?? b ?? c ?? "",
    );
    for (const name of named.filter((one) => !/^[a-z]+:/i.test(one))) {
      const file = path.resolve(workspace, path.dirname(note), decodeURI(name));
      if (file.startsWith(`${media}${path.sep}`) && !existsSync(file)) missing.push(`${path.basename(note)}: ${path.basename(file)}`);
    }
  }
  return missing.toSorted();
}

scenario("a corpus", {}, (world) => {
  test("EX exactly the references to absent media are listed under Problems, with every note closed", async (context) => {
    // It stands beside the project and can't be installed: where it is absent the gate passes, and says what was not tried.
    if (!existsSync(CORPUS))
      return context.skip(`the notes ../shared/corpus/foam-docs are not beside the project: their Problems view was not tried`);
    await cp(CORPUS, world.workspace, { recursive: true });
    const expected = await missingBy(world.workspace);
    context.diagnostic(`${String(expected.length)} references to absent media, by the test's own count`);
    assert.ok(expected.length > 0, "the corpus lacks some pictures on purpose");
    await join(world, path.join(world.workspace, IMAGES));
    const window = await world.window({ viewport: { width: 1280, height: 2000 } });
    await window.command("Problems: Focus on Problems View");
    const rows = window.page.locator(".markers-panel .monaco-list-row");
    // A note's row, then those of what is wrong in it.
    const listed = async (): Promise<readonly string[]> => {
      let note = "";
      const found: string[] = [];
      for (const row of await rows.all()) {
        const text = await row.innerText();
        if ((await row.getAttribute("aria-level")) === "1") note = /[^\n]+\.md/.exec(text)?.[0] ?? text;
        else found.push(`${note}: ${/([^\s/]+) (?:has never been seen|was deleted|is on the remote)/.exec(text)?.[1] ?? text}`);
      }
      return found.toSorted();
    };
    let last: readonly string[] = [];
    await until("the list is whole", async () => (last = await listed()).length === expected.length, 60_000).catch((error: unknown) => {
      throw new Error(`listed: ${last.join("\n")}\nexpected: ${expected.join("\n")}`, { cause: error });
    });
    await window.shot("corpus-problems");
    assert.deepEqual(await listed(), expected);
    // What another note's opening and closing changes: nothing.
    await window.openFile("inbox.md");
    assert.deepEqual(await listed(), expected);
  });
});
