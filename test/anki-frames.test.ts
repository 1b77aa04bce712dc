/** zstd frames and multipart forms on hostile input, and seeded mutations of everything a peer can send. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";

import { ANKI, buildEnvelope, parseEnvelope } from "../protocol/anki/messages.ts";
import { multipartBoundary, multipartPayload, parseMultipart } from "../protocol/anki/multipart.ts";
import { WireError, type WireFault } from "../protocol/anki/wire-error.ts";
import { buildUploadZip, readUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks, readZip, type ZipLimits } from "../protocol/anki/zip.ts";
import { compressSync, decompress, decompressSync } from "../protocol/anki/zstd.ts";
import { nodeCompute, syncCompute } from "../service/files/compute.ts";
import { craft, meta } from "./support/crafted-zip.ts";
import { refused } from "./support/refused.ts";

const SHA1 = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
const hello = Buffer.from("hello");
const roomy: ZipLimits = { entries: 25, fileBytes: 4000, totalBytes: 100_000 };

suite("zstd", () => {
  const text = Buffer.from("text ".repeat(2000));
  test("decompress() gives back what compress() took, small and large, at once and in the pool", async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from("x"), text, Buffer.alloc(700_000, "large")])
      for (const compute of [nodeCompute, syncCompute])
        assert.deepEqual(Buffer.from(await compute.unzstd(await compute.zstd(bytes), bytes.length)), bytes);
  });
  test("compute.sha1Fairly() is the hash of many bytes, too, and others have their turns meanwhile", async () => {
    const many = Buffer.alloc(9 * 1024 * 1024 + 1, "many");
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    for (const compute of [nodeCompute, syncCompute]) assert.equal(await compute.sha1Fairly(hello), SHA1);
    assert.equal(turns, 0, "small bytes wait for nobody");
    assert.equal(await nodeCompute.sha1Fairly(many), nodeCompute.sha1(many));
    clearImmediate(next);
    assert.ok(turns >= 8, String(turns));
  });
  test("compute.sha1() is SHA-1 in lower-case hex", () => assert.equal(nodeCompute.sha1(hello), SHA1));
  test("decompressSync() 2.6 reads the official frame of the specification, without size and checksum", () =>
    assert.equal(
      Buffer.from(decompressSync(Buffer.from("28b52ffd0058690000" + Buffer.from('{"lastUsn":0}').toString("hex"), "hex"), 100)).toString(),
      '{"lastUsn":0}',
    ));
  test("decompressSync() 2.6 takes frames with size and checksum", () => {
    const frame = zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 1 } });
    assert.deepEqual(Buffer.from(decompressSync(frame, text.length)), text);
  });
  test("compressSync() 2.6 makes one frame that media do not make larger by more than 1 %", () => {
    const noise = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (Math.imul(index + 1, 2_654_435_761) >>> 13) & 255));
    assert.ok(compressSync(noise).length <= 50_500);
  });
  test("decompress() ZP12 a bomb ends at its cap", async () => {
    // 256 MiB in 8 KiB: two thousand blocks that each repeat one byte 128 KiB times.
    const block = (last: number): Buffer =>
      Buffer.from([last | 2 | ((131_072 << 3) & 255), (131_072 >> 5) & 255, (131_072 >> 13) & 255, 0]);
    const bomb = Buffer.concat([Buffer.from("28b52ffd0058", "hex"), ...Array.from({ length: 2047 }, () => block(0)), block(1)]);
    const before = process.memoryUsage.rss();
    assert.throws(() => decompressSync(bomb, 1000), RangeError);
    await assert.rejects(decompress(bomb, 1000), RangeError);
    for (const compute of [nodeCompute, syncCompute]) await assert.rejects(compute.unzstd(bomb, 100_000), RangeError);
    assert.ok(process.memoryUsage.rss() - before < 128 * 1_048_576, "the bomb was not expanded");
    assert.equal(decompressSync(bomb, 256 * 1_048_576).length, 256 * 1_048_576, "it is a real one");
  });
  test("decompress() ZP12 takes a payload of exactly the cap and refuses one byte more", async () => {
    const frame = compressSync(text);
    assert.equal((await decompress(frame, text.length)).length, text.length);
    await assert.rejects(decompress(frame, text.length - 1), RangeError);
    assert.throws(() => decompressSync(compressSync(Buffer.from("x")), 0), RangeError);
    assert.equal(decompressSync(compressSync(Buffer.alloc(0)), 0).length, 0);
  });
  const frame = compressSync(text);
  const skippable = Buffer.from("502a4d1804000000aaaaaaaa", "hex");
  const dictionary = Buffer.from(frame);
  dictionary[4] = (dictionary[4] ?? 0) | 1;
  const checked = Buffer.from(zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }));
  checked[checked.length - 1] = (checked.at(-1) ?? 0) ^ 1;
  const wide = zstdCompressSync(Buffer.alloc(1000), {
    params: { [constants.ZSTD_c_windowLog]: 25, [constants.ZSTD_c_contentSizeFlag]: 0 },
  });
  // A frame header that asks for a window of 2^27, then one raw block.
  const greedy = Buffer.concat([Buffer.from("28b52ffd0088290000", "hex"), hello]);
  const bad: readonly (readonly [id: string, what: string, bytes: Uint8Array])[] = [
    ["ZP14", "two frames", Buffer.concat([frame, frame])],
    ["ZP14", "a skippable frame in front", Buffer.concat([skippable, frame])],
    ["ZP14", "a skippable frame behind", Buffer.concat([frame, skippable])],
    ["ZP14", "a skippable frame alone", skippable],
    ["ZP14", "an empty frame in front", Buffer.concat([compressSync(Buffer.alloc(0)), frame])],
    ["ZP14", "a dictionary id", dictionary],
    ["ZP15", "a frame cut short", frame.subarray(0, frame.length - 1)],
    ["ZP15", "the magic alone", frame.subarray(0, 4)],
    ["ZP15", "trailing bytes", Buffer.concat([frame, hello])],
    ["ZP15", "a wrong checksum", checked],
    ["ZP15", "zero bytes", Buffer.alloc(0)],
    ["ZP15", "plain text", Buffer.from('{"lastUsn":0}')],
    ["ZP15", "gzip", gzipSync(text)],
    ["5.2", "a window beyond 16 MiB", greedy],
  ];
  for (const [id, what, bytes] of bad)
    test(`decompress() ${id} refuses ${what}`, async () => {
      refused("zstd", () => decompressSync(bytes, 1_000_000));
      await assert.rejects(decompress(bytes, 1_000_000), WireError);
    });
  test("decompressSync() 5.2 zlib's own frames of small content are never taken for wide ones", () =>
    assert.equal(decompressSync(wide, 1000).length, 1000));
});

suite("multipart", () => {
  const form = (...parts: readonly (readonly [head: string, body: string | Buffer])[]): Buffer =>
    Buffer.concat([
      ...parts.flatMap(([head, body]) => [
        Buffer.from(`--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
        Buffer.from(body),
        Buffer.from("\r\n"),
      ]),
      Buffer.from("--B--\r\n"),
    ]);
  const data = 'name="data"; filename="data"';
  test("parseMultipart() 9 fields in any order, k and sk alike, data a view", () => {
    const body = form(
      [data, "\r\n--payload\r\n"],
      ['name="sk"', "key"],
      ['name="s"', "session"],
      ['name="v"', "client"],
      ['name="c"', "0"],
    );
    const request = parseMultipart(body, "B");
    assert.deepEqual(
      { ...request, data: Buffer.from(request.data ?? []).toString() },
      {
        key: "key",
        session: "session",
        clientVersion: "client",
        data: "\r\n--payload\r\n",
        gzipped: false,
      },
    );
    assert.equal(request.data?.buffer, body.buffer);
    assert.equal(parseMultipart(form(['name="k"', "other"]), "B").key, "other");
  });
  test("parseMultipart() 9 what is absent is null, no data means {}", () => {
    const request = parseMultipart(form([data, ""]), "B");
    assert.deepEqual(request, { key: null, session: null, clientVersion: null, data: null, gzipped: false });
    assert.equal(Buffer.from(multipartPayload(request, 10)).toString(), "{}");
  });
  test("parseMultipart() takes a line break in front, further part headers and a name without quotes", () => {
    const body = Buffer.from("\r\n--B\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=k\r\n\r\nkey\r\n--B--");
    assert.equal(parseMultipart(body, "B").key, "key");
  });
  test("multipartPayload() 9 c=1 is gzip, absent is not", () => {
    const json = '{"lastUsn":3}';
    const packed = parseMultipart(form(['name="c"', "1"], [data, gzipSync(json)]), "B");
    assert.equal(Buffer.from(multipartPayload(packed, 100)).toString(), json);
    assert.equal(Buffer.from(multipartPayload(parseMultipart(form([data, json]), "B"), 100)).toString(), json);
  });
  test("multipartPayload() ZP17 a gzip bomb ends at its cap, damaged gzip is refused, plain data has the same cap", () => {
    const request = (body: Buffer | string, c = "1") => parseMultipart(form(['name="c"', c], [data, body]), "B");
    refused("tooLarge", () => multipartPayload(request(gzipSync(Buffer.alloc(1_000_000))), 10_000));
    refused("multipart", () => multipartPayload(request(gzipSync("x").subarray(0, 12)), 10_000));
    refused("multipart", () => multipartPayload(request("plain"), 10_000));
    refused("tooLarge", () => multipartPayload(request("x".repeat(101), "0"), 100));
  });
  const broken: readonly (readonly [what: string, body: Buffer, fault: WireFault])[] = [
    ["nothing", Buffer.alloc(0), "multipart"],
    ["another boundary", Buffer.from("--C\r\n\r\n\r\n--C--"), "multipart"],
    ["text before the first boundary", Buffer.from("preamble\r\n--B--"), "multipart"],
    ["no end", form([data, "x"]).subarray(0, -7), "multipart"],
    ["no line break behind a boundary", Buffer.from("--Bx"), "multipart"],
    ["a part without headers", Buffer.from("--B\r\nx\r\n--B--"), "multipart"],
    ["a part without a name", Buffer.from("--B\r\nContent-Type: x\r\n\r\nx\r\n--B--"), "multipart"],
    ["a field twice", form(['name="k"', "a"], ['name="k"', "b"]), "multipart"],
    ["17 parts", form(...Array.from({ length: 17 }, (_, index) => [`name="f${String(index)}"`, "x"] as const)), "tooLarge"],
    ["headers beyond 1 KiB", form([`name="k"; x=${"y".repeat(2000)}`, "x"]), "multipart"],
    ["a long key", form(['name="k"', "x".repeat(5000)]), "tooLarge"],
  ];
  for (const [what, body, fault] of broken)
    test(`parseMultipart() 9 refuses ${what}`, () => void refused(fault, () => parseMultipart(body, "B")));
  test("multipartBoundary() reads it quoted, bare and behind other parameters, and nothing else", () => {
    assert.equal(multipartBoundary("multipart/form-data; boundary=B"), "B");
    assert.equal(multipartBoundary('Multipart/Form-Data; charset=utf-8; boundary="a b"'), "a b");
    for (const header of [undefined, "application/octet-stream", "multipart/form-data", `multipart/form-data; boundary=${"x".repeat(71)}`])
      assert.equal(multipartBoundary(header), null);
  });
});

suite("fuzz", () => {
  const seed = Number(process.env["SATCHEL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  /** Small, seeded, good enough to hit every byte: mulberry32. */
  function randomOf(start: number): () => number {
    let state = start;
    return () => {
      state = (state + 0x6d_2b_79_f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }
  /** One to four edits: a bit, a byte, an edge value, a cut, a block copied elsewhere. */
  function mutate(source: Buffer, random: () => number): Buffer {
    let bytes = Buffer.from(source);
    const place = (): number => Math.floor(random() * Math.max(1, bytes.length));
    for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
      const kind = Math.floor(random() * 5);
      const at = place();
      if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      else if (kind === 1) bytes[at] = Math.floor(random() * 256);
      else if (kind === 2) bytes.fill(random() < 0.5 ? 0 : 255, at, Math.min(bytes.length, at + 1 + Math.floor(random() * 4)));
      else if (kind === 3) bytes = bytes.subarray(0, at);
      else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(place(), place() + 50), bytes.subarray(at)]);
    }
    return bytes;
  }
  function fuzz(samples: readonly Buffer[], rounds: number, read: (bytes: Buffer) => void): void {
    const random = randomOf(seed);
    let taken = 0;
    for (let round = 0; round < rounds; round++) {
      const sample = samples[round % samples.length] ?? Buffer.alloc(0);
      const bytes = mutate(sample, random);
      try {
        read(bytes);
        taken += 1;
      } catch (error) {
        if (!(error instanceof WireError || error instanceof RangeError))
          assert.fail(`SATCHEL_SEED=${String(seed)} round ${String(round)} ${bytes.toString("base64")}: ${String(error)}`);
      }
    }
    assert.ok(taken < rounds, "mutations were noticed");
  }
  const deflated = craft([
    { name: "0", data: Buffer.alloc(3000, "ab"), deflate: true },
    { name: "1", data: hello },
    {
      ...meta([
        ["a", "0"],
        ["b", "1"],
        ["c", ""],
      ]),
      deflate: true,
    },
  ]);
  const stored = Buffer.from(
    joinChunks(
      buildUploadZip([
        { name: "a", bytes: hello },
        { name: "b", bytes: null },
      ]),
    ),
  );

  test("readZip() ZP20 20 000 mutations: a refusal or members within the caps, never a crash", () =>
    fuzz([stored, deflated], 20_000, (bytes) => {
      const members = readZip(bytes, roomy);
      let total = 0;
      for (const member of members.values()) total += member.length;
      assert.ok(members.size <= 26 && total <= roomy.totalBytes);
    }));
  test("readUploadZip() ZP20 5 000 mutations", () => fuzz([stored, deflated], 5000, (bytes) => void readUploadZip(bytes, 100_000)));
  test("decompressSync() ZP20 20 000 mutations: a refusal or at most the cap", () =>
    fuzz([Buffer.from(compressSync(Buffer.from("abcabcabd".repeat(40)))), Buffer.from(zstdCompressSync(stored))], 20_000, (bytes) => {
      assert.ok(decompressSync(bytes, 4096).length <= 4096);
    }));
  test("parseMultipart() ZP20 5 000 mutations", () => {
    const body = Buffer.from(
      '--B\r\nContent-Disposition: form-data; name="c"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n\r\n',
    );
    const sample = Buffer.concat([body, gzipSync('{"lastUsn":0}'), Buffer.from("\r\n--B--\r\n")]);
    fuzz([sample], 5000, (bytes) => void multipartPayload(parseMultipart(bytes, "B"), 1000));
  });
  test("parseMessage() ZP20 5 000 mutations of a feed page", () =>
    fuzz(
      [
        Buffer.from(
          buildEnvelope([
            ["a.mp3", 1, SHA1],
            ["b", 2, ""],
          ]),
        ),
      ],
      5000,
      (bytes) => void parseEnvelope(ANKI.mediaChanges.reply, bytes, "x"),
    ));
});
