/** Requests of protocol versions 8–10 (specification §9): a form with the payload as a file part. Read only; our client never writes them. */
import { gunzipSync } from "node:zlib";

import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";

export type MultipartRequest = {
  /** `k` or `sk`: historical names of one thing; null when neither stands there. */
  readonly key: string | null;
  /** `s`, the collection session; null when absent. */
  readonly session: string | null;
  /** `v`, the client's version; null when absent. */
  readonly clientVersion: string | null;
  /** `data` as sent; null when absent or empty, which means `{}`. A view of the body. */
  readonly data: Uint8Array | null;
  /** `c` is there and not `0`: `data` is gzipped. */
  readonly gzipped: boolean;
};

const CR = 13;
const LF = 10;
const DASH = 45;
/** The length that RFC 2046 allows. */
const BOUNDARY_MAX = 70;

/** The boundary of a `multipart/form-data` content type, or null when the header says anything else. */
export function multipartBoundary(contentType: string | undefined): string | null {
  const match = /^multipart\/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"]+)"|([^\s";]+))/i.exec(contentType ?? "");
  const boundary = match?.[1] ?? match?.[2];
  return boundary === undefined || boundary.length > BOUNDARY_MAX ? null : boundary;
}

/**
 * Takes a whole body apart, fields in any order. The caller has capped the body.
 * @throws WireError `multipart` (broken, or a field twice), `tooLarge` (parts, their headers, a field that is not `data`).
 */
export function parseMultipart(body: Uint8Array, boundary: string): MultipartRequest {
  const fields = splitParts(Buffer.from(body.buffer, body.byteOffset, body.byteLength), Buffer.from(`--${boundary}`, "latin1"));
  const c = text(fields, "c");
  const data = fields.get("data");
  return {
    key: text(fields, "k") ?? text(fields, "sk"),
    session: text(fields, "s"),
    clientVersion: text(fields, "v"),
    data: data === undefined || data.length === 0 ? null : data,
    gzipped: c !== null && c !== "0",
  };
}

/**
 * The payload that the request carries, unpacked (`{}` where there is none). Synchronous: only the JSON of old Python clients is gzipped.
 * @throws WireError `tooLarge` beyond `maxBytes`, `multipart` when the gzip is damaged (ZP17).
 */
export function multipartPayload(request: MultipartRequest, maxBytes: number): Uint8Array {
  const { data, gzipped } = request;
  if (data === null) return Buffer.from("{}");
  if (data.length > maxBytes) throw tooLarge(`its data has more than ${String(maxBytes)} bytes`);
  if (!gzipped) return data;
  try {
    return gunzipSync(data, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(`its data has more than ${String(maxBytes)} bytes when unpacked`);
    throw bad("its data is not whole gzip", error);
  }
}

/** The parts by field name. `delimiter`: two dashes and the boundary. */
function splitParts(body: Buffer, delimiter: Buffer): Map<string, Buffer> {
  const fields = new Map<string, Buffer>();
  let at = startOfFirst(body, delimiter);
  // `at` stands behind a delimiter: two dashes end the form, a line break begins a part.
  while (!(body[at] === DASH && body[at + 1] === DASH)) {
    if (body[at] !== CR || body[at + 1] !== LF) throw bad("a boundary is not followed by a line break");
    if (fields.size === LIMITS.multipartParts) throw tooLarge(`it has more than ${String(LIMITS.multipartParts)} parts`);
    const headersEnd = body.subarray(at, at + LIMITS.multipartHeaderBytes).indexOf("\r\n\r\n");
    if (headersEnd < 0) throw bad("a part has no headers, or very long ones");
    const dataStart = at + headersEnd + 4;
    // The line break before a delimiter belongs to it. It may be the one that ends the headers of an empty part.
    const dataEnd = body.indexOf(Buffer.concat([Buffer.from("\r\n"), delimiter]), dataStart - 2);
    if (dataEnd < 0) throw bad("it has no closing boundary");
    const name = fieldName(body.toString("latin1", at, at + headersEnd));
    if (fields.has(name)) throw bad("it has a field twice");
    fields.set(name, body.subarray(dataStart, Math.max(dataStart, dataEnd)));
    at = dataEnd + 2 + delimiter.length;
  }
  return fields;
}

function startOfFirst(body: Buffer, delimiter: Buffer): number {
  const skip = body[0] === CR && body[1] === LF ? 2 : 0;
  if (body.indexOf(delimiter) !== skip) throw bad("it does not begin with its boundary");
  return skip + delimiter.length;
}

/** From `Content-Disposition: form-data; name="data"; filename="data"`; other headers of a part do not matter. */
function fieldName(headers: string): string {
  const name = /^content-disposition:\s*form-data\s*;(?:[^\r\n]*;)?\s*name="?([^"\r\n;]{1,32})"?/im.exec(headers)?.[1];
  if (name === undefined) throw bad("a part has no name");
  return name;
}

function text(fields: ReadonlyMap<string, Buffer>, name: string): string | null {
  const value = fields.get(name);
  if (value === undefined) return null;
  if (value.length > LIMITS.multipartFieldBytes)
    throw tooLarge(`its field ${name} has more than ${String(LIMITS.multipartFieldBytes)} bytes`);
  return value.toString("utf8");
}

function bad(what: string, cause?: unknown): WireError {
  return new WireError("multipart", `Reading a multipart form: ${what}.`, { cause });
}
function tooLarge(what: string): WireError {
  return new WireError("tooLarge", `Reading a multipart form: ${what}.`);
}
