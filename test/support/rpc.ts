import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";

import { WebSocket } from "ws";

/** A front end of one service, over its Unix socket. */
export type Rpc = {
  /** @throws Error with the service's code and message. */
  call(method: string, params?: object): Promise<unknown>;
  close(): void;
};

/** What `service.json` tells (DESIGN §7); undefined when no service of this home runs or ever ran. */
export async function readServiceFile(
  home: string,
): Promise<{ readonly pid: number; readonly socket: string; readonly token: string } | undefined> {
  const text = await readFile(path.join(home, "state", "run", "service.json"), "utf8").catch(() => undefined);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys that are missing make the connection fail, which is what a test wants
  return text === undefined ? undefined : (JSON.parse(text) as { pid: number; socket: string; token: string });
}

/** Connects to the service of `home`. @throws Error when none answers. */
export async function connectRpc(home: string): Promise<Rpc> {
  const told = await readServiceFile(home);
  if (told === undefined) throw new Error(`no service.json below ${home}`);
  const socket = new WebSocket("ws://127.0.0.1/", ["satchel.v1", `satchel.token.${told.token}`], {
    createConnection: () => connect(told.socket),
  });
  await once(socket, "open");
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  let last = 0;
  socket.on("message", (data: Buffer) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JSON-RPC 2.0
    const message = JSON.parse(data.toString("utf8")) as { id?: number; result?: unknown; error?: { code: number; message: string } };
    const found = message.id === undefined ? undefined : waiting.get(message.id);
    if (message.id === undefined || found === undefined) return;
    waiting.delete(message.id);
    if (message.error === undefined) found.resolve(message.result);
    else found.reject(new Error(`${String(message.error.code)} ${message.error.message}`));
  });
  const fail = (why: string): void => {
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
  };
  socket.on("close", () => fail("the service closed the connection"));
  socket.on("error", (error: Error) => fail(error.message));
  return {
    async call(method, params = {}) {
      const id = ++last;
      return await new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      });
    },
    close() {
      socket.close();
    },
  };
}
