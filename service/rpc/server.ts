/** The API's doors: a Unix socket (named pipe on Windows) for editor and command line, loopback TCP for scripts. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

import { WebSocketServer } from "ws";

import type { OpenLanguageSession } from "../core/language-port.ts";
import type { Engine } from "../engine/facade.ts";
import { bindMethods, type ServiceSelf } from "./bindings.ts";
import { Connection } from "./connection.ts";
import type { Bindings } from "./dispatch.ts";
import { judgeUpgrade, SUBPROTOCOL, type GateOptions } from "./gate.ts";
import { openTokenBook, type TokenBook, type TokenFile } from "./tokens.ts";

/** Bytes of one message towards the service. */
const MESSAGE_MAX_BYTES = 1024 * 1024;
const FRAGMENTS_MAX = 256;
const CONNECTIONS_MAX = 16;
/** Of those, connections that scripts hold with tokens of their own: the editor and the command line always find a place. */
const SCRIPTS_MAX = 12;
/** Sockets that have not shown a token yet count too. */
const SOCKETS_MAX = 64;
const HEADER_MAX_BYTES = 8 * 1024;
const HANDSHAKE_MS = 10_000;
/** The longest a timer can be. */
const NEVER_MS = 2 ** 31 - 1;
const PING_EVERY_MS = 60_000;
/** How long a peer may take to say goodbye at a stop. */
const GOODBYE_MS = 500;

export type RpcOptions = {
  /** Unix socket or named pipe; a left-over file is replaced (the state's lock says that nobody else uses it). */
  readonly socket: string;
  /** 0: any free port; null: no TCP. */
  readonly tcpPort: number | null;
  readonly allowedOrigins: readonly string[];
  /** Of service.json, for this start alone. */
  readonly token: string;
  /** Tokens that the user made. */
  readonly tokenFile: TokenFile;
  readonly engine: Engine;
  readonly self: Omit<ServiceSelf, "port" | "clients" | "tokens">;
  readonly log: (error: unknown, id: string) => void;
  /** Opens a language-server session for a connection that asks for one (`initialize`). */
  readonly language?: OpenLanguageSession;
};
export type RpcServer = {
  readonly port: number | null;
  /** Front ends that are connected now. */
  clients(): number;
  /** Bytes that wait in our memory for all peers together. */
  waitingBytes(): number;
  /** No new connections; those there are get a goodbye. */
  close(): Promise<void>;
};

type Doors = {
  readonly webSockets: WebSocketServer;
  readonly connections: Set<Connection>;
  readonly bindings: Bindings;
  readonly tokens: TokenBook;
  readonly options: RpcOptions;
};

