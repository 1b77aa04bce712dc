import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test, type TestContext } from "node:test";

import { LspFrames, framed } from "../service/cli/lsp-frames.ts";
import { runToEnd, tie } from "./support/children.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { skipWithout } from "./support/optional.ts";

const CORPUS = path.resolve(import.meta.dirname, "../../shared/corpus/foam-docs/docs");
const MAIN = path.join(import.meta.dirname, "..", "service", "main.ts");
const FOREIGN = path.join(import.meta.dirname, "foreign");

test("LspFrames cuts a stream wherever its pieces end", () => {
  const texts = ['{"a":1}', '{"é":"𝒳"}', "{}"];
  const stream = Buffer.concat(texts.map((text) => framed(text)));
  for (let size = 1; size <= stream.length; size++) {
    const frames = new LspFrames();
    const got: string[] = [];
    for (let at = 0; at < stream.length; at += size) got.push(...frames.push(stream.subarray(at, at + size)));
    assert.deepEqual(got, texts);
  }
});

test("LspFrames other headers are passed over; what is not the protocol is told", () => {
  const frames = new LspFrames();
  assert.deepEqual(frames.push(Buffer.from("Content-Type: x\r\ncontent-length: 2\r\n\r\n{}")), ["{}"]);
  let broken = 0;
  for (const text of ["Hello: world\r\n\r\n{}", "x".repeat(5000)]) {
    const other = new LspFrames();
    other.onBroken = () => (broken += 1);
    other.push(Buffer.from(text));
  }
  assert.equal(broken, 2);
});

suite("satchel lsp --stdio", () => {
  let top = "";
  let laptop: Satchel;

  async function workspace(): Promise<string> {
    const notes = path.join(top, "notes");
    await rm(notes, { recursive: true, force: true });
    if (existsSync(CORPUS)) await cp(CORPUS, notes, { recursive: true });
    else {
      await mkdir(path.join(notes, "assets", "images"), { recursive: true });
      await writeFile(path.join(notes, "assets", "images", "a.png"), "a");
      await writeFile(
        path.join(notes, "index.md"),
        "![](assets/images/a.png) ![](assets/images/none.png)\n```\n![](assets/images/code.png)\n```\n",
      );
    }
    return notes;
  }
  async function python(context: TestContext): Promise<boolean> {
    const found = await runToEnd("python3", ["--version"]).catch(() => null);
    if (found?.code !== 0) skipWithout(context, "python3");
    return found?.code === 0;
  }

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), "satchel-lsp-"));
    laptop = await makeSatchel(path.join(await workspace(), "assets", "images"));
    await laptop.start();
    assert.equal((await laptop.cli(["add", laptop.root])).code, 0);
  });
  after(async () => {
    await laptop.close();
    await rm(top, { recursive: true, force: true });
  });

  test("a foreign editor's session: exactly the references to absent media of a notes folder are flagged; hover, completion, links, rename, exit", async (context) => {
    if (!(await python(context))) return;
    if (!existsSync(CORPUS)) context.diagnostic(`no notes folder at ${CORPUS}: a small one of our own is used`);
    const command = [process.execPath, MAIN, "lsp", "--stdio"];
    const ended = await runToEnd("python3", [path.join(FOREIGN, "lsp_session.py"), path.join(top, "notes"), laptop.root, ...command], {
      env: { ...process.env, SATCHEL_HOME: laptop.home },
    });
    assert.equal(ended.code, 0, `${ended.stdout}${ended.stderr}`);
    const steps = ended.stdout.trim().split("\n");
    context.diagnostic(steps[1] ?? "");
    assert.deepEqual(
      steps.map((line) => line.split(" ")[0]),
      ["initialize", "notes", "hover", "completion", "links", "rename", "huge", "exit"],
    );
    const [, count = ""] = /flagged (\d+)/.exec(ended.stdout) ?? [];
    assert.ok(Number(count) >= 1, "something was flagged");
  });

  test("Neovim: its own client starts the bridge, shows the flags and the hover, and leaves", async (context) => {
    const version = await runToEnd("nvim", ["--version"]).catch(() => null);
    if (version?.code !== 0) return skipWithout(context, "nvim");
    const notes = path.join(top, "vim");
    await mkdir(notes, { recursive: true });
    await writeFile(path.join(notes, "a.md"), "# A\n\n![](../notes/assets/images/none.png)\n");
    const told = path.join(top, "nvim.json");
    const env = {
      ...process.env,
      SATCHEL_HOME: laptop.home,
      SATCHEL_COMMAND: JSON.stringify([process.execPath, MAIN, "lsp", "--stdio"]),
      SATCHEL_TOLD: told,
      HOME: top,
    };
    const script = path.join(FOREIGN, "lsp_session.lua");
    const ended = await runToEnd(
      "nvim",
      ["--headless", "-u", "NONE", "-i", "NONE", "-n", "-c", `luafile ${script}`, path.join(notes, "a.md")],
      { env },
    );
    assert.equal(ended.code, 0, `${ended.stdout}${ended.stderr}`);
    const said: unknown = JSON.parse(await readFile(told, "utf8"));
    assert.deepEqual(said, {
      diagnostics: [
        { line: 2, column: 4, code: "never", source: "satchel", message: "none.png has never been seen, neither here nor on the remote." },
      ],
      hover: "**none.png**\n\nnone.png has never been seen, neither here nor on the remote.",
      stopped: true,
    });
  });

  test("a service that dies ends the bridge with its own exit code, so that the editor starts it again", async () => {
    const home = await makeSatchel();
    await home.run();
    const bridge = tie(
      spawn(process.execPath, [MAIN, "lsp", "--stdio"], {
        env: { ...process.env, SATCHEL_HOME: home.home },
        stdio: ["pipe", "pipe", "ignore"],
      }),
    );
    bridge.stdin.write(
      framed(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params: { processId: null, rootUri: null, capabilities: {} } })),
    );
    await once(bridge.stdout, "data");
    await home.kill();
    assert.deepEqual(await once(bridge, "exit"), [5, null]);
    await home.close();
  });
});
