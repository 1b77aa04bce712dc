/** The Anki wire: headers, JSON, messages; and every captured exchange of the real Anki put through all parsers. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";

import * as fc from "fast-check";

import { buildSyncHeader, parseOriginalSize, parseSyncHeader } from "../protocol/anki/header.ts";
import { parseJson, parseMessage } from "../protocol/anki/json.ts";
import { LIMITS } from "../protocol/anki/limits.ts";
import { ANKI, buildEnvelope, buildErrorEnvelope, parseEnvelope, SATCHEL } from "../protocol/anki/messages.ts";
import { multipartBoundary, multipartPayload, parseMultipart } from "../protocol/anki/multipart.ts";
import type { WireFault } from "../protocol/anki/wire-error.ts";
import { buildUploadZip, readDownloadZip, readUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { decompressSync } from "../protocol/anki/zstd.ts";
import { refused } from "./support/refused.ts";

const SHA1 = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";

suite("header", () => {
  test("buildSyncHeader() 2.4 gives the example of the specification", () =>
    assert.equal(
      buildSyncHeader({ version: 11, key: "", client: "26.08.1,1a2b3c4d,linux", session: "k3Jd9Q" }),
      '{"v":11,"k":"","c":"26.08.1,1a2b3c4d,linux","s":"k3Jd9Q"}',
    ));

  test("buildSyncHeader() 2.4 is one line of printable ASCII that parses back, whatever is in it", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 11 }),
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.string(),
        (version, key, client, session) => {
          const text = buildSyncHeader({ version, key, client, session });
          assert.match(text, /^[\x20-\x7e]*$/);
          assert.deepEqual(parseSyncHeader(text), { version, key, client, session });
        },
      ),
    ));

  const bad: readonly (readonly [what: string, value: string, fault: WireFault])[] = [
    ["no JSON", "hello", "header"],
    ["a key missing", '{"v":11,"k":"","c":""}', "header"],
    ["a key of another type", '{"v":"11","k":"","c":"","s":""}', "header"],
    ["a version beyond a byte", '{"v":256,"k":"","c":"","s":""}', "header"],
    ["a fraction as version", '{"v":10.5,"k":"","c":"","s":""}', "header"],
    ["characters beyond ASCII", '{"v":11,"k":"é","c":"","s":""}', "header"],
    ["a line break", '{"v":11,\n"k":"","c":"","s":""}', "header"],
    ["version 7", '{"v":7,"k":"","c":"","s":""}', "version"],
    ["version 12", '{"v":12,"k":"","c":"","s":""}', "version"],
    ["16 KiB + 1", `{"v":11,"k":"${"x".repeat(LIMITS.headerBytes)}","c":"","s":""}`, "tooLarge"],
    ["a depth bomb", `{"v":11,"k":"","c":"","s":"","x":${"[".repeat(17)}${"]".repeat(17)}}`, "tooLarge"],
  ];
  for (const [what, value, fault] of bad)
    test(`parseSyncHeader() 2.4 refuses ${what}`, () => void refused(fault, () => parseSyncHeader(value)));

  test("parseSyncHeader() 2.4 ignores extra keys", () =>
    assert.equal(parseSyncHeader('{"v":11,"k":"key","c":"","s":"","more":1}').key, "key"));

  test("parseSyncHeader() X3 never quotes the header, which holds the key", () =>
    assert.doesNotMatch(
      refused("header", () => parseSyncHeader('{"v":11,"k":"geheim",}')),
      /geheim/,
    ));

  for (const value of [undefined, "", "-1", "4294967296", "1e3", "12 ", "0x10", "99999999999"])
    test(`parseOriginalSize() ZP16 refuses ${JSON.stringify(value) ?? "none"}`, () =>
      void refused("header", () => parseOriginalSize(value)));
  test("parseOriginalSize() ZP16 takes the largest 32-bit number", () => assert.equal(parseOriginalSize("4294967295"), 4_294_967_295));
});

suite("json", () => {
  test("parseJson() ZP01 takes 16 levels and refuses 17, whatever brackets stand in strings", () => {
    const nested = (depth: number): string => "[".repeat(depth) + String.raw`"[[[[[[[[[[[[[[[[[[\"[["` + "]".repeat(depth);
    assert.ok(parseJson(nested(16), "x"));
    refused("tooLarge", () => parseJson(nested(17), "x"));
    refused("tooLarge", () => parseJson('{"a":'.repeat(100_000), "x"));
  });
  test("parseJson() ZP01 counts levels, not brackets", () => assert.ok(parseJson(`[${"[],{},".repeat(1000)}[]]`, "x")));
  test("parseJson() refuses more than its bytes, bad UTF-8 and no JSON, and quotes none of it", () => {
    refused("tooLarge", () => parseJson("[1,2,3]", "x", 6));
    refused("json", () => parseJson(Uint8Array.of(0x22, 0xff, 0x22), "x"));
    assert.doesNotMatch(
      refused("json", () => parseJson('{"p":"geheim"', "the login")),
      /geheim/,
    );
  });
  test("parseMessage() FN24 keys like __proto__ change nothing", () => {
    const parsed = parseMessage(ANKI.mediaSanity.request, '{"__proto__":{"local":7},"constructor":1,"local":1}', "x");
    assert.deepEqual(parsed, { local: 1 });
  });
});

suite("messages", () => {
  test("parseEnvelope() 2.2 data of the right shape wins over an err", () =>
    assert.deepEqual(parseEnvelope(ANKI.uploadChanges.reply, '{"data":[3,9],"err":"odd"}', "x"), { processed: 3, usn: 9 }));
  test("parseEnvelope() 2.2 a missing err is fine, extra keys and white space too", () =>
    assert.equal(parseEnvelope(ANKI.mediaSanity.reply, ' \n{ "data":"OK", "more":[] } ', "x"), "OK"));
  test("parseEnvelope() 2.2 an err text is the server's message", () => {
    assert.equal(
      refused("serverSays", () => parseEnvelope(ANKI.mediaSanity.reply, buildErrorEnvelope("Voll."), "x")),
      "Voll.",
    );
    assert.equal(
      refused("serverSays", () => parseEnvelope(ANKI.mediaSanity.reply, '{"err":"no data"}', "x")),
      "no data",
    );
    assert.equal(
      refused("serverSays", () => parseEnvelope(ANKI.mediaSanity.reply, '{"data":7,"err":"other shape"}', "x")),
      "other shape",
    );
  });
  const misshapen: readonly (readonly [what: string, data: string])[] = [
    ["a number as string", '[["a","1",""]]'],
    ["a null sha1", '[["a",1,null]]'],
    ["a 4-tuple", '[["a",1,"",0]]'],
    ["an int beyond 32 bits", '[["a",2147483648,""]]'],
    ["a fraction", '[["a",1.5,""]]'],
    ["a sha1 that is none", '[["a",1,"abc"]]'],
    ["null", "null"],
    ["an object without usn", '[{"fname":"a","sha1":""}]'],
  ];
  for (const [what, data] of misshapen)
    test(`mediaChanges 2.2 refuses ${what}`, () =>
      void refused("json", () => parseEnvelope(ANKI.mediaChanges.reply, `{"data":${data},"err":""}`, "the list of changes")));
  test("mediaChanges 5.2 takes tuples and objects, upper case, the carrier row, negative usns", () => {
    const rows = `[["a",1,"${SHA1.toUpperCase()}"],{"fname":"b","usn":-2,"sha1":""},[":usn",3,""]]`;
    assert.deepEqual(parseEnvelope(ANKI.mediaChanges.reply, `{"data":${rows},"err":""}`, "x"), [
      { name: "a", usn: 1, sha1: SHA1 },
      { name: "b", usn: -2, sha1: null },
      { name: ":usn", usn: 3, sha1: null },
    ]);
  });
  test("mediaSanity 5.6 takes its two words and no other", () => {
    assert.equal(parseEnvelope(ANKI.mediaSanity.reply, buildEnvelope("mediaSanity"), "x"), "mediaSanity");
    refused("json", () => parseEnvelope(ANKI.mediaSanity.reply, buildEnvelope("ok"), "x"));
  });
  test("begin 5.1 refuses a reply without sk and a request with an empty version", () => {
    refused("json", () => parseEnvelope(ANKI.begin.reply, buildEnvelope({ usn: 1 }), "x"));
    refused("json", () => parseMessage(ANKI.begin.request, '{"v":""}', "x"));
  });
  test("downloadFiles 2.10 takes 25 names and refuses 26", () => {
    const names = (count: number): string => JSON.stringify({ files: Array.from({ length: count }, (_, index) => `${String(index)}.png`) });
    assert.equal(parseMessage(ANKI.downloadFiles.request, names(25), "x").files.length, 25);
    refused("json", () => parseMessage(ANKI.downloadFiles.request, names(26), "x"));
  });
  test("satchel §11 the additions parse as the design writes them", () => {
    const limits = { entries: 1000, batchBytes: 8_388_608, fileBytes: 104_857_600 };
    const health = { satchel: { v: 1, id: "s", epoch: "e", usn: 4, limits } };
    const read = { satchel: { ...health.satchel, limits: { ...limits, uploads: 2 } } };
    assert.deepEqual(parseMessage(SATCHEL.health.reply, JSON.stringify(health), "x"), read, "an older server takes two uploads at once");
    refused("json", () => parseMessage(SATCHEL.health.reply, JSON.stringify({ satchel: { ...health.satchel, v: 2 } }), "x"));
    assert.deepEqual(
      parseEnvelope(
        SATCHEL.changes.reply,
        buildEnvelope({
          rows: [
            ["a", 1, SHA1, 5],
            ["b", 2, "", 0],
          ],
          more: false,
        }),
        "x",
      ).rows,
      [
        { name: "a", usn: 1, sha1: SHA1, sizeBytes: 5 },
        { name: "b", usn: 2, sha1: null, sizeBytes: 0 },
      ],
    );
    const results = ["done", "same", { changed: SHA1 }, { changed: "" }, { refused: "too long" }];
    assert.deepEqual(parseEnvelope(SATCHEL.upload.reply, buildEnvelope({ usn: 9, results }), "x"), {
      usn: 9,
      results: ["done", "same", { changed: SHA1 }, { changed: null }, { refused: "too long" }],
    });
    refused("json", () => parseEnvelope(SATCHEL.upload.reply, buildEnvelope({ usn: 9, results: ["perhaps"] }), "x"));
    assert.deepEqual(parseMessage(SATCHEL.event, '{"usn":7}', "x"), { usn: 7 });
    refused("json", () => parseMessage(SATCHEL.download.request, '{"files":[]}', "x"));
  });
});

type Side = {
  readonly headers: Record<string, string>;
  readonly bodyBase64?: string;
  readonly payloadText?: string;
  readonly payloadBase64?: string;
};
type Exchange = {
  readonly request: Side & { readonly method: string; readonly path: string };
  readonly response: Side & { readonly status: number };
};
const transcripts = new URL("./fixtures/anki-transcripts/", import.meta.url);

suite("transcripts", () => {
  /** What the recorded request itself does wrong, and what a client makes of a scripted reply. */
  const requestFault: Readonly<Record<string, WireFault>> = { "15": "header", "19": "json", "21": "zip", "26": "zstd" };
  const replyFault: Readonly<Record<string, WireFault>> = { "35": "serverSays", "36": "json", "37": "header" };
  const files = readdirSync(transcripts).filter((name) => name.endsWith(".json"));
  test("transcripts there are 40 of them", () => assert.equal(files.length, 40));
  for (const file of files) {
    const id = file.slice(0, 2);
    const exchange = exchangeIn(readFileSync(new URL(file, transcripts), "utf8"));
    test(`wire transcript ${file} request`, () => {
      const read = (): void => readRequest(exchange.request);
      const fault = requestFault[id];
      if (fault === undefined) read();
      else refused(fault, read);
    });
    test(`wire transcript ${file} reply`, () => {
      const read = (): void => readReply(exchange);
      const fault = replyFault[id];
      if (fault === undefined) read();
      else refused(fault, read);
    });
  }
});

