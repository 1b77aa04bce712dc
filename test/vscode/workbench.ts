/** One window of the editor, driven as a user would: keys, the palette, clicks on what has a name. */
import { mkdir } from "node:fs/promises";
import path from "node:path";

import type { Browser, FrameLocator, Locator, Page } from "playwright-core";

import { SHOTS, type Editor } from "./editor.ts";

const WINDOW_MS = 60_000;

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
    await this.page.keyboard.press("F1");
    const input = this.quick().locator("input").first();
    await input.waitFor();
    await input.fill(`>${title}`);
    await this.quick().locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
    await input.press("Enter");
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

  async openFile(name: string): Promise<void> {
    await this.page.keyboard.press("Control+P");
    const input = this.quick().locator("input").first();
    await input.waitFor();
    await input.fill(name);
    await this.quick().locator(".monaco-list-row", { hasText: name }).first().waitFor();
    await input.press("Enter");
    await this.editor(name).waitFor();
  }

  /** The extension's item in the status bar. */
  status(): Locator {
    return this.page.locator('.part.statusbar .statusbar-item[id^="satchel.satchel"]');
  }

  /** Opens our view container. */
  async openMedia(): Promise<void> {
    const tab = this.page.locator(".part.activitybar").getByRole("tab", { name: "Satchel" }).first();
    if ((await tab.getAttribute("aria-selected")) !== "true") await tab.click();
    await this.page.locator('.part.sidebar .composite.title:has-text("Satchel")').first().waitFor();
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