/** Resolves when every door is open. @throws Error when the socket or the port can't be had; SettingsError when the tokens can't be read */
export async function startRpc(options: RpcOptions): Promise<RpcServer> {
  let port: number | null = null;
  const connections = new Set<Connection>();
  const tokens = openTokens(options);
  const closeAllOf = (tokenId: string): number => {
    const theirs = [...connections].filter((connection) => connection.tokenId === tokenId);
    // The one who asks may be among them: the answer leaves first.
    setImmediate(() => theirs.forEach((connection) => connection.end(1008, "the token was revoked")));
    return theirs.length;
  };
  const clients = () => connections.size;
  const doors: Doors = {
    webSockets: new WebSocketServer({
      noServer: true,
      maxPayload: MESSAGE_MAX_BYTES,
      maxFragments: FRAGMENTS_MAX,
      perMessageDeflate: false,
      allowSynchronousEvents: false, // one message a turn: what it makes us send counts before the next is begun
      handleProtocols: () => SUBPROTOCOL,
    }),
    connections,
    tokens,
    bindings: bindMethods(options.engine, { ...options.self, port: () => port, clients, tokens: { book: tokens, closeAllOf } }),
    options,
  };
  const servers: Server[] = [];
  try {
    servers.push(await openSocket(doors));
    if (options.tcpPort !== null) {
      const tcp = await openTcp(doors, options.tcpPort);
      servers.push(...tcp.servers);
      port = tcp.port;
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  const pings = setInterval(() => doors.connections.forEach((connection) => connection.checkAlive()), PING_EVERY_MS);
  pings.unref();
  const waitingBytes = () => [...connections].reduce((sum, connection) => sum + connection.waitingBytes, 0);
  return { port, clients, waitingBytes, close: async () => await closeAll(doors, servers, pings) };
}

function openTokens({ token, tokenFile, log }: RpcOptions): TokenBook {
  return openTokenBook({
    startToken: token,
    file: tokenFile,
    nowMs: () => Date.now(),
    report: (error) => log(error, "tokens"),
  });
}

async function openSocket(doors: Doors): Promise<Server> {
  const { socket } = doors.options;
  const server = newServer(doors, () => null);
  const isFile = process.platform !== "win32";
  if (isFile) rmSync(socket, { force: true });
  server.listen(socket);
  await once(server, "listening");
  if (isFile) chmodSync(socket, 0o600);
  return server;
}

/** 127.0.0.1, and ::1 on the same port where the machine has it: `localhost` may mean either. */
async function openTcp(doors: Doors, wanted: number): Promise<{ readonly servers: readonly Server[]; readonly port: number }> {
  let port = wanted;
  const four = newServer(doors, () => port);
  four.listen({ port: wanted, host: "127.0.0.1" });
  await once(four, "listening");
  const address = four.address();
  if (typeof address === "object" && address !== null) ({ port } = address);
  const six = newServer(doors, () => port);
  six.listen({ port, host: "::1", ipv6Only: true });
  try {
    await once(six, "listening");
  } catch {
    // No IPv6 here, or the port is taken there; service.json's readers use 127.0.0.1.
    return { servers: [four], port };
  }
  return { servers: [four, six], port };
}

function newServer(doors: Doors, port: () => number | null): Server {
  const server = createServer({
    maxHeaderSize: HEADER_MAX_BYTES,
    // Node would look at its connections every few seconds for ever; here each has a deadline of its own, and nobody connected costs nothing.
    connectionsCheckingInterval: NEVER_MS,
    keepAlive: false,
  });
  const deadlines = new WeakMap<Duplex, NodeJS.Timeout>();
  server.on("connection", (stream) => {
    const late = setTimeout(() => {
      refuse(stream, 400);
      stream.destroySoon();
    }, HANDSHAKE_MS);
    deadlines.set(stream, late.unref());
    stream.once("close", () => clearTimeout(late));
  });
  server.maxConnections = SOCKETS_MAX;
  server.maxHeadersCount = 0; // Node would drop what is beyond its count, the second Host with it; the gate counts
  server.on("request", refusePlain);
  server.on("checkContinue", refusePlain);
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    clearTimeout(deadlines.get(stream));
    const { allowedOrigins } = doors.options;
    const gate: GateOptions = { port: port(), allowedOrigins, authenticate: (given) => doors.tokens.authenticate(given) };
    onUpgrade(doors, gate, request, stream, head);
  });
  server.on("clientError", (error: Error & { code?: string }, stream: Duplex) => {
    if (error.code === "ECONNRESET" || !stream.writable) stream.destroy();
    else refuse(stream, error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400);
  });
  return server;
}

/** To a page that only wants to know what listens here: nothing (WS07, WS08). */
function refusePlain(_request: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false;
  response.writeHead(404, { Connection: "close", "Content-Length": 0, "X-Content-Type-Options": "nosniff" }).end();
}

function onUpgrade(doors: Doors, gate: GateOptions, request: IncomingMessage, stream: Duplex, head: Buffer): void {
  stream.on("error", () => stream.destroy());
  const verdict = judgeUpgrade(request, gate);
  if ("refusedWith" in verdict) return refuse(stream, verdict.refusedWith);
  const scripts = [...doors.connections].filter(({ tokenId }) => tokenId !== null).length;
  if (doors.connections.size >= CONNECTIONS_MAX || (verdict.identity.tokenId !== null && scripts >= SCRIPTS_MAX))
    return refuse(stream, 503);
  doors.webSockets.handleUpgrade(request, stream, head, (socket) => {
    const { engine, log, language } = doors.options;
    const report = (error: unknown): string => {
      const id = randomUUID().slice(0, 8);
      log(error, id);
      return id;
    };
    const shared = language === undefined ? {} : { language };
    const connection = new Connection(socket, { engine, bindings: doors.bindings, identity: verdict.identity, report, ...shared });
    doors.connections.add(connection);
    socket.once("close", () => doors.connections.delete(connection));
  });
}

function refuse(stream: Duplex, status: number): void {
  stream.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nConnection: close\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\n\r\n`,
  );
}

async function closeAll(doors: Doors, servers: readonly Server[], pings: NodeJS.Timeout): Promise<void> {
  clearInterval(pings);
  const closed = servers.map(async (server) => {
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  });
  for (const socket of doors.webSockets.clients) {
    socket.close(1001, "the service stops");
    setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
  }
  for (const server of servers) server.closeIdleConnections();
  const late = setTimeout(() => servers.forEach((server) => server.closeAllConnections()), GOODBYE_MS);
  await Promise.all(closed);
  clearTimeout(late);
}
