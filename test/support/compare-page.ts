/** The compare page in a browser of its own, without an editor around it: the real bundle, frame, style and policy. */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";

import { build } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";

import { compareHtml } from "../../extension/compare/html.ts";
import type { ShowMessage } from "../../extension/compare/messages.ts";
import { CHROMIUM } from "./browser.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");

export type ComparePage = {
  readonly page: Page;
  /** What the page said to its window. */
  readonly said: readonly unknown[];
  /** What the policy refused, and what the page asked the network for beside its own script and style. */
  readonly refused: readonly string[];
  readonly requested: readonly string[];
  readonly show: (message: ShowMessage) => Promise<void>;
  /** Any message, whatever it holds. */
  readonly send: (message: unknown) => Promise<void>;
};
export type CompareBrowser = { open(): Promise<ComparePage>; close(): Promise<void> };

export async function openCompareBrowser(): Promise<CompareBrowser> {
  const bundled = await build({
    absWorkingDir: ROOT,
    entryPoints: ["extension/compare-page/main.ts"],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
  });
  const script = bundled.outputFiles[0]?.text ?? "";
  const style = await readFile(path.join(ROOT, "media", "compare.css"), "utf8");
  // Two origins, as in the editor: the page's own, and the one that serves its parts.
  const server = createServer((request, response) => {
    const { port } = listening();
    const html = compareHtml({
      nonce: "n1",
      cspSource: `http://127.0.0.1:${port}`,
      script: "/compare.js",
      style: "/compare.css",
      language: "en",
    });
    const served: Readonly<Record<string, readonly [type: string, body: string]>> = {
      "/": ["text/html", html],
      "/compare.js": ["text/javascript", script],
      "/compare.css": ["text/css", style],
    };
    const [type, body] = served[request.url ?? ""] ?? ["text/plain", ""];
    response.writeHead(body === "" ? 404 : 200, { "content-type": type }).end(body);
  });
  const listening = (): { readonly port: number } => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return address;
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
  return {
    open: async () => await openPage(browser, `http://127.0.0.1:${listening().port}`),
    close: async () => {
      await browser.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function openPage(browser: Browser, origin: string): Promise<ComparePage> {
  const page = await (await browser.newContext({ viewport: { width: 1000, height: 700 } })).newPage();
  page.setDefaultTimeout(10_000);
  const said: unknown[] = [];
  const refused: string[] = [];
  const requested: string[] = [];
  page.on("request", (request) => {
    const url = request.url();
    if (![`${origin}/`, `${origin}/compare.js`, `${origin}/compare.css`].includes(url) && !url.startsWith("blob:")) requested.push(url);
  });
  await page.exposeFunction("tell", (message: unknown) => void said.push(message));
  await page.exposeFunction("refuse", (what: string) => void refused.push(what));
  // Source text, for it runs in the page: this program's types know no window.
  await page.addInitScript(`
    document.addEventListener("securitypolicyviolation", (event) => refuse(event.effectiveDirective + " " + event.blockedURI));
    let state;
    globalThis.acquireVsCodeApi = () => ({ postMessage: tell, getState: () => state, setState: (next) => (state = next) });
  `);
  await page.goto(origin);
  const send = async (message: unknown): Promise<void> => {
    // Bytes don't pass as such; the editor hands them over as a Uint8Array.
    const text = JSON.stringify(message, (_key, value: unknown) =>
      value instanceof Uint8Array ? { bytesBase64: Buffer.from(value).toString("base64") } : value,
    );
    await page.evaluate(
      `window.postMessage(JSON.parse(${JSON.stringify(text)}, (key, value) =>
        value && value.bytesBase64 !== undefined ? Uint8Array.from(atob(value.bytesBase64), (sign) => sign.charCodeAt(0)) : value))`,
    );
  };
  return { page, said, refused, requested, show: send, send };
}
