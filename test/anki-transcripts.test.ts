/** Exchanges recorded between the real Anki client and the real server, replayed to our client: what it sends, and what it makes of the reply. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import * as z from "zod";

import { readUploadZip } from "../protocol/anki/zip-messages.ts";
import { decompressSync } from "../protocol/anki/zstd.ts";
import { RemoteError, type HttpRequest, type Remote, type Transport, type Upload } from "../service/core/ports.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { login } from "../service/remotes/anki/login.ts";
import { client, collect, never, openAnki, putOf, URL_LOCAL } from "./support/anki-remote.ts";

const FOLDER = path.join(import.meta.dirname, "fixtures", "anki-transcripts");

const recorded = z.object({
  request: z.object({ method: z.string(), path: z.string(), bodyBase64: z.string() }),
  response: z.object({ status: z.int(), headers: z.record(z.string(), z.string()), bodyBase64: z.string() }),
});

/** A transport that gives the recorded reply to any request, and keeps what it was asked. */
function replay(number: string): { transport: Transport; request: z.output<typeof recorded>["request"]; asked: HttpRequest[] } {
  const file = readdirSync(FOLDER).find((name) => name.startsWith(`${number}-`));
  if (file === undefined) throw new Error(`no recorded exchange ${number}`);
  const { request, response } = recorded.parse(JSON.parse(readFileSync(path.join(FOLDER, file), "utf8")));
  const asked: HttpRequest[] = [];
  const transport: Transport = {
    send: async (sent) => {
      asked.push(sent);
      const body = Buffer.from(response.bodyBase64, "base64");
      return await Promise.resolve({ status: response.status, headers: response.headers, body });
    },
    stream: async () => await Promise.reject(new Error("not used")),
  };
  return { transport, request, asked };
}

/** Where the recordings come from: beside the project, not part of it. */
const RECORDED = path.resolve(import.meta.dirname, "../../shared/specs/transcripts/anki-media");
const sayingWho = z.strictObject({ v: z.int(), cv: z.string() });

const payloadOf = (body: Uint8Array | null | undefined) => decompressSync(body ?? new Uint8Array(0), 1_000_000);

const textOf = (body: Uint8Array | null | undefined): unknown => JSON.parse(Buffer.from(payloadOf(body)).toString());

type Case = {
  readonly number: string;
  readonly what: string;
  readonly call: (remote: Remote, transport: Transport) => Promise<unknown>;
  /** What the call resolves with, or the fault it rejects with. */
  readonly expected: unknown;
  /** The payload that we send is the recorded one, parsed. */
  readonly sameRequest?: "json" | "zip";
};
const NAMES = ["a.mp3", "é ü.txt", "b.bin"];
const signIn = async (_remote: Remote, transport: Transport) =>
  await login({ url: URL_LOCAL, user: "user", password: "pass", client }, transport, nodeCompute, never);
const verify = async (remote: Remote) => await remote.verify(1, never);
const feed = async (remote: Remote) => (await remote.feed("0", never)[Symbol.asyncIterator]().next()).value as unknown;
const row = (name: string, usn: number, sha1: string | null) => ({ name, usn, sha1, sizeBytes: null });

const goneOf = (name: string): Upload => ({ name, bytes: null, sha1: null, baseSha1: null });
const countedBytes = (): Upload => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => index);
  return { name: "b.bin", bytes, sha1: nodeCompute.sha1(bytes), baseSha1: null };
};

