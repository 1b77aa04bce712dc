/** HTTP over node:http and node:https with kept-alive connections (built-in fetch costs 2.5–5 times as much, PERFORMANCE.md). */
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns";
import http from "node:http";
import https from "node:https";

import { TransportError, type Clock, type HttpRequest, type HttpResponse, type Transport } from "../core/ports.ts";
import { joined, lengthOf, type Take } from "./body-buffers.ts";
import { hostAndPort, isForbiddenAddress, isForbiddenHost } from "./endpoint.ts";
import { isStaleSocket, toTransportError } from "./transport-errors.ts";

/** A body is handed on in slices of this size, so that a slow line is seen to move. */
const SLICE_BYTES = 256 * 1024;

type Exchange = { readonly request: HttpRequest; readonly url: URL; readonly watch: Watch; readonly fresh: boolean };

/**
 * Opens connections to any number of hosts and keeps them for the next request. `close` ends the idle ones.
 * `clock` measures the stall (no byte in either direction). Environment variables for proxies are not looked at.
 */
export function openNodeTransport(options: { readonly clock: Clock }): Transport & { close(): void } {
  const settings = { keepAlive: true, maxFreeSockets: 16, scheduling: "lifo" } as const;
  const plain = new http.Agent(settings);
  let secure: https.Agent | null = null; // made when it is wanted: TLS is a twentieth of a start
  const agentOf = (url: URL) => (url.protocol === "https:" ? (secure ??= new https.Agent(settings)) : plain);

  /** Runs one exchange under the stall watch and the signal; a stale kept-alive connection is replaced once. */
  async function exchange<T>(
    request: HttpRequest,
    signal: AbortSignal,
    use: (response: http.IncomingMessage, watch: Watch) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const url = urlOf(request.url);
    if (isForbiddenHost(url.hostname))
      throw new TransportError("offline", `Satchel does not talk to link-local addresses (${url.hostname}).`);
    const watch = startWatch(options.clock, request, url, signal);
    try {
      return await attempt({ request, url, watch, fresh: false }, use);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StaleSocket) return await attempt({ request, url, watch, fresh: true }, use);
      throw error;
    } finally {
      watch.stop();
    }
  }

  async function attempt<T>(exchanged: Exchange, use: (response: http.IncomingMessage, watch: Watch) => Promise<T>): Promise<T> {
    const { url, watch } = exchanged;
    const outgoing = startRequest(exchanged, exchanged.fresh ? false : agentOf(url));
    const kill = (reason: Error) => outgoing.destroy(reason);
    watch.onExpire(kill);
    try {
      const result = await use(await answerOf(outgoing, exchanged), watch);
      // Answered before the whole body was taken: the rest is not wanted, and this connection can't be used again.
      if (!outgoing.writableFinished) outgoing.destroy();
      return result;
    } catch (error) {
      outgoing.destroy();
      const reason = watch.reason();
      if (reason !== null) throw reason;
      if (!exchanged.fresh && outgoing.reusedSocket && error instanceof NoAnswer && isStaleSocket(error.cause)) throw new StaleSocket();
      throw toTransportError(error instanceof NoAnswer ? error.cause : error, url);
    }
  }

  return {
    async send(request, signal) {
      return await exchange(request, signal, async (response, watch) => await readWhole(request, response, watch));
    },
    async stream(request, signal) {
      return await openStream(request, signal, options.clock, agentOf);
    },
    close() {
      plain.destroy();
      secure?.destroy();
    },
  };
}

/** The address parsed last: small requests come one after another to the same one. Nobody changes it. */
let lastUrl: URL | null = null;
function urlOf(text: string): URL {
  return lastUrl?.href === text ? lastUrl : (lastUrl = new URL(text));
}

/** Only within this file: the request died before any byte of an answer. */
class NoAnswer extends Error {}
/** Only within this file: it died on a connection that had been idle; worth one more try on a new one. */
class StaleSocket extends Error {}

/** Why a watch ends when all went well. Made once: a DOMException per request is work for nothing. */
const OVER = new Error("the exchange is over");

type Watch = {
  /** Bytes moved. */
  moved(sentBytes: number, receivedBytes: number): void;
  onExpire(kill: (reason: Error) => void): void;
  /** Why the exchange was ended from here, or null. */
  reason(): Error | null;
  stop(): void;
};

