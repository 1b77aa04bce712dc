/** The one live line: what a terminal of any width shows while a sync goes on and after it, and that nothing of it reaches a pipe. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { after, before, suite, test } from "node:test";

import type { Host } from "../service/cli/host.ts";
import { Io } from "../service/cli/io.ts";
import { tie } from "./support/children.ts";
import { openCliDouble, type CliDouble } from "./support/cli-double.ts";
import { runSummary } from "./support/engine-double.ts";
import { satchelEntry } from "./support/entry.ts";
import { orFailInGate } from "./support/optional.ts";

const COUNTS = {
  filesUp: 1,
  filesUpTotal: 4,
  bytesUp: 1500,
  bytesUpTotal: 6000,
  filesDown: 0,
  filesDownTotal: 1200,
  bytesDown: 0,
  bytesDownTotal: 3e9,
};
const WHOLE = "sending  ↑ 1/4 files 1.5 kB of 6.0 kB  ↓ 0/1200 files 0 B of 3.0 GB";
const CLEAR = "\r\u001B[2K";

let double: CliDouble;
before(async () => {
  double = await openCliDouble();
});
after(async () => await double.close());

/** A stderr that tells what it was sent, whenever that changes. */
function listen(terminal: { readonly isTTY: boolean; readonly columns: number }) {
  let sent = "";
  let wake = Promise.withResolvers<void>();
  const through = new PassThrough().setEncoding("utf8").on("data", (text: string) => {
    sent += text;
    wake.resolve();
    wake = Promise.withResolvers();
  });
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stream with the terminal's properties that the command line reads
    stream: Object.assign(through, terminal) as unknown as Host["stderr"],
    sent: () => sent,
    until: async (text: string) => {
      while (!sent.includes(text)) await wake.promise;
    },
  };
}

