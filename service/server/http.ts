/** The server's handle on HTTP: Fastify listens and takes its plugins; bodies and replies are the handle's own streams. */
import { readFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse as NodeResponse } from "node:http";
import https from "node:https";

import fastify, { type FastifyInstance } from "fastify";

import { LIMITS } from "../../protocol/anki/limits.ts";
import type { ServerHandle, ServerResponse } from "../core/ports.ts";

const METRICS = "/metrics";
/** No byte in either direction for this long ends a connection. */
const STALL_MS = 60_000;
const HEADERS_MS = 10_000;
/** Node looks for headers that take too long, and for what else is overdue, this often; its own 30 s would give a trickler four times his time. */
const CHECK_MS = 5000;
/** Sockets at once, idle ones too: some 20 KB each. Beyond it new ones are closed at once. */
const SOCKETS_MAX = 10_000;
/** Longer than the 60 s that proxies in front keep theirs: otherwise one is closed while the next request is on its way. */
const KEEP_ALIVE_MS = 75_000;
/** After a refusal in mid-upload the rest is swallowed for this long, so that the reply is not lost in a reset. */
const LINGER_MS = 2000;
/** Who takes a reply more slowly than this, after a first minute, holds its memory and not a slow line (RELIABILITY §5.2, NW06). */
const RATE_BYTES_PER_S = 1024;
const SLACK_MS = 60_000;

export type HttpOptions = {
  readonly handle: ServerHandle;
  /** PEM files; null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** `/metrics`, for those that `mayMeasure` lets in. */
  readonly metrics: (() => Promise<string>) | null;
  readonly mayMeasure: (address: string, authorization: string | undefined) => boolean;
  readonly onError: (error: unknown) => void;
  /** How long a reply may take beside its length; a minute where it is left out. */
  readonly slackMs?: number;
  /** For tests: the limits of one connection, and of all of them. */
  readonly limits?: { readonly stallMs?: number; readonly headersMs?: number; readonly checkMs?: number; readonly socketsMax?: number };
};

export type HttpServer = {
  /** Resolves with the port that it listens on. */
  listen(host: string, port: number): Promise<number>;
  /** No new requests; those under way end within `graceMs` or are cut. */
  close(graceMs: number): Promise<void>;
};

export function createHttpServer(options: HttpOptions): HttpServer {
  /** Requests under way: each is told of the server's end. */
  const serving = new Set<AbortController>();
  let stopping: Error | null = null;
  const app = makeFastify(options, (from, to) => {
    if (stopping === null) void serve(options, from, to, serving);
    else to.writeHead(503, { connection: "close", "content-length": 0 }).end();
  });
  if (options.metrics !== null) {
    const { metrics, mayMeasure } = options;
    app.get(METRICS, async (request, reply) => {
      if (!mayMeasure(request.ip, request.headers.authorization)) return await reply.code(404).send();
      return await reply.type("text/plain; version=0.0.4").send(await metrics());
    });
  }
  return {
    async listen(host, port) {
      app.server.maxConnections = options.limits?.socketsMax ?? SOCKETS_MAX;
      await app.listen({ host, port });
      const address = app.server.address();
      if (address === null || typeof address === "string") throw new Error(`Could not listen on ${host}: no port was given to us.`);
      return address.port;
    },
    async close(graceMs) {
      stopping = new Error("The server stops.");
      for (const request of serving) request.abort(stopping);
      const cut = setTimeout(() => app.server.closeAllConnections(), graceMs);
      app.server.closeIdleConnections();
      try {
        await app.close();
      } finally {
        clearTimeout(cut);
      }
    },
  };
}

/**
 * What is not for a route of Fastify's goes to `take`, past its routing and its life cycle: they cost more than all that a small request does here, and
 * bodies and replies are streams of ours anyway.
 */
function makeFastify({ tls, metrics, limits = {} }: HttpOptions, take: http.RequestListener): FastifyInstance {
  const settings = {
    maxHeaderSize: LIMITS.headerBytes,
    headersTimeout: limits.headersMs ?? HEADERS_MS,
    connectionsCheckingInterval: limits.checkMs ?? CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 0,
  };
  const serverFactory = (routed: http.RequestListener): http.Server => {
    const isMeasured = ({ method, url = "" }: IncomingMessage): boolean =>
      metrics !== null && method === "GET" && (url === METRICS || url.startsWith(`${METRICS}?`));
    const listener: http.RequestListener = (from, to) => (isMeasured(from) ? routed(from, to) : take(from, to));
    const server =
      tls === null
        ? http.createServer(settings, listener)
        : https.createServer(
            { ...settings, cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), minVersion: "TLSv1.2" },
            listener,
          );
    return server.setTimeout(limits.stallMs ?? STALL_MS);
  };
  return fastify({ logger: false, forceCloseConnections: "idle", exposeHeadRoutes: false, serverFactory });
}

