/** Every route, with the body it takes and what it does. */
import { parseMessage } from "../../protocol/anki/json.ts";
import { LIMITS } from "../../protocol/anki/limits.ts";
import { ANKI, buildEnvelope, buildErrorEnvelope, SATCHEL } from "../../protocol/anki/messages.ts";
import {
  buildDownloadZip,
  buildSatchelDownload,
  readSatchelUpload,
  readUploadZip,
  type NamedFile,
} from "../../protocol/anki/zip-messages.ts";
import { WireError } from "../../protocol/anki/wire-error.ts";
import type { Clock, Compute, Faults, ServerRequest, ServerResponse } from "../core/ports.ts";
import type { AccountService, Known } from "./accounts.ts";
import type { Burst } from "./brake.ts";
import { metaReply } from "./collection.ts";
import { parsed, plainReply, Refusal } from "./exchange.ts";
import { frameStream } from "./frame.ts";
import { SIZE_HEADER } from "../../protocol/anki/header.ts";
import { downloadFiles, hashEntries, mediaChanges, mediaSanity, tellUsn, uploadChanges, type Caller } from "./media.ts";
import {
  deviceNameOf,
  eventStream,
  greetingOf,
  keptVersions,
  satchelChanges,
  satchelUpload,
  versionBytes,
  type NameOfKey,
} from "./satchel.ts";
import { StorageError, type Storage } from "./storage.ts";

/** What a route works with. */
export type Parts = {
  readonly storage: Storage;
  readonly accounts: AccountService;
  readonly clock: Clock;
  readonly compute: Compute;
  readonly faults: Faults;
  readonly onBurst: (account: string, burst: Burst) => void;
  readonly onTwins: (account: string, names: number) => void;
};
export type LoginCall = {
  readonly server: Parts;
  readonly request: ServerRequest;
  readonly address: string;
  readonly client: string;
  readonly signal: AbortSignal;
  /** Without `?`. */
  readonly query: string;
  /** The body, unpacked. */
  readonly content: Uint8Array;
};
export type Call = LoginCall & {
  readonly known: Known;
  readonly key: string;
  /** A client of version 8–10. */
  readonly legacy: boolean;
  readonly caller: Caller;
};
/** What a reply carries, before it is packed. */
export type Payload = Uint8Array | string;
type Bare = Omit<Call, "content">;

/** `method` is POST where it is not said. */
export type Route = { readonly method?: "GET" | "POST" } & (
  | { readonly kind: "health"; run(call: Bare | null): Promise<ServerResponse> }
  | { readonly kind: "login"; run(call: LoginCall): Promise<Payload> }
  | { readonly kind: "json"; run(call: Call): Promise<Payload> }
  | { readonly kind: "files"; run(call: Call): Promise<readonly Uint8Array[]> }
  | { readonly kind: "upload"; run(call: Call): Promise<Payload> }
  | { readonly kind: "collection"; run(call: Bare, body: AsyncIterable<Uint8Array>): Promise<Payload> }
  | { readonly kind: "stream"; run(call: Bare): Promise<ServerResponse> }
  | { readonly kind: "satchelJson"; run(call: Call): Promise<ServerResponse> }
  | { readonly kind: "satchelFiles"; run(call: Call): Promise<readonly Uint8Array[]> }
  | { readonly kind: "satchelUpload"; run(call: Call): Promise<ServerResponse> }
);

/** The session methods of the incremental sync, which is not offered: 409 as for a lost session. */
const SESSION_METHODS = ["start", "applyGraves", "applyChanges", "chunk", "applyChunk", "sanityCheck2", "finish"] as const;