/** Our own recordings: their shape is known. */
function exchangeIn(json: string): Exchange {
  const parsed: Exchange = JSON.parse(json);
  return parsed;
}

const bodyOf = (side: Side): Buffer => Buffer.from(side.bodyBase64 ?? "", "base64");
const payloadOf = (side: Side): Buffer =>
  side.payloadText === undefined ? Buffer.from(side.payloadBase64 ?? "", "base64") : Buffer.from(side.payloadText);

function readRequest(request: Exchange["request"]): void {
  const header = request.headers["anki-sync"];
  const boundary = multipartBoundary(request.headers["content-type"]);
  if (header !== undefined) {
    assert.equal(buildSyncHeader(parseSyncHeader(header)), header);
    if (request.method === "GET") return;
    const payload = Buffer.from(decompressSync(bodyOf(request), LIMITS.uploadBytes));
    assert.deepEqual(payload, payloadOf(request));
    readCall(request.path, payload);
  } else if (boundary !== null)
    readCall(request.path, Buffer.from(multipartPayload(parseMultipart(bodyOf(request), boundary), LIMITS.uploadBytes)));
}

function readCall(path: string, payload: Buffer): void {
  switch (path) {
    case "/msync/uploadChanges": {
      const entries = readUploadZip(payload);
      assert.deepEqual(readUploadZip(joinChunks(buildUploadZip(entries))), entries);
      return;
    }
    case "/msync/mediaChanges":
      return void parseMessage(ANKI.mediaChanges.request, payload, path);
    case "/msync/downloadFiles":
      return void parseMessage(ANKI.downloadFiles.request, payload, path);
    case "/msync/mediaSanity":
      return void parseMessage(ANKI.mediaSanity.request, payload, path);
    case "/sync/hostKey":
      return void parseMessage(ANKI.hostKey.request, payload, path, LIMITS.loginBytes);
    case "/sync/meta":
      return void parseMessage(ANKI.meta.request, payload, path);
    case "/msync/begin":
      // Transcript 27: the version stands in the form, the body is {}.
      if (payload.toString() !== "{}") parseMessage(ANKI.begin.request, payload, path);
      return;
    default:
      parseJson(payload, path);
  }
}

