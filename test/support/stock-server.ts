/** A small model of the official Anki server (specs §5) behind a Transport in memory, with a place to script what it answers. */
import { hash } from "node:crypto";

import { parseSyncHeader } from "../../protocol/anki/header.ts";
import { readUploadZip, buildDownloadZip, type NamedFile } from "../../protocol/anki/zip-messages.ts";
import { joinChunks } from "../../protocol/anki/zip.ts";
import { WireError } from "../../protocol/anki/wire-error.ts";
import { compressSync, decompressSync } from "../../protocol/anki/zstd.ts";
import type { HttpRequest, HttpResponse, Transport } from "../../service/core/ports.ts";

const BODY_MAX = 300 * 1024 * 1024;

/** One request as the server understood it. */
export type Seen = {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Key of the anki-sync header; empty without one. */
  readonly key: string;
  readonly session: string;
  /** Out of its frame. */
  readonly payload: Uint8Array;
  readonly stallMs: number;
};
type Row = { readonly name: string; readonly usn: number; readonly bytes: Uint8Array | null };

/** A reply as servers of version 11 send it. */
export function framed(payload: Uint8Array | string): HttpResponse {
  const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
  return { status: 200, headers: { "anki-original-size": String(bytes.length) }, body: compressSync(bytes) };
}

export function enveloped(data: unknown): HttpResponse {
  return framed(JSON.stringify({ data, err: "" }));
}

/** An error as the official server sends it. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status: code, headers: { "content-type": "text/plain", ...headers }, body: Buffer.from(String(code)) };
}

/** A web page in place of an answer. */
export function page(code: number): HttpResponse {
  return { status: code, headers: { "content-type": "text/html" }, body: Buffer.from("<!DOCTYPE html><title>Sign in</title>") };
}

export class StockServer {
  readonly key = "b2619aa1529dfdc4248e6edbf3c1b2a2b014cf6d";
  readonly seen: Seen[] = [];
  /** Answers in the model's place; null: the model answers. */
  script: ((seen: Seen) => HttpResponse | null | Promise<HttpResponse | null>) | null = null;
  /** Most requests that were under way at once. */
  peakInFlight = 0;
  /** Rows per page, names per downloadFiles reply: the server's freedom. */
  pageRows = 1000;
  private inFlight = 0;
  private usn = 0;
  private readonly rows = new Map<string, Row>();
  /** Known, but lost on the server's disk. */
  private readonly lost = new Set<string>();

  readonly transport: Transport = {
    send: async (request, signal) => {
      signal.throwIfAborted();
      this.inFlight += 1;
      this.peakInFlight = Math.max(this.peakInFlight, this.inFlight);
      try {
        const seen = see(request);
        this.seen.push(seen);
        const reply = (await this.script?.(seen)) ?? this.answer(seen);
        signal.throwIfAborted();
        request.onBytes?.(request.body?.length ?? 0, reply.body.length);
        return reply;
      } finally {
        this.inFlight -= 1;
      }
    },
    stream: async () => await Promise.resolve({ status: 404, chunks: (async function* () {})() }),
  };

  put(name: string, bytes: Uint8Array | string | null): void {
    this.usn += 1;
    this.rows.set(name, { name, usn: this.usn, bytes: typeof bytes === "string" ? Buffer.from(bytes) : bytes });
  }

  lose(name: string): void {
    this.lost.add(name);
  }

  get(name: string): string | null {
    const bytes = this.rows.get(name)?.bytes ?? null;
    return bytes === null ? null : Buffer.from(bytes).toString();
  }

  /** Where its feed ends. */
  get top(): number {
    return this.usn;
  }