/** A sync that tells how far it is, and ends when that was seen. Returns what stderr was sent, and the answer. */
async function synced(terminal: { readonly isTTY: boolean; readonly columns: number }, env: Record<string, string>) {
  const at = double.engine.runs.length;
  const heard = listen(terminal);
  const said = double.satchel(["sync", "--wait"], { env, host: { stderr: heard.stream } });
  while (double.engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
  for (const filesUp of terminal.isTTY && env["TERM"] === "xterm" ? [1, 2] : [1]) {
    const soFar = heard.sent();
    double.engine.progress({ ...COUNTS, filesUp });
    await heard.until(`${soFar}${terminal.isTTY && env["TERM"] === "xterm" ? CLEAR : WHOLE}`);
  }
  double.engine.runs[at]?.resolve([runSummary({ uploadedFiles: 4, uploadedBytes: 6000 })]);
  const { stdout } = await said;
  return { stderr: heard.sent(), stdout };
}

suite("progress()", () => {
  for (const columns of [80, 40, 20, 2])
    test(`a terminal of ${columns} columns: one line, never broken, gone at the end`, async () => {
      const { stderr, stdout } = await synced({ isTTY: true, columns }, { TERM: "xterm", NO_COLOR: "1" });
      const lines = stderr.split(CLEAR).slice(1);
      assert.equal(lines.pop(), "", "cleared at the end");
      assert.deepEqual(
        lines,
        [WHOLE, WHOLE.replace("1/4", "2/4")].map((line) => line.slice(0, columns - 1)),
      );
      assert.match(stdout, /in sync/);
    });

  for (const [what, terminal, env] of [
    ["a pipe", { isTTY: false, columns: 0 }, { TERM: "xterm" }],
    ["a terminal that can do nothing", { isTTY: true, columns: 80 }, { TERM: "dumb" }],
  ] as const)
    test(`${what} gets a plain line, seldom, and no control character`, async () => {
      const { stderr, stdout } = await synced(terminal, env);
      assert.equal(stderr, `${WHOLE}\n`);
      // oxlint-disable-next-line eslint/no-control-regex -- control characters are exactly what is looked for
      assert.doesNotMatch(stderr + stdout, /[\u0000-\u0009\u000B-\u001F\u007F]/);
    });

  for (const [flag, told] of [
    ["--json", false],
    ["--quiet", false],
    ["no flag", true],
  ] as const)
    test(`at a terminal, with ${flag}: ${told ? "a line" : "nothing"}`, () => {
      const { stream, sent } = listen({ isTTY: true, columns: 80 });
      const io = new Io(
        { stdin: process.stdin, stdout: stream, stderr: stream, env: { TERM: "xterm" } },
        { json: flag === "--json", quiet: flag === "--quiet", verbose: false, input: false },
      );
      io.progress(WHOLE);
      io.endLive();
      assert.equal(sent(), told ? `${CLEAR}${WHOLE}${CLEAR}` : "");
    });
});

/** What stands on a screen of so many columns after all this was sent to it. Knows what we send: CR, LF, `ESC[2K`, colours. */
function screenOf(sent: string, columns: number): readonly string[] {
  const rows = [""];
  let row = 0;
  let column = 0;
  // oxlint-disable-next-line eslint/no-control-regex -- control sequences are exactly what is looked for
  for (const [piece = ""] of sent.matchAll(/\u001B\[[0-9;]*[A-Za-z]|[^]/gu)) {
    if (piece === "\r") column = 0;
    else if (piece === "\n") rows[++row] ??= "";
    else if (piece === "\u001B[2K") rows[row] = "";
    else if (!piece.startsWith("\u001B")) {
      if (column === columns) [row, column, rows[row + 1]] = [row + 1, 0, rows[row + 1] ?? ""];
      const line = (rows[row] ?? "").padEnd(column);
      rows[row] = line.slice(0, column) + piece + line.slice(column + 1);
      column += 1;
    }
  }
  return rows.map((line) => line.trimEnd());
}

const python = spawnSync("python3", ["-c", "import pty"]).status === 0;
const noTerminal =
  process.platform === "win32" ? "Windows has no pseudo-terminal of this kind" : orFailInGate(python ? false : "no python3");

suite("at a pseudo-terminal", { skip: noTerminal }, () => {
  let home = "";
  before(() => {
    home = path.join(double.directory, "home");
    mkdirSync(path.join(home, "state", "run"), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(home, "state", "run", "service.json"), JSON.stringify(double.file), { mode: 0o600 });
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  for (const columns of [80, 33])
    test(`${columns} columns: the line is on the screen while it syncs, and nothing of it afterwards`, async () => {
      const at = double.engine.runs.length;
      const script = path.join(import.meta.dirname, "foreign", "terminal.py");
      const child = tie(
        spawn("python3", [script, String(columns), process.execPath, satchelEntry(), "sync", "--wait"], {
          env: { ...process.env, SATCHEL_HOME: home, TERM: "xterm", NO_COLOR: "1" },
          stdio: ["ignore", "pipe", "inherit"],
        }),
      );
      let sent = "";
      let wake = Promise.withResolvers<void>();
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        sent += text;
        wake.resolve();
        wake = Promise.withResolvers();
      });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      const shown = async (text: string): Promise<void> => {
        while (!sent.includes(text))
          await Promise.race([wake.promise, ended.then((code) => assert.fail(`it ended with ${code}: ${sent}`))]);
      };
      while (double.engine.runs.length === at)
        await Promise.race([
          new Promise((resolve) => setImmediate(resolve)),
          ended.then((code) => assert.fail(`it ended with ${code}: ${sent}`)),
        ]);
      for (const filesUp of [1, 3]) {
        double.engine.progress({ ...COUNTS, filesUp });
        await shown(`↑ ${filesUp}/4`);
        assert.deepEqual(screenOf(sent, columns), [WHOLE.replace("1/4", `${filesUp}/4`).slice(0, columns - 1)]);
      }
      double.engine.runs[at]?.resolve([runSummary({ uploadedFiles: 4, uploadedBytes: 6000 })]);
      assert.equal(await ended, 0, sent);
      const screen = screenOf(sent, columns);
      assert.match(screen.join(" ").replaceAll(/\s+/g, " "), /^\/media\/one in sync: 4 files up \(6\.0 kB\), 1 ms/);
      assert.doesNotMatch(screen.join("\n"), /↑|sending/);
    });
});