/** Ends the exchange when nothing moved for `stallMs`, or when the signal says so. */
function startWatch(clock: Clock, request: HttpRequest, url: URL, signal: AbortSignal): Watch {
  let movedAtMs = clock.monoMs();
  let ended: Error | null = null;
  let kill: ((reason: Error) => void) | null = null;
  const done = new AbortController();
  const end = (reason: Error) => {
    ended ??= reason;
    kill?.(reason);
  };
  const onAbort = () => end(signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason }));
  signal.addEventListener("abort", onAbort, { once: true });
  const watchStall = async () => {
    for (;;) {
      const leftMs = movedAtMs + request.stallMs - clock.monoMs();
      if (leftMs <= 0) break;
      await clock.sleep(leftMs, done.signal);
    }
    end(new TransportError("stall", `Could not talk to ${hostAndPort(url)}: nothing moved for ${Math.round(request.stallMs / 1000)} s.`));
  };
  watchStall().catch((error: unknown) => {
    if (!done.signal.aborted) end(error instanceof Error ? error : new Error(String(error)));
  });
  return {
    moved(sentBytes, receivedBytes) {
      movedAtMs = clock.monoMs();
      request.onBytes?.(sentBytes, receivedBytes);
    },
    onExpire(newKill) {
      kill = newKill;
      if (ended !== null) newKill(ended);
    },
    reason: () => ended,
    stop() {
      signal.removeEventListener("abort", onAbort);
      done.abort(OVER);
    },
  };
}

