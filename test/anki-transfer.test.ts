/** The Anki remote's feed, downloads and uploads against a model of the official server, and against servers that misbehave. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { buildDownloadZip, readUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { compressSync, decompressSync } from "../protocol/anki/zstd.ts";
import type { HttpResponse } from "../service/core/ports.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { downloadFiles } from "../service/remotes/anki/download.ts";
import { storedFrame } from "../service/remotes/anki/stored-frame.ts";
import { collect, fault, never, openAnki, putOf, stocked, zipOf } from "./support/anki-remote.ts";
import { enveloped, framed, namesIn, page, status, StockServer } from "./support/stock-server.ts";

// ── Feed ──

async function feedOf(server: StockServer, position = "0"): Promise<{ names: string[]; pages: number; position: string }> {
  const names: string[] = [];
  let [pages, at] = [0, position];
  for await (const one of openAnki(server).feed(position, never)) {
    pages += 1;
    at = one.position;
    names.push(...one.rows.map((row) => row.name));
  }
  return { names, pages, position: at };
}

test("feed() PR07 1001 rows are two pages, pages of one are read to the empty one", async () => {
  const { server, names } = stocked(1001);
  assert.deepEqual(await feedOf(server), { names, pages: 2, position: "1001" });
  server.pageRows = 1;
  assert.deepEqual(await feedOf(server, "996"), { names: names.slice(996), pages: 5, position: "1001" });
});

test("feed() PR07 a shuffled page is sorted; upper-case hashes are lowered; objects are rows too", async () => {
  const server = new StockServer();
  const sha = "AAF4C61DDCC5E8A2DABEDE0F3B482CD9AEA9434D";
  server.script = (seen) =>
    Buffer.from(seen.payload).toString().includes(":0}") ? enveloped([["b", 5, ""], { fname: "a", usn: 2, sha1: sha }]) : enveloped([]);
  const rows = [];
  for await (const one of openAnki(server).feed("0", never)) rows.push(...one.rows);
  assert.deepEqual(rows, [
    { name: "a", usn: 2, sha1: sha.toLowerCase(), sizeBytes: null },
    { name: "b", usn: 5, sha1: null, sizeBytes: null },
  ]);
});

const BAD_PAGES: readonly (readonly [what: string, rows: unknown])[] = [
  ["a row at the position itself (W29)", [["a", 7, ""]]],
  [
    "a row before the position",
    [
      ["a", 9, ""],
      ["b", 3, ""],
    ],
  ],
  ["a usn as text", [["a", "8", ""]]],
  ["a usn beyond 32 bits", [["a", 2 ** 31, ""]]],
  ["a null hash", [["a", 8, null]]],
  ["a hash that is none", [["a", 8, "xyz"]]],
  ["a 4-tuple", [["a", 8, "", 1]]],
  ["no list", { a: 1 }],
];
for (const [what, rows] of BAD_PAGES) {
  test(`feed() PR07 W29 a page with ${what} is refused and yields nothing`, async () => {
    const server = new StockServer();
    server.script = () => enveloped(rows);
    await assert.rejects(feedOf(server, "7"), fault("protocol"));
  });
}

test("feed() a page that fails half way throws: what came before stands, the end is not reached", async () => {
  const { server } = stocked(30);
  server.pageRows = 10;
  let asked = 0;
  server.script = () => ((asked += 1) === 3 ? status(500) : null);
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const one of openAnki(server).feed("0", never)) seen.push(one.position);
  }, fault("retry"));
  assert.deepEqual(seen, ["10", "20"]);
});

// ── Download ──

test("download() every name once, prefix replies are asked on, four requests in flight and no more", async () => {
  const { server, names } = stocked(230);
  server.script = async (seen) => {
    await new Promise((resolve) => setImmediate(resolve));
    const asked = namesIn(seen.payload);
    assert.ok(asked.length <= 25);
    return zipOf(...asked.slice(0, 7));
  };
  const got = await collect(openAnki(server).download(names, never));
  assert.deepEqual(
    got.map(({ name }) => name).toSorted((a, b) => names.indexOf(a) - names.indexOf(b)),
    names,
  );
  assert.equal(server.peakInFlight, 4);
  const one = stocked(100);
  await collect(openAnki(one.server, { requestsInFlight: 1 }).download(one.names, never));
  assert.equal(one.server.peakInFlight, 1);
});

test("download() W10 PR08 files that are gone are missing, in one go, and all others come", async () => {
  const { server, names } = stocked(100);
  const gone = ["f3", "f4", "f50", "f99"];
  for (const name of gone) server.lose(name);
  server.put("f77", null);
  const got = await collect(openAnki(server).download([...names, "unknown"], never));
  const missing = got.filter(({ kind }) => kind === "missing").map(({ name }) => name);
  assert.deepEqual(
    missing.toSorted((a, b) => a.localeCompare(b)),
    [...gone, "f77", "unknown"].toSorted((a, b) => a.localeCompare(b)),
  );
  assert.equal(got.length, 101);
});

const BAD_ZIPS: readonly (readonly [what: string, reply: (asked: readonly string[]) => HttpResponse])[] = [
  ["no file for ever (W29)", () => zipOf()],
  ["more files than asked for", (asked) => zipOf(...asked, "extra")],
  ["a name that was not asked for", () => zipOf("../../etc/passwd")],
  ["another order than asked for", (asked) => zipOf(asked[1] ?? "", asked[2] ?? "")],
  ["no ZIP", () => framed("PK nonsense")],
  ["an envelope", () => framed('{"data":null,"err":"no"}')],
];
for (const [what, reply] of BAD_ZIPS) {
  test(`download() ZP19 a reply with ${what} is a protocol error, not a loop`, async () => {
    const { server, names } = stocked(3);
    server.script = (seen) => reply(namesIn(seen.payload));
    await assert.rejects(collect(openAnki(server).download(names, never)), fault("protocol"));
    assert.ok(server.seen.length <= 2);
  });
}

test("download() ZP19 bytes are handed on as they came: comparing hashes is the caller's (N8)", async () => {
  const { server } = stocked(1);
  server.script = () => framed(joinChunks(buildDownloadZip([{ name: "f0", bytes: Buffer.from("forged") }])));
  const [got] = await collect(openAnki(server).download(["f0"], never));
  assert.equal(got?.kind === "bytes" ? Buffer.from(got.bytes).toString() : "", "forged");
});

test("download() memory: a reader that does not read holds the requests back", async () => {
  const server = new StockServer();
  const content = Buffer.alloc(2_700_000, 1);
  const names = Array.from({ length: 90 }, (_, index) => `big${index}`);
  for (const name of names) server.put(name, content);
  const reader = openAnki(server).download(names, never)[Symbol.asyncIterator]();
  await reader.next();
  const asked = () => server.seen.length;
  for (let turn = 0, before = -1; turn < 200 && before !== asked(); turn += 1) {
    before = asked();
    await nodeCompute.unzstd(compressSync(content), 3_000_000);
  }
  assert.ok(asked() <= 25, `${asked()} replies of 2.7 MB lie in memory`);
  let count = 1;
  while ((await reader.next()).done !== true) count += 1;
  assert.equal(count, 90);
});

test("download() the line is kept busy while the reader is busy with what it has, as far as the memory goes", async () => {
  const { server, names } = stocked(200);
  const reader = openAnki(server).download(names, never)[Symbol.asyncIterator]();
  await reader.next();
  for (let turn = 0; turn < 200 && server.seen.length < 8; turn += 1) await nodeCompute.unzstd(compressSync(Buffer.from("x")), 10);
  assert.equal(server.seen.length, 8, "all was asked for, though one file was taken");
  await reader.return?.(undefined);
});

test("download() where sizes are told, our own server is asked for parts of one size; a large file goes alone", async () => {
  const asked: number[] = [];
  const fetchFiles = async (wanted: readonly string[]) => {
    asked.push(wanted.length);
    return await Promise.resolve(wanted.map((name) => ({ name, bytes: Buffer.from(name) })));
  };
  const sizes = [400, 300, 300, 5000, 10, 10, 990];
  const sizeOf = (name: string) => sizes[Number(name)] ?? null;
  const wanted = sizes.map((_, index) => String(index));
  const options = { fetchFiles, namesPerRequest: 100, requestsInFlight: 1, bytesPerRequest: 1000, sizeOf };
  assert.equal((await collect(downloadFiles(options, wanted, never))).length, 7);
  assert.deepEqual(asked, [3, 1, 2, 1]);
});

test("download() large files lower the number of requests at once", async () => {
  const server = new StockServer();
  const content = Buffer.alloc(40 * 1024 * 1024, 1);
  const names = ["a", "b", "c", "d", "e", "f"];
  for (const name of names) server.put(name, content);
  const remote = openAnki(server, { requestsInFlight: 2 });
  const reader = remote.download(names, never)[Symbol.asyncIterator]();
  await reader.next();
  server.peakInFlight = 0;
  let count = 1;
  while ((await reader.next()).done !== true) count += 1;
  assert.equal(count, 6);
  assert.equal(server.peakInFlight, 1);
});

test("download() a failure does not lose what others brought, and is thrown at the end", async () => {
  const { server, names } = stocked(60);
  server.script = (seen) => (namesIn(seen.payload).includes("f30") ? status(503) : null);
  const got: string[] = [];
  await assert.rejects(async () => {
    for await (const { name } of openAnki(server).download(names, never)) got.push(name);
  }, fault("retry"));
  assert.deepEqual(got.length, 35);
});

test("download() cancelling keeps what is finished and ends the requests; leaving the loop does too", async () => {
  const { server, names } = stocked(300);
  const stop = new AbortController();
  let got = 0;
  await assert.rejects(async () => {
    for await (const { kind } of openAnki(server).download(names, stop.signal)) {
      assert.equal(kind, "bytes");
      got += 1;
      if (got === 30) stop.abort(new Error("enough"));
    }
  }, /enough/);
  assert.equal(got, 30);
  const other = stocked(300);
  for await (const { kind } of openAnki(other.server).download(other.names, never)) {
    assert.equal(kind, "bytes");
    break;
  }
  assert.ok(other.server.seen.length < 12);
});

// ── Upload ──

test("upload() W11 PR10 a bad entry is found and refused alone, the others arrive", async () => {
  const server = new StockServer();
  const bad = "e\u0301.png";
  const batch = [...Array.from({ length: 24 }, (_, index) => putOf(`ok${index}`)), { name: bad, bytes: null, sha1: null, baseSha1: null }];
  const results = await openAnki(server).upload(batch, never);
  assert.deepEqual(
    results.slice(0, 24),
    Array.from({ length: 24 }, () => ({ kind: "done" })),
  );
  assert.match(JSON.stringify(results[24]), /"refused".*does not take this name.*Give the file another name/);
  assert.equal(server.get("ok23"), "bytes of ok23");
  assert.ok(server.seen.length <= 12);
});

test("upload() NW09 413 from a proxy: smaller parts pass, what alone is too large is refused with the cause", async () => {
  const server = new StockServer();
  server.script = (seen) => (seen.payload.length > 1000 ? page(413) : null);
  const batch = [...Array.from({ length: 8 }, (_, index) => putOf(`s${index}`, "x".repeat(300))), putOf("large", "x".repeat(2000))];
  const results = await openAnki(server).upload(batch, never);
  assert.deepEqual(
    results.map(({ kind }) => kind),
    [...Array.from({ length: 8 }, () => "done"), "refused"],
  );
  assert.match(JSON.stringify(results[8]), /client_max_body_size/);
});

test("upload() W29 fewer processed than sent: the rest is sent again; none or too many is a protocol error", async () => {
  const server = new StockServer();
  const sent: number[] = [];
  server.script = (seen) => {
    sent.push(readUploadZip(seen.payload).length);
    return enveloped([Math.min(4, sent.at(-1) ?? 0), 99]);
  };
  const batch = Array.from({ length: 10 }, (_, index) => putOf(`p${index}`));
  assert.equal((await openAnki(server).upload(batch, never)).length, 10);
  assert.deepEqual(sent, [10, 6, 2]);
  for (const reply of [[0, 5], [11, 5], [-1, 5], ["1", 5], [1]]) {
    server.script = () => enveloped(reply);
    await assert.rejects(openAnki(server).upload(batch, never), fault("protocol"));
  }
});

test("upload() failures that are about no entry are thrown, not blamed on files", async () => {
  const server = new StockServer();
  for (const [reply, expected] of [
    [status(500), "retry"],
    [status(403), "auth"],
    [page(400), "notOurServer"],
    [status(507), "quota"],
  ] as const) {
    server.script = () => reply;
    await assert.rejects(openAnki(server).upload([putOf("a"), putOf("b")], never), fault(expected));
  }
});

test("upload() sends `_meta` as Anki's clients do: an array in order, deletions as null", async () => {
  const server = new StockServer();
  server.put("old.jpg", "old");
  await openAnki(server).upload([putOf("a.mp3", "hello"), { name: "old.jpg", bytes: null, sha1: null, baseSha1: null }], never);
  const entries = readUploadZip(server.seen[0]?.payload ?? new Uint8Array(0));
  assert.deepEqual(
    entries.map(({ name, bytes }) => [name, bytes === null ? null : Buffer.from(bytes).toString()]),
    [
      ["a.mp3", "hello"],
      ["old.jpg", null],
    ],
  );
});

// ── Frames ──

test("storedFrame() is one legal frame for every size around the block's, whatever the chunks", () => {
  for (const size of [0, 1, 131_071, 131_072, 131_073, 262_144, 400_001]) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    for (const cut of [0, 1, 70_000, size]) {
      const frame = storedFrame([bytes.subarray(0, cut), bytes.subarray(cut)], (length) => Buffer.alloc(length + 7, 255));
      assert.ok(Buffer.compare(decompressSync(frame, size + 1), bytes) === 0, `${size} bytes cut at ${cut}`);
    }
  }
});
