/** The network between devices and the server, with everything that goes wrong on the way (RELIABILITY 3.4). */
import {
  TransportError,
  type HttpRequest,
  type HttpResponse,
  type ServerHandle,
  type ServerResponse,
  type Transport,
} from "../../service/core/ports.ts";
import type { Rng } from "./rng.ts";
import type { Life, Scheduler } from "./scheduler.ts";

export type NetFault =
  | "dropRequest"
  | "dropReply"
  | "duplicate"
  | "cutBody"
  | "cutReply"
  | "stall"
  | "proxy502"
  | "tooLarge413"
  | "tooMany429"
  | "captivePortal"
  | "garble";

export type NetServer = {
  /** null: nobody listens. */
  readonly current: () => { readonly handle: ServerHandle; readonly life: Life } | null;
  /** Calls back once when this life of the server ends. */
  readonly onDeath: (life: Life, work: () => void) => () => void;
};

type Given = {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly server: NetServer;
  /** Whether this fault is to happen now. */
  readonly fault: (fault: NetFault) => boolean;
};

/** A device's way to the server. */
export function simTransport(given: Given, life: Life, address: string): Transport {
  return {
    send: async (request, signal) => await withAbort(signal, async () => await send(given, life, address, request, signal)),
    stream: async (request, signal) => await withAbort(signal, async () => await stream(given, life, address, request, signal)),
  };
}

/** The caller stops waiting at once; the request may still be served. */
async function withAbort<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work(), promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function send(given: Given, life: Life, address: string, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
  const { fault } = given;
  const name = `${request.method} ${new URL(request.url).pathname}`;
  await travel(given, life, `→ ${name}`);
  if (fault("dropRequest")) throw new TransportError("reset", "injected: the connection broke before the request arrived");
  if (fault("stall")) await stalled(given, life, request);
  if (fault("proxy502")) return page(502, "<html><body>Bad Gateway</body></html>");
  if (fault("captivePortal")) return page(200, "<html><body>Please log in to the airport's network</body></html>");
  if (fault("tooLarge413") && request.method === "POST" && (request.body?.length ?? 0) > 1000) return page(413, "too large");
  if (fault("tooMany429")) return { status: 429, headers: { "retry-after": "2" }, body: new Uint8Array() };
  const twice = fault("duplicate");
  const response = await ask(given, life, address, request, signal);
  if (twice) await ask(given, life, address, request, signal);
  await travel(given, life, `← ${response.status} ${name}`);
  if (fault("dropReply")) throw new TransportError("reset", "injected: the connection broke before the reply arrived");
  const body = response.body;
  if (body.length > 0 && fault("cutReply")) throw new TransportError("reset", "injected: the reply was cut");
  // JSON has no check of its own: a line that changes it unseen lies about anything. Files are checked.
  if (body.length > 4 && name.includes("ownload") && fault("garble")) return { ...response, body: garbled(given.rng, body) };
  if (body.length > request.maxResponseBytes) throw new TransportError("tooLarge", "the reply is larger than allowed");
  return response;
}

async function ask(given: Given, life: Life, address: string, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
  const { response, died } = await deliver(given, life, address, request, signal);
  const body = await Promise.race([whole(response), died]);
  return { status: response.status, headers: response.headers, body };
}

/** Hands the request to the server that is up; its death ends the wait as a reset. */
async function deliver(given: Given, life: Life, address: string, request: HttpRequest, signal: AbortSignal) {
  const up = given.server.current();
  if (up === null) throw new TransportError("offline", "nobody listens at the server's address");
  const { promise: died, reject } = Promise.withResolvers<never>();
  died.catch(() => undefined);
  given.server.onDeath(up.life, () => {
    given.scheduler.after(life, 5, "reset by peer", () => reject(new TransportError("reset", "the server died")));
  });
  const url = new URL(request.url);
  const asked = up.handle(
    {
      method: request.method,
      path: url.pathname,
      query: url.search.slice(1),
      headers: request.headers,
      body: pieces(given, up.life, request.body ?? new Uint8Array()),
      peer: { address },
    },
    signal,
  );
  return { response: await Promise.race([asked, died]), died };
}

async function* pieces(given: Given, server: Life, body: Uint8Array): AsyncGenerator<Uint8Array> {
  if (body.length === 0) return;
  const cut = given.fault("cutBody");
  const middle = given.rng.below(body.length);
  if (middle > 0) {
    await given.scheduler.call(server, "body", () => undefined);
    yield body.slice(0, middle);
  }
  await given.scheduler.call(server, "body", () => undefined);
  if (cut) throw new TransportError("reset", "injected: the connection broke in mid-body");
  yield body.slice(middle);
}

async function whole(response: ServerResponse): Promise<Uint8Array> {
  if (response.body instanceof Uint8Array) return response.body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

async function stream(given: Given, life: Life, address: string, request: HttpRequest, signal: AbortSignal) {
  await travel(given, life, `→ stream`);
  if (given.fault("dropRequest")) throw new TransportError("reset", "injected: the connection broke before the request arrived");
  if (given.fault("proxy502")) return { status: 502, chunks: (async function* () {})() };
  const { response, died } = await deliver(given, life, address, request, signal);
  await travel(given, life, `← stream ${response.status}`);
  return { status: response.status, chunks: flowing(given, life, response, died, signal) };
}

async function* flowing(
  given: Given,
  life: Life,
  response: ServerResponse,
  died: Promise<never>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (response.body instanceof Uint8Array) {
    if (response.body.length > 0) yield response.body;
    return;
  }
  const chunks = response.body[Symbol.asyncIterator]();
  for (;;) {
    const next = await withAbort(signal, async () => await Promise.race([chunks.next(), died]));
    if (next.done === true) return;
    await travel(given, life, "← event");
    if (given.fault("cutReply")) throw new TransportError("reset", "injected: the stream was cut");
    yield next.value;
  }
}

/** Some milliseconds, now and then seconds: so messages overtake each other. */
async function travel({ scheduler, rng }: Given, life: Life, label: string): Promise<void> {
  const delayMs = rng.weighted([
    [6, 0],
    [3, 20],
    [1, 1500],
  ] as const);
  if (delayMs > 0) {
    const { promise, resolve } = Promise.withResolvers<void>();
    scheduler.after(life, rng.below(delayMs), label, resolve);
    await promise;
  }
  await scheduler.call(life, label, () => undefined);
}

async function stalled({ scheduler }: Given, life: Life, request: HttpRequest): Promise<never> {
  const { promise, resolve } = Promise.withResolvers<void>();
  scheduler.after(life, request.stallMs, "stall", resolve);
  await promise;
  throw new TransportError("stall", `no byte for ${request.stallMs} ms`);
}

function page(status: number, text: string): HttpResponse {
  return { status, headers: { "content-type": "text/html" }, body: new Uint8Array(Buffer.from(text)) };
}

function garbled(rng: Rng, body: Uint8Array): Uint8Array {
  const copy = body.slice();
  const at = rng.below(copy.length);
  copy[at] = (copy[at] ?? 0) ^ 0x41;
  return copy;
}
