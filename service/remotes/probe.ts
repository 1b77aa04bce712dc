/** What `doctor` asks of an address without signing in: who answers there, what its clock says, how large a request may be. */
import http from "node:http";
import https from "node:https";

import { TransportError, type Transport, type TransportFault } from "../core/ports.ts";
import { methodUrl } from "./endpoint.ts";

export type Answer = {
  readonly kind: "answer";
  readonly status: number;
  /** Where a redirect leads; null: it is none. */
  readonly location: string | null;
  /** The other side's clock; null: it does not tell. */
  readonly dateMs: number | null;
  /** A web page, not a sync server's answer. */
  readonly page: boolean;
};
export type Health = Answer | { readonly kind: "failed"; readonly fault: TransportFault; readonly message: string };

const STALL_MS = 10_000;
const REPLY_MAX_BYTES = 1024 * 1024;
/** A proxy that limits requests says so at the header; who is silent for so long waits for the body. */
const LIMIT_MS = 2000;

/** `GET health`, no credentials, no redirect followed. */
export async function probeHealth(base: string, transport: Transport, signal: AbortSignal): Promise<Health> {
  const request = { method: "GET", headers: {}, body: null, stallMs: STALL_MS, maxResponseBytes: REPLY_MAX_BYTES } as const;
  try {
    const { status, headers, body } = await transport.send({ ...request, url: methodUrl(base, "health") }, signal);
    const dateMs = Date.parse(headers["date"] ?? "");
    const start = new TextDecoder().decode(body.subarray(0, 64)).trimStart();
    return {
      kind: "answer",
      status,
      location: headers["location"] ?? null,
      dateMs: Number.isNaN(dateMs) ? null : dateMs,
      page: (headers["content-type"] ?? "").toLowerCase().includes("text/html") || /^<(?:!doctype|html|\?xml)/i.test(start),
    };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    return { kind: "failed", fault: error.fault, message: error.message };
  }
}

/**
 * Announces an upload of so many bytes without sending one. true: refused for its size (413). A sync server refuses it for want of
 * credentials, or waits for the body: neither is about the size.
 */
export async function refusesBody(base: string, bytes: number): Promise<boolean> {
  const url = new URL(methodUrl(base, "msync/uploadChanges"));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const request = (url.protocol === "https:" ? https : http).request(url, {
    method: "POST",
    headers: { "content-length": String(bytes), "content-type": "application/octet-stream" },
    agent: false,
  });
  const late = setTimeout(() => resolve(false), LIMIT_MS);
  request.once("response", (response) => resolve(response.statusCode === 413));
  // Reset or refused: the health check has its own word on that.
  request.once("error", () => resolve(false));
  request.flushHeaders();
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    request.destroy();
  }
}
