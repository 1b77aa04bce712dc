/** One call to an Anki server and its answer: header, redirects, status, size, frame (specs §2). Knows nothing of what is asked. */
import { buildSyncHeader, parseOriginalSize, SIZE_HEADER, SYNC_HEADER } from "../../../protocol/anki/header.ts";
import { LIMITS } from "../../../protocol/anki/limits.ts";
import { WireError } from "../../../protocol/anki/wire-error.ts";
import {
  RemoteError,
  type Compute,
  type HttpRequest,
  type HttpResponse,
  type OnBytes,
  type Random,
  type Transport,
} from "../../core/ports.ts";
import { joined, openBodyBuffers } from "../body-buffers.ts";
import { methodUrl, redirectTarget, shownUrl, type Endpoint } from "../endpoint.ts";
import { faultOfStatus, faultOfTransport, isPage, pageWords } from "./reply-faults.ts";
import { storedFrame } from "./stored-frame.ts";

const HOPS_MAX = 3;
/** As many bodies as are ever under way by default: four requests, four replies. */
const BODIES_KEPT = 8;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export type SessionOptions = {
  readonly endpoint: Endpoint;
  /** Device key; empty for a login. */
  readonly key: string;
  /** `c` of the header: "<version>,<build>,<os>", printable ASCII. */
  readonly clientVersion: string;
  readonly transport: Transport;
  readonly compute: Compute;
  readonly random: Random;
};
export type Ask = {
  /** Below the base: `msync/begin`. */
  readonly path: string;
  readonly method: "GET" | "POST";
  /** Reads on from "Could not": "read the list of changes from". The address is put behind it. */
  readonly doing: string;
  readonly body: Uint8Array | null;
  /** Largest reply, on the wire and inflated. */
  readonly replyBytesMax: number;
  readonly stallMs?: number;
  /** Memory for a reply of which nothing is kept. */
  readonly replyMemory?: HttpRequest["replyMemory"];
  readonly onBytes?: HttpRequest["onBytes"];
};

export type Session = ReturnType<typeof openSession>;

