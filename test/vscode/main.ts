/**
 * The extension in the real workbench: `node test/vscode/main.ts [--only TEXT] [--workbench current|floor] [--brief]`. Installs the workbench into the
 * user's cache, makes the package for this machine, then runs the scenarios, in the current workbench first and then in the oldest.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { runToEnd } from "../support/children.ts";
import { STAGE, TOP, VSIX, whyNotHere } from "./editor.ts";
import { installWorkbench, WORKBENCHES, type WorkbenchName } from "./install.ts";

/** Each file is an editor, a browser and two services. */
const AT_ONCE = 2;

/** With `--brief`, what runs in the oldest workbench: the session, the view, the language client, the editor's own API. */
const BRIEF = ["host", "first-use", "language"];

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, workbench: { type: "string" }, brief: { type: "boolean", default: false } },
});
const names = Object.keys(WORKBENCHES).filter((name): name is WorkbenchName => values.workbench === undefined || name === values.workbench);

const reason = whyNotHere();
if (reason !== null) process.stdout.write(`no scenario can run here: ${reason}\n`);
else {
  await Promise.all(names.map(async (name) => await installWorkbench(name)));
  const made = await runToEnd(process.execPath, ["build.ts", "package", "--stage", path.dirname(STAGE), path.basename(STAGE)], {
    cwd: TOP,
  });
  if (made.code !== 0) throw new Error(`could not make ${VSIX}: ${made.stderr}`);
  for (const name of names) process.exitCode = Math.max(Number(process.exitCode ?? 0), await runIn(name));
}

async function runIn(name: WorkbenchName): Promise<number> {
  const files = globSync("test/vscode/*.scenario.ts", { cwd: TOP }).filter(
    (file) =>
      file.includes(values.only) && (!values.brief || name === "current" || BRIEF.some((one) => path.basename(file).startsWith(one))),
  );
  process.stdout.write(`\nVS Code of code-server ${WORKBENCHES[name].codeServer}\n`);
  const args = ["--test", "--test-reporter=spec", `--test-concurrency=${String(AT_ONCE)}`, ...files.toSorted()];
  const child = spawn(process.execPath, args, { cwd: TOP, stdio: "inherit", env: { ...process.env, SATCHEL_WORKBENCH: name } });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}
