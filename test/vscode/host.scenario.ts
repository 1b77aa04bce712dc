import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { build } from "esbuild";

import { STAGE, TOP } from "./editor.ts";
import { scenario } from "./scenario.ts";

/** All tests together take seconds; a host that never says that it has ended must not hang the run. */
const ENDS_MS = 300_000;
const MARK = "satchel-test ";
const TESTS = path.join(TOP, "dist", "host-tests", "main.cjs");

type Outcome = { readonly title: string; readonly error: string | null };

// The driver's switch makes a built editor run extension tests at all (and hides its toasts).
scenario(
  "inside the extension host",
  {
    extensions: [],
    args: ["--enable-smoke-test-driver"],
    files: {
      "note.md": "![here](media/cat.png)\n\n![gone](media/gone.png)\n",
      "embed.md": "![[",
      "media/cat.png": "cat",
      "media/sub/dog.png": "dog",
    },
  },
  (world) => {
    test("extension tests", async (t) => {
      await build({
        entryPoints: [path.join(import.meta.dirname, "host", "main.ts")],
        outfile: TESTS,
        bundle: true,
        platform: "node",
        format: "cjs",
        external: ["vscode"],
        logLevel: "warning",
      });
      const outcomes: Outcome[] = [];
      /** Whatever else was logged: it tells why no test ran. */
      const said: string[] = [];
      const ended = Promise.withResolvers<number>();
      const { host } = new URL(world.editor.url);
      const inEditor = (file: string) => `vscode-remote://${host}${file}`;
      await world.window({
        payload: [
          ["extensionDevelopmentPath", inEditor(STAGE)],
          ["extensionTestsPath", inEditor(TESTS)],
          ["skipWelcome", "true"],
        ],
        beforeLoad: async (page) => {
          await page.exposeFunction("codeAutomationLog", (_type: string, values: readonly unknown[]) => {
            const line = values.map(String).find((value) => value.includes(MARK));
            if (line === undefined) said.push(values.map(String).join(" "));
            else outcomes.push(JSON.parse(line.slice(line.indexOf(MARK) + MARK.length)));
          });
          await page.exposeFunction("codeAutomationExit", (code: number) => ended.resolve(code));
        },
      });
      const code = await Promise.race([ended.promise, sleep(ENDS_MS, null, { ref: false })]);
      assert.notEqual(code, null, `no end within ${String(ENDS_MS)} ms\n${said.join("\n").slice(-6000)}`);
      for (const { title, error } of outcomes) await t.test(title, () => assert.equal(error, null, error ?? undefined));
      assert.ok(outcomes.length >= 8, `only ${String(outcomes.length)} tests ran\n${said.join("\n").slice(-6000)}`);
      assert.equal(code, 0);
    });
  },
);
