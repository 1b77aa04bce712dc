import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { until } from "../support/children.ts";
import { PASSWORD } from "../support/sync-server.ts";
import { scenario } from "./scenario.ts";

/** Nothing else that is written anywhere says this. */
const WRONG = "no-password-of-anybody-7391";

scenario("first use", { files: { "media/cat.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>", "media/empty.png": "" } }, (world) => {
  test("EX a folder is added from the welcome, with signing in on the way, and is in sync a moment later", async () => {
    const window = await world.window();
    await window.openMedia();
    const add = window.page.locator(".welcome-view-content").getByRole("button", { name: "Add a Media Folder" });
    await add.waitFor();
    await window.shot("welcome-idle");
    await add.click();
    await window.pick(/^media/);
    await window.pick("Sign in to a server");
    await window.answer("Sign In: Server", "not an address");
    await window.quick().filter({ hasText: "This is not an address." }).waitFor();
    await window.answer("Sign In: Server", "http://sync.example.org/");
    await window.quick().filter({ hasText: "not encrypted" }).waitFor();
    await window.answer("Sign In: Server", world.server.url);
    await window.answer("Sign In: Account", "user1");
    await window.answer("Sign In: Password", WRONG);
    await window
      .quick()
      .filter({ hasText: /password is wrong/ })
      .waitFor();
    await window.shot("sign-in-refused");
    await window.answer("Sign In: Password", PASSWORD);
    await window.row("Folders").waitFor();
    await window.row(/in sync · user1@127\.0\.0\.1/).waitFor();
    await window.row("empty.png").waitFor();
    await window.page.locator('.part.statusbar .statusbar-item[aria-label="Satchel: in sync, 1 problem"]').waitFor();
    await window.shot("media-view");
    const other = await world.device("other");
    await until("the file reaches another device", () => other.has("cat.svg"));
  });

  test("EX06 EX11 what was typed as a password stands nowhere: not with the editor, not with the service, in no log", async () => {
    const kept = [path.join(world.editor.profile, "data"), world.home].flatMap((top) =>
      readdirSync(top, { recursive: true, withFileTypes: true })
        .filter((found) => found.isFile())
        .map(({ parentPath, name }) => path.join(parentPath, name)),
    );
    assert.ok(
      kept.some((file) => file.endsWith("secrets.json")),
      "the key of this device is kept",
    );
    const holding = (words: string) => kept.filter((file) => readFileSync(file).includes(words));
    assert.deepEqual([...holding(WRONG), ...holding(JSON.stringify(PASSWORD))], []);
  });

  test("EX what is saved in the editor goes to the server at once; the view lists the run", async () => {
    const window = await world.window();
    const other = await world.device("other");
    await writeFile(path.join(world.media, "notes.txt"), "one");
    await window.openFile("notes.txt");
    await window.type("notes.txt", " two");
    await window.save("notes.txt");
    await until("the edit reaches another device", async () => (await other.read("notes.txt")) === "one two");
    await window.openMedia();
    // The lists above it have their rows now, so it stays where it is.
    await window.row("empty.png").waitFor();
    await window.row(/in sync · user1@/).waitFor();
    await window.unfold(window.row("Recent"));
    await window.row(/notes\.txt.*changed here/).waitFor();
    await window.shot("recent");
  });

  test("S14 many deletions: the question names the files, and the answer brings them back", async () => {
    const other = await world.device("other");
    const pages = Array.from({ length: 24 }, (_, at) => `page-${String(at)}.txt`);
    for (const page of pages) await writeFile(path.join(world.media, page), page);
    const window = await world.window();
    await window.openMedia();
    await until("all are on another device", () => pages.every((page) => other.has(page)));
    await window.page.locator('.part.statusbar .statusbar-item[aria-label="Satchel: in sync, 1 problem"]').waitFor();
    for (const page of pages) rmSync(path.join(world.media, page));
    // On a busy machine the first few may have been concluded, and sent, by a run of their own: the rest waits.
    const question = window.toast(/Deleted here: \d+ files\. .*page-\d+\.txt/);
    await question.waitFor();
    const held = Number(/Deleted here: (\d+) files/.exec(await question.innerText())?.[1]);
    assert.ok(held > 0 && held <= pages.length);
    await window.row("Questions").waitFor();
    await window.shot("guard");
    await question.getByRole("button", { name: "Bring Them Back" }).click();
    await until("they are back", () => pages.filter((page) => world.has(page)).length >= held);
    await until("and not deleted elsewhere", () => pages.filter((page) => other.has(page)).length >= held);
    await window.row("Questions").waitFor({ state: "detached" });
  });

  test("S14 many deletions that are meant: a second question names the files, and then they are gone from the server too", async () => {
    const other = await world.device("other");
    const leaves = Array.from({ length: 24 }, (_, at) => `leaf-${String(at)}.txt`);
    for (const leaf of leaves) await writeFile(path.join(world.media, leaf), leaf);
    const window = await world.window();
    await window.openMedia();
    await until("all are on another device", () => leaves.every((leaf) => other.has(leaf)));
    await window.page.locator('.part.statusbar .statusbar-item[aria-label="Satchel: in sync, 1 problem"]').waitFor();
    for (const leaf of leaves) rmSync(path.join(world.media, leaf));
    await window
      .toast(/Deleted here: \d+ files\. .*leaf-\d+\.txt/)
      .getByRole("button", { name: "Delete", exact: true })
      .click();
    const again = window.dialog(/Deleted here: \d+ files/);
    await again
      .getByText(/leaf-\d+\.txt/)
      .first()
      .waitFor();
    await window.shot("guard-again");
    assert.ok(
      leaves.some((leaf) => other.has(leaf)),
      "the first answer deletes nothing yet",
    );
    await again.getByRole("button", { name: "Delete", exact: true }).click();
    await window.row("Questions").waitFor({ state: "detached" });
    // So many at once are an accident to the other device, too: it is told of them and asks.
    await until("the other device deletes them, or asks", async () => {
      const asked = (await other.satchel.cli(["guard", "--json"])).stdout;
      return leaves.every((leaf) => !other.has(leaf) || asked.includes(leaf));
    });
    assert.ok(!leaves.some((leaf) => world.has(leaf)));
  });

  test("EX06 a password is remembered where its user asks; it fills in the question of the next sign-in, and signing out forgets it", async () => {
    const window = await world.window();
    const password = window.quick().filter({ hasText: "Sign In: Password" }).locator("input").first();
    const toThePassword = async () => {
      await window.command("Satchel: Sign In");
      await window.answer("Sign In: Server", world.server.url);
      await window.answer("Sign In: Account", "user1");
      await password.waitFor();
    };
    const signedIn = async () => {
      await window.toast("signed in as user1@").waitFor();
      await window.command("Notifications: Clear All Notifications");
    };
    const signOut = async () => {
      await window.command("Satchel: Sign Out");
      await window.pick("user1@");
    };
    await toThePassword();
    await password.fill(PASSWORD);
    await window.quick().getByRole("button", { name: "Remember this password" }).click();
    await window.quick().getByRole("button", { name: "will remember this password" }).waitFor();
    await window.quick().filter({ hasText: "this editor remembers it" }).waitFor();
    await window.shot("sign-in-remember");
    assert.equal(await password.inputValue(), PASSWORD, "pressing the button takes nothing away");
    await password.press("Enter");
    await signedIn();
    await toThePassword();
    await window.quick().getByRole("button", { name: "will remember this password" }).waitFor();
    assert.equal(await password.inputValue(), PASSWORD);
    await password.press("Enter");
    await signedIn();
    await signOut();
    await toThePassword();
    await window.quick().getByRole("button", { name: "Remember this password" }).waitFor();
    assert.equal(await password.inputValue(), "");
    await window.answer("Sign In: Password", PASSWORD);
    await signedIn();
  });
});
