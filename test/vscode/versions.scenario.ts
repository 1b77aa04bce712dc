import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";

import { until } from "../support/children.ts";
import { png } from "../support/pictures.ts";
import { PASSWORD } from "../support/sync-server.ts";
import { join, type Joined } from "./joined.ts";
import { scenario, type Device } from "./scenario.ts";
import type { Workbench } from "./workbench.ts";

const square = (red: number): Buffer => png(80, 80, (x, y) => (x > 20 && x < 60 && y > 20 && y < 60 ? [red, 80, 120] : [240, 240, 240]));
const OLD = square(40);
const NEW = square(220);

const files = { "media/photo.png": OLD, "media/list.txt": "bread\nmilk\n", "media/empty.png": "", "index.md": "# Notes\n" };

scenario("versions", { files }, (world) => {
  let home: Joined;
  let other: Device;
  const here = (file: string): string => path.join(world.media, file);
  const there = (file: string): string => path.join(other.satchel.root, file);
  before(async () => {
    home = await join(world);
    other = await world.device("other");
    await until("the other device has everything", () => other.has("photo.png") && other.has("list.txt"));
  });
  const ready = async (): Promise<Workbench> => {
    const window = await world.window();
    await window.page.locator('.part.statusbar .statusbar-item[aria-label*="in sync"]').first().waitFor();
    return window;
  };
  const same = async (file: string, bytes: Buffer): Promise<boolean> =>
    await readFile(file).then(
      (got) => got.equals(bytes),
      () => false,
    );

  test("EX a picture's history: listed, shown against what stands there now, restored, and again on the other device", async () => {
    await writeFile(there("photo.png"), NEW);
    await until("the other device's edit is here", async () => await same(here("photo.png"), NEW));
    const window = await ready();
    await window.openAny("photo.png");
    await window.command("Satchel: Show Versions of a Media File");
    await window.quick().filter({ hasText: "Versions of photo.png" }).waitFor();
    await window.quick().getByText("kept before it was replaced").waitFor();
    const page = window.webview();
    await page.locator(".pair img").nth(1).waitFor();
    await page.getByText("kept ↔ now").waitFor();
    await window.shot("versions-picture");
    // In the list itself: the picture beside it may have taken the focus when it was done loading.
    await window.quick().locator("input").first().press("Enter");
    await until("the old bytes are back", async () => await same(here("photo.png"), OLD));
    await until("the other device has them", async () => await same(there("photo.png"), OLD));
  });

  test("EX a text's history is shown in the diff editor", async () => {
    await writeFile(there("list.txt"), "bread\nmilk\ncheese\n");
    await until("the other device's edit is here", async () => (await readFile(here("list.txt"), "utf8")).includes("cheese"));
    const window = await ready();
    await window.openFile("list.txt");
    await window.command("Satchel: Show Versions of a Media File");
    await window.page.locator(".monaco-diff-editor .editor.modified .view-line", { hasText: "cheese" }).waitFor();
    await window.shot("versions-text");
    await window.page.keyboard.press("Escape");
    assert.match(await readFile(here("list.txt"), "utf8"), /cheese/, "looking changes nothing");
  });

  test("EX a file that is gone is brought back; the last sync's step is undone after a look at what it would take back", async () => {
    await rm(there("list.txt"));
    await until("the deletion is here", () => !world.has("list.txt"));
    const window = await ready();
    await window.command("Satchel: Bring Back a File That Is Gone");
    await window.quick().filter({ hasText: "Files that are gone from media" }).waitFor();
    await window.shot("versions-removed");
    await window.pick("list.txt");
    await until("it is back", () => world.has("list.txt"));
    await until("on the other device too", () => other.has("list.txt"));

    await writeFile(there("list.txt"), "nothing\n");
    await until("the other device's edit is here", async () => (await readFile(here("list.txt"), "utf8")) === "nothing\n");
    await window.command("Satchel: Undo the Last Sync");
    const dialog = window.dialog("Undo the last step that replaced or removed files: 1 file?");
    await dialog.getByText("list.txt").waitFor();
    await window.shot("undo");
    await dialog.getByRole("button", { name: "Undo" }).click();
    await window.toast("Undone: 1 file.").waitFor();
    assert.match(await readFile(here("list.txt"), "utf8"), /cheese/);
  });

  test("EX marks in the explorer: what waits and what can't be synced, by sign and colour, said aloud", async () => {
    // Without a server it waits for long enough to be looked at.
    await home.cli(["logout", `user1@${new URL(world.server.url).host}`]);
    await writeFile(here("waiting.png"), square(7));
    const window = await world.window();
    await window.unfold(window.page.locator(".explorer-folders-view .monaco-list-row", { hasText: "media" }).first());
    const row = (file: string) => window.page.locator(".explorer-folders-view .monaco-list-row", { hasText: file }).first();
    await row("empty.png").waitFor();
    const says = async (file: string, what: string): Promise<boolean> => (await row(file).innerHTML()).includes(what);
    await until("the empty file is marked", async () => await says("empty.png", "Satchel: not synced (empty)"));
    await until("the one that waits too", async () => await says("waiting.png", "Satchel: waits to be synced"));
    await window.shot("decorations");
    await home.cli(["login", world.server.url, "--user", "user1", "--password-stdin"], PASSWORD);
    await until("its mark goes when it is synced", async () => !(await says("waiting.png", "Satchel")));
  });
});
