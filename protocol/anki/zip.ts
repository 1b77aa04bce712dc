/**
 * The ZIP container of the wire (specification §6): a store-only writer, and a reader that takes only what Anki's own clients and servers
 * make. Members are numbered and looked up by number; nothing is ever extracted by name (ZP05).
 */
import { crc32, inflateRawSync } from "node:zlib";

import { WireError } from "./wire-error.ts";

export type ZipMember = { readonly name: string; readonly bytes: Uint8Array };
/** `entries`: members without `_meta`. `fileBytes`: one member, inflated. `totalBytes`: all of them, `_meta` included. */
export type ZipLimits = { readonly entries: number; readonly fileBytes: number; readonly totalBytes: number };

const LOCAL = 0x04_03_4b_50;
const CENTRAL = 0x02_01_4b_50;
const END = 0x06_05_4b_50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const STORED = 0;
const DEFLATED = 8;
/** Flags that change nothing about the layout: how hard deflate tried (bits 1, 2), and that names are UTF-8 (bit 11). */
const HARMLESS_FLAGS = 0x08_06;
/** 1 January 1980, midnight: the least DOS date. The same content gives the same bytes. */
const DOS_DATE = 0x00_21;
const VERSION_NEEDED = 10;
const MADE_BY_UNIX = 0x03_0a;
/** A regular file of mode 0644, in the upper half of the attributes. */
const MODE = 0o100_644 * 0x1_00_00;

/**
 * Writes the members in their order, stored. The chunks are the members themselves between small headers, so nothing is copied;
 * `joinChunks` makes one buffer of them. Names are ASCII (numbers and `_meta`).
 */
export function writeZip(members: readonly ZipMember[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of members) {
    const crc = crc32(bytes);
    const local = Buffer.alloc(LOCAL_BYTES + name.length);
    local.writeUInt32LE(LOCAL, 0);
    writeCommon(local, 4, name, bytes.length, crc);
    local.write(name, LOCAL_BYTES, "latin1");
    const central = Buffer.alloc(CENTRAL_BYTES + name.length);
    central.writeUInt32LE(CENTRAL, 0);
    central.writeUInt16LE(MADE_BY_UNIX, 4);
    writeCommon(central, 6, name, bytes.length, crc);
    central.writeUInt32LE(MODE, 38);
    central.writeUInt32LE(offset, 42);
    central.write(name, CENTRAL_BYTES, "latin1");
    directory.push(central);
    chunks.push(local, bytes);
    offset += local.length + bytes.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  chunks.push(central, end);
  return chunks;
}

/** One buffer of all chunks. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

/** The 26 bytes that both headers share: version, flags, method, time, date, crc, both sizes, lengths of name and extra field. */
function writeCommon(header: Buffer, at: number, name: string, sizeBytes: number, crc: number): void {
  header.writeUInt16LE(VERSION_NEEDED, at);
  header.writeUInt16LE(DOS_DATE, at + 8);
  header.writeUInt32LE(crc, at + 10);
  header.writeUInt32LE(sizeBytes, at + 14);
  header.writeUInt32LE(sizeBytes, at + 18);
  header.writeUInt16LE(name.length, at + 22);
}

/** One line of the central directory, with what stands at its local header. */
type Listed = {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly start: number;
  readonly dataStart: number;
  readonly end: number;
};

/**
 * All members by name. Stored members are views of `archive`, so keep it unchanged. Everything about the container is checked before the
 * first byte is inflated, and each member's CRC and size after.
 * @throws WireError `tooLarge` (a limit), `zip` (anything else; the whole archive is refused).
 */
export function readZip(archive: Uint8Array, limits: ZipLimits): Map<string, Uint8Array> {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const listed = readDirectory(archive, view, limits);
  checkLayout(listed, directoryStart(view));
  let totalBytes = 0;
  for (const member of listed) {
    // `_meta` has its own, smaller cap where it is read.
    if (member.sizeBytes > limits.fileBytes) throw tooLarge(`a member is larger than ${String(limits.fileBytes)} bytes`);
    totalBytes += member.sizeBytes;
  }
  if (totalBytes > limits.totalBytes) throw tooLarge(`its members have more than ${String(limits.totalBytes)} bytes together`);
  return new Map(listed.map((member) => [member.name, unpack(archive, member)]));
}

function directoryStart(view: DataView): number {
  return view.getUint32(view.byteLength - END_BYTES + 16, true);
}

/** Reads the end record and every line of the central directory. Nothing is allocated before the count is known to be allowed (ZP10). */
function readDirectory(archive: Uint8Array, view: DataView, limits: ZipLimits): Listed[] {
  const end = view.byteLength - END_BYTES;
  // The record stands exactly at the end, without a comment: so there is one place to look, and no second record can hide (ZP09).
  if (end < 0 || view.getUint32(end, true) !== END || view.getUint16(end + 20, true) !== 0) throw bad("it has no end record at its end");
  const count = view.getUint16(end + 10, true);
  if (view.getUint32(end + 4, true) !== 0 || view.getUint16(end + 8, true) !== count) throw bad("it spans several disks");
  if (count > limits.entries + 1) throw tooLarge(`it has more than ${String(limits.entries)} files`);
  const start = directoryStart(view);
  if (start + view.getUint32(end + 12, true) !== end) throw bad("its directory is not where the end record says");
  const listed: Listed[] = [];
  const names = new Set<string>();
  let at = start;
  for (let index = 0; index < count; index++) {
    const { member, next } = readListed(archive, view, at, start, end);
    const folded = member.name.toLowerCase();
    if (names.has(folded)) throw bad("two members have one name");
    names.add(folded);
    listed.push(member);
    at = next;
  }
  if (at !== end) throw bad("its directory has another size than the end record says");
  return listed;
}

/** One central header and its local twin, which must agree (ZP03). `start`, `end`: of the directory. */
function readListed(archive: Uint8Array, view: DataView, at: number, start: number, end: number): { member: Listed; next: number } {
  if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) throw bad("its directory is broken");
  const nameBytes = view.getUint16(at + 28, true);
  const next = at + CENTRAL_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  if (next > end) throw bad("its directory is broken");
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  if ((flags & ~HARMLESS_FLAGS) !== 0) throw bad("a member is encrypted or has its sizes after its data");
  if (method !== STORED && method !== DEFLATED) throw bad(`a member is packed with method ${String(method)}`);
  if (view.getUint16(at + 34, true) !== 0) throw bad("it spans several disks");
  const packedBytes = view.getUint32(at + 20, true);
  const sizeBytes = view.getUint32(at + 24, true);
  const local = view.getUint32(at + 42, true);
  if (local + LOCAL_BYTES > start || view.getUint32(local, true) !== LOCAL) throw bad("a member is not where its directory says");
  const agrees =
    view.getUint16(local + 6, true) === flags &&
    view.getUint16(local + 8, true) === method &&
    sameBytes(archive, local + 14, at + 16, 12) &&
    view.getUint16(local + 26, true) === nameBytes &&
    local + LOCAL_BYTES + nameBytes <= start &&
    sameBytes(archive, local + LOCAL_BYTES, at + CENTRAL_BYTES, nameBytes);
  if (!agrees) throw bad("a member's two headers differ");
  // Zip64 marks a size or offset of 0xffffffff and keeps the real one elsewhere: 0xffffffff never fits, so it ends here as well.
  const dataStart = local + LOCAL_BYTES + nameBytes + view.getUint16(local + 28, true);
  if (dataStart + packedBytes > start) throw bad("a member is longer than the archive");
  if (method === STORED && packedBytes !== sizeBytes) throw bad("a stored member has two sizes");
  // latin1: every byte is its own character, so two spellings never look alike; real member names are ASCII digits.
  const name = Buffer.from(archive.buffer, archive.byteOffset + at + CENTRAL_BYTES, nameBytes).toString("latin1");
  return {
    member: {
      name,
      method,
      crc: view.getUint32(at + 16, true),
      packedBytes,
      sizeBytes,
      start: local,
      dataStart,
      end: dataStart + packedBytes,
    },
    next,
  };
}

