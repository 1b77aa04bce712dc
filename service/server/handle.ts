/** The whole sync server as one function from a request to a reply: who may ask, what is asked, within which limits. */
import { parseSyncHeader, SYNC_HEADER } from "../../protocol/anki/header.ts";
import { LIMITS } from "../../protocol/anki/limits.ts";
import { multipartBoundary, multipartPayload, parseMultipart } from "../../protocol/anki/multipart.ts";
import type { Clock, Compute, Faults, ServerHandle, ServerRequest, ServerResponse } from "../core/ports.ts";
import type { AccountService, Known } from "./accounts.ts";
import { collectionLimits } from "./collection.ts";
import type { Burst } from "./brake.ts";
import { Buffers, NoRoomError } from "./buffers.ts";
import { limitedBody, parsed, Refusal, refusalReply, replyLarge, replyWith, withBody, withInflated, type Form } from "./exchange.ts";
import { foldsNames } from "./media.ts";
import { ROUTES, type Call, type Route } from "./routes.ts";
import { StorageError, type Storage } from "./storage.ts";
import { Slots } from "./turn.ts";

/** Forms that came without a header and have not said their key yet: held in memory, so only this many at once in the whole process. */
const UNKNOWN_BODIES = 2;
/** Uploads of one account that may wait for their turn. */
const BODIES_WAITING = 64;
/** Told to whom there is no room for. Our clients add their own jitter (NW08). */
const RETRY_AFTER = { "retry-after": "5" } as const;
/** A form around a login of at most 1 KiB. */
const LOGIN_FORM_BYTES = 4096;

export type Exchange = {
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
  /** Opaque id; null before the caller is known. */
  readonly account: string | null;
};
/** `fields` hold ids and numbers, never names, keys or contents. */
export type ServerLog = (level: "info" | "warn" | "error", event: string, fields: Readonly<Record<string, unknown>>) => void;

export type ServerOptions = {
  readonly storage: Storage;
  readonly accounts: AccountService;
  readonly clock: Clock;
  readonly compute: Compute;
  readonly faults: Faults;
  readonly log: ServerLog;
  /** Serves versions 8–10 too. */
  readonly legacy: boolean;
  /** `MAX_SYNC_PAYLOAD_MEGS`; null: the default. */
  readonly payloadMegs: number | null;
  /** `SYNC_IP_HEADER`, lower case: the proxy's header with the client's address. */
  readonly addressHeader: string | null;
  /** Unpacks a long body as it comes. @throws RangeError, Error as `Compute.unzstd`. Without it such a body is held whole. */
  readonly inflateStream?: (chunks: AsyncIterable<Uint8Array>, maxBytes: number) => AsyncIterable<Uint8Array>;
  /** What bodies and large replies of all accounts may hold together; 512 MiB where it is left out. */
  readonly bodyMemoryBytes?: number;
  readonly observe?: (exchange: Exchange) => void;
  /** A device deleted very much. */
  readonly observeBurst?: (burst: Burst) => void;
};

export function createHandle(options: ServerOptions): ServerHandle {
  const { clock, log } = options;
  const onBurst = (account: string, burst: Burst): void => {
    log("warn", "deletion burst", { audit: true, account, key: burst.key, files: burst.files, broughtBack: burst.back });
    options.observeBurst?.(burst);
  };
  const server: Server = {
    ...options,
    onBurst,
    onTwins: (account, names) => log("warn", "names that differ in case alone", { account, names }),
    buffers: new Buffers(options.bodyMemoryBytes),
    unknown: new Slots(UNKNOWN_BODIES),
    bodies: bodySlots(LIMITS.bodiesAtOnce),
    smallBodies: bodySlots(LIMITS.smallBodiesAtOnce),
    lastBytes: new Map(),
  };
  return async (request, signal) => {
    const begunMs = clock.monoMs();
    const seen: Seen = { route: "other", account: null };
    let response: ServerResponse;
    try {
      response = await answer(server, request, signal, seen);
    } catch (error) {
      if (signal.aborted) throw error;
      response = failure(error, seen, log);
    }
    options.observe?.({ ...seen, status: response.status, durationMs: clock.monoMs() - begunMs });
    return response;
  };
}

