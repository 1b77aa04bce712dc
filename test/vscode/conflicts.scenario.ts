import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { before, test } from "node:test";

import { deviceName } from "../../service/files/settings.ts";
import { until } from "../support/children.ts";
import { png, wav, type Colour } from "../support/pictures.ts";
import { join, type Joined } from "./joined.ts";
import { scenario, type Device } from "./scenario.ts";
import type { Workbench } from "./workbench.ts";

/** A chart; `bar` is where its second bar ends. */
function chart(bar: number, colour: Colour): Buffer {
  return png(240, 160, (x, y) => {
    if (x < 8 || y > 151) return [60, 60, 60];
    if (y > 20 && y < 60 && x < 120) return [70, 110, 180];
    if (y > 80 && y < 120 && x < bar) return colour;
    return [250, 250, 245];
  });
}
const BEFORE = chart(90, [200, 120, 40]);
const MINE = chart(150, [200, 120, 40]);
const THEIRS = chart(200, [40, 140, 90]);

const files = {
  "trip.md": "# Trip\n\n![chart](media/chart.png)\n",
  "media/chart.png": BEFORE,
  "media/talk.wav": wav(440, 300),
  "media/words.txt": "one\ntwo\nthree\n",
  "media/sketch.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40" fill="teal"/></svg>\n',
  "media/deck.apkg": Buffer.from([0x50, 0x4b, 3, 4, 0, 1]),
};

/** The text of the mark beside a name in the explorer, as CSS writes it. */
async function markOf(window: Workbench, name: string): Promise<string> {
  return await window.page.evaluate<string>(`(() => {
    const labels = [...document.querySelectorAll(".explorer-folders-view .monaco-list-row .monaco-icon-label")];
    const label = labels.find(({ textContent }) => textContent.includes(${JSON.stringify(name)}));
    return label === undefined ? "no such row" : getComputedStyle(label, "::after").content;
  })()`);
}

/** The palette offers what there is: it must know first. */
async function toldOf(window: Workbench): Promise<void> {
  await window.page.locator('.part.statusbar .statusbar-item[aria-label*="conflict"]').first().waitFor();
}

/** What the comparison tells of one side under this name. */
async function factOf(window: Workbench, side: string, name: string): Promise<string> {
  const told = window
    .webview()
    .getByRole("region", { name: side })
    .locator("dt", { hasText: name })
    .locator("xpath=following-sibling::dd[1]");
  return await told.innerText();
}

/** Milliseconds since 1970 of a date as the page writes it. */
function timeOf(date: string): number {
  return Date.parse(date.replaceAll(/\s/g, " "));
}