function startRequest({ request, url, watch }: Exchange, agent: http.Agent | false): http.ClientRequest {
  const headers: Record<string, string> = { accept: "*/*", ...request.headers };
  if (request.method === "POST") headers["content-length"] = String(request.body?.length ?? 0);
  if (url.username !== "" || url.password !== "") {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["authorization"] ??= `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
  }
  const outgoing = (url.protocol === "https:" ? https : http).request({
    method: request.method,
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port,
    path: url.pathname + url.search,
    headers,
    agent,
    lookup: guardedLookup,
  });
  sendBody(outgoing, request.body ?? new Uint8Array(0), watch);
  return outgoing;
}

/** Slice after slice, each when the one before has left; errors arrive at the request itself. */
function sendBody(outgoing: http.ClientRequest, body: Uint8Array, watch: Watch): void {
  let offset = 0;
  const next = () => {
    const slice = body.subarray(offset, offset + SLICE_BYTES);
    offset += slice.length;
    const sent = (error?: Error | null) => {
      if (error !== undefined && error !== null) return;
      watch.moved(slice.length, 0);
      if (offset < body.length && !outgoing.destroyed) next();
    };
    if (offset >= body.length) outgoing.end(slice, sent);
    else outgoing.write(slice, sent);
  };
  next();
}

/** Resolves with the head of the answer. @throws NoAnswer */
async function answerOf(outgoing: http.ClientRequest, { watch }: Exchange): Promise<http.IncomingMessage> {
  return await new Promise((resolve, reject) => {
    outgoing.on("error", (cause) => reject(new NoAnswer("no answer", { cause })));
    outgoing.on("response", (response) => {
      watch.moved(0, 0);
      resolve(response);
    });
    // An upgrade or CONNECT answer is none of ours; without a listener Node destroys the socket, which arrives as an error.
  });
}

/** The whole body, refused (never cut) when it is larger than allowed. */
async function readWhole(request: HttpRequest, response: http.IncomingMessage, watch: Watch): Promise<HttpResponse> {
  if (Number(response.headers["content-length"] ?? 0) > request.maxResponseBytes) throw tooLarge(request);
  const head = { status: response.statusCode ?? 0, headers: flatten(response.headers) };
  const body = collect(Number(response.headers["content-length"] ?? 0), request.replyMemory ?? ((bytes) => Buffer.allocUnsafe(bytes)));
  await readChunks(request, response, watch, body.add);
  return { ...head, body: body.whole() };
}

/** Up to this long an announced body gets its memory before it comes: a lie can't reserve more. */
const RESERVED_BYTES_MAX = 16 * 1024 * 1024;

/** The chunks of a body in one piece. Each is copied as it comes, so that its own memory is free at once. */
function collect(announcedBytes: number, take: Take): { readonly add: (chunk: Uint8Array) => void; readonly whole: () => Uint8Array } {
  const chunks: Uint8Array[] = [];
  let memory: Uint8Array | null = null;
  let length = 0;
  return {
    add: (chunk) => {
      if (chunks.length === 0 && memory === null && chunk.length < announcedBytes && announcedBytes <= RESERVED_BYTES_MAX)
        memory = take(announcedBytes);
      if (memory !== null && length + chunk.length <= memory.length) memory.set(chunk, length);
      else chunks.push(chunk);
      length += chunk.length;
    },
    whole: () => {
      if (memory !== null && chunks.length === 0) return memory.subarray(0, length);
      const [only] = chunks;
      if (memory === null && chunks.length === 1 && only !== undefined) return only;
      return joined(memory === null ? chunks : [memory.subarray(0, length - lengthOf(chunks)), ...chunks], take);
    },
  };
}

/** Hands on all chunks of the reply; listeners, because an async iterator costs a promise per chunk. @throws TransportError */
async function readChunks(
  request: HttpRequest,
  response: http.IncomingMessage,
  watch: Watch,
  add: (chunk: Uint8Array) => void,
): Promise<void> {
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    response.on("data", (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > request.maxResponseBytes) reject(tooLarge(request));
      else add(chunk);
      watch.moved(0, chunk.length);
    });
    response.on("error", reject);
    response.on("close", () => {
      if (response.complete) resolve();
      else
        reject(
          new TransportError(
            "reset",
            `Could not talk to ${hostAndPort(new URL(request.url))}: the connection broke in the middle of the answer.`,
          ),
        );
    });
    response.on("end", () => {
      if (response.complete) resolve();
    });
  });
}

function tooLarge(request: HttpRequest): TransportError {
  const url = new URL(request.url);
  return new TransportError(
    "tooLarge",
    `${hostAndPort(url)} answered ${url.pathname} with more than the ${request.maxResponseBytes} bytes that are allowed here.`,
  );
}

/** A reply that goes on: the watch lives as long as somebody reads; a reader who leaves ends the connection. */
async function openStream(
  request: HttpRequest,
  signal: AbortSignal,
  clock: Clock,
  agentOf: (url: URL) => http.Agent,
): Promise<{ readonly status: number; readonly chunks: AsyncIterable<Uint8Array> }> {
  signal.throwIfAborted();
  const url = new URL(request.url);
  const watch = startWatch(clock, request, url, signal);
  const exchanged: Exchange = { request, url, watch, fresh: true };
  const outgoing = startRequest(exchanged, agentOf(url));
  watch.onExpire((reason) => outgoing.destroy(reason));
  const fail = (error: unknown) => {
    watch.stop();
    outgoing.destroy();
    return watch.reason() ?? toTransportError(error instanceof NoAnswer ? error.cause : error, url);
  };
  let response: http.IncomingMessage;
  try {
    response = await answerOf(outgoing, exchanged);
  } catch (error) {
    throw fail(error);
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response) {
        const bytes = bytesOf(chunk);
        watch.moved(0, bytes.length);
        yield bytes;
      }
    } catch (error) {
      throw fail(error);
    } finally {
      watch.stop();
      outgoing.destroy();
    }
  }
  return { status: response.statusCode ?? 0, chunks: chunks() };
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError("node-transport: the reply is not read as bytes");
}

function flatten(headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}

/** Looks a name up and refuses link-local answers: a name of the user's choice must not lead to a cloud machine's secrets (WS16). */
const guardedLookup: typeof lookup = Object.assign(
  (
    hostname: string,
    options: unknown,
    callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
  ) => {
    const wanted = typeof options === "object" && options !== null ? options : {};
    lookup(hostname, { ...wanted, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "", 0);
      const bad = addresses.find(({ address }) => isForbiddenAddress(address));
      if (bad !== undefined) {
        return callback(Object.assign(new Error(`${hostname} leads to the link-local address ${bad.address}`), { code: "EPERM" }), "", 0);
      }
      const [first] = addresses;
      if ("all" in wanted && wanted.all === true) return callback(null, addresses);
      callback(null, first?.address ?? "", first?.family ?? 4);
    });
  },
  lookup,
);
