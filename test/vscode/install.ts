/** A VS Code workbench server from the npm registry alone: the package `code-server`, without its own wrapper, compilers or install scripts. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

import { runToEnd } from "../support/children.ts";

/** Which workbench: `current`, and the oldest in the registry that the manifest's `engines.vscode` (1.101) allows, on the Node that 1.101 brought. */
export const WORKBENCHES = {
  current: { codeServer: "4.139.1", node: null },
  floor: { codeServer: "4.103.2", node: "22.15.0" },
} as const;
export type WorkbenchName = keyof typeof WORKBENCHES;

/** Both absolute: the entry script of the VS Code server, and the Node that runs it. */
export type Installed = { readonly serverMain: string; readonly node: string };

/** Parts that no test of ours touches: about half of the disk that the server takes. */
const UNUSED_MODULES = ["@github", "@microsoft/mxc-sdk", "@devcontainers"];
const UNUSED_EXTENSIONS =
  /^(?:copilot|mermaid-markdown-features|ms-vscode\..*|microsoft-authentication|github|github-authentication|typescript-language-features)$/;
const NPM_MS = 280_000;

function cacheRoot(): string {
  return path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "satchel");
}

/** Installs on first use, into the user's cache; a half-made installation is never used. @throws Error with what npm said */
export async function installWorkbench(name: WorkbenchName): Promise<Installed> {
  const { codeServer, node } = WORKBENCHES[name];
  const home = path.join(cacheRoot(), `code-server-${codeServer}`);
  if (!existsSync(path.join(home, "ready"))) {
    await mkdir(cacheRoot(), { recursive: true });
    const staging = await mkdtemp(path.join(cacheRoot(), "making-"));
    try {
      await fill(staging, codeServer, node);
      await rm(home, { recursive: true, force: true });
      await rename(staging, home);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
  return {
    serverMain: path.join(home, "package", "lib", "vscode", "out", "server-main.js"),
    node: node === null ? process.execPath : path.join(home, "node_modules", "node", "bin", "node"),
  };
}

async function fill(home: string, codeServer: string, node: string | null): Promise<void> {
  // The one install script that may run: it links the binary.
  await writeFile(path.join(home, "package.json"), '{ "private": true, "allowScripts": { "node": true } }\n');
  if (node !== null) await npm(home, ["install", `node@${node}`]);
  await npm(home, ["pack", `code-server@${codeServer}`]);
  const tarball = (await readdir(home)).find((file) => file.endsWith(".tgz")) ?? "";
  const unpacked = await runToEnd("tar", ["xzf", tarball], { cwd: home });
  if (unpacked.code !== 0) throw new Error(`could not unpack ${tarball}: ${unpacked.stderr}`);
  await rm(path.join(home, tarball));
  const server = path.join(home, "package", "lib", "vscode");
  // Not `npm ci`: the published lock file is out of step. No install scripts: they would compile, or download from elsewhere.
  await npm(server, ["install", "--omit=dev", "--ignore-scripts"]);
  await trim(server);
  await linkSearch(server);
  await writeFile(path.join(home, "ready"), "");
}

async function npm(cwd: string, args: readonly string[]): Promise<void> {
  const ended = await runToEnd("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd, timeoutMs: NPM_MS });
  if (ended.code !== 0) throw new Error(`npm ${args.join(" ")} ended with ${String(ended.code)}:\n${ended.stderr}`);
}

async function trim(server: string): Promise<void> {
  for (const unused of UNUSED_MODULES) await rm(path.join(server, "node_modules", unused), { recursive: true, force: true });
  for (const extension of await readdir(path.join(server, "extensions")))
    if (UNUSED_EXTENSIONS.test(extension)) await rm(path.join(server, "extensions", extension), { recursive: true, force: true });
}

/** Older servers would download ripgrep from elsewhere: the system's own does. Without one, file search finds nothing. */
async function linkSearch(server: string): Promise<void> {
  const home = path.join(server, "node_modules", "@vscode", "ripgrep");
  const found = (process.env["PATH"] ?? "").split(path.delimiter).map((directory) => path.join(directory, "rg"));
  const rg = found.find((file) => existsSync(file));
  if (!existsSync(home) || existsSync(path.join(home, "bin", "rg")) || rg === undefined) return;
  await mkdir(path.join(home, "bin"), { recursive: true });
  await symlink(rg, path.join(home, "bin", "rg"));
}