scenario("conflicts", { files }, (world) => {
  let home: Joined;
  let other: Device;
  const here = (file: string): string => path.join(world.media, file);
  const there = (file: string): string => path.join(other.satchel.root, file);
  const change = async (file: string, mine: string | Buffer, theirs: string | Buffer): Promise<void> =>
    await home.conflict(
      other,
      file,
      async () => await writeFile(here(file), mine),
      async () => await writeFile(there(file), theirs),
    );
  const copies = async (stem: string): Promise<readonly string[]> =>
    (await readdir(world.media)).filter((name) => name.startsWith(`${stem}.conflict-`));

  before(async () => {
    home = await join(world);
    other = await world.device("other");
    await until("the other device has everything", () => other.has("chart.png") && other.has("deck.apkg"));
  });

  test("EX pictures: listed with a badge, compared in four ways, both kept under a chosen name, on the other device a moment later", async () => {
    const beganMs = Math.floor(Date.now() / 1000) * 1000;
    await change("chart.png", MINE, THEIRS);
    const window = await world.window();
    await window.unfold(window.row(/^media$/).first());
    for (const name of ["chart.png", ...(await copies("chart"))])
      await until(`${name} has its mark`, async () => (await markOf(window, name)) === '"!?"');
    await window.shot("conflict-marks");
    await window.openMedia();
    const row = window.row("chart.png").first();
    await row.waitFor();
    await window.page.locator('.part.activitybar [aria-label^="Satchel"] .badge-content', { hasText: "1" }).first().waitFor();
    await row.click();
    const page = window.webview();
    await page.getByRole("radio", { name: "Side by Side", checked: true }).waitFor();
    await until(
      "both sizes are told",
      async () => (await page.locator(".size").allInnerTexts()).join() === "240 × 160 pixels,240 × 160 pixels",
    );
    await page.getByText("this device ↔ server").waitFor();
    assert.equal(await factOf(window, "This device", "Device"), deviceName(hostname()));
    assert.equal(await factOf(window, "Server", "Device"), "other");
    for (const told of [await factOf(window, "This device", "Saved"), await factOf(window, "Server", "Came in")])
      assert.ok(timeOf(told) >= beganMs && timeOf(told) <= Date.now(), told);
    await window.shot("conflict-side-by-side");
    await window.page.keyboard.press("2");
    await page.getByRole("slider").waitFor();
    await window.shot("conflict-swipe");
    await window.page.keyboard.press("3");
    await window.shot("conflict-onion");
    await window.page.keyboard.press("4");
    await page.getByText(/% of the pixels differ/).waitFor();
    await window.shot("conflict-difference");

    await page.getByRole("button", { name: "Keep Both…" }).click();
    const box = window.quick().filter({ hasText: "Keep both of chart.png" });
    await box.waitFor();
    await window.shot("conflict-name");
    await window.answer("Keep both of chart.png", "chart.png");
    await window.quick().filter({ hasText: "chart.png is there already" }).waitFor();
    await window.answer("Keep both of chart.png", "chart mine.png");
    await until("the copy has its name", () => world.has("chart mine.png"));
    await until("its first name is free", async () => (await copies("chart")).length === 0);
    assert.deepEqual(await readFile(here("chart mine.png")), MINE);
    assert.deepEqual(await readFile(here("chart.png")), THEIRS);
    await until("the other device has both", () => other.has("chart mine.png"));
    // The note showed this device's chart until the server's came.
    await window
      .toast(/One link in your notes leads to chart\.png/)
      .getByRole("button", { name: "Point Notes at chart mine.png" })
      .click();
    await window.openFile("trip.md");
    await until("the note follows", async () => (await window.textOf("trip.md")).includes("](media/chart%20mine.png)"));
    await window.shot("conflict-note-follows");
    await window.page.locator(".tab", { hasText: "this device" }).waitFor({ state: "detached" });
  });

  test("EX sounds: both players, from the keyboard alone; this device's is kept", async () => {
    const mine = wav(660, 400);
    await change("talk.wav", mine, wav(880, 800));
    const window = await world.window();
    await toldOf(window);
    await window.command("Satchel: Compare Conflict");
    const page = window.webview();
    await page.locator("audio").nth(1).waitFor();
    const lengths = "[...document.querySelectorAll('audio')].map((player) => player.readyState > 0 ? player.duration : 0)";
    await until("both can be played", async () => {
      const told = await Promise.all(window.page.frames().map(async (frame) => await frame.evaluate(lengths).catch(() => [])));
      return JSON.stringify(told.flat()) === "[0.4,0.8]";
    });
    await window.shot("conflict-sound");
    await window.command("Satchel: Keep This Device's File");
    await until("this device's bytes have the name", async () => (await readFile(here("talk.wav"))).equals(mine));
    await until("the other device has them", async () => (await readFile(there("talk.wav"))).equals(mine));
    await until("the copy is gone", async () => (await copies("talk")).length === 0);
  });

  test("EX text: in the diff editor, answered from its title", async () => {
    await change("words.txt", "one\nmine\nthree\n", "one\ntheirs\nthree\n");
    const window = await world.window();
    await toldOf(window);
    await window.command("Satchel: Compare Conflict");
    await window.page.locator(".monaco-diff-editor .editor.original .view-line", { hasText: "mine" }).waitFor();
    await window.page.locator(".monaco-diff-editor .editor.modified .view-line", { hasText: "theirs" }).waitFor();
    const keep = window.page.locator(".editor-actions").getByRole("button", { name: "Keep the Server's File" });
    await keep.waitFor();
    await window.shot("conflict-text");
    await keep.click();
    await window.page.locator(".monaco-diff-editor").waitFor({ state: "detached" });
    await until("theirs has the name", async () => (await readFile(here("words.txt"), "utf8")) === "one\ntheirs\nthree\n");
    await until("this device's copy is gone", async () => (await copies("words")).length === 0);
  });

  test("EX12 drawings: as pictures, and their source in the diff editor", async () => {
    const drawing = (colour: string): string =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40" fill="${colour}"/>\n<script>parent.document.title = "ran"</script></svg>\n`;
    await change("sketch.svg", drawing("crimson"), drawing("gold"));
    const window = await world.window();
    await toldOf(window);
    await window.command("Satchel: Compare Conflict");
    const page = window.webview();
    await page.locator(".pair img").nth(1).waitFor();
    await window.shot("conflict-drawing");
    await page.getByRole("button", { name: "Compare Source" }).click();
    await window.page.locator(".monaco-diff-editor .editor.original .view-line", { hasText: "crimson" }).waitFor();
    await window.shot("conflict-drawing-source");
  });

  test("EX others by what is known; all that is left is resolved at once", async () => {
    await change("deck.apkg", Buffer.from([0x50, 0x4b, 3, 4, 0, 2, 2]), Buffer.from([0x50, 0x4b, 3, 4, 0, 3, 3, 3]));
    const window = await world.window();
    await window.openMedia();
    await window.row("deck.apkg").first().click();
    const page = window.webview();
    await page.getByText("8 B").waitFor();
    await window.shot("conflict-facts");
    await window.command("Satchel: Resolve All Conflicts");
    await window.quick().filter({ hasText: "Resolve 2 conflicts" }).waitFor();
    await window.shot("conflict-resolve-all");
    await window.pick("Keep This Device's of All");
    await until("no copy is left", async () => (await copies("deck")).length + (await copies("sketch")).length === 0);
    await until("this device's deck has the name", async () => (await readFile(here("deck.apkg"))).length === 7);
    await until("this device's drawing too", async () => (await readFile(here("sketch.svg"), "utf8")).includes("crimson"));
    await window.row("Conflicts").filter({ hasText: "none" }).waitFor();
    await until("the other device follows", async () => (await readFile(there("deck.apkg"))).length === 7);
  });
});