/** The members fill the archive up to the directory, one after the other: no overlap (ZP06), no gap, nothing in front (ZP09). */
function checkLayout(listed: readonly Listed[], directoryAt: number): void {
  let at = 0;
  for (const member of listed.toSorted((a, b) => a.start - b.start)) {
    if (member.start !== at) throw bad("its members overlap, or bytes stand between them");
    at = member.end;
  }
  if (at !== directoryAt) throw bad("bytes stand between its members and its directory");
}

function unpack(archive: Uint8Array, member: Listed): Uint8Array {
  const packed = archive.subarray(member.dataStart, member.end);
  const bytes = member.method === STORED ? packed : inflate(packed, member.sizeBytes);
  if (crc32(bytes) !== member.crc) throw bad("a member's CRC is wrong");
  return bytes;
}

type Inflated = { readonly buffer: Uint8Array; readonly engine: { readonly bytesWritten: number } };
function isInflated(result: unknown): result is Inflated {
  return typeof result === "object" && result !== null && "buffer" in result && "engine" in result;
}

/** Output stops at the announced size, which the limits have allowed. Only the Python clients of Anki 2.0 and 2.1.0–2.1.21 deflate. */
function inflate(packed: Uint8Array, sizeBytes: number): Uint8Array {
  try {
    const result: unknown = inflateRawSync(packed, {
      info: true,
      maxOutputLength: Math.max(1, sizeBytes),
      chunkSize: Math.max(64, Math.min(sizeBytes, 1_048_576)),
    });
    if (isInflated(result) && result.buffer.length === sizeBytes && result.engine.bytesWritten === packed.length) return result.buffer;
  } catch (error) {
    throw bad("a deflated member is damaged, or larger than it says", error);
  }
  throw bad("a deflated member is not as long as it says");
}

function sameBytes(archive: Uint8Array, one: number, other: number, lengthBytes: number): boolean {
  for (let index = 0; index < lengthBytes; index++) if (archive[one + index] !== archive[other + index]) return false;
  return true;
}

function bad(what: string, cause?: unknown): WireError {
  return new WireError("zip", `Reading a ZIP: ${what}.`, { cause });
}
function tooLarge(what: string): WireError {
  return new WireError("tooLarge", `Reading a ZIP: ${what}.`);
}