export const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["health", { method: "GET", kind: "health", run: health }],
  ["sync/hostKey", { kind: "login", run: hostKey }],
  ["sync/meta", { kind: "json", run: meta }],
  ["sync/upload", { kind: "collection", run: storeCollection }],
  ["sync/download", { kind: "stream", run: loadCollection }],
  ["sync/abort", { kind: "json", run: async () => await Promise.resolve("null") }],
  ...SESSION_METHODS.map((method): [string, Route] => [`sync/${method}`, { kind: "json", run: noSession }]),
  ["msync/begin", { kind: "json", run: begin }],
  ["msync/mediaChanges", { kind: "json", run: changes }],
  ["msync/downloadFiles", { kind: "files", run: download }],
  ["msync/uploadChanges", { kind: "upload", run: upload }],
  ["msync/mediaSanity", { kind: "json", run: sanity }],
  ["satchel/changes", { kind: "satchelJson", run: changesWithSizes }],
  ["satchel/upload", { kind: "satchelUpload", run: conditionalUpload }],
  ["satchel/download", { kind: "satchelFiles", run: downloadMany }],
  ["satchel/versions", { kind: "satchelJson", run: versions }],
  ["satchel/version", { kind: "satchelJson", run: version }],
  ["satchel/events", { method: "GET", kind: "stream", run: events }],
]);

async function health(call: Bare | null): Promise<ServerResponse> {
  if (call === null) return plainReply("");
  const satchel = greetingOf(call.caller.account, await tellUsn(call.caller, false));
  return plainReply(JSON.stringify({ satchel }), "application/json");
}

async function hostKey({ server, content, client, address }: LoginCall): Promise<Payload> {
  const { u, p } = parsed(() => parseMessage(ANKI.hostKey.request, content, "the body of hostKey", LIMITS.loginBytes));
  const result = await server.accounts.login({ user: u, password: p, client, address });
  switch (result.kind) {
    case "key":
      // Who logs in syncs at once: to open an account costs more than a request. What is wrong with it is told to that request.
      await Promise.allSettled([server.storage.account(result.account)]);
      return JSON.stringify({ key: result.key });
    case "refused":
      throw new Refusal(403, "wrong name or password");
    case "later":
      throw new Refusal(429, "too many logins", { "retry-after": String(Math.ceil(result.retryAfterMs / 1000)) });
  }
}

async function meta({ server, content, caller, legacy }: Call): Promise<Payload> {
  const { v } = parsed(() => parseMessage(ANKI.meta.request, content, "the body of meta"));
  if (v < LIMITS.versionMin || v > LIMITS.versionMax) throw new Refusal(501, "the client is too old or too new");
  const { top } = await tellUsn(caller, false);
  return JSON.stringify(await metaReply(caller.account, top, legacy, server.clock));
}

async function storeCollection({ caller }: Bare, body: AsyncIterable<Uint8Array>): Promise<Payload> {
  try {
    const stored = await caller.account.collection.store(body);
    return stored === null ? "The server could not read this collection. Please use Check Database, then sync again." : "OK";
  } catch (error) {
    if (error instanceof WireError) throw new Refusal(400, error.message);
    if (error instanceof StorageError && error.fault === "full") return "The sync server's disk is full. Nothing was changed.";
    throw error;
  }
}

async function loadCollection({ caller }: Bare): Promise<ServerResponse> {
  const stored = await caller.account.collection.current();
  // As where a session is lost: there is nothing to download, and the client says so.
  if (stored === null) throw new Refusal(409, "no collection is stored");
  const reply = plainReply(frameStream(caller.account.collection.load(stored)));
  return { ...reply, headers: { ...reply.headers, [SIZE_HEADER]: String(stored.sizeBytes) } };
}

async function noSession(): Promise<Payload> {
  return await Promise.reject(new Refusal(409, "the incremental collection sync is not offered"));
}

async function begin({ content, caller, key }: Call): Promise<Payload> {
  parsed(() => parseMessage(ANKI.begin.request, content, "the body of begin"));
  const { top } = await tellUsn(caller, true);
  return buildEnvelope({ usn: top, sk: key });
}