async function serve(
  { handle, onError, slackMs = SLACK_MS }: HttpOptions,
  from: IncomingMessage,
  to: NodeResponse,
  serving: Set<AbortController>,
): Promise<void> {
  const gone = new AbortController();
  serving.add(gone);
  const leave = (): void => {
    if (!to.writableFinished) gone.abort(new Error("The client went away."));
  };
  to.once("close", leave);
  to.on("error", onError);
  from.on("error", leave);
  const [path, query] = splitUrl(from.url ?? "/");
  try {
    const response = await handle(
      {
        method: from.method ?? "GET",
        path,
        query,
        headers: flatHeaders(from),
        body: { [Symbol.asyncIterator]: () => bodyOf(from), each: async (take) => await eachChunk(from, take) },
        peer: { address: from.socket.remoteAddress ?? "" },
      },
      gone.signal,
    );
    await send(response, from, to, slackMs);
  } catch (error) {
    // The handle throws only when nobody waits for the reply any more, and a stream only when it broke off: cut, so that the client can tell.
    if (!gone.signal.aborted) onError(error);
    from.socket.destroy();
  } finally {
    serving.delete(gone);
  }
}

async function send(response: ServerResponse, from: IncomingMessage, to: NodeResponse, slackMs: number): Promise<void> {
  const { status, headers, body } = response;
  // What is left of the body is not for us: the connection can't be used again.
  const unread = !from.complete && !from.readableEnded;
  const close = unread ? { connection: "close" } : {};
  if (body instanceof Uint8Array) {
    to.writeHead(status, { ...headers, ...close, "content-length": body.length });
    const done = hurry(to, body.length, slackMs);
    to.once("close", done);
    to.end(body, done);
    if (unread) linger(from);
    return;
  }
  to.writeHead(status, { ...headers, ...close });
  // What says its length is at hand: head and body leave together. A stream's head must not wait for its first event.
  if (headers["content-length"] === undefined) to.flushHeaders();
  for await (const chunk of body) {
    if (to.destroyed) return;
    const done = hurry(to, chunk.length, slackMs);
    await written(to, chunk);
    done();
  }
  to.end();
}

/** Cuts the connection where so many bytes are not taken in time; returns what calls it off. */
function hurry(to: NodeResponse, bytes: number, slackMs: number): () => void {
  const timer = setTimeout(() => to.destroy(), slackMs + (bytes / RATE_BYTES_PER_S) * 1000);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Resolves when the chunk has left for the system, or can't any more: its buffer may be used again then. */
async function written(to: NodeResponse, chunk: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  to.once("close", resolve);
  to.write(chunk, () => resolve());
  await promise;
  to.off("close", resolve);
}

/** Swallows what still comes, for a moment: a reset would overtake the reply that says why. */
function linger(from: IncomingMessage): void {
  const { socket } = from;
  from.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Hands each chunk on as it arrives: Anki's clients cut bodies into 4 KiB, and to gather a few of them first would copy all once more. */
async function eachChunk(from: IncomingMessage, take: (chunk: Uint8Array) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const data = (chunk: unknown): void => {
    try {
      if (chunk instanceof Uint8Array) take(chunk);
    } catch (error) {
      reject(error);
      leave();
    }
  };
  const leave = (): void => {
    // The rest stays unread; the socket must live on, for the reply.
    from.off("data", data).off("end", resolve).off("close", resolve);
    from.pause();
  };
  // `close` comes after `end`, or instead of it.
  from.once("end", resolve).once("close", resolve);
  if (from.readableEnded || from.destroyed) resolve();
  else from.on("data", data);
  await promise;
  leave();
  if (!from.readableEnded) throw from.errored ?? brokeOff();
}

function brokeOff(): Error {
  return new Error("The client went away in the middle of its body.");
}

/** Bytes that may wait in memory for whoever reads the body. */
const AHEAD_BYTES = 256 * 1024;

/**
 * Nothing is read before it is asked for. Clients cut bodies into chunks of a few KiB: all that arrived together is handed on together, as
 * each hand-over costs more than its bytes.
 */
async function* bodyOf(from: IncomingMessage): AsyncGenerator<Uint8Array> {
  const body = { arrived: [] as Uint8Array[], bytes: 0, over: from.readableEnded, wake: (): void => undefined };
  const take = (chunk: unknown): void => {
    if (!(chunk instanceof Uint8Array)) return;
    body.arrived.push(chunk);
    body.bytes += chunk.length;
    if (body.bytes > AHEAD_BYTES) from.pause();
    body.wake();
  };
  // `close` comes after `end`, or instead of it.
  const end = (): void => {
    body.over = true;
    body.wake();
  };
  from.on("data", take).once("end", end).once("close", end);
  try {
    for (;;) {
      const [first] = body.arrived;
      if (first !== undefined) {
        const piece = body.arrived.length === 1 ? first : Buffer.concat(body.arrived, body.bytes);
        body.arrived = [];
        body.bytes = 0;
        from.resume();
        yield piece;
      } else if (body.over) break;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        body.wake = resolve;
        await promise;
      }
    }
    if (!from.readableEnded) throw from.errored ?? brokeOff();
  } finally {
    // The rest stays unread; the socket must live on, for the reply.
    from.off("data", take).off("end", end).off("close", end);
    from.pause();
  }
}

function splitUrl(url: string): [string, string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

/** One value per name. A header that came twice is what Node makes of it: joined, or the first. */
function flatHeaders(from: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(from.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  return headers;
}
