/** One window of the editor, driven as a user would: keys, the palette, clicks on what has a name. */
import { mkdir } from "node:fs/promises";
import path from "node:path";

import { errors, type Browser, type FrameLocator, type Locator, type Page } from "playwright-core";

import { SHOTS, type Editor } from "./editor.ts";

const WINDOW_MS = 60_000;
/** One look at something that may have been opened too early, or lost to another that took the focus. */
const LOOK_MS = 4_000;
/** All looks together. */
const LOOKS_MS = 60_000;

export type WindowOptions = {
  readonly viewport?: { readonly width: number; readonly height: number };
  /** The language of extensions; the editor's own parts stay English. */
  readonly language?: string;
  /** Handed to the window as its start parameters. */
  readonly payload?: readonly (readonly [string, string])[];
  readonly beforeLoad?: (page: Page) => Promise<void>;
};

export class Workbench {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  /** Opens a folder (absolute path) in a window of its own. */
  static async open(browser: Browser, editor: Editor, folder: string, options: WindowOptions = {}): Promise<Workbench> {
    const viewport = options.viewport ?? { width: 1280, height: 800 };
    const context = await browser.newContext({ viewport, permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    if (options.language !== undefined)
      await page.addInitScript((language) => Object.assign(globalThis, { _VSCODE_NLS_LANGUAGE: language }), options.language);
    await options.beforeLoad?.(page);
    const url = new URL(editor.url);
    url.searchParams.set("folder", folder);
    if (options.payload !== undefined) url.searchParams.set("payload", JSON.stringify(options.payload));
    await page.goto(url.href);
    const workbench = new Workbench(page);
    await page.locator(".monaco-workbench .part.statusbar").waitFor({ timeout: WINDOW_MS });
    await page.locator(".explorer-folders-view .monaco-list-row").first().waitFor({ timeout: WINDOW_MS });
    return workbench;
  }

  /** The quick input that is open. */
  quick(): Locator {
    return this.page.locator(".quick-input-widget:visible");
  }

  /** Runs a command by its title in the palette, for example `Satchel: Sync Now`. */
  async command(title: string): Promise<void> {
    await this.#choose("F1", `>${title}`, title);
  }

  /** Opens the palette on this text and leaves it open, with a command among the offered that has this title. */
  async palette(text: string, title: string): Promise<void> {
    await this.#offered("F1", `>${text}`, title, ".monaco-list-row", async () => {});
  }

  /** Takes what a quick input offers first: the list of what was used lately, which comes before the search, may hold the wanted row further down. */
  async #choose(key: string, text: string, row: string): Promise<void> {
    await this.#offered(key, text, row, ".monaco-list-row.focused", async (input) => await input.press("Enter", { timeout: LOOK_MS }));
  }

  /**
   * Opens a quick input by its key, types, and acts on it once a row (selector) has the wanted text. What it offers is fixed when the text is typed:
   * the palette waits 800 ms at most for the extensions to be registered, leaves out commands whose condition isn't met yet, and never looks again; a
   * file search may be older than the file; and a view that takes the focus closes it. So it is closed and opened again until the row is there.
   */
  async #offered(key: string, text: string, row: string, rows: string, act: (input: Locator) => Promise<void>): Promise<void> {
    await this.#again(`${text} in the quick input`, async () => {
      await this.page.keyboard.press(key);
      const input = this.quick().locator("input").first();
      await input.fill(text, { timeout: LOOK_MS });
      await this.quick().locator(`.quick-input-list ${rows}`, { hasText: row }).first().waitFor({ timeout: LOOK_MS });
      await act(input);
    });
  }

  /** Tries until no part of it waited in vain; what is open in the quick input is closed between. @throws TimeoutError of the last try */
  async #again(what: string, attempt: () => Promise<void>): Promise<void> {
    const end = performance.now() + LOOKS_MS;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof errors.TimeoutError)) throw error;
        if (performance.now() > end) throw new Error(`tried for ${String(LOOKS_MS)} ms in vain: ${what}`, { cause: error });
      }
      if (await this.quick().isVisible()) {
        await this.page.keyboard.press("Escape");
        await this.quick().waitFor({ state: "hidden" });
      }
    }
  }

  /** Answers the input box with this title. */
  async answer(title: string | RegExp, text: string): Promise<void> {
    const box = this.quick().filter({ hasText: title });
    await box.waitFor();
    const input = box.locator("input").first();
    await input.fill(text);
    await input.press("Enter");
  }

  /** Chooses an item of a quick pick by its text. */
  async pick(text: string | RegExp): Promise<void> {
    await this.quick().locator(".quick-input-list .monaco-list-row", { hasText: text }).first().click();
  }

  /** Opens a text, and waits for it to be shown. */
  async openFile(name: string): Promise<void> {
    await this.openAny(name);
    await this.editor(name).locator(".view-line").first().waitFor();
  }

  /** Opens a file in whatever editor it has, and waits for its tab. */
  async openAny(name: string): Promise<void> {
    await this.#choose("Control+P", name, name);
    await this.tab(name).first().waitFor();
  }

  /** Hovers until a hover has this text: one that opened before it was known stays as it was. */
  async hover(target: Locator, text: string | RegExp): Promise<Locator> {
    const shown = this.page.locator(".monaco-hover:visible", { hasText: text }).first();
    await this.#again(`a hover with ${String(text)}`, async () => {
      // From elsewhere: a pointer that stands still opens nothing.
      await this.page.mouse.move(0, 0);
      await target.hover();
      await shown.waitFor({ timeout: LOOK_MS });
    });
    return shown;
  }

  /** Unfolds a row of a tree, wherever the rows above it have moved it in the meantime. */
  async unfold(row: Locator): Promise<void> {
    await row.waitFor();
    await this.#again("unfold a row", async () => {
      if ((await row.getAttribute("aria-expanded")) !== "true") await row.click();
      await row.and(this.page.locator('[aria-expanded="true"]')).waitFor({ timeout: LOOK_MS });
    });
  }

  /** The extension's item in the status bar. */
  status(): Locator {
    return this.page.locator('.part.statusbar .statusbar-item[id^="satchel.satchel"]');
  }

  /** Opens our view container. */
  async openMedia(): Promise<void> {
    await this.#openContainer("Satchel", this.page.locator('.part.sidebar .composite.title:has-text("Satchel")').first());
  }

  /** A click on what is open already would close the side bar. */
  async #openContainer(name: string, shown: Locator): Promise<void> {
    const tab = this.page.locator(".part.activitybar").getByRole("tab", { name }).first();
    await this.#again(`the view container ${name}`, async () => {
      if ((await tab.getAttribute("aria-selected")) !== "true") await tab.click();
      await shown.waitFor({ timeout: LOOK_MS });
    });
  }

  /** As a window is that was just opened: nothing in the quick input, no editor, no toast, and the files in the side bar. @throws Error when it won't */
  async tidy(): Promise<void> {
    await this.#again("nothing open in the quick input", async () => {
      if (await this.quick().isVisible()) await this.page.keyboard.press("Escape");
      await this.quick().waitFor({ state: "hidden", timeout: LOOK_MS });
    });
    const tabs = this.page.locator(".tabs-container .tab");
    await this.#again("no editor open", async () => {
      if ((await tabs.count()) > 0) await this.command("View: Close All Editors");
      await tabs.first().waitFor({ state: "detached", timeout: LOOK_MS });
    });
    const toasts = this.page.locator(".notifications-toasts .notification-list-item");
    await this.#again("no toast", async () => {
      if ((await toasts.count()) > 0) await this.command("Notifications: Clear All Notifications");
      await toasts.first().waitFor({ state: "detached", timeout: LOOK_MS });
    });
    await this.#openContainer("Explorer", this.page.locator(".explorer-folders-view .monaco-list-row").first());
  }

  /** A row of the tree in the side bar. */
  row(text: string | RegExp): Locator {
    return this.page.locator(".part.sidebar .monaco-list-row", { hasText: text });
  }

  toast(text: string | RegExp): Locator {
    return this.page.locator(".notifications-toasts .notification-list-item", { hasText: text });
  }

  dialog(text: string | RegExp): Locator {
    return this.page.locator(".monaco-dialog-box", { hasText: text });
  }

  tab(name: string): Locator {
    return this.page.locator(".tabs-container .tab", { hasText: name });
  }

  editor(name: string): Locator {
    return this.page.locator(`.editor-group-container .monaco-editor[data-uri$="/${encodeURIComponent(name)}"]`).first();
  }

  async textOf(name: string): Promise<string> {
    return (await this.editor(name).locator(".view-line").allInnerTexts()).join("\n").replaceAll("\u00A0", " ");
  }

  /** Types at the end of a file that is open. */
  async type(name: string, text: string): Promise<void> {
    await this.editor(name).locator(".view-lines").click();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  /** Asks for it; the editor also saves by itself a moment after the last key, so a test that needs the bytes waits for them on disk. */
  async save(name: string): Promise<void> {
    await this.page.keyboard.press("Control+S");
    await this.page.locator(".tabs-container .tab.dirty", { hasText: name }).waitFor({ state: "detached" });
  }

  /** The document inside a webview. */
  webview(): FrameLocator {
    return this.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
  }

  /** A screenshot, kept for a look. */
  async shot(name: string): Promise<void> {
    await mkdir(SHOTS, { recursive: true });
    await this.page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
  }

  /** Leaves the page first: an abrupt end looks like a lost connection, and its extensions would be kept for the grace time. */
  async close(): Promise<void> {
    await this.page.goto("about:blank").catch(() => undefined);
    await this.page.context().close();
  }
}
