/** The parts of `Host` that are this machine's: processes, signals, paths as they really are. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import path from "node:path";

import type { Starting } from "./host.ts";

/** What is started again in another process: the script that this one was started with. */
const ENTRY = process.argv[1] ?? "";
/** A service manager that does not answer within this is not there. */
const COMMAND_MS = 60_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Relative paths are the caller's: npm changes the directory and tells where it came from, but only our own scripts mean that. */
export function callersDirectory(): string {
  const { env } = process;
  const ours = env["npm_package_name"] === "satchel" && ["satchel", "start"].includes(env["npm_lifecycle_event"] ?? "");
  return (ours ? env["INIT_CWD"] : undefined) ?? process.cwd();
}

/** Symlinks resolved as far as the path exists. */
export async function realPathOf(wanted: string): Promise<string> {
  try {
    return await realpath(wanted);
  } catch (error) {
    const parent = path.dirname(wanted);
    if (parent === wanted) throw error;
    return path.join(await realPathOf(parent), path.basename(wanted));
  }
}

/** Symlinks resolved; null: not a directory that can be looked after. */
export async function realDirectory(wanted: string): Promise<string | null> {
  try {
    const real = await realpath(wanted);
    return (await stat(real)).isDirectory() ? real : null;
  } catch {
    // Not there or not to be entered: the caller says so.
    return null;
  }
}

export function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Resolves at a signal that asks us to stop, and when the process that started us as its child is gone, however it went. */
export async function interrupted(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of SIGNALS) process.once(signal, () => resolve());
    process.once("disconnect", () => resolve());
    // Gone before we listened.
    if (process.send !== undefined && !process.connected) resolve();
    // Listening must not keep us alive when our work is done.
    process.channel?.unref();
  });
}

/** Calls back at the first signal that asks us to stop; a second one ends us at once. Returns the way to stop listening. */
export function onStopSignal(listener: () => void): () => void {
  for (const signal of SIGNALS) process.once(signal, listener);
  return () => SIGNALS.forEach((signal) => process.off(signal, listener));
}

/**
 * Our own program again, detached, in its own session, with nothing of the caller's open: it outlives terminal and editor.
 * It says over IPC when it answers; what it prints before goes to the file `said`.
 */
export function startDetached(
  args: readonly string[],
  options: { readonly said: string; readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Starting {
  const output = openSync(options.said, "w", 0o600);
  const child = spawn(process.execPath, [ENTRY, ...args], {
    detached: true,
    stdio: ["ignore", output, output, "ipc"],
    windowsHide: true,
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  closeSync(output);
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<Starting["outcome"]>>();
  child.once("message", () => {
    child.disconnect();
    child.unref();
    resolve({ kind: "ready" });
  });
  child.once("exit", (code) => resolve({ kind: "ended", code, said: readFileSync(options.said, "utf8") }));
  child.once("error", reject);
  return { outcome: promise };
}

/** How our program is begun again by somebody else: Node, the entry, its arguments. */
export function ownCommand(args: readonly string[]): readonly string[] {
  return [process.execPath, path.resolve(ENTRY), ...args];
}

/** Runs a command of the system to its end. `code` null: it could not be started. */
export async function runCommand(
  command: readonly [program: string, ...args: string[]],
): Promise<{ readonly code: number | null; readonly said: string }> {
  const [program, ...args] = command;
  const { promise, resolve } = Promise.withResolvers<{ readonly code: number | null; readonly said: string }>();
  execFile(program, args, { windowsHide: true, timeout: COMMAND_MS }, (error, stdout, stderr) => {
    if (error === null) resolve({ code: 0, said: stdout + stderr });
    else if (typeof error.code === "number") resolve({ code: error.code, said: stdout + stderr });
    else resolve({ code: null, said: error.message });
  });
  return await promise;
}

/**
 * Our own program again as a child that ends with us, also when we are killed (the IPC channel closes); its stdout is piped, its stderr ours.
 * A group of its own: a terminal's Ctrl-C is for us, who end it in due order.
 */
export function startChild(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    // On Windows that would be a console window of its own.
    detached: process.platform !== "win32",
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: { ...process.env, ...env },
  });
  const end = () => child.kill();
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  return child;
}
