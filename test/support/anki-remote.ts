/** The Anki remote on a server double, and small words for what its tests say again and again. */
import assert from "node:assert/strict";

import { buildDownloadZip } from "../../protocol/anki/zip-messages.ts";
import { joinChunks } from "../../protocol/anki/zip.ts";
import {
  RemoteError,
  type Download,
  type HttpResponse,
  type Remote,
  type RemoteFault,
  type Transport,
  type Upload,
} from "../../service/core/ports.ts";
import { nodeCompute } from "../../service/files/compute.ts";
import { openRemote } from "../../service/remotes/open.ts";
import { framed, StockServer, type Seen } from "./stock-server.ts";

export const never = new AbortController().signal;
export const client = { version: "0.1.0", device: "laptop", platform: "linux" };
export const URL_LOCAL = "http://127.0.0.1:8080/";

export function openAnki(
  server: { readonly transport: Transport },
  change: { url?: string; key?: string; requestsInFlight?: number } = {},
): Remote {
  let last = 0;
  const random = { u32: () => (last += 1_000_003) };
  const settings = { kind: "anki", url: URL_LOCAL, key: "b2619aa1529dfdc4248e6edbf3c1b2a2b014cf6d", client, ...change } as const;
  return openRemote(settings, { transport: server.transport, compute: nodeCompute, random });
}

/** A model server with `count` small files f0, f1 … */
export function stocked(count: number): { server: StockServer; names: string[] } {
  const server = new StockServer();
  const names = Array.from({ length: count }, (_, index) => `f${index}`);
  for (const name of names) server.put(name, `bytes of ${name}`);
  return { server, names };
}

export const putOf = (name: string, content = `bytes of ${name}`): Upload => ({
  name,
  bytes: Buffer.from(content),
  sha1: "",
  baseSha1: null,
});
export const pathOf = (seen: Seen) => seen.url.pathname;
/** Scripts one path; all others are the model's. */
export const only = (path: string, answer: (seen: Seen) => HttpResponse | null) => (seen: Seen) =>
  pathOf(seen) === path ? answer(seen) : null;
export const zipOf = (...names: string[]) =>
  framed(joinChunks(buildDownloadZip(names.map((name) => ({ name, bytes: Buffer.from(`bytes of ${name}`) })))));

export function fault(expected: RemoteFault, words = /Could not|The server/) {
  return (error: unknown) => {
    assert.ok(error instanceof RemoteError, String(error));
    assert.equal(error.fault, expected, error.message);
    assert.match(error.message, words);
    return true;
  };
}

export async function collect(downloads: AsyncIterable<Download>): Promise<Download[]> {
  const all: Download[] = [];
  for await (const download of downloads) all.push(download);
  return all;
}
