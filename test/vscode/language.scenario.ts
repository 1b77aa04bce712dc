import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { until } from "../support/children.ts";
import { join, type Joined } from "./joined.ts";
import { scenario } from "./scenario.ts";

/** One transparent pixel. */
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const NOTE = "# Cats\n\n![here](media/cat.png)\n\n![gone](media/gone.png)\n\n![[cat.png]]\n\n`![code](media/never.png)`\n";

const files = {
  "cats.md": NOTE,
  "empty.md": "",
  "media/cat.png": PIXEL,
  // Two ways to name one file, and a note that is in no editor.
  "pets.md": "![pet](media/pet.png)\n\n![[pet.png]]\n",
  "pets-too.md": "A [pet](media/pet.png).\n",
  "media/pet.png": Buffer.concat([PIXEL, Buffer.from("pet")]),
  "birds.md": "![bird](media/wren.png)\n\n![[wren.png]]\n",
  "birds-too.md": "A [bird](media/wren.png).\n",
  "media/wren.png": Buffer.concat([PIXEL, Buffer.from("wren")]),
};

scenario("media in notes", { files }, (world) => {
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

  /** The file has this name, and every note says so on disk: the editor saves by itself. */
  const pet = async (name: string): Promise<void> => {
    const expected = [name, `![pet](media/${name})\n\n![[${name}]]\n`, `A [pet](media/${name}).\n`];
    const found = async (): Promise<readonly string[]> => [
      ...readdirSync(world.media).filter((file) => ["pet.png", "hamster.png", "gerbil.png"].includes(file)),
      await saved("pets.md"),
      await saved("pets-too.md"),
    ];
    await until(`the pet is ${name}`, async () => isDeepStrictEqual(await found(), expected)).catch(async (error: unknown) => {
      throw new Error(`found: ${JSON.stringify(await found())}`, { cause: error });
    });
  };

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

  test("EX a file renamed on disk, in two notes of which one is closed: the links follow, and one undo takes all of them back", async () => {
    const window = await world.window();
    await window.openFile("birds.md");
    const flags = window.editor("birds.md").locator(".squiggly-warning, .squiggly-error, .squiggly-info");
    const say = async (name: string): Promise<void> =>
      await until(`the notes say ${name}`, async () =>
        isDeepStrictEqual(
          [await saved("birds.md"), await saved("birds-too.md")],
          [`![bird](media/${name})\n\n![[${name}]]\n`, `A [bird](media/${name}).\n`],
        ),
      );
    await rename(path.join(world.media, "wren.png"), path.join(world.media, "swift.png"));
    const question = window.toast(/wren\.png was renamed to swift\.png\. Update 3 links in 2 notes\?/);
    await question.getByRole("button", { name: "Update links" }).click();
    await say("swift.png");
    await window.editor("birds.md").locator(".view-lines").click();
    await window.page.keyboard.press("Control+Z");
    await say("wren.png");
    await until("what is not there is flagged", async () => (await flags.count()) === 2);
    await rename(path.join(world.media, "swift.png"), path.join(world.media, "wren.png"));
    await until("nothing is flagged", async () => (await flags.count()) === 0);
    await say("wren.png");
  });

  test("EX a file renamed on another device: the user is asked here, and the links follow", async () => {
    const other = await world.device("other");
    await until("the other device has the picture", () => other.has("tiger.png"));
    const window = await world.window();
    await window.openFile("cats.md");
    await window.editor("cats.md").locator(".squiggly-warning, .squiggly-error, .squiggly-info").first().waitFor();
    await rename(path.join(other.satchel.root, "tiger.png"), path.join(other.satchel.root, "lynx.png"));
    await window
      .toast(/tiger\.png was renamed to lynx\.png\. Update 2 links in 1 note\?/)
      .getByRole("button", { name: "Update links" })
      .click();
    await until("the links follow", async () => (await window.textOf("cats.md")).includes("![[lynx.png]]"));
    assert.match(await window.textOf("cats.md"), /!\[here\]\(media\/lynx\.png\)/);
    await window.save("cats.md");
    await until("the note is saved", async () => (await saved("cats.md")).includes("![[lynx.png]]"));
    assert.ok(world.has("lynx.png") && !world.has("tiger.png"));
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

  test("EX from a picture itself to the notes that show it", async () => {
    const window = await world.window();
    await window.openAny("lynx.png");
    await window.command("Satchel: Find References in Notes");
    const list = window.page.locator(".zone-widget .ref-tree");
    await list.waitFor();
    await until("both places are listed", async () => (await list.locator(".monaco-list-row", { hasText: "lynx.png" }).count()) === 2);
    await window.shot("find-references");
  });

  test("EX notes checked against their media: a view that stays; what is missing opens its note, what nobody uses is removed by choice and comes back by undo", async () => {
    const window = await world.window();
    await window.openMedia();
    await writeFile(path.join(world.media, "nobody.png"), Buffer.concat([PIXEL, Buffer.from("nobody")]));
    await joined.cli(["sync", "--wait"]);
    await window.row(/in sync · user1@/).waitFor();
    await window.command("Satchel: Check Notes and Media");
    const missing = window.row(/gone\.png.*never seen · cats\.md:5/);
    await missing.waitFor();
    const unused = window.row("nobody.png");
    await unused.waitFor();
    const ticks = window.page.locator('.part.sidebar .monaco-list-row [role="checkbox"]');
    assert.equal(await ticks.count(), 2, "one for the file and one for all");
    assert.equal(await ticks.and(window.page.locator('[aria-checked="true"]')).count(), 0, "nothing is chosen beforehand");
    await window.shot("check-notes");
    await missing.click();
    await window.editor("cats.md").locator(".view-line").first().waitFor();
    await window.page.locator(".part.statusbar").getByText("Ln 5").waitFor();
    await unused.locator('[role="checkbox"]').click();
    await window.row(/Unused.*1 chosen/).waitFor();
    await window.shot("check-chosen");
    await window.command("Satchel: Remove the Chosen Unused Files");
    const question = window.dialog(/Remove 1 file that no note uses/);
    await question.waitFor();
    await window.shot("check-question");
    await question.getByRole("button", { name: "Remove" }).click();
    const told = window.toast("Satchel: removed 1 file.");
    await told.waitFor();
    await until("it is gone", () => !world.has("nobody.png"));
    await unused.waitFor({ state: "detached" });
    await told.hover();
    await told.getByRole("button", { name: "Undo" }).click();
    await until("it is back", () => world.has("nobody.png"));
    await unused.waitFor();
  });

  test("EX the Check view before its first check, in German and in a dark window", async () => {
    const settings = path.join(world.workspace, ".vscode", "settings.json");
    await mkdir(path.dirname(settings), { recursive: true });
    await writeFile(settings, JSON.stringify({ "workbench.colorTheme": "Default Dark Modern" }));
    const window = await world.window({ language: "de" });
    await window.openMedia();
    await window.row("Ordner").first().waitFor();
    await window.page.locator(".part.sidebar .pane-header", { hasText: /Prüfung/i }).click();
    const begin = window.page.locator(".welcome-view-content").getByRole("button", { name: "Notizen und Medien prüfen" });
    await begin.waitFor();
    await window.shot("check-welcome");
    await begin.click();
    await window.row(/gone\.png.*nie gesehen · cats\.md:5/).waitFor();
    await window.row("nobody.png").waitFor();
    await window.shot("check-german");
  });

  test("EX a note that can't be read leaves nothing unused; the undo of a clean-up takes back nothing else", async () => {
    const other = await world.device("other");
    await writeFile(path.join(world.media, "spare.png"), Buffer.concat([PIXEL, Buffer.from("spare")]));
    await until("the other device has what no note uses", () => other.has("spare.png") && other.has("pet.png"));
    // Larger than a note that is read.
    const huge = path.join(world.workspace, "huge.md");
    await writeFile(huge, "![](media/spare.png)\n".padEnd(5_000_000));
    const window = await world.window();
    await window.openMedia();
    await window.row(/in sync · user1@/).waitFor();
    await window.command("Satchel: Check Notes and Media");
    await window.row("Could Not Be Read").waitFor();
    // Room for the whole list.
    await window.page.getByRole("button", { name: "Media Section", exact: true }).click();
    await window.row("huge.md").waitFor();
    await window.row(/Unused.*not known/).waitFor();
    assert.equal(await window.row("spare.png").count(), 0);
    await window.shot("check-unread");
    await rm(huge);
    await window.command("Satchel: Check Again");
    const unused = window.row("spare.png");
    await unused.locator('[role="checkbox"]').click();
    await window.command("Satchel: Remove the Chosen Unused Files");
    await window
      .dialog(/Remove 1 file that no note uses/)
      .getByRole("button", { name: "Remove" })
      .click();
    await until("it is gone, there too", () => !world.has("spare.png") && !other.has("spare.png"));

    const edited = Buffer.concat([PIXEL, Buffer.from("edited there")]);
    await writeFile(path.join(other.satchel.root, "pet.png"), edited);
    await until("the other device's edit is here", async () => (await readFile(path.join(world.media, "pet.png"))).equals(edited));
    await window.command("Satchel: Undo the Clean-up");
    await window.toast(/other files were replaced or removed since, so nothing was undone/).waitFor();
    await window.shot("check-undo-refused");
    assert.ok(!world.has("spare.png"));
    assert.deepEqual(await readFile(path.join(world.media, "pet.png")), edited);
  });

  test("EX a media file renamed by F2 on a link, by F2 on an embed, in the explorer: every link follows, and one undo takes it back", async () => {
    const window = await world.window();
    await window.openFile("pets.md");
    const box = window.page.locator(".rename-box input");
    for (const line of ["![pet](", "![["]) {
      // A key that comes before the language servers are there opens nothing.
      await until("a new name is asked for", async () => {
        await window.page.keyboard.press("Escape");
        await window.editor("pets.md").locator(".view-line", { hasText: line }).getByText("pet.png").click();
        await window.page.keyboard.press("F2");
        return await box.waitFor({ timeout: 3000 }).then(
          () => true,
          () => false,
        );
      });
      await box.fill((await box.inputValue()).replace("pet.png", "hamster.png"));
      await window.shot("rename");
      await box.press("Enter");
      await pet("hamster.png");
      await window.page.keyboard.press("Control+Z");
      await pet("pet.png");
    }

    await window.unfold(window.row(/^media$/).first());
    await window.row("pet.png").first().click();
    await window.page.keyboard.press("F2");
    const inTree = window.page.locator(".explorer-item-edited input");
    await inTree.fill("gerbil.png");
    await inTree.press("Enter");
    // The editor's own questions, here and below: may an extension change notes with a file, may a file's renaming be undone.
    await window.dialog("Extension 'Satchel' wants to make refactoring changes").getByRole("button", { name: "OK" }).click();
    await pet("gerbil.png");
    const question = window.dialog("Would you like to undo 'Rename pet.png to gerbil.png'?");
    // The picture's own tab may take the focus when it is done with its new name.
    await until("the note has the focus, and undo asks", async () => {
      await window.tab("pets.md").click();
      await window.editor("pets.md").locator(".view-lines").click();
      await window.page.keyboard.press("Control+Z");
      return await question.waitFor({ timeout: 3000 }).then(
        () => true,
        () => false,
      );
    });
    await question.getByRole("button", { name: "Yes" }).click();
    await pet("pet.png");
  });
});
