/** Finds the service that runs, or starts one: detached, one per user, it outlives the window. */
import { spawn } from "node:child_process";
import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";

import { serviceSchema, type ServiceFile } from "../protocol/config.ts";
import { serviceProcessOf } from "../protocol/service-process.ts";
import { placesOf, type Places } from "../protocol/places.ts";

const START_MS = 15_000;
/** What the editor sets for itself must reach neither the service nor what it may start. */
const EDITORS_OWN = /^(?:VSCODE_.*|ELECTRON_.*|CODE_SERVER_.*|NODE_OPTIONS|NODE_V8_COVERAGE|BROWSER)$/;

/** `started`: it answers, or another one is just being started. */
export type Launched = { readonly kind: "started" } | { readonly kind: "failed"; readonly said: string };

/** @throws Error when the environment gives no usable directory */
export function placesHere(env: Readonly<Record<string, string | undefined>>): Places {
  return placesOf({
    platform: process.platform,
    env,
    homeDir: homedir(),
    tmpDir: tmpdir(),
    cwd: homedir(),
    uid: process.getuid?.() ?? null,
  });
}

/** Somebody has used Satchel here before: only then is a service started without being asked for. */
export function isInUse(places: Places): boolean {
  return existsSync(path.join(places.config, "config.json"));
}

/** null: none is there, or it is not one that our own service wrote: others could have put a socket of theirs into it. */
export async function readServiceFile(places: Places): Promise<ServiceFile | null> {
  try {
    // A link is not followed.
    const handle = await open(path.join(places.run, "service.json"), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const { uid, mode } = await handle.stat();
      const self = process.getuid?.();
      if (self !== undefined && (uid !== self || (mode & 0o077) !== 0)) return null;
      const parsed = serviceSchema.safeParse(JSON.parse(await handle.readFile("utf8")));
      return parsed.success ? parsed.data : null;
    } finally {
      await handle.close();
    }
  } catch {
    // Not there, or not JSON: no service can be reached by it.
    return null;
  }
}

export type LaunchOptions = {
  readonly places: Places;
  readonly env: NodeJS.ProcessEnv;
  /** The service's entry script. */
  readonly entry: string;
  /** Where what it says before it can log is written. */
  readonly logDirectory: string;
  /** False: the socket only. Remote windows would forward a listening port to the user's machine. */
  readonly tcp: boolean;
};

/** Starts the service; resolves when it answers or has ended. */
export async function launchService(options: LaunchOptions): Promise<Launched> {
  mkdirSync(options.logDirectory, { recursive: true });
  const log = path.join(options.logDirectory, "service-start.log");
  const output = openSync(log, "w", 0o600);
  const args = [options.entry, "service", "run", "--background", ...(options.tcp ? [] : ["--no-tcp"])];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", output, output, "ipc"],
    windowsHide: true,
    cwd: homedir(),
    env: serviceEnvironment(options),
  });
  closeSync(output);
  return await new Promise<Launched>((resolve) => {
    const late = setTimeout(() => settle({ kind: "failed", said: `It did not answer within ${String(START_MS / 1000)} s.` }), START_MS);
    const settle = (launched: Launched) => {
      clearTimeout(late);
      if (child.connected) child.disconnect();
      child.unref();
      resolve(launched);
    };
    child.once("message", () => settle({ kind: "started" }));
    child.once("error", (error) => settle({ kind: "failed", said: error.message }));
    // 0: another one holds the lock and answers, or will in a moment.
    child.once("exit", (code) => settle(code === 0 ? { kind: "started" } : { kind: "failed", said: readFileSync(log, "utf8").trim() }));
  });
}

function serviceEnvironment({ env, places }: LaunchOptions): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => !EDITORS_OWN.test(name)));
  const home = env["SATCHEL_HOME"];
  return {
    ...kept,
    ...serviceProcessOf(kept),
    ...(home === undefined || home === "" ? {} : { SATCHEL_HOME: places.config }),
    // In the desktop editor the Node at hand is the editor's own program.
    ...("electron" in process.versions ? { ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" } : {}),
  };
}
