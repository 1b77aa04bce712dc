import assert from "node:assert/strict";
import { test } from "node:test";

import { openFinder } from "../service/notes/finder.ts";
import { findReferences } from "../service/notes/references.ts";

const WORKER = new URL("../service/notes/note-worker.ts", import.meta.url);
const LONG = `${"Lorem ipsum dolor sit amet.\n\n".repeat(400)}![](media/a%20b.png) ![[c.png]]\n`;

test("openFinder() long notes are parsed in a worker, several at once keep apart", async () => {
  const finder = openFinder(WORKER);
  const texts = [LONG, `${LONG}[sound:d.mp3]\n`, "![](short.png)", LONG, `# Part\n\n${LONG}\n`.repeat(9)];
  const found = await Promise.all(texts.map(async (text) => await finder.find(text)));
  assert.deepEqual(
    found,
    texts.map((text) => findReferences(text)),
  );
  await finder.close();
});

test("openFinder() what is one of many is parsed in the worker, short as it is, and what has no reference asks nobody", async () => {
  const nowhere = openFinder(new URL("no-such-worker.ts", WORKER));
  assert.deepEqual(await nowhere.find("![](short.png)"), findReferences("![](short.png)"));
  assert.deepEqual(await nowhere.findAmongMany("only a [note](other.md) and https://example.org"), []);
  await assert.rejects(nowhere.findAmongMany("![](short.png)"));
  await nowhere.close();
  const finder = openFinder(WORKER);
  const texts = Array.from({ length: 30 }, (_, index) => `${"\n".repeat(index)}![](a${index}.png) ![[b.png]]\n`);
  assert.deepEqual(
    await Promise.all(texts.map(async (text) => await finder.findAmongMany(text))),
    texts.map((text) => findReferences(text)),
  );
  await finder.close();
});

test("openFinder() a note that takes too long is given up, the next one is looked at", async () => {
  // Unpaired brackets: the parser looks for the other end of each.
  const endless = `![](a.png)\n\n${"[".repeat(400_000)}`;
  const impatient = openFinder(WORKER, 1);
  assert.equal(await impatient.find(endless), null);
  assert.deepEqual(await impatient.find("![](short.png)"), findReferences("![](short.png)"));
  await impatient.close();
  const patient = openFinder(WORKER);
  const [given, next] = await Promise.all([patient.find(LONG), patient.find(LONG)]);
  assert.deepEqual(given, next);
  await patient.close();
});