function readReply({ request, response }: Exchange): void {
  if (response.status !== 200) return;
  const v11 = request.headers["anki-sync"];
  const framed = v11 !== undefined && parseSyncHeader(v11).version === 11;
  let payload = bodyOf(response);
  if (framed) {
    const size = parseOriginalSize(response.headers["anki-original-size"]);
    payload = Buffer.from(decompressSync(payload, LIMITS.downloadBytes));
    assert.equal(payload.length, size);
  }
  const path = request.path.split("?")[0] ?? "";
  switch (path) {
    case "/msync/begin":
      return void parseEnvelope(ANKI.begin.reply, payload, path);
    case "/msync/mediaChanges":
      return void parseEnvelope(ANKI.mediaChanges.reply, payload, path);
    case "/msync/uploadChanges":
      return void parseEnvelope(ANKI.uploadChanges.reply, payload, path);
    case "/msync/mediaSanity":
      return void parseEnvelope(ANKI.mediaSanity.reply, payload, path);
    case "/sync/hostKey":
      return void parseMessage(ANKI.hostKey.reply, payload, path);
    case "/sync/meta":
      return void parseMessage(ANKI.meta.reply, payload, path);
    case "/msync/downloadFiles": {
      const asked = /\{"files":\[.*?\]\}/s.exec(payloadOf(request).toString())?.[0] ?? "";
      const names = parseMessage(ANKI.downloadFiles.request, asked, path).files;
      assert.deepEqual(
        readDownloadZip(payload, names).map(({ name }) => name),
        names,
      );
      return;
    }
    default:
      assert.equal(payload.toString(), "null");
  }
}
