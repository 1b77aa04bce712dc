/** One request and its reply: bodies within limits, replies in the form that the client speaks, refusals as their status. */
import { SIZE_HEADER } from "../../protocol/anki/header.ts";
import { WireError } from "../../protocol/anki/wire-error.ts";
import type { Clock, Compute, ServerRequest, ServerResponse } from "../core/ports.ts";

/** Slower than this over a minute is not a slow line but somebody who holds a place (RELIABILITY §5.2). */
const RATE_BYTES_PER_S = 1024;
const RATE_AFTER_MS = 60_000;

/** The request is answered with this status and nothing else; the body is the status in digits, as Anki's own (specification §2.7). */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, why: string, headers: Readonly<Record<string, string>> = {}) {
    super(why);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}

/** `zstd`: a frame and its size header (version 11). `plain`: as it is (8–10). */
export type Form = "zstd" | "plain";

const BASE_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** A success. `payload` may be large: it is compressed off the main thread. */
export async function replyWith(compute: Compute, form: Form, payload: Uint8Array | string): Promise<ServerResponse> {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const headers = { ...BASE_HEADERS, "content-type": "application/octet-stream" };
  if (form === "plain") return { status: 200, headers, body: bytes };
  return { status: 200, headers: { ...headers, [SIZE_HEADER]: String(bytes.length) }, body: await compute.zstd(bytes) };
}

/** A success of Satchel's own routes. */
export function plainReply(body: Uint8Array | string | AsyncIterable<Uint8Array>, type = "application/octet-stream"): ServerResponse {
  return { status: 200, headers: { ...BASE_HEADERS, "content-type": type }, body: typeof body === "string" ? Buffer.from(body) : body };
}

/** The status in digits; nothing for those that the framework of Anki's own server answers. */
export function refusalReply({ status, headers }: Pick<Refusal, "status" | "headers">): ServerResponse {
  if (status === 404 || status === 405) return { status, headers: { ...BASE_HEADERS, ...headers }, body: new Uint8Array(0) };
  return {
    status,
    headers: { ...BASE_HEADERS, "content-type": "text/plain; charset=utf-8", ...headers },
    body: Buffer.from(String(status)),
  };
}

/**
 * The chunks of a body as they come, counted. @throws Refusal 413 beyond `maxBytes` (told early where the length is announced), 408 for
 * one that trickles; the rest is not read.
 */
export async function* limitedBody(request: ServerRequest, maxBytes: number, clock: Clock): AsyncGenerator<Uint8Array> {
  const announced = Number(request.headers["content-length"] ?? "0");
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const begunMs = clock.monoMs();
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    const elapsedMs = clock.monoMs() - begunMs;
    if (elapsedMs > RATE_AFTER_MS && bytes < (elapsedMs / 1000) * RATE_BYTES_PER_S) throw new Refusal(408, "the body trickles");
    yield chunk;
  }
}

/** The whole body. @throws Refusal as `limitedBody` */
export async function readBody(request: ServerRequest, maxBytes: number, clock: Clock): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of limitedBody(request, maxBytes, clock)) chunks.push(chunk);
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

/** The content of a version 11 body. @throws Refusal 413, 400 */
export async function inflate(compute: Compute, body: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  try {
    return await compute.unzstd(body, maxBytes);
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(maxBytes);
    if (error instanceof WireError) throw new Refusal(400, error.message);
    throw error;
  }
}

/** Runs a parser of the wire; what it refuses is the client's fault. @throws Refusal 400, 413 */
export function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof WireError) throw new Refusal(error.fault === "tooLarge" ? 413 : 400, error.message);
    throw error;
  }
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `the body has more than ${String(maxBytes)} bytes`);
}