  /** What stands there now. */
  live(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.rows.values()].flatMap(({ name, bytes }) => (bytes === null ? [] : [[name, bytes] as const])));
  }

  /** Paths asked for, in order. */
  paths(): string[] {
    return this.seen.map(({ url }) => url.pathname);
  }

  private answer(seen: Seen): HttpResponse {
    const { pathname } = seen.url;
    if (pathname === "/health") return { status: 200, headers: {}, body: new Uint8Array(0) };
    if (!pathname.startsWith("/msync/") && !pathname.startsWith("/sync/")) return { status: 404, headers: {}, body: new Uint8Array(0) };
    if (seen.method !== "POST") return { status: 405, headers: { allow: "POST" }, body: new Uint8Array(0) };
    if (pathname === "/sync/hostKey") return this.login(text(seen.payload));
    if (seen.key !== this.key) return status(403);
    switch (pathname) {
      case "/msync/begin":
        return enveloped({ usn: this.usn, sk: this.key });
      case "/msync/mediaChanges":
        return enveloped(this.changesAfter(numberIn(seen.payload, "lastUsn")));
      case "/msync/downloadFiles":
        return this.download(namesIn(seen.payload));
      case "/msync/uploadChanges":
        return this.upload(seen.payload);
      case "/msync/mediaSanity":
        return enveloped(numberIn(seen.payload, "local") === this.liveCount() ? "OK" : "mediaSanity");
      default:
        return status(400);
    }
  }

  private login(body: string): HttpResponse {
    return body === JSON.stringify({ u: "user", p: "pass" }) ? framed(JSON.stringify({ key: this.key })) : status(403);
  }

  private changesAfter(lastUsn: number): unknown[] {
    return [...this.rows.values()]
      .filter((row) => row.usn > lastUsn)
      .toSorted((a, b) => a.usn - b.usn)
      .slice(0, this.pageRows)
      .map(({ name, usn, bytes }) => [name, usn, bytes === null ? "" : hash("sha1", bytes)]);
  }

  /** A prefix that ends with the file that crosses 2.5 MiB; 409 for the whole call if one name is unknown. */
  private download(names: readonly string[]): HttpResponse {
    if (names.length > 25) return status(400);
    const files: NamedFile[] = [];
    let bytesSoFar = 0;
    for (const name of names) {
      const bytes = this.rows.get(name)?.bytes ?? null;
      if (bytes === null) return status(409);
      if (this.lost.has(name)) {
        // The official server drops the row without a tombstone and gives up on the call.
        this.lost.delete(name);
        this.rows.delete(name);
        return status(409);
      }
      files.push({ name, bytes });
      bytesSoFar += bytes.length;
      if (bytesSoFar > 2_621_440) break;
    }
    return framed(joinChunks(buildDownloadZip(files)));
  }

  private upload(payload: Uint8Array): HttpResponse {
    let entries;
    try {
      entries = readUploadZip(payload);
    } catch (error) {
      if (error instanceof WireError) return status(400);
      throw error;
    }
    const bad = entries.some(({ name }) => name !== name.normalize("NFC") || name.includes("/") || Buffer.byteLength(name) > 255);
    if (bad) return status(400);
    for (const { name, bytes } of entries) {
      const stands = this.rows.get(name)?.bytes ?? null;
      const same = bytes === null ? stands === null : stands !== null && Buffer.compare(bytes, stands) === 0;
      if (!same) this.put(name, bytes);
    }
    return enveloped([entries.length, this.usn]);
  }

  private liveCount(): number {
    return [...this.rows.values()].filter(({ bytes }) => bytes !== null).length;
  }
}

function see(request: HttpRequest): Seen {
  const header = request.headers["anki-sync"];
  const { key, session } = header === undefined ? { key: "", session: "" } : parseSyncHeader(header);
  const payload = request.body === null ? new Uint8Array(0) : decompressSync(request.body, BODY_MAX);
  return { method: request.method, url: new URL(request.url), headers: request.headers, key, session, payload, stallMs: request.stallMs };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function numberIn(payload: Uint8Array, key: string): number {
  const value: unknown = JSON.parse(text(payload));
  if (typeof value === "object" && value !== null && key in value) return Number(Reflect.get(value, key));
  throw new Error(`stock server: a request without ${key}`);
}

/** The names that a downloadFiles request asks for. */
export function namesIn(payload: Uint8Array): string[] {
  const value: unknown = JSON.parse(text(payload));
  if (typeof value === "object" && value !== null && "files" in value && Array.isArray(value.files)) return value.files.map(String);
  throw new Error("stock server: a request without files");
}