async function changes({ server, content, caller }: Call): Promise<Payload> {
  const { lastUsn } = parsed(() => parseMessage(ANKI.mediaChanges.request, content, "the body of mediaChanges"));
  if (lastUsn < 0) throw new Refusal(400, "lastUsn is negative");
  return buildEnvelope(await mediaChanges(caller, lastUsn, server));
}

async function download({ server, content, caller }: Call): Promise<readonly Uint8Array[]> {
  const { files } = parsed(() => parseMessage(ANKI.downloadFiles.request, content, "the body of downloadFiles"));
  const served = await downloadFiles(caller, files, true, server);
  return buildDownloadZip(served.filter((file): file is NamedFile => file.bytes !== null));
}

async function upload({ server, content, caller }: Call): Promise<Payload> {
  const entries = parsed(() => readUploadZip(content));
  try {
    return buildEnvelope(await uploadChanges(caller, await hashEntries(entries, server), server));
  } catch (error) {
    if (!(error instanceof StorageError) || error.fault !== "full") throw error;
    return buildErrorEnvelope("The sync server's disk is full. Nothing was lost: ask its owner to free some space, then sync again.");
  }
}

async function sanity({ content, caller }: Call): Promise<Payload> {
  const { local } = parsed(() => parseMessage(ANKI.mediaSanity.request, content, "the body of mediaSanity"));
  return buildEnvelope(await mediaSanity(caller, local));
}

async function changesWithSizes({ server, content, caller }: Call): Promise<ServerResponse> {
  const { lastUsn, deletions, senders } = parsed(() => parseMessage(SATCHEL.changes.request, content, "the body of satchel/changes"));
  const namesOfKeys = async (): Promise<NameOfKey> => {
    const keys = await server.storage.accounts.keys(caller.account.id);
    const names = new Map(keys.map(({ id, client }) => [id, deviceNameOf(client)]));
    return (device) => names.get(device) ?? null;
  };
  const names = deletions || senders ? namesOfKeys : null;
  return plainReply(buildEnvelope(await satchelChanges(caller, { last: lastUsn, senders }, names, server)), "application/json");
}

async function conditionalUpload({ server, content, caller }: Call): Promise<ServerResponse> {
  const entries = parsed(() => readSatchelUpload(content));
  return plainReply(buildEnvelope(await satchelUpload(caller, entries, server)), "application/json");
}

async function downloadMany({ server, content, caller }: Call): Promise<readonly Uint8Array[]> {
  const { files } = parsed(() => parseMessage(SATCHEL.download.request, content, "the body of satchel/download"));
  const served = await downloadFiles(caller, files, false, server);
  return buildSatchelDownload(served);
}

async function versions({ content, caller }: Call): Promise<ServerResponse> {
  const { name } = parsed(() => parseMessage(SATCHEL.versions.request, content, "the body of satchel/versions"));
  const kept = await keptVersions(caller, name);
  return plainReply(
    buildEnvelope(kept.map(({ sha1, sizeBytes, atMs, why }) => ({ sha1, size: sizeBytes, atMs, why }))),
    "application/json",
  );
}

async function version({ content, caller }: Call): Promise<ServerResponse> {
  const { name, sha1 } = parsed(() => parseMessage(SATCHEL.version.request, content, "the body of satchel/version"));
  return plainReply(await versionBytes(caller, name, sha1));
}

async function events({ server, caller, key, query, signal }: Bare): Promise<ServerResponse> {
  const since = new URLSearchParams(query).get("since") ?? "";
  if (!/^\d{1,15}$/.test(since)) throw new Refusal(400, "since is not a number");
  const stillValid = async (): Promise<boolean> => (await server.accounts.known(key)) !== null;
  const { storage, clock } = server;
  const stream = eventStream(caller, { storage, clock, since: Number(since), stillValid }, signal);
  return await Promise.resolve(plainReply(stream, "text/event-stream"));
}
