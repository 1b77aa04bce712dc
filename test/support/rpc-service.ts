import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { tokensSchema } from "../../protocol/config.ts";
import { startRpc, type RpcServer } from "../../service/rpc/server.ts";
import type { TokenFile } from "../../service/rpc/tokens.ts";
import { EngineDouble } from "./engine-double.ts";
import { TOKEN } from "./rpc-peer.ts";

export const SERVICE_KEY = "k".repeat(43);
/** The one foreign origin that may come in. */
export const ALLOWED_ORIGIN = "http://front.example";

/** The API's real doors over an engine that does what the test says. */
export type RpcService = {
  readonly engine: EngineDouble;
  readonly rpc: RpcServer;
  readonly port: number;
  readonly socketPath: string;
  /** What the log was told, in order. */
  readonly logged: unknown[];
  /** How often the process was asked to stop. */
  stops(): number;
  close(): Promise<void>;
};

/** Tokens that live as long as the test. */
export function memoryTokens(): TokenFile {
  let tokens = tokensSchema.parse({});
  return { load: () => tokens, save: (next) => (tokens = next) };
}

export async function openRpcService(
  options: { readonly tokenFile?: TokenFile; readonly allowedOrigins?: readonly string[] } = {},
): Promise<RpcService> {
  const directory = await mkdtemp(path.join(tmpdir(), "satchel-rpc-"));
  const socketPath = path.join(directory, "s.sock");
  const engine = new EngineDouble();
  const logged: unknown[] = [];
  let stops = 0;
  const rpc = await startRpc({
    socket: socketPath,
    tcpPort: 0,
    allowedOrigins: options.allowedOrigins ?? [ALLOWED_ORIGIN],
    token: TOKEN,
    tokenFile: options.tokenFile ?? memoryTokens(),
    engine,
    self: {
      pid: 1234,
      device: "laptop",
      session: "s1",
      serviceKey: SERVICE_KEY,
      uptimeMs: () => 5,
      stop: () => (stops += 1),
      metrics: async (connections) => await Promise.resolve(`satchel_connections ${connections}\n`),
      doctor: async () => await Promise.resolve([]),
    },
    log: (error) => logged.push(error),
  });
  return {
    engine,
    rpc,
    port: rpc.port ?? 0,
    socketPath,
    logged,
    stops: () => stops,
    close: async () => {
      await rpc.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const BEARER = `Authorization: Bearer ${TOKEN}`;

/** The text of an upgrade request. `host` empty: no Host header. */
export function upgradeText(host: string, lines: readonly string[] = [], target = "/"): string {
  return [
    `GET ${target} HTTP/1.1`,
    ...(host === "" ? [] : [`Host: ${host}`]),
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...lines,
    "",
    "",
  ].join("\r\n");
}

/** Sends bytes over TCP and collects the answer's head where it is an upgrade, else everything until the other side ends. */
export async function sendRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    answer += piece;
    if (answer.startsWith("HTTP/1.1 101")) resolve(answer);
  });
  socket.on("close", () => resolve(answer));
  socket.on("error", () => resolve(answer));
  socket.write(text);
  const told = await promise;
  socket.destroy();
  return told;
}
