import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

import { frameBytes, smallFrame, unwrapFrame, writeFrame } from "../service/server/frame.ts";

const wrapped = (content: Buffer): Buffer => writeFrame([content], content.length, Buffer.alloc(frameBytes(content.length)));
const packed = (content: Uint8Array, params: Record<number, number> = {}): Buffer => zstdCompressSync(content, { params });

test("unwrapFrame() ZP12 gives back what only was wrapped, by us or by zstd itself", () => {
  for (const sizeBytes of [0, 1, 1000, 128 * 1024, 128 * 1024 + 1, 700_000]) {
    const content = randomBytes(sizeBytes);
    assert.deepEqual(unwrapFrame(wrapped(content)), content);
    // Without a content size, as a stream is compressed: what Anki's clients send of media.
    if (sizeBytes > 0) assert.deepEqual(unwrapFrame(packed(content, { [constants.ZSTD_c_contentSizeFlag]: 0 })) ?? content, content);
  }
  assert.deepEqual(zstdDecompressSync(smallFrame(Buffer.from("null"))), Buffer.from("null"));
});

test("unwrapFrame() ZP12 ZP15 leaves alone, byte for byte, what it does not know or what must be refused", () => {
  const frame = wrapped(randomBytes(300_000));
  const blockOf = (type: number): Buffer => Buffer.concat([frame.subarray(0, 6), Buffer.from([1 | (type << 1) | (1 << 3), 0, 0, 65])]);
  const cases: Readonly<Record<string, Buffer>> = {
    "a compressed block": packed(Buffer.alloc(5000, "abc")),
    "a checksum": packed(randomBytes(500), { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 }),
    "bytes after it": Buffer.concat([frame, Buffer.from([0])]),
    "an end too early": frame.subarray(0, frame.length - 1),
    "no last block": frame.subarray(0, 6 + 3 + 128 * 1024),
    "another magic": Buffer.concat([Buffer.from([0x50]), frame.subarray(1)]),
    "a dictionary": Buffer.concat([frame.subarray(0, 4), Buffer.from([1]), frame.subarray(5)]),
    "a window of 32 MiB": Buffer.concat([frame.subarray(0, 5), Buffer.from([15 << 3]), frame.subarray(6)]),
    "a block that repeats one byte": blockOf(1),
    "a block of no type": blockOf(3),
    nothing: Buffer.alloc(0),
    "a header alone": frame.subarray(0, 6),
  };
  for (const [what, input] of Object.entries(cases)) {
    const before = Buffer.from(input);
    assert.equal(unwrapFrame(input), null, what);
    assert.deepEqual(input, before, what);
  }
});
