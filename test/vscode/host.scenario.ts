import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { build } from "esbuild";

import { until } from "../support/children.ts";
import { STAGE, TOP } from "./editor.ts";
import { join } from "./joined.ts";
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
    // The tests save: on a busy machine the editor's own saving would come between an edit and its save, which then fails.
    settings: { "files.autoSave": "off" },
    files: {
      "note.md": "![here](media/cat.png)\n\n![gone](media/gone.png)\n",
      "embed.md": "![[",
      "media/cat.png": "cat",
      "media/sub/dog.png": "dog",
      // tests.ts
      "closed.md": "![never](media/never.png)\n",
      // fixes.ts
      "near.md": "![near](media/catt.png)\n",
      "old.md": "![old](media/old.png)\n",
      "old-more.md": "![old](media/old.png)\n\n![[old.png]]\n",
      "media/old.png": "old",
      "lost.md": "![lost](media/lost.png)\n",
      "media/lost.png": "lost",
      "far.md": "![far](media/far/away.png)\n",
      // renames.ts
      "pet.md": "![pet](media/pet.png)\n\n![[pet.png]]\n",
      "pet-too.md": "A [pet](media/pet.png).\n",
      "media/pet.png": "pet",
      // saves.ts
      "saves.md": "",
      "media/draft.txt": "draft",
    },
  },
  (world) => {
    before(async () => {
      await join(world);
      const other = await world.device("other");
      await until("the other device has everything", () =>
        ["cat.png", "sub/dog.png", "old.png", "lost.png", "pet.png"].every((file) => other.has(file)),
      );
      await writeFile(path.join(world.workspace, ".other-device"), other.satchel.root);
    });

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
      assert.ok(outcomes.length >= 17, `only ${String(outcomes.length)} tests ran\n${said.join("\n").slice(-6000)}`);
      assert.equal(code, 0);
    });
  },
);