type SlotsOf = (account: string) => Slots;
type Seen = { route: string; account: string | null };
type Server = ServerOptions & {
  readonly onBurst: (account: string, burst: Burst) => void;
  readonly onTwins: (account: string, names: number) => void;
  readonly buffers: Buffers;
  readonly unknown: Slots;
  readonly bodies: SlotsOf;
  /** For bodies that announce to be small: several of them hold no more than a large one, and over a distance they are what fills the line. */
  readonly smallBodies: SlotsOf;
  /** How long the last upload of an account was: the next one of a first sync has the same length. */
  readonly lastBytes: Map<string, number>;
};

/** Bodies at once per account: what one account sends may not fill the memory. */
function bodySlots(atOnce: number): SlotsOf {
  const slots = new Map<string, Slots>();
  return (account) => {
    let found = slots.get(account);
    if (found === undefined) slots.set(account, (found = new Slots(atOnce, BODIES_WAITING)));
    return found;
  };
}

async function answer(server: Server, request: ServerRequest, signal: AbortSignal, seen: Seen): Promise<ServerResponse> {
  const { name, route } = routeOf(request);
  seen.route = name;
  if (route.kind === "health") return await route.run(await health(server, request, seen));
  refusePages(request);
  const address = addressOf(server, request);
  const value = request.headers[SYNC_HEADER];
  if (value === undefined) return await answerLegacy(server, { request, address, route, name, signal, seen });
  const header = parsed(() => parseSyncHeader(value));
  const form: Form = header.version === LIMITS.version ? "zstd" : "plain";
  const base = { server, request, address, client: header.client, signal, query: request.query };
  if (route.kind === "login") {
    return await withContent(
      server,
      base,
      LIMITS.loginBytes,
      async (content) => await replyWith(server.compute, form, await route.run({ ...base, content })),
    );
  }
  // Nothing of the body is looked at before the key is known (X2, W26).
  const known = await knownKey(server, header.key, seen);
  const account = await server.storage.account(known.account);
  const caller = { account, device: known.key, session: header.session, folds: foldsNames(header.client) };
  const call = { ...base, known, key: header.key, legacy: false, caller };
  return await run(server, route, call, form);
}

/** Browsers name the page that asks; no client of ours or Anki's is one. A form of a strange page could else try passwords from its visitor's address (AU16). */
function refusePages({ headers }: ServerRequest): void {
  if (headers["origin"] !== undefined || headers["sec-fetch-site"] !== undefined) throw new Refusal(403, "a web page asks");
}

type LegacyAsk = {
  readonly request: ServerRequest;
  readonly address: string;
  readonly route: Route;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly seen: Seen;
};

/** A form, or the GET of 2.1.22–2.1.56: the key stands in the body or in the query, so limits come first here. */
async function answerLegacy(server: Server, { request, address, route, name, signal, seen }: LegacyAsk): Promise<ServerResponse> {
  if (name.startsWith("satchel/")) throw new Refusal(403, "no anki-sync header");
  const base = { server, request, address, client: "legacy", signal, query: "" };
  if (request.method === "GET") {
    const query = new URLSearchParams(request.query);
    if (!server.legacy || query.get("k") === null || query.get("v") === null) throw new Refusal(400, "neither header nor k and v");
    const key = query.get("k") ?? "";
    return await runLegacy(server, route, base, key, Buffer.from(JSON.stringify({ v: query.get("v") })), seen);
  }
  const boundary = multipartBoundary(request.headers["content-type"]);
  if (boundary === null || !server.legacy) throw new Refusal(400, "neither an anki-sync header nor a form");
  if (route.kind === "login") {
    return await withBody(server, request, LOGIN_FORM_BYTES, async (body) => {
      const content = parsed(() => multipartPayload(parseMultipart(body, boundary), LIMITS.loginBytes));
      return await replyWith(server.compute, "plain", await route.run({ ...base, content }));
    });
  }
  const free = await server.unknown.take(signal);
  if (free === null) throw new Refusal(503, "too many forms at once", RETRY_AFTER);
  try {
    const maxBytes = (route.kind === "upload" ? LIMITS.uploadBytes : LIMITS.jsonBytes) + LOGIN_FORM_BYTES;
    return await withBody(server, request, maxBytes, async (body) => {
      const form = parsed(() => parseMultipart(body, boundary));
      // Only `begin` carries the version beside its data.
      const versioned = name === "msync/begin" && form.clientVersion !== null;
      const content = versioned ? Buffer.from(JSON.stringify({ v: form.clientVersion })) : parsed(() => multipartPayload(form, maxBytes));
      return await runLegacy(server, route, base, form.key ?? "", content, seen);
    });
  } finally {
    free();
  }
}

