import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a command left behind. `code` null: a signal ended it. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end; a bad exit code is the caller's to judge. @throws Error when it can't be started or takes longer than `timeoutMs`. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string; readonly stdin?: string; readonly timeoutMs?: number } = {},
): Promise<Ended> {
  const child = spawn(program, args, {
    env: options.env ?? process.env,
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  child.stdin.on("error", () => undefined); // a program may end without reading what it is given
  child.stdin.end(options.stdin ?? "");
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, options.timeoutMs ?? 120_000);
  try {
    const [code] = await new Promise<[number | null]>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exit) => resolve([exit]));
    });
    if (late) throw new Error(`${program} ${args.join(" ")} did not end in time\n${output.stderr}`);
    return { code, ...output };
  } finally {
    clearTimeout(timer);
  }
}

const tied = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of tied) child.kill("SIGKILL");
});

/** Ends the child with us at the latest: a test that ran into its time limit never gets to its own end. Returns the child. */
export function tie<Child extends ChildProcess>(child: Child): Child {
  tied.add(child);
  child.once("exit", () => tied.delete(child));
  return child;
}

/** Ends a child that we started: SIGTERM, and SIGKILL when it has not gone after `graceMs`. Resolves when it is gone. */
export async function endChild(child: ChildProcess, graceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  child.kill("SIGTERM");
  await gone;
  clearTimeout(timer);
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

/** Asks `ready` every few milliseconds: for other people's programs, which tell in no better way. @throws Error after `timeoutMs`. */
export async function until(what: string, ready: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await ready())) {
    if (performance.now() > end) throw new Error(`waited ${String(timeoutMs)} ms in vain for: ${what}`);
    await sleep(10);
  }
}

/** GET of a URL answers 200. Never throws: nobody listening is an answer too. */
export async function answers(url: string): Promise<boolean> {
  try {
    const reply = await fetch(url);
    await reply.arrayBuffer();
    return reply.status === 200;
  } catch {
    return false;
  }
}
