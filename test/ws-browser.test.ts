import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import type { Browser, Page } from "playwright-core";

import { noBrowser, openBrowser, openSite } from "./support/browser.ts";
import { TOKEN } from "./support/rpc-peer.ts";
import { openRpcService, type RpcService } from "./support/rpc-service.ts";

/** What a page learns of an attempt: that it came in, or nothing. The status stands in the console of the browser alone. */
type Attempt = { readonly came: boolean; readonly status: number | null };

/** Chromium's own words for a refused upgrade. */
function statusIn(text: string): number | null {
  const [, code] = /Unexpected response code: (\d+)/.exec(text) ?? [];
  if (code !== undefined) return Number(code);
  return text.includes("HTTP Authentication failed") ? 401 : null;
}

suite("a page in a real Chromium", { skip: noBrowser }, () => {
  let browser: Browser;
  let site: Awaited<ReturnType<typeof openSite>>;
  let service: RpcService;
  before(async () => {
    [browser, site] = await Promise.all([openBrowser(), openSite()]);
    service = await openRpcService({ allowedOrigins: [`http://front.example:${site.port}`] });
  });
  after(async () => {
    await browser.close();
    await Promise.all([service.close(), site.close()]);
  });

  async function withPage<T>(host: string, work: (page: Page) => Promise<T>): Promise<T> {
    const page = await browser.newPage();
    try {
      await page.goto(`http://${host}:${site.port}/`);
      return await work(page);
    } finally {
      await page.close();
    }
  }

  /** Opens a WebSocket from a page of `host`, with a good token unless another is given. */
  async function attempt(host: string, url: string, protocols = ["satchel.v1", `satchel.token.${TOKEN}`]): Promise<Attempt> {
    return await withPage(host, async (page) => {
      const said = page.waitForEvent("console", (message) => message.type() === "error").catch(() => null);
      // As text: this runs in the page, not here.
      const came = await page.evaluate<boolean>(`new Promise((resolve) => {
        const socket = new WebSocket(${JSON.stringify(url)}, ${JSON.stringify(protocols)});
        socket.onopen = () => (socket.send('{"jsonrpc":"2.0","id":1,"method":"service/status"}'));
        socket.onmessage = () => (socket.close(), resolve(true));
        socket.onclose = () => resolve(false);
      })`);
      return { came, status: came ? null : statusIn((await said)?.text() ?? "") };
    });
  }

  test("WS01 an allowed page with a token comes in: what follows is refused for its own reason", async () =>
    assert.deepEqual(await attempt("front.example", `ws://127.0.0.1:${service.port}/`), { came: true, status: null }));

  for (const host of ["evil.example", "front.example.evil.example", "localhost"])
    test(`WS01 a page of ${host} is refused at the upgrade, with the right token too`, async () =>
      assert.deepEqual(await attempt(host, `ws://127.0.0.1:${service.port}/`), { came: false, status: 403 }));

  test("WS05 an allowed page without a token is refused", async () =>
    assert.deepEqual(await attempt("front.example", `ws://127.0.0.1:${service.port}/`, ["satchel.v1"]), { came: false, status: 401 }));

  for (const name of ["rebind.example", "front.example"])
    test(`WS03 DNS rebinding: ${name} leads to the service, and is refused for its name, from an allowed page with the right token`, async () =>
      assert.deepEqual(await attempt("front.example", `ws://${name}:${service.port}/`), { came: false, status: 403 }));

  test("WS03 DNS rebinding: the page itself comes from the service's port, and gets nothing", async () => {
    const page = await browser.newPage();
    const answer = page.waitForResponse((response) => response.url().includes("rebind.example"));
    // An empty 404: the browser shows a page of its own instead.
    await assert.rejects(page.goto(`http://rebind.example:${service.port}/`), /ERR_HTTP_RESPONSE_CODE_FAILURE/);
    assert.equal((await answer).status(), 404);
    await page.close();
  });

  test("WS07 WS08 image, script, form, fetch of any mode: a page learns that something listens, and no more", async () => {
    const target = `http://127.0.0.1:${service.port}/`;
    const learned = await withPage(
      "evil.example",
      async (page) =>
        await page.evaluate<Record<string, string>>(`(async () => {
          const target = ${JSON.stringify(target)};
          const element = (tag) => new Promise((resolve) => {
            const made = document.createElement(tag);
            made.onload = () => resolve("loaded");
            made.onerror = () => resolve("error");
            made.src = target;
            document.body.append(made);
          });
          const asked = async (init) => {
            try {
              const { type, status, headers } = await fetch(target, init);
              return [type, status, [...headers].length].join(" ");
            } catch { return "error"; }
          };
          return {
            image: await element("img"),
            script: await element("script"),
            opaque: await asked({ mode: "no-cors" }),
            post: await asked({ mode: "no-cors", method: "POST", body: '{"jsonrpc":"2.0","id":1,"method":"service/shutdown"}' }),
            cors: await asked({}),
            json: await asked({ method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }),
            credentials: await asked({ credentials: "include" }),
          };
        })()`),
    );
    assert.deepEqual(learned, {
      image: "error",
      script: "error",
      opaque: "opaque 0 0",
      post: "opaque 0 0",
      cors: "error",
      json: "error",
      credentials: "error",
    });
    assert.equal(service.stops(), 0);
  });

  test("WS07 a form that is sent there shows an empty page", async () => {
    await withPage("evil.example", async (page) => {
      await page.setContent(
        `<form method="post" enctype="text/plain" action="http://127.0.0.1:${service.port}/"><input name='{"jsonrpc":"2.0"' value='}'></form>`,
      );
      const [answer] = await Promise.all([
        page.waitForResponse((response) => response.url().includes(`:${service.port}/`)),
        page.evaluate("document.forms[0].submit()"),
      ]);
      assert.equal(answer.status(), 404);
      assert.deepEqual(Object.keys(await answer.allHeaders()).toSorted(), ["connection", "content-length", "x-content-type-options"]);
    });
  });
});
