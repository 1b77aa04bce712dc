/** Who may open a connection: decided from the head of the upgrade request alone, before any other work (RELIABILITY §5.1). */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

import type { Identity } from "./tokens.ts";

/** The subprotocol that both sides speak; a token may stand beside it where a client can't set headers (browsers). */
export const SUBPROTOCOL = "satchel.v1";
const TOKEN_PROTOCOL = "satchel.token.";
/** A real client sends about ten. Node itself bounds their bytes. */
const HEADERS_MAX = 64;
const TOKEN_MAX_CHARS = 256;

export type GateOptions = {
  /** TCP port, or null on the Unix socket, where there is no host to check. */
  readonly port: number | null;
  readonly allowedOrigins: readonly string[];
  readonly authenticate: (token: string) => Identity | null;
};
export type Verdict = { readonly identity: Identity } | { readonly refusedWith: 400 | 401 | 403 | 404 | 431 };

type Head = Pick<IncomingMessage, "method" | "url" | "headers" | "rawHeaders">;

/** All of token, host and origin must be right. Says nothing about which was wrong beyond the status. */
export function judgeUpgrade(head: Head, options: GateOptions): Verdict {
  if (head.rawHeaders.length / 2 > HEADERS_MAX) return { refusedWith: 431 };
  if (head.method !== "GET" || head.url !== "/" || head.headers.upgrade?.toLowerCase() !== "websocket") return { refusedWith: 404 };
  const hosts = valuesOf(head, "host");
  if (hosts.length !== 1) return { refusedWith: 400 };
  if (options.port !== null && !isOurHost(hosts[0] ?? "", options.port)) return { refusedWith: 403 };
  const origins = valuesOf(head, "origin");
  if (origins.some((origin) => !options.allowedOrigins.includes(origin))) return { refusedWith: 403 };
  const protocols = offeredProtocols(head);
  if (protocols.length > 0 && !protocols.includes(SUBPROTOCOL)) return { refusedWith: 400 };
  const token = shownToken(head, protocols);
  const identity = token === null || token.length > TOKEN_MAX_CHARS ? null : options.authenticate(token);
  return identity === null ? { refusedWith: 401 } : { identity };
}

/** Compares by digest: the time taken says nothing about the secret. */
export function sameSecret(given: string, secret: string): boolean {
  return timingSafeEqual(createHash("sha256").update(given).digest(), createHash("sha256").update(secret).digest());
}

/** Exactly these spellings, so that no name that resolves to loopback gets in (DNS rebinding, WS03). */
function isOurHost(host: string, port: number): boolean {
  return host === `127.0.0.1:${port}` || host === `[::1]:${port}` || host === `localhost:${port}`;
}

/** Node joins or drops repeated headers; the raw list tells. */
function valuesOf(head: Head, name: string): readonly string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < head.rawHeaders.length; at += 2)
    if (head.rawHeaders[at]?.toLowerCase() === name) values.push(head.rawHeaders[at + 1] ?? "");
  return values;
}

function offeredProtocols(head: Head): readonly string[] {
  return valuesOf(head, "sec-websocket-protocol")
    .flatMap((value) => value.split(","))
    .map((name) => name.trim());
}

function shownToken(head: Head, protocols: readonly string[]): string | null {
  const authorizations = valuesOf(head, "authorization");
  if (authorizations.length > 0) {
    const [only = ""] = authorizations;
    return authorizations.length === 1 && only.startsWith("Bearer ") ? only.slice("Bearer ".length) : null;
  }
  const tokens = protocols.filter((name) => name.startsWith(TOKEN_PROTOCOL));
  return tokens.length === 1 ? (tokens[0] ?? "").slice(TOKEN_PROTOCOL.length) : null;
}
