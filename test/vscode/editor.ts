/** A VS Code server with a throw-away profile on loopback, and the browser that shows its windows. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { chromium, type Browser } from "playwright-core";

import { VERSION } from "../../protocol/version.ts";
import { answers, endChild, freePort, runToEnd, tie, until } from "../support/children.ts";
import { installWorkbench, type Installed, type WorkbenchName } from "./install.ts";

/** Which workbench the scenarios run in: `SATCHEL_WORKBENCH`. */
const WORKBENCH: WorkbenchName = process.env["SATCHEL_WORKBENCH"] === "floor" ? "floor" : "current";
export const TOP = path.join(import.meta.dirname, "..", "..");
const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** The host's package; `test/vscode/main.ts` makes it first. */
export const VSIX = path.join(TOP, "dist", "packages", `satchel-${process.platform}-${process.arch}-${VERSION}.vsix`);
/** What is in it, unpacked. */
export const STAGE = path.join(TOP, "dist", "stage", `${process.platform}-${process.arch}`);
/** Where the screenshots of a workbench go; git ignores it. */
export function shotsOf(name: WorkbenchName): string {
  return path.join(TOP, "dist", "shots", name);
}
export const SHOTS = shotsOf(WORKBENCH);

/** Why no scenario can run here; null: one can. */
export function whyNotHere(): string | null {
  if (process.platform !== "linux") return "the workbench's parts are installed for Linux only";
  if (!existsSync(CHROMIUM)) return `there is no browser at ${CHROMIUM}: apt-get install chromium, or set CHROMIUM`;
  return null;
}

/** Nothing that moves, asks, or looks outside. */
const CALM = {
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.welcomePage.walkthroughs.openOnInstall": false,
  "workbench.reduceMotion": "on",
  "workbench.editor.empty.hint": "hidden",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "chat.disableAIFeatures": true,
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.openRepositoryInParentFolders": "never",
  "files.hotExit": "off",
  "window.confirmBeforeClose": "never",
  "editor.cursorBlinking": "solid",
  "remote.autoForwardPorts": false,
};

export type EditorOptions = {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly args?: readonly string[];
  /** Packages to install first; default: ours. */
  readonly extensions?: readonly string[];
};
export type Editor = {
  /** Without a slash at the end. */
  readonly url: string;
  readonly profile: string;
  /** The last that the server wrote, and whether it still runs: for a test that failed. */
  said(): string;
  /** A package, over what is there. @throws Error with what the editor said */
  install(extension: string): Promise<void>;
  close(): Promise<void>;
};

/** Starts the server. @throws Error with what it said */
export async function startEditor(options: EditorOptions = {}): Promise<Editor> {
  const installed = await installWorkbench(WORKBENCH);
  const profile = await mkdtemp(path.join(tmpdir(), "satchel-editor-"));
  await mkdir(path.join(profile, "data", "User"), { recursive: true });
  await writeFile(path.join(profile, "data", "User", "settings.json"), JSON.stringify({ ...CALM, ...options.settings }));
  const env = environmentOf(installed, options.env);
  const base = [
    installed.serverMain,
    "--accept-server-license-terms",
    `--user-data-dir=${path.join(profile, "data")}`,
    `--extensions-dir=${path.join(profile, "extensions")}`,
  ];
  const install: Editor["install"] = async (extension) => {
    const ended = await runToEnd(installed.node, [...base, "--install-extension", extension, "--force"], { env });
    if (ended.code !== 0) throw new Error(`could not install ${extension}: ${ended.stdout}${ended.stderr}`);
  };
  for (const extension of options.extensions ?? [VSIX]) await install(extension);
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const listen = ["--host", "127.0.0.1", "--port", String(port), "--without-connection-token", "--telemetry-level", "off"];
  // A window that is closed is soon gone: the default keeps its extensions alive for three hours.
  const args = [...base, ...listen, "--reconnection-grace-time", "5", ...(options.args ?? [])];
  const child = tie(spawn(installed.node, args, { env, stdio: ["ignore", "pipe", "pipe"] }));
  let tail = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (tail = (tail + text).slice(-1500)));
  await until("the VS Code server", async () => {
    if (child.exitCode !== null) throw new Error(`the VS Code server ended (${String(child.exitCode)}):\n${tail}`);
    return await answers(`${url}/version`);
  });
  return {
    url,
    profile,
    install,
    said: () => `the VS Code server ${child.exitCode === null ? "runs" : `ended with ${String(child.exitCode)}`}; it said last:\n${tail}`,
    close: async () => {
      await endChild(child);
      await removeProfile(profile);
    },
  };
}

function environmentOf({ node }: Installed, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { VSCODE_IPC_HOOK_CLI: _outer, ...env } = process.env;
  return {
    ...env,
    PATH: `${path.dirname(node)}${path.delimiter}${env["PATH"] ?? ""}`,
    EXTENSIONS_GALLERY: '{"serviceUrl":"","itemUrl":"","resourceUrlTemplate":""}',
    ...more,
  };
}

/** Extension hosts outlive their server for a second and make their profile again. */
async function removeProfile(profile: string): Promise<void> {
  for (let left = 20; left > 0 && existsSync(profile); left--) {
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    await sleep(150);
  }
}

/** A browser that can reach loopback and nothing else. */
export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}
