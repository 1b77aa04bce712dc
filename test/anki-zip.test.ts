/** The ZIPs of the wire: what Anki writes is read, what nobody honest writes is refused whole (RELIABILITY §4). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { deflateRawSync } from "node:zlib";

import { LIMITS } from "../protocol/anki/limits.ts";
import type { WireFault } from "../protocol/anki/wire-error.ts";
import {
  buildDownloadZip,
  buildSatchelDownload,
  buildSatchelUpload,
  buildUploadZip,
  readDownloadZip,
  readSatchelDownload,
  readSatchelUpload,
  readUploadZip,
} from "../protocol/anki/zip-messages.ts";
import { joinChunks, readZip, writeZip, type ZipLimits } from "../protocol/anki/zip.ts";
import { craft, meta, type Member } from "./support/crafted-zip.ts";
import { refused } from "./support/refused.ts";

const SHA1 = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
const hello = Buffer.from("hello");
const roomy: ZipLimits = { entries: 25, fileBytes: 1000, totalBytes: 100_000 };
const one: Member = { name: "0", data: hello };
const named = meta([["a.mp3", "0"]]);

suite("zip", () => {
  test("writeZip() 6 writes what Anki writes: stored, version 10, Unix, 0644, no descriptor, deterministic", () => {
    const archive = Buffer.from(joinChunks(writeZip([{ name: "0", bytes: hello }])));
    assert.deepEqual(archive, Buffer.from(joinChunks(writeZip([{ name: "0", bytes: hello }]))));
    assert.equal(archive.subarray(0, 10).toString("hex"), "504b03040a0000000000");
    const central = archive.indexOf("PK\x01\x02");
    assert.equal(archive.readUInt16LE(central + 4), 0x03_0a);
    assert.equal(archive.readUInt32LE(central + 38) >>> 16, 0o100_644);
    assert.equal(archive.readUInt32LE(14), 0x36_10_a6_86, "CRC of hello, specification 13.2");
  });
  test("writeZip() 13.2 one file of 5 bytes gives the 204 bytes of the specification's example", () =>
    assert.equal(joinChunks(buildDownloadZip([{ name: "a.mp3", bytes: hello }])).length, 204));
  test("writeZip() copies nothing: the members themselves are among the chunks", () =>
    assert.ok(writeZip([{ name: "0", bytes: hello }]).includes(hello)));
  test("joinChunks() gives a single chunk back as it is", () => assert.equal(joinChunks([hello]), hello));

  test("readUploadZip() 6.2 reads back what buildUploadZip() wrote, deletions consuming a number", () => {
    const entries = [
      { name: "a", bytes: hello },
      { name: "gone", bytes: null },
      { name: "ü.png", bytes: Buffer.from("x") },
    ];
    const archive = joinChunks(buildUploadZip(entries));
    assert.deepEqual(readUploadZip(archive), entries);
    assert.deepEqual([...readZip(archive, roomy).keys()], ["0", "2", "_meta"]);
  });
  test("readUploadZip() 6.2 stored members are views of the archive, not copies", () => {
    const archive = joinChunks(buildUploadZip([{ name: "a", bytes: hello }]));
    assert.equal(readUploadZip(archive)[0]?.bytes?.buffer, archive.buffer);
  });
  test("readSatchelUpload() §11 keeps bases", () => {
    const entries = [
      { name: "a", bytes: hello, baseSha1: SHA1 },
      { name: "b", bytes: null, baseSha1: null },
    ];
    assert.deepEqual(readSatchelUpload(joinChunks(buildSatchelUpload(entries))), entries);
    refused("json", () => readSatchelUpload(craft([one, meta([["a", "0", "no hash"]])])));
    refused("json", () => readSatchelUpload(craft([one, named])));
  });
  test("readUploadZip() §11 refuses a third element as the official server does", () =>
    void refused("json", () => readUploadZip(craft([one, meta([["a", "0", ""]])]))));
  test("readUploadZip() 9 takes the deflated archive of Python clients and '' for a deletion", () => {
    const data = Buffer.alloc(200, "p");
    const archive = craft([
      { name: "0", data, deflate: true },
      {
        ...meta([
          ["p.mp3", "0"],
          ["c", ""],
        ]),
        deflate: true,
      },
    ]);
    assert.deepEqual(readUploadZip(archive), [
      { name: "p.mp3", bytes: data },
      { name: "c", bytes: null },
    ]);
  });
  test("readUploadZip() takes an extra field, UTF-8 and deflate-level flags, and _meta in front", () =>
    assert.equal(readUploadZip(craft([named, { ...one, extra: Buffer.from("UT\x01\0x"), flags: 0x8_06 }])).length, 1));
  test("readUploadZip() FN29 a file may be called _meta or 0", () =>
    assert.deepEqual(
      readUploadZip(
        craft([
          one,
          meta([
            ["_meta", "0"],
            ["0", null],
          ]),
        ]),
      ).map(({ name }) => name),
      ["_meta", "0"],
    ));

  const hostile: readonly (readonly [id: string, what: string, archive: Uint8Array, fault: WireFault])[] = [
    ["ZP01", "_meta missing", craft([one]), "zip"],
    ["ZP01", "_meta twice", craft([one, named, named]), "zip"],
    ["ZP01", "_meta of another type", craft([one, meta({ 0: "a" })]), "json"],
    ["ZP01", "_meta no JSON", craft([one, { name: "_meta", data: Buffer.from("[[") }]), "json"],
    ["ZP01", "_meta of 50 KiB + 1", craft([{ name: "_meta", data: Buffer.alloc(LIMITS.metaBytes + 1, " ") }]), "tooLarge"],
    ["ZP01", "_meta a depth bomb", craft([{ name: "_meta", data: Buffer.from("[".repeat(50_000)) }]), "tooLarge"],
    ["ZP02", "a member named in _meta is absent", craft([one, meta([["a", "1"]])]), "zip"],
    ["ZP02", "a member is not named in _meta", craft([one, { name: "1", data: hello }, named]), "zip"],
    [
      "ZP02",
      "a member is named twice",
      craft([
        one,
        meta([
          ["a", "0"],
          ["b", "0"],
        ]),
      ]),
      "zip",
    ],
    ["ZP03", "two members with one name", craft([one, one, named]), "zip"],
    ["ZP03", "two names that differ by case", craft([one, { name: "_META", data: hello }, named]), "zip"],
    ["ZP03", "names of central and local header differ", craft([{ ...one, centralName: "1" }, meta([["a", "1"]])]), "zip"],
    ["ZP05", "a directory entry", craft([one, { name: "x/", data: Buffer.alloc(0) }, named]), "zip"],
    ["ZP06", "a bomb that lies about its size", craft([{ name: "0", data: Buffer.alloc(100_000), deflate: true, size: 5 }, named]), "zip"],
    [
      "ZP06",
      "overlapping members",
      craft([
        one,
        { name: "1", data: hello, offset: 0 },
        meta([
          ["a", "0"],
          ["b", "1"],
        ]),
      ]),
      "zip",
    ],
    ["ZP08", "a wrong CRC", craft([{ ...one, crc: 1 }, named]), "zip"],
    ["ZP08", "a wrong CRC of a deflated member", craft([{ ...one, deflate: true, crc: 1 }, named]), "zip"],
    ["ZP09", "encryption", craft([{ ...one, flags: 1 }, named]), "zip"],
    ["ZP09", "a data descriptor", craft([{ ...one, flags: 8 }, named]), "zip"],
    ["ZP09", "bzip2", craft([{ ...one, method: 12 }, named]), "zip"],
    ["ZP09", "AES", craft([{ ...one, method: 99 }, named]), "zip"],
    ["ZP09", "Zip64 sizes", craft([{ ...one, size: 0xff_ff_ff_ff }, named]), "zip"],
    ["ZP09", "a Zip64 offset", craft([{ ...one, offset: 0xff_ff_ff_ff }, named]), "zip"],
    ["ZP09", "several disks", craft([one, named], { disk: 1 }), "zip"],
    ["ZP09", "a comment", craft([one, named], { comment: "hello" }), "zip"],
    ["ZP09", "a comment with a second end record", craft([one, named], { comment: craft([]).toString("latin1") }), "zip"],
    ["ZP09", "junk in front", craft([one, named], { prefix: Buffer.from("MZ") }), "zip"],
    ["ZP09", "a gap before the directory", craft([one, named], { gap: Buffer.from("gap") }), "zip"],
    ["ZP09", "something that is no ZIP", Buffer.from("<html>captive portal</html>"), "zip"],
    ["ZP09", "nothing", Buffer.alloc(0), "zip"],
    ["ZP09", "trailing bytes", Buffer.concat([craft([one, named]), hello]), "zip"],
    ["ZP10", "26 entries", craft(Array.from({ length: 27 }, (_, index) => ({ name: String(index), data: hello }))), "tooLarge"],
    ["ZP10", "26 lines in _meta", craft([meta(Array.from({ length: 26 }, () => ["a", null]))]), "tooLarge"],
    ["ZP10", "a count of 65 535", craft([one, named], { count: 65_535 }), "tooLarge"],
    ["ZP10", "a count that is too small", craft([one, named], { count: 1 }), "zip"],
    ["ZP10", "a count that is too large", craft([one, named], { count: 3 }), "zip"],
    ["ZP11", "a member of zero bytes", craft([{ name: "0", data: Buffer.alloc(0) }, named]), "zip"],
    ["ZP11", "a deflated member of zero bytes", craft([{ name: "0", data: Buffer.alloc(0), deflate: true }, named]), "zip"],
    [
      "ZP15",
      "a deflated member cut short",
      craft([{ name: "0", data: hello, packed: deflateRawSync(hello).subarray(0, 3), method: 8 }, named]),
      "zip",
    ],
    [
      "ZP15",
      "bytes behind the deflated data",
      craft([{ name: "0", data: hello, packed: Buffer.concat([deflateRawSync(hello), hello]), method: 8 }, named]),
      "zip",
    ],
    ["ZP15", "a stored member with two sizes", craft([{ ...one, size: 4 }, named]), "zip"],
  ];
  for (const [id, what, archive, fault] of hostile)
    test(`readUploadZip() ${id} refuses ${what}`, () => {
      const message = refused(fault, () => readUploadZip(archive));
      assert.match(message, /^Reading (a|the _meta of a) ZIP: /);
    });

  test("readZip() ZP06 a file or a total beyond its cap is refused before anything is inflated", () => {
    const bomb = craft([{ name: "0", data: Buffer.alloc(5_000_000), deflate: true }, named]);
    assert.ok(bomb.length < 10_000);
    assert.match(
      refused("tooLarge", () => readZip(bomb, { ...roomy, fileBytes: 4_999_999 })),
      /4999999/,
    );
    refused("tooLarge", () => readZip(bomb, { ...roomy, fileBytes: 5_000_000, totalBytes: 5_000_000 }));
    assert.equal(readZip(bomb, { ...roomy, fileBytes: 5_000_000, totalBytes: 6_000_000 }).get("0")?.length, 5_000_000);
  });
  test("readZip() ZP05 symlink bits mean nothing: a member is bytes", () =>
    assert.equal(readUploadZip(craft([{ ...one, attributes: 0xa1_ff_00_00 }, named]))[0]?.bytes?.toString(), "hello"));
  test("readZip() works on a view in the middle of a larger buffer", () => {
    const archive = craft([one, named]);
    const around = Buffer.concat([Buffer.alloc(7, 1), archive, Buffer.alloc(9, 2)]);
    assert.equal(readUploadZip(around.subarray(7, 7 + archive.length)).length, 1);
  });

  test("readDownloadZip() 5.3 gives the files in the order they were asked for, however they were packed", () => {
    const archive = craft([
      { name: "1", data: Buffer.from("B") },
      { name: "0", data: Buffer.from("A") },
      meta({ 1: "b", 0: "a", 7: "unused" }),
    ]);
    const files = readDownloadZip(archive, ["a", "b", "c"]);
    assert.deepEqual(
      files.map(({ name, bytes }) => `${name}=${Buffer.from(bytes).toString()}`),
      ["a=A", "b=B"],
    );
  });
  test("readDownloadZip() FN24 __proto__ is a file name like any other", () => {
    const files = [{ name: "__proto__", bytes: hello }];
    assert.deepEqual(readDownloadZip(joinChunks(buildDownloadZip(files)), ["__proto__"]), files);
  });
  const liars: readonly (readonly [what: string, archive: Uint8Array, fault: WireFault])[] = [
    ["no file at all, for ever", craft([meta({})]), "zip"],
    [
      "more files than asked",
      craft([one, { name: "1", data: hello }, { name: "2", data: hello }, { name: "3", data: hello }, meta({})]),
      "tooLarge",
    ],
    ["a map to ../x", craft([one, meta({ 0: "../x" })]), "zip"],
    ["the second name without the first", craft([one, meta({ 0: "b" })]), "zip"],
    ["one name twice", craft([one, { name: "1", data: hello }, meta({ 0: "a", 1: "a" })]), "zip"],
    ["a member without a name", craft([one, meta({})]), "zip"],
    ["an array instead of a map", craft([one, named]), "json"],
  ];
  for (const [what, archive, fault] of liars)
    test(`readDownloadZip() ZP19 refuses ${what}`, () => void refused(fault, () => readDownloadZip(archive, ["a", "b"])));
  test("readSatchelDownload() §11 tells what is gone, and refuses nothing, more, and other names", () => {
    const entries = [
      { name: "a", bytes: hello },
      { name: "b", bytes: null },
    ];
    const archive = joinChunks(buildSatchelDownload(entries));
    assert.deepEqual(readSatchelDownload(archive, ["a", "b", "c"]), entries);
    refused("zip", () => readSatchelDownload(archive, ["a"]));
    refused("zip", () => readSatchelDownload(archive, ["b", "a"]));
    refused("zip", () => readSatchelDownload(joinChunks(buildSatchelDownload([])), ["a"]));
  });
});