async function runLegacy(
  server: Server,
  route: Route,
  base: Omit<Call, "known" | "key" | "legacy" | "caller" | "content">,
  key: string,
  content: Uint8Array,
  seen: Seen,
): Promise<ServerResponse> {
  if (route.kind !== "json" && route.kind !== "upload" && route.kind !== "files")
    throw new Refusal(501, "a collection of this age can't be made here");
  const known = await knownKey(server, key, seen);
  const account = await server.storage.account(known.account);
  const caller = { account, device: known.key, session: null };
  const call = { ...base, known, key, legacy: true, caller, content };
  if (route.kind === "files") return replyLarge(server.buffers, "plain", await route.run(call));
  return await replyWith(server.compute, "plain", await route.run(call));
}

/** Reads the body that the route takes, and runs it. */
async function run(server: Server, route: Route, call: Omit<Call, "content">, form: Form): Promise<ServerResponse> {
  const { compute, buffers } = server;
  const { request } = call;
  switch (route.kind) {
    case "json":
      return await withContent(
        server,
        call,
        LIMITS.jsonBytes,
        async (content) => await replyWith(compute, form, await route.run({ ...call, content })),
      );
    case "files":
      return await withContent(server, call, LIMITS.jsonBytes, async (content) =>
        replyLarge(buffers, form, await route.run({ ...call, content })),
      );
    case "satchelJson":
      return await withBody(server, request, LIMITS.jsonBytes, async (content) => await route.run({ ...call, content }));
    case "satchelFiles":
      return await withBody(server, request, LIMITS.jsonBytes, async (content) =>
        replyLarge(buffers, "plain", await route.run({ ...call, content })),
      );
    case "stream":
      return await route.run(call);
    case "upload":
      return await inSlot(
        server,
        call,
        async () =>
          await withContent(
            server,
            call,
            LIMITS.uploadBytes,
            async (content) => await replyWith(compute, form, await route.run({ ...call, content })),
            call.known.account,
          ),
      );
    case "satchelUpload":
      return await inSlot(
        server,
        call,
        async () => await withBody(server, request, LIMITS.uploadBytes, async (content) => await route.run({ ...call, content })),
      );
    case "collection":
      return await inSlot(server, call, async () => await replyWith(compute, form, await route.run(call, collectionBody(server, call))));
    case "login":
    case "health":
      throw new TypeError(`Could not run ${route.kind} for a known caller.`);
  }
}

async function inSlot(
  server: Server,
  { known, signal, request }: Omit<Call, "content">,
  work: () => Promise<ServerResponse>,
): Promise<ServerResponse> {
  const announced = Number(request.headers["content-length"] ?? "");
  const slots = announced > 0 && announced <= LIMITS.smallBodyBytes ? server.smallBodies : server.bodies;
  const free = await slots(known.account).take(signal);
  if (free === null) throw new Refusal(503, "too many uploads of one account at once", RETRY_AFTER);
  try {
    return await work();
  } finally {
    free();
  }
}

/** More than this is not made room for before it comes. */
const LIKELY_BYTES_MAX = 8 * 1024 * 1024;

/** Hands the unpacked body to `work`; its bytes must not be used after that. `account`: whose uploads tell how long this one will be. */
async function withContent(
  server: Server,
  { request }: Pick<Call, "request">,
  maxBytes: number,
  work: (content: Uint8Array) => Promise<ServerResponse>,
  account?: string,
): Promise<ServerResponse> {
  const last = account === undefined ? undefined : server.lastBytes.get(account);
  const use = async (body: Buffer): Promise<ServerResponse> => {
    if (account !== undefined) server.lastBytes.set(account, Math.min(body.length, LIKELY_BYTES_MAX));
    return await withInflated(server, body, maxBytes, work);
  };
  return await withBody(server, request, maxBytes, use, last);
}

