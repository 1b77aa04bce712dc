#!/usr/bin/env node
// Starts the command line under a Node that runs the sources; on an older one it starts the project's own, or says what is missing.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const node = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  await import(new URL("./code-cache.mjs", import.meta.url).href);
  await import(new URL("../main.ts", import.meta.url).href);
} else if (existsSync(node) && process.env.SATCHEL_RELAUNCHED !== "1") {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit", env: { ...process.env, SATCHEL_RELAUNCHED: "1" } });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.once("exit", (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
} else {
  process.stderr.write(`satchel needs Node 22.18 or later, this is ${process.version}. Run "npm ci" in the project, then try again.\n`);
  process.exitCode = 2;
}
