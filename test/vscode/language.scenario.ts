import assert from "node:assert/strict";
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";

import { until } from "../support/children.ts";
import { join, type Joined } from "./joined.ts";
import { scenario } from "./scenario.ts";

/** One transparent pixel. */
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const NOTE = "# Cats\n\n![here](media/cat.png)\n\n![gone](media/gone.png)\n\n![[cat.png]]\n\n`![code](media/never.png)`\n";

scenario("media in notes", { files: { "cats.md": NOTE, "empty.md": "", "media/cat.png": PIXEL } }, (world) => {
  let joined: Joined;
  const saved = async (note: string) => await readFile(path.join(world.workspace, note), "utf8");
  before(async () => (joined = await join(world)));

  test("EX exactly the reference to absent media is flagged, and hovering says why", async () => {
    const window = await world.window();
    await window.openFile("cats.md");
    const squiggles = window.editor("cats.md").locator(".squiggly-warning, .squiggly-error, .squiggly-info");
    await until("one reference is flagged", async () => (await squiggles.count()) === 1);
    await window.hover(window.editor("cats.md").locator(".view-line", { hasText: "gone.png" }).getByText("gone.png"), /gone\.png/);
    assert.equal(await squiggles.count(), 1, "no other was flagged later");
    await window.shot("note-missing");
  });

  test("EX hovering over an embed shows the image and how it stands", async () => {
    const window = await world.window();
    await window.openFile("cats.md");
    await window.editor("cats.md").locator(".squiggly-warning, .squiggly-error, .squiggly-info").first().waitFor();
    await window.hover(window.editor("cats.md").locator(".view-line", { hasText: "![[cat.png]]" }).getByText("cat.png"), /sync/i);
    await window.shot("note-hover");
  });

  test("EX a file renamed on disk: the user is asked, and the links follow", async () => {
    const window = await world.window();
    await window.openFile("cats.md");
    await window.editor("cats.md").locator(".squiggly-warning, .squiggly-error, .squiggly-info").first().waitFor();
    await rename(path.join(world.media, "cat.png"), path.join(world.media, "tiger.png"));
    const question = window.toast(/cat\.png was renamed to tiger\.png/);
    await question.waitFor();
    await window.shot("note-renamed");
    await question.getByRole("button", { name: "Update links" }).click();
    await until("the links follow", async () => (await window.textOf("cats.md")).includes("![[tiger.png]]"));
    assert.match(await window.textOf("cats.md"), /!\[here\]\(media\/tiger\.png\)/);
    await window.save("cats.md");
    await until("the note is saved", async () => (await saved("cats.md")).includes("![[tiger.png]]"));
  });

  test("EX a note that is saved with new media in it sends them, though no event told of them", async () => {
    const window = await world.window();
    const other = await world.device("other");
    await window.openFile("empty.md");
    await writeFile(path.join(world.media, "dog.png"), Buffer.concat([PIXEL, Buffer.from("dog")]));
    await window.type("empty.md", "![dog](media/dog.png)");
    await window.save("empty.md");
    await until("the note is saved", async () => (await saved("empty.md")) === "![dog](media/dog.png)");
    await until("the picture reaches another device", () => other.has("dog.png"));
  });

  test("EX notes checked against their media: what is missing is listed, what nobody uses is removed by choice and comes back by undo", async () => {
    const window = await world.window();
    await window.openMedia();
    await writeFile(path.join(world.media, "nobody.png"), Buffer.concat([PIXEL, Buffer.from("nobody")]));
    await joined.cli(["sync", "--wait"]);
    const list = window.quick();
    const missing = list.locator(".monaco-list-row", { hasText: "gone.png" });
    // A list goes when the focus does, and a window that is still being put together moves it: asked again then, as a user would.
    await until("the check lists what is missing", async () => {
      await window.command("Satchel: Check Notes and Media");
      return await missing.waitFor({ timeout: 8000 }).then(
        () => true,
        () => false,
      );
    });
    await window.shot("check-notes");
    await window.pick("1 file that no note uses");
    const unused = list.locator(".monaco-list-row", { hasText: "nobody.png" });
    await unused.waitFor();
    // Older workbenches have an input for it, newer ones a control with a state.
    assert.equal((await list.locator('input[type="checkbox"], [role="checkbox"]').count()) > 0, true, "every row can be chosen");
    assert.equal(await list.locator('input:checked, [aria-checked="true"]').count(), 0, "nothing is chosen beforehand");
    await unused.click();
    await list.getByRole("button", { name: "OK" }).click();
    const told = window.toast("Satchel: removed 1 file.");
    await told.waitFor();
    await until("it is gone", () => !world.has("nobody.png"));
    await told.hover();
    await told.getByRole("button", { name: "Undo" }).click();
    await until("it is back", () => world.has("nobody.png"));
  });
});