/** The unpacked bytes of a collection, as they come. */
async function* collectionBody(server: Server, { request }: Pick<Call, "request">): AsyncGenerator<Uint8Array> {
  const limits = collectionLimits(server.payloadMegs);
  const chunks = limitedBody(request, limits.wireBytes, server.clock);
  if (server.inflateStream === undefined) {
    yield await withBody(
      server,
      request,
      limits.wireBytes,
      async (body) => await withInflated(server, body, limits.bytes, async (content) => await Promise.resolve(Buffer.from(content))),
    );
    return;
  }
  try {
    yield* server.inflateStream(chunks, limits.bytes);
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal(413, error.message);
    throw error;
  }
}

/** Duplicate slashes count as one: old clients join their addresses so (specification §2.1). */
function routeOf({ method, path }: ServerRequest): { readonly name: string; readonly route: Route } {
  const name = path.replaceAll(/\/{2,}/g, "/").replace(/^\//, "");
  const family = /^(sync|msync)\/[^/]+$/.exec(name)?.[1];
  const route = ROUTES.get(name);
  const legacyBegin = name === "msync/begin" && method === "GET";
  if (route !== undefined && (method === (route.method ?? "POST") || legacyBegin)) return { name, route };
  if (route !== undefined) throw new Refusal(405, `${method} on ${name}`, { allow: route.method ?? "POST" });
  if (family === undefined) throw new Refusal(404, "no such route");
  throw method === "POST" ? new Refusal(400, "no such method") : new Refusal(405, "no such method", { allow: "POST" });
}

async function health(server: Server, request: ServerRequest, seen: Seen): Promise<Omit<Call, "content"> | null> {
  const value = request.headers[SYNC_HEADER];
  if (value === undefined) return null;
  const header = parsed(() => parseSyncHeader(value));
  const known = await server.accounts.known(header.key);
  if (known === null) return null;
  seen.account = known.account;
  const account = await server.storage.account(known.account);
  const caller = { account, device: known.key, session: header.session };
  const { query } = request;
  return {
    server,
    request,
    address: "",
    client: header.client,
    signal: new AbortController().signal,
    query,
    known,
    key: header.key,
    legacy: false,
    caller,
  };
}

/** @throws Refusal 403 */
async function knownKey(server: Server, key: string, seen: Seen): Promise<Known> {
  const known = await server.accounts.known(key);
  if (known === null) throw new Refusal(403, "unknown key");
  seen.account = known.account;
  return known;
}

/** The last address that the proxy in front added; one before it may be anybody's invention (AU11). @throws Refusal 500 where it is missing */
function addressOf({ addressHeader }: Server, { headers, peer }: ServerRequest): string {
  if (addressHeader === null) return peer.address;
  const value = headers[addressHeader]?.split(",").at(-1)?.trim();
  if (value === undefined || value === "") throw new Refusal(500, `the header ${addressHeader} is not there`);
  return value;
}

/** What went wrong, as a reply. Stock clients show the text of a media reply's `err`, but no body of another status. */
function failure(error: unknown, seen: Seen, log: ServerLog): ServerResponse {
  if (error instanceof Refusal) {
    if (error.status >= 500) log("warn", "refused", { ...seen, status: error.status, why: error.message });
    return refusalReply(error);
  }
  if (error instanceof NoRoomError) {
    log("warn", "refused", { ...seen, status: 503, why: error.message });
    return refusalReply({ status: 503, headers: RETRY_AFTER });
  }
  if (error instanceof StorageError) {
    log("error", "storage", { ...seen, fault: error.fault, why: error.message });
    if (error.fault === "gone") return refusalReply({ status: 403, headers: {} });
    return refusalReply({ status: error.fault === "full" ? 507 : 500, headers: {} });
  }
  log("error", "unexpected", { ...seen, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  return refusalReply({ status: 500, headers: {} });
}
