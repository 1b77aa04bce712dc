/** One request and its reply: bodies within limits, replies in the form that the client speaks, refusals as their status. */
import { SIZE_HEADER } from "../../protocol/anki/header.ts";
import { WireError } from "../../protocol/anki/wire-error.ts";
import type { Clock, Compute, ServerRequest, ServerResponse } from "../core/ports.ts";
import { Gathered, type Buffers, type Lease } from "./buffers.ts";
import { frameBytes, smallFrame, unwrapFrame, writeFrame } from "./frame.ts";

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

/** A reply up to this size is not worth a compressor. */
const WRAPPED_BYTES = 1024;

const BASE_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** A success. `payload` may be large: it is compressed off the main thread. */
export async function replyWith(compute: Compute, form: Form, payload: Uint8Array | string): Promise<ServerResponse> {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  const headers = { ...BASE_HEADERS, "content-type": "application/octet-stream" };
  if (form === "plain") return { status: 200, headers, body: bytes };
  const body = bytes.length <= WRAPPED_BYTES ? smallFrame(bytes) : await compute.zstd(bytes);
  return { status: 200, headers: { ...headers, [SIZE_HEADER]: String(bytes.length) }, body };
}

/** A success whose payload is large and compressed already: wrapped in one leased buffer, which is given back when it is on its way. */
export function replyLarge(buffers: Buffers, form: Form, chunks: readonly Uint8Array[]): ServerResponse {
  const sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const lease = buffers.take(form === "zstd" ? frameBytes(sizeBytes) : sizeBytes);
  const body = form === "zstd" ? writeFrame(chunks, sizeBytes, lease.bytes) : joinInto(chunks, lease.bytes);
  const headers = { ...BASE_HEADERS, "content-type": "application/octet-stream", "content-length": String(body.length) };
  const sized = form === "zstd" ? { ...headers, [SIZE_HEADER]: String(sizeBytes) } : headers;
  return { status: 200, headers: sized, body: leased(body, lease) };
}

function joinInto(chunks: readonly Uint8Array[], target: Buffer): Buffer {
  let at = 0;
  for (const chunk of chunks) {
    target.set(chunk, at);
    at += chunk.length;
  }
  return target.subarray(0, at);
}

/** Whoever sends it asks for the next chunk when this one has left (or goes away). */
async function* leased(body: Uint8Array, lease: Lease): AsyncGenerator<Uint8Array> {
  try {
    yield body;
  } finally {
    lease.release();
  }
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

/** The chunks of a body as they come, counted. @throws Refusal as `meter`; the rest is not read. */
export async function* limitedBody(request: ServerRequest, maxBytes: number, clock: Clock): AsyncGenerator<Uint8Array> {
  const count = meter(request, maxBytes, clock);
  for await (const chunk of request.body) {
    count(chunk);
    yield chunk;
  }
}

/** Is told each chunk of a body. @throws Refusal 413 beyond `maxBytes` (told early where the length is announced), 408 for one that trickles */
function meter(request: ServerRequest, maxBytes: number, clock: Clock): (chunk: Uint8Array) => void {
  if (announcedBytes(request) > maxBytes) throw tooLarge(maxBytes);
  const begunMs = clock.monoMs();
  let bytes = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    const elapsedMs = clock.monoMs() - begunMs;
    if (elapsedMs > RATE_AFTER_MS && bytes < (elapsedMs / 1000) * RATE_BYTES_PER_S) throw new Refusal(408, "the body trickles");
  };
}

function announcedBytes({ headers }: ServerRequest): number {
  return Number(headers["content-length"] ?? "0");
}

/** Where no length is announced (Anki's clients never do), an upload begins with this much room. */
const UNKNOWN_BODY_BYTES = 256 * 1024;
const SMALL_BODY_BYTES = 1024 * 1024;

/**
 * Hands the whole body to `work`; its bytes must not be used after that. `likelyBytes`: what is made room for where no length is announced.
 * @throws Refusal as `limitedBody`
 */
export async function withBody<T>(
  { buffers, clock }: { readonly buffers: Buffers; readonly clock: Clock },
  request: ServerRequest,
  maxBytes: number,
  work: (body: Buffer) => Promise<T>,
  likelyBytes = UNKNOWN_BODY_BYTES,
): Promise<T> {
  const announced = announcedBytes(request);
  const unknown = maxBytes > SMALL_BODY_BYTES ? likelyBytes : 0;
  const gathered = new Gathered(buffers, announced > 0 && announced <= maxBytes ? announced : unknown);
  try {
    const count = meter(request, maxBytes, clock);
    const take = (chunk: Uint8Array): void => {
      count(chunk);
      gathered.add(chunk);
    };
    if (request.body.each !== undefined) await request.body.each(take);
    else for await (const chunk of request.body) take(chunk);
    return await work(gathered.bytes);
  } finally {
    gathered.release();
  }
}

/** What most bodies unpack to at most: media hardly shrink. Small enough a cap lets it be done at once, without a hop to a thread. */
const LIKELY_FACTOR = 4;
const LIKELY_LEAST_BYTES = 64 * 1024;

/** Hands the content of a version 11 body to `work`; neither's bytes must be used after that. @throws Refusal 413, 400; NoRoomError */
export async function withInflated<T>(
  { buffers, compute }: { readonly buffers: Buffers; readonly compute: Compute },
  body: Buffer,
  maxBytes: number,
  work: (content: Uint8Array) => Promise<T>,
): Promise<T> {
  const wrapped = body.length <= maxBytes ? unwrapFrame(body) : null;
  if (wrapped !== null) return await work(wrapped);
  const likelyBytes = Math.min(maxBytes, body.length * LIKELY_FACTOR + LIKELY_LEAST_BYTES);
  for (const capBytes of new Set([likelyBytes, maxBytes])) {
    const release = buffers.reserve(capBytes);
    try {
      const content = await inflate(compute, body, capBytes);
      if (content !== null) return await work(content);
    } finally {
      release();
    }
  }
  throw tooLarge(maxBytes);
}

/** null: it has more. */
async function inflate(compute: Compute, body: Uint8Array, maxBytes: number): Promise<Uint8Array | null> {
  try {
    return await compute.unzstd(body, maxBytes);
  } catch (error) {
    if (error instanceof RangeError) return null;
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