const untrusted = { "security.workspace.trust.enabled": true, "security.workspace.trust.startupPrompt": "never" };
scenario("conflicts in a folder that is not trusted", { files: { "media/chart.png": BEFORE }, settings: untrusted }, (world) => {
  test("EX02 both sides are shown; no button and no command changes a file", async () => {
    const home = await join(world);
    const other = await world.device("other");
    await until("the other device has it", () => other.has("chart.png"));
    await home.conflict(
      other,
      "chart.png",
      async () => await writeFile(path.join(world.media, "chart.png"), MINE),
      async () => await writeFile(path.join(other.satchel.root, "chart.png"), THEIRS),
    );
    const stood = (await readdir(world.media)).toSorted();
    const window = await world.window();
    await window.openMedia();
    await window.row("chart.png").first().click();
    const page = window.webview();
    await page.locator(".pair img").nth(1).waitFor();
    await page.getByRole("button", { name: "Keep This Device's" }).click();
    await window.toast(/This folder is not trusted/).waitFor();
    await window.shot("conflict-untrusted");
    await window.palette("Satchel: ", "Satchel: Compare Conflict");
    assert.equal(await window.quick().locator(".monaco-list-row", { hasText: "Resolve All Conflicts" }).count(), 0);
    assert.deepEqual((await readdir(world.media)).toSorted(), stood);
    assert.deepEqual(await readFile(path.join(world.media, "chart.png")), THEIRS);
  });
});