/** Speaks to one server for one key; holds no connection. Every method @throws RemoteError, or the signal's reason. */
export function openSession(options: SessionOptions) {
  const { endpoint, transport, compute } = options;
  const memory = openBodyBuffers(BODIES_KEPT);
  let header = headerOf(options);

  const places = addressesFrom(endpoint.base);
  const attemptOf = ({ doing }: { readonly doing: string }): string => `${doing} ${places.shown()}`;

  /** Sends, and follows what may be followed, as the same POST each time: a redirect to GET would lose the body (specs §2.8). */
  async function exchange(ask: Ask, signal: AbortSignal): Promise<HttpResponse> {
    let url = places.urlOf(ask.path);
    for (let hop = 0; ; hop += 1) {
      const response = await sendOnce(transport, ask, url, header, attemptOf(ask), signal);
      if (!REDIRECTS.includes(response.status)) return response;
      if (hop === HOPS_MAX)
        throw new RemoteError("notOurServer", `Could not ${attemptOf(ask)}: it sends us in circles (${shownUrl(new URL(url))}).`);
      const next = follow(ask, url, response, attemptOf(ask));
      if (next.base !== null) places.moveTo(next.base);
      url = next.url;
    }
  }

  /** The reply to a body that is lent from `memory`; the server has answered to all of it, so it is nobody's any more. */
  async function succeed(ask: Ask, lent: Uint8Array, signal: AbortSignal): Promise<HttpResponse> {
    const response = await exchange(ask, signal);
    if (response.status !== 200) throw faultOfStatus(attemptOf(ask), response);
    if (isPage(response)) throw new RemoteError("notOurServer", `Could not ${attemptOf(ask)}: ${pageWords("200")}`);
    memory.giveBack(lent);
    return response;
  }

  return {
    /** A new run begins: another session id, and redirects are asked for again. */
    renew() {
      places.moveTo(endpoint.base);
      header = headerOf(options);
      memory.clear();
    },
    /** A run ends: what was kept to make it fast is let go. */
    rest: () => memory.clear(),
    /** The reply as it came, whatever its status. */
    exchange,
    /** The reply's memory, for one whose every byte was used. */
    giveBack: (reply: Uint8Array) => memory.giveBack(reply),
    /** Memory for `Ask.replyMemory`, given back by `giveBack` or never. */
    lend: memory.take,
    /** Satchel's own routes: body and reply as they are. */
    async plain(ask: Omit<Ask, "body">, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<Uint8Array> {
      const body = joined(chunks, memory.take);
      return (await succeed({ ...ask, body }, body, signal)).body;
    },
    /** Anki's own routes: body into a frame, reply out of its frame. */
    async call(ask: Omit<Ask, "body">, chunks: readonly Uint8Array[], signal: AbortSignal): Promise<Uint8Array> {
      const body = storedFrame(chunks, memory.take);
      const response = await succeed({ ...ask, body, replyMemory: memory.take }, body, signal);
      const payload = await unwrap(compute, response, attemptOf(ask), ask.replyBytesMax);
      memory.giveBack(response.body);
      return payload;
    },
    /** Where a stream of events is to be opened, with the header it needs. */
    stream: (path: string) => ({ url: places.newUrl(path), headers: { [SYNC_HEADER]: header } }),
    attemptOf,
  };
}

/** Where the methods are: each address is made once, as to parse one costs more than all else that a small call does here. */
function addressesFrom(first: string) {
  const urls = new Map<string, string>();
  let base = first;
  let shown = shownUrl(new URL(base));
  const newUrl = (path: string): string => methodUrl(base, path);
  return {
    /** A redirect told of another base; later calls go there. */
    moveTo(next: string): void {
      if (next === base) return;
      base = next;
      urls.clear();
      shown = shownUrl(new URL(base));
    },
    /** Of a method, remembered. */
    urlOf(path: string): string {
      const url = urls.get(path) ?? newUrl(path);
      urls.set(path, url);
      return url;
    },
    /** Of a path that is asked for once. */
    newUrl,
    /** The base, for people. */
    shown: (): string => shown,
  };
}

/** The same session, which tells of the bytes that its calls move one way. */
export function metered(session: Session, way: "up" | "down", onBytes: OnBytes | undefined): Session {
  if (onBytes === undefined) return session;
  const tell = (sent: number, received: number): void => {
    const moved = way === "up" ? sent : received;
    if (moved > 0) onBytes(moved);
  };
  return {
    ...session,
    plain: async (ask, chunks, signal) => await session.plain({ ...ask, onBytes: tell }, chunks, signal),
    call: async (ask, chunks, signal) => await session.call({ ...ask, onBytes: tell }, chunks, signal),
  };
}

/** One exchange under the key; a failure on the way is told as one of the remote. */
async function sendOnce(
  transport: Transport,
  ask: Ask,
  url: string,
  header: string,
  attempt: string,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const { method, body, replyBytesMax, replyMemory, onBytes, stallMs = LIMITS.stallMs } = ask;
  const memory = { ...(replyMemory && { replyMemory }), ...(onBytes && { onBytes }) };
  const headers = { [SYNC_HEADER]: header, ...(body === null ? {} : { "content-type": "application/octet-stream" }) };
  try {
    return await transport.send({ method, url, headers, body, stallMs, maxResponseBytes: replyBytesMax, ...memory }, signal);
  } catch (error) {
    throw faultOfTransport(attempt, error);
  }
}

/** Where a redirect leads, and the base of later calls if it tells one. @throws RemoteError for a place that may not see our key. */
function follow(ask: Ask, url: string, response: HttpResponse, attempt: string): { readonly url: string; readonly base: string | null } {
  const location = response.headers["location"] ?? "";
  const target = redirectTarget(url, location);
  if (target === null) {
    throw new RemoteError(
      "notOurServer",
      `Could not ${attempt}: it sends us to ${location === "" ? "nowhere" : location}, another place than the one you logged in to. ` +
        "Your key was not sent there. If that is where your server is now, log in again with its address.",
    );
  }
  // AnkiWeb answers `sync/meta` with the new base, not with the method's new URL (specs §2.8).
  if (ask.path === "sync/meta" && response.status === 308) {
    const base = new URL(".", target).href;
    return { url: methodUrl(base, ask.path), base };
  }
  const base = target.pathname.endsWith(`/${ask.path}`) ? new URL(target.pathname.slice(0, -ask.path.length), target).href : null;
  return { url: target.href, base };
}

/** One `s` per run: base 62 of a random 32-bit number, as Anki's own (specs §2.4). */
function headerOf(options: SessionOptions): string {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  let session = "";
  for (let rest = options.random.u32(); session === "" || rest > 0; rest = Math.floor(rest / 62)) session += digits.charAt(rest % 62);
  return buildSyncHeader({ version: LIMITS.version, key: options.key, client: options.clientVersion, session });
}

/** The payload in the frame. The size header is only compared: memory is never reserved by it (ZP16). */
async function unwrap(compute: Compute, response: HttpResponse, attempt: string, bytesMax: number): Promise<Uint8Array> {
  const coding = response.headers["content-encoding"];
  if (coding !== undefined && coding !== "identity" && coding !== "zstd") {
    throw new RemoteError(
      "protocol",
      `Could not ${attempt}: a proxy on the way compressed the answer (${coding}), which Anki's protocol does not allow.`,
    );
  }
  let size: number;
  try {
    size = parseOriginalSize(response.headers[SIZE_HEADER]);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    const why = "A proxy removed or changed it, or what answers is not an Anki sync server.";
    throw new RemoteError("notOurServer", `Could not ${attempt}. ${cause.message} ${why}`, { cause });
  }
  let payload: Uint8Array;
  try {
    payload = response.body.length === 0 ? response.body : await compute.unzstd(response.body, bytesMax);
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new RemoteError("tooLarge", `Could not ${attempt}: the answer is too large to be true.`, { cause });
    throw new RemoteError("protocol", `Could not ${attempt}: the answer is damaged.`, { cause });
  }
  if (payload.length !== size) {
    throw new RemoteError("protocol", `Could not ${attempt}: the answer has ${payload.length} bytes where ${size} were announced.`);
  }
  return payload;
}
