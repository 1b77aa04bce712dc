import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";

import { endChild, tie } from "../support/children.ts";

type Reply = { readonly id: number; readonly value?: unknown; readonly error?: string };

/** The process that holds real Anki clients; see client.py for what it can be asked. */
export type Driver = {
  readonly pid: number;
  /** @throws Error with Anki's own words when the client failed. */
  ask(device: string, what: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Closes every collection. */
  close(): Promise<void>;
};

/** Starts the driver under the Python that has the real Anki. */
export function startDriver(python: string): Driver {
  const child = tie(spawn(python, ["-u", path.join(import.meta.dirname, "client.py")], { stdio: ["pipe", "pipe", "pipe"] }));
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  let tail = "";
  let last = 0;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (tail = (tail + text).slice(-4000)));
  createInterface({ input: child.stdout }).on("line", (line) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver's one message type
    const reply = JSON.parse(line) as Reply;
    const found = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error === undefined) found?.resolve(reply.value);
    else found?.reject(new Error(reply.error));
  });
  child.once("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`the Anki driver ended (${String(code ?? signal)}):\n${tail}`));
    waiting.clear();
  });
  return {
    pid: child.pid ?? 0,
    async ask(device, what, args = {}) {
      if (child.exitCode !== null) throw new Error(`the Anki driver has ended:\n${tail}`);
      const id = ++last;
      return await new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ id, device, do: what, ...args })}\n`);
      });
    },
    async close() {
      child.stdin.end();
      await endChild(child);
    },
  };
}