const CASES: readonly Case[] = [
  { number: "01", what: "login", call: signIn, expected: { key: "b2619aa1529dfdc4248e6edbf3c1b2a2b014cf6d" }, sameRequest: "json" },
  { number: "02", what: "login refused", call: signIn, expected: "auth" },
  {
    number: "05",
    what: "upload of three files",
    call: async (remote) => await remote.upload([putOf("a.mp3", "hello"), putOf("old.jpg", "picture"), putOf("é ü.txt", "text")], never),
    expected: [{ kind: "done" }, { kind: "done" }, { kind: "done" }],
    sameRequest: "zip",
  },
  {
    number: "07",
    what: "upload of a file with deletions, one of a name that was never there",
    call: async (remote) => await remote.upload([countedBytes(), goneOf("never-uploaded.jpg"), goneOf("old.jpg")], never),
    expected: [{ kind: "done" }, { kind: "done" }, { kind: "done" }],
    sameRequest: "zip",
  },
  {
    number: "06",
    what: "sanity, counts equal",
    call: async (remote) => await remote.verify(3, never),
    expected: "ok",
    sameRequest: "json",
  },
  {
    number: "08",
    what: "changes with a tombstone",
    call: feed,
    expected: {
      rows: [
        row("a.mp3", 1, "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
        row("é ü.txt", 3, "372ea08cab33e71c02c651dbc83a474d32c676ea"),
        row("b.bin", 4, "c6138d514ffa2135bfce0ed0b8fac65669917ec7"),
        row("old.jpg", 5, null),
      ],
      position: "5",
    },
    sameRequest: "json",
  },
  { number: "09", what: "the page that ends the list", call: feed, expected: undefined },
  {
    number: "10",
    what: "download of three files",
    call: async (remote) => (await collect(remote.download(NAMES, never))).map(({ name, kind }) => [name, kind]),
    expected: NAMES.map((name) => [name, "bytes"]),
    sameRequest: "json",
  },
  { number: "11", what: "sanity, counts differ", call: verify, expected: "differs" },
  {
    number: "12",
    what: "download of an unknown name",
    call: async (remote) => await collect(remote.download(["gone.mp3"], never)),
    expected: [{ kind: "missing", name: "gone.mp3" }],
  },
  {
    number: "13",
    what: "download refused for one of two names",
    call: async (remote) => await collect(remote.download(["a.mp3", "x"], never)),
    // Asked again one by one, and the recorded answer to each is the same.
    expected: [
      { kind: "missing", name: "a.mp3" },
      { kind: "missing", name: "x" },
    ],
  },
  {
    number: "21",
    what: "upload with an empty file in it",
    call: async (remote) => (await remote.upload([putOf("good.jpg", "0"), putOf("zero", "")], never)).map(({ kind }) => kind),
    expected: ["refused", "refused"],
  },
  { number: "14", what: "a key that is not known", call: verify, expected: "auth" },
  {
    number: "20",
    what: "upload of a name that is not NFC",
    call: async (remote) => (await remote.upload([putOf("x")], never)).map(({ kind }) => kind),
    expected: ["refused"],
  },
  { number: "22", what: "upload named ..", call: async (remote) => await remote.upload([putOf("..")], never), expected: "retry" },
  { number: "35", what: "a text for people", call: verify, expected: "refused" },
  { number: "37", what: "no size header", call: verify, expected: "notOurServer" },
  { number: "38", what: "308 to another port", call: verify, expected: "notOurServer" },
  {
    number: "39",
    what: "upload answered [1,0]",
    call: async (remote) => await remote.upload([putOf("a.mp3", "hello")], never),
    expected: [{ kind: "done" }],
    sameRequest: "zip",
  },
  { number: "40", what: "sanity answered mediaSanity", call: verify, expected: "differs", sameRequest: "json" },
  // What a server refuses other clients for, in answer to a request of ours.
  { number: "15", what: "a header without a key of it", call: feed, expected: "refused" },
  { number: "16", what: "no header", call: feed, expected: "refused" },
  { number: "17", what: "a method that is not known", call: verify, expected: "refused" },
  { number: "18", what: "a verb that is not allowed", call: feed, expected: "notOurServer" },
  { number: "23", what: "nothing where something was asked for", call: verify, expected: "protocol" },
  { number: "25", what: "a plain page of changes, as for protocol 10", call: feed, expected: "notOurServer" },
  { number: "26", what: "a body of two frames", call: feed, expected: "refused" },
  // What an old client is answered is plain: no answer to us.
  { number: "28", what: "changes for an old client", call: feed, expected: "notOurServer" },
  {
    number: "29",
    what: "an upload of an old client",
    call: async (remote) => await remote.upload([putOf("x")], never),
    expected: "notOurServer",
  },
  { number: "30", what: "a login of an old client", call: signIn, expected: "notOurServer" },
  { number: "32", what: "an upload of 2.1.54", call: async (remote) => await remote.upload([putOf("x")], never), expected: "notOurServer" },
  { number: "33", what: "changes for 2.1.54", call: feed, expected: "notOurServer" },
  {
    number: "34",
    what: "a download of 2.1.54",
    call: async (remote) => await collect(remote.download(["new.bin"], never)),
    expected: "notOurServer",
  },
];

for (const { number, what, call, expected, sameRequest } of CASES) {
  test(`openAnkiRemote() recorded exchange ${number}: ${what}`, async () => {
    const { transport, request, asked } = replay(number);
    const result = await call(openAnki({ transport }), transport).catch((error: unknown) => {
      if (error instanceof RemoteError) return error.fault;
      throw error;
    });
    assert.deepEqual(result, expected);
    const [first] = asked;
    assert.equal(first?.method, "POST");
    if (sameRequest === undefined) return;
    assert.equal(new URL(first.url).pathname, request.path);
    const [ours, theirs] = [payloadOf(first.body), payloadOf(Buffer.from(request.bodyBase64, "base64"))];
    if (sameRequest === "zip") assert.deepEqual(readUploadZip(ours), readUploadZip(theirs));
    else assert.deepEqual(textOf(first.body), textOf(Buffer.from(request.bodyBase64, "base64")));
  });
}

test("openAnkiRemote() recorded exchanges 36: begin without a session key is refused as the real client refuses it", async () => {
  const { transport } = replay("36");
  await assert.rejects(openAnki({ transport }).state(never), (error) => error instanceof RemoteError && error.fault === "protocol");
});

/** A server that knows no `/health`, as the official one in its time; all else is the recorded reply. */
function withoutHealth(transport: Transport): Transport {
  return {
    ...transport,
    send: async (sent, signal) =>
      sent.url.endsWith("/health") ? { status: 404, headers: {}, body: new Uint8Array(0) } : await transport.send(sent, signal),
  };
}

for (const [number, fault] of [
  ["19", "refused"],
  ["27", "notOurServer"],
  ["31", "notOurServer"],
] as const)
  test(`openAnkiRemote() recorded exchange ${number}: the reply to another client's begin is no greeting`, async () => {
    const { transport } = replay(number);
    await assert.rejects(
      openAnki({ transport: withoutHealth(transport) }).state(never),
      (error) => error instanceof RemoteError && error.fault === fault,
    );
  });

test("openAnkiRemote() recorded exchange 03: AnkiWeb is asked for its meta, then for begin as that had no other base to offer", async () => {
  const [meta, begin] = [replay("03"), replay("04")];
  const transport: Transport = {
    ...meta.transport,
    send: async (sent, signal) => await (sent.url.endsWith("sync/meta") ? meta : begin).transport.send(sent, signal),
  };
  assert.equal((await openAnki({ transport }, { url: "https://sync.ankiweb.net/" }).state(never)).position, "0");
  const [asked] = meta.asked;
  assert.equal(asked?.method, "POST");
  assert.equal(new URL(asked.url).pathname, meta.request.path);
  const [ours, theirs] = [asked.body, Buffer.from(meta.request.bodyBase64, "base64")].map((body) => sayingWho.parse(textOf(body)));
  assert.deepEqual({ ...ours, cv: "" }, { ...theirs, cv: "" });
  assert.match(ours?.cv ?? "", /^satchel,/);
  assert.deepEqual(
    begin.asked.map(({ url }) => url),
    ["https://sync.ankiweb.net/msync/begin"],
  );
});

test("openAnkiRemote() recorded exchange 24: a server of another age is told from one that is away", async () => {
  const { transport, asked } = replay("24");
  const remote = openAnki({ transport }, { url: "https://sync.ankiweb.net/" });
  await assert.rejects(remote.state(never), (error) => error instanceof RemoteError && error.fault === "protocol");
  assert.equal(asked.length, 1, "nothing is asked after it");
});

test("all recorded exchanges are replayed here, and they are those beside the project", (context) => {
  const here = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  const apart = ["03", "04", "19", "24", "27", "31", "36"];
  assert.deepEqual([...CASES.map(({ number }) => number), ...apart].toSorted(), here.map((name) => name.slice(0, 2)).toSorted());
  if (!existsSync(RECORDED)) return context.skip("no recordings beside the project (../shared/specs/transcripts)");
  for (const name of here)
    assert.equal(readFileSync(path.join(FOLDER, name), "utf8"), readFileSync(path.join(RECORDED, name), "utf8"), name);
  assert.equal(readdirSync(RECORDED).filter((name) => name.endsWith(".json")).length, here.length);
});

test("openAnkiRemote() recorded exchange 04: begin, asked after the server has said that it knows no health", async () => {
  const { transport, request, asked } = replay("04");
  const remote = openAnki({ transport: withoutHealth(transport) });
  assert.equal((await remote.state(never)).position, "0");
  assert.equal(new URL(asked[0]?.url ?? "").pathname, request.path);
});
