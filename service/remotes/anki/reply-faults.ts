/** Replies that are not a success, and failures on the way, as RemoteErrors with their cause in words (specs §2.7, §2.8). */
import { RemoteError, TransportError, type HttpResponse, type RemoteFault } from "../../core/ports.ts";

/** No server may make us wait longer than this at one go: 10 minutes. */
const RETRY_AFTER_MAX_MS = 600_000;

type Told = readonly [fault: RemoteFault, why: string];

/** Statuses that an Anki server sends, or a proxy before it. */
const STATUS: Readonly<Record<number, Told>> = {
  400: ["refused", "the server found something wrong with the request (400)."],
  401: [
    "auth",
    "a proxy before the server wants a user name and password of its own (401). Put them into the address: https://user:password@host/.",
  ],
  402: ["quota", "the server's owner wants to be paid first (402)."],
  403: ["auth", "the server does not accept this device's key, or the password (403). Log in again."],
  404: ["notOurServer", "there is no Anki sync server at this address (404). Check the path and its final slash."],
  405: ["notOurServer", "what answers there is not an Anki sync server (405)."],
  407: ["auth", "a proxy on the way wants a user name and password (407)."],
  408: ["retry", "the server had waited too long for the request (408)."],
  409: ["changed", "what was asked for has changed on the server meanwhile (409)."],
  411: ["notOurServer", "a proxy on the way does not pass such requests on (411)."],
  413: [
    "tooLarge",
    "a proxy before the server limits the size of requests (413). Its owner can raise the limit (nginx: client_max_body_size).",
  ],
  425: ["retry", "the server wants to be asked again (425)."],
  429: ["retry", "the server asks for more time between requests (429)."],
  500: ["retry", "the server met an error of its own (500). Its log knows more."],
  501: ["protocol", "the server does not speak this version of the protocol (501). Update Satchel or the server."],
  502: ["retry", "the proxy in front gets no answer from the server (502). Is the server running?"],
  503: ["retry", "the server is too busy or being serviced (503)."],
  504: ["retry", "the proxy in front waited too long for the server (504)."],
  507: ["quota", "the server's disk, or your share of it, is full (507)."],
};

/** What a reply with a status other than success means. `attempt` reads on from "Could not": "download files from http://h/". */
export function faultOfStatus(attempt: string, response: HttpResponse): RemoteError {
  const { status } = response;
  const [fault, why] = STATUS[status] ?? statusClass(status);
  // A page for people in place of Anki's three digits: somebody else answers, whatever the number says. 5xx pages come from the proxy
  // in front of a server that is down, and 413 pages from one that limits it: those are what they say.
  const stranger = isPage(response) && status < 500 && !["tooLarge", "retry"].includes(fault) && status !== 401 && status !== 407;
  if (stranger) return new RemoteError("notOurServer", `Could not ${attempt}: ${pageWords(`${status}`)}`);
  const retryAfterMs = parseRetryAfter(response.headers["retry-after"], response.headers["date"]);
  return new StatusError(fault, status, `Could not ${attempt}: ${why}`, retryAfterMs);
}

/** An Anki server, or a proxy before it, said no with a number; whoever knows the call may know more about it. */
export class StatusError extends RemoteError {
  readonly status: number;
  constructor(fault: RemoteFault, status: number, message: string, retryAfterMs: number | null) {
    super(fault, message, retryAfterMs === null ? {} : { retryAfterMs });
    this.status = status;
  }
}

function statusClass(status: number): Told {
  if (status >= 500) return ["retry", `the server met an error of its own (${status}).`];
  if (status >= 400) return ["refused", `the server refused (${status}).`];
  return ["protocol", `the server gave an answer that makes no sense here (${status}).`];
}

/** A web page: a captive portal, a login form, a firewall's notice (NW02). */
export function isPage(response: HttpResponse): boolean {
  if ((response.headers["content-type"] ?? "").toLowerCase().includes("text/html")) return true;
  const start = new TextDecoder().decode(response.body.subarray(0, 64)).trimStart().toLowerCase();
  return start.startsWith("<!doctype") || start.startsWith("<html") || start.startsWith("<?xml");
}

/** The words for it; `what` says what came with it. */
export function pageWords(what: string): string {
  return `a web page came back (${what}), not a sync server's answer. Does this network want you to sign in first, or does another site live at this address?`;
}

/**
 * `Retry-After` in milliseconds, between 0 and ten minutes; null where there is none that makes sense. A date is measured against the
 * reply's own `Date`, so our clock does not matter (NW07, TM02).
 */
function parseRetryAfter(value: string | undefined, date: string | undefined): number | null {
  if (value === undefined) return null;
  const text = value.trim();
  if (/^[+-]?\d+(?:\.\d+)?$/.test(text)) return clamp(Number(text) * 1000);
  const [until, now] = [Date.parse(text), Date.parse(date ?? "")];
  return Number.isNaN(until) || Number.isNaN(now) ? null : clamp(until - now);
}

function clamp(ms: number): number {
  return Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** A failure on the way to or from the server. Anything that is neither is handed back as it is. */
export function faultOfTransport(attempt: string, error: unknown): unknown {
  if (!(error instanceof TransportError)) return error;
  return new RemoteError(TRANSPORT[error.fault], `Could not ${attempt}. ${error.message}`, { cause: error });
}

const TRANSPORT = {
  offline: "offline",
  stall: "retry",
  reset: "retry",
  // Waiting does not heal a certificate, and nobody may be asked to look away (NW04).
  tls: "refused",
  tooLarge: "tooLarge",
  badReply: "notOurServer",
} as const satisfies Record<TransportError["fault"], RemoteFault>;
