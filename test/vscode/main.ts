/**
 * The extension in the real workbench: `node test/vscode/main.ts [--only TEXT] [--workbench current|floor] [--brief] [--install]`. Installs the workbench into the
 * user's cache, makes the package for this machine, then runs the scenarios, in the current workbench first and then in the oldest. A file with a failure runs once more, alone.
 * With `--install` nothing runs. A run of all scenarios begins with no screenshots of an earlier one.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { runToEnd } from "../support/children.ts";
import { shotsOf, STAGE, TOP, VSIX, whyNotHere } from "./editor.ts";
import { installWorkbench, WORKBENCHES, type WorkbenchName } from "./install.ts";

/** Each file is an editor, a browser and two services. */
const AT_ONCE = 2;

/** Tells how long something takes, which beside another scenario tells of that one: it comes last, alone. */
const ALONE = "paste.scenario.ts";

/** More files with a failure than this are no matter of chance. */
const AGAIN_MAX = 3;
const FAILED = path.join(tmpdir(), `satchel-failed-${String(process.pid)}.txt`);

/** With `--brief`, what runs in the oldest workbench: the session, the view, the language client, the editor's own API. */
const BRIEF = ["host", "first-use", "language"];

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    workbench: { type: "string" },
    brief: { type: "boolean", default: false },
    install: { type: "boolean", default: false },
  },
});
const names = Object.keys(WORKBENCHES).filter((name): name is WorkbenchName => values.workbench === undefined || name === values.workbench);

const reason = values.install ? null : whyNotHere();
if (reason !== null) process.stdout.write(`no scenario can run here: ${reason}\n`);
else {
  await Promise.all(names.map(async (name) => await installWorkbench(name)));
  if (!values.install) await packAndRun();
}

async function packAndRun(): Promise<void> {
  const made = await runToEnd(process.execPath, ["build.ts", "package", "--stage", path.dirname(STAGE), path.basename(STAGE)], {
    cwd: TOP,
  });
  if (made.code !== 0) throw new Error(`could not make ${VSIX}: ${made.stderr}`);
  for (const name of names) process.exitCode = Math.max(Number(process.exitCode ?? 0), await runIn(name));
  rmSync(FAILED, { force: true });
}

async function runIn(name: WorkbenchName): Promise<number> {
  const files = globSync("test/vscode/*.scenario.ts", { cwd: TOP })
    .filter(
      (file) =>
        file.includes(values.only) && (!values.brief || name === "current" || BRIEF.some((one) => path.basename(file).startsWith(one))),
    )
    .toSorted();
  process.stdout.write(`\nVS Code of code-server ${WORKBENCHES[name].codeServer}\n`);
  if (values.only === "") rmSync(shotsOf(name), { recursive: true, force: true });
  const alone = files.filter((file) => path.basename(file) === ALONE);
  const beside = files.filter((file) => !alone.includes(file));
  let code = 0;
  const again: string[] = [];
  for (const [some, atOnce] of [[beside, AT_ONCE] as const, [alone, 1] as const]) {
    if (some.length === 0) continue;
    const ended = await runFiles(name, some, atOnce);
    if (ended === 0) continue;
    code = Math.max(code, ended);
    // Where a suite begins is told as well: scenario.ts.
    again.push(
      ...readFileSync(FAILED, "utf8")
        .split("\n")
        .filter((file) => file.endsWith(".scenario.ts")),
    );
  }
  // A window under load may move the focus between two keys of ours. What fails alone too is a fault.
  if (code === 0 || again.length === 0 || again.length > AGAIN_MAX) return code;
  process.stdout.write(`\nFailed; once more, each alone: ${again.map((file) => path.basename(file)).join(", ")}\n`);
  return await runFiles(name, again, 1);
}

async function runFiles(name: WorkbenchName, files: readonly string[], atOnce: number): Promise<number> {
  const reporters = [
    ["spec", "stdout"],
    [path.join(import.meta.dirname, "failed-files.ts"), FAILED],
  ].flatMap(([reporter = "", to = ""]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${to}`]);
  const args = ["--test", ...reporters, `--test-concurrency=${String(atOnce)}`, ...files];
  const child = spawn(process.execPath, args, { cwd: TOP, stdio: "inherit", env: { ...process.env, SATCHEL_WORKBENCH: name } });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}
