/** What the ZIPs of the wire mean: numbered members and a `_meta` that names them, in Anki's two dialects (specification §6) and Satchel's. */
import * as z from "zod";

import { parseMessage } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";
import { readZip, writeZip, type ZipLimits, type ZipMember } from "./zip.ts";

const META = "_meta";

/** One entry of an upload. `bytes` null: a deletion. Never empty bytes (refused by every server). */
export type UploadEntry = { readonly name: string; readonly bytes: Uint8Array | null };
/** `baseSha1`: what the sender believes stands there; null: nothing. */
export type BasedEntry = UploadEntry & { readonly baseSha1: string | null };
export type NamedFile = { readonly name: string; readonly bytes: Uint8Array };

/** Body of `uploadChanges`: chunks for `joinChunks`. */
export function buildUploadZip(entries: readonly UploadEntry[]): Uint8Array[] {
  return build(entries, (entry, member) => [entry.name, member]);
}

/** Body of `satchel/upload`. */
export function buildSatchelUpload(entries: readonly BasedEntry[]): Uint8Array[] {
  return build(entries, (entry, member) => [entry.name, member, entry.baseSha1 ?? ""]);
}

/** Reply of `satchel/download`, in the order of the request. `bytes` null: not here any more. */
export function buildSatchelDownload(entries: readonly UploadEntry[]): Uint8Array[] {
  return build(entries, (entry, member) => [entry.name, member]);
}

/** Reply of `downloadFiles`, in the order of the request. */
export function buildDownloadZip(files: readonly NamedFile[]): Uint8Array[] {
  const members = files.map(({ bytes }, index): ZipMember => ({ name: String(index), bytes }));
  const names = Object.fromEntries(files.map(({ name }, index) => [String(index), name]));
  return writeZip([...members, metaMember(names)]);
}

/**
 * Reads an `uploadChanges` body. Names are only required to be strings: whether one is acceptable is the server's to say, entry by entry.
 * @throws WireError `tooLarge`, `zip`, `json`; nothing of the batch may then be applied.
 */
export function readUploadZip(archive: Uint8Array, maxBytes: number = LIMITS.uploadBytes): UploadEntry[] {
  const members = readZip(archive, { entries: LIMITS.zipEntries, fileBytes: LIMITS.fileBytes, totalBytes: maxBytes });
  const meta = takeMeta(members, uploadMeta, LIMITS.metaBytes);
  if (meta.length > LIMITS.zipEntries) throw tooManyEntries(LIMITS.zipEntries);
  return resolve(meta, members);
}

/** Reads a `satchel/upload` body. @throws WireError as `readUploadZip`. */
export function readSatchelUpload(archive: Uint8Array, maxBytes: number = LIMITS.uploadBytes): BasedEntry[] {
  const members = readZip(archive, { entries: LIMITS.satchelEntries, fileBytes: LIMITS.fileBytes, totalBytes: maxBytes });
  const meta = takeMeta(members, basedMeta, LIMITS.satchelMetaBytes);
  if (meta.length > LIMITS.satchelEntries) throw tooManyEntries(LIMITS.satchelEntries);
  return resolve(meta, members).map((entry, index) => ({ ...entry, baseSha1: meta[index]?.base ?? null }));
}

/**
 * Reads a `downloadFiles` reply: the files of a prefix of `asked`, whichever order the server packed them in. A file may be empty (the caller
 * compares hashes). @throws WireError `zip` also when the server sent no file, more than asked, or names that were not next (W29, ZP19).
 */
export function readDownloadZip(archive: Uint8Array, asked: readonly string[], maxBytes: number = LIMITS.downloadBytes): NamedFile[] {
  const members = readZip(archive, { entries: asked.length, fileBytes: LIMITS.fileBytes, totalBytes: maxBytes });
  const meta = takeMeta(members, downloadMeta, LIMITS.satchelMetaBytes);
  const byName = new Map<string, Uint8Array>();
  for (const [member, bytes] of members) {
    const name = meta.get(member);
    if (name === undefined) throw bad("a member has no name in _meta");
    if (byName.has(name)) throw bad("_meta gives one name twice");
    byName.set(name, bytes);
  }
  return prefix(asked, byName);
}

/** Reads a `satchel/download` reply: `bytes` null where the server has the file no more. @throws WireError as `readDownloadZip`. */
export function readSatchelDownload(archive: Uint8Array, asked: readonly string[], maxBytes: number = LIMITS.downloadBytes): UploadEntry[] {
  const limits: ZipLimits = { entries: asked.length, fileBytes: LIMITS.fileBytes, totalBytes: maxBytes };
  const members = readZip(archive, limits);
  const entries = resolve(takeMeta(members, uploadMeta, LIMITS.satchelMetaBytes), members);
  if (entries.length === 0 || entries.length > asked.length) throw bad("it holds no file, or more than were asked for");
  if (entries.some(({ name }, index) => name !== asked[index])) throw bad("it holds other files than were asked for");
  return entries;
}

function build<Entry extends UploadEntry>(
  entries: readonly Entry[],
  line: (entry: Entry, member: string | null) => readonly (string | null)[],
): Uint8Array[] {
  const members: ZipMember[] = [];
  const meta = entries.map((entry, index) => {
    // A deletion consumes its number too, so that member and position agree.
    if (entry.bytes !== null) members.push({ name: String(index), bytes: entry.bytes });
    return line(entry, entry.bytes === null ? null : String(index));
  });
  return writeZip([...members, metaMember(meta)]);
}

function metaMember(meta: unknown): ZipMember {
  return { name: META, bytes: Buffer.from(JSON.stringify(meta)) };
}

type MetaLine = { readonly name: string; readonly member: string | null; readonly base: string | null };
/** Clients up to 2.1.21 write `""` for a deletion. */
const member = z
  .string()
  .nullable()
  .transform((value) => (value === "" ? null : value));
const uploadMeta = z.array(z.tuple([z.string(), member]).transform(([name, at]): MetaLine => ({ name, member: at, base: null })));
const base = z.union([z.literal("").transform(() => null), z.string().regex(/^[0-9a-f]{40}$/)]);
const basedMeta = z.array(
  z.tuple([z.string(), member, base]).transform(([name, at, sha1]): MetaLine => ({ name, member: at, base: sha1 })),
);
const downloadMeta = z.record(z.string(), z.string()).transform((names) => new Map(Object.entries(names)));

/** Takes `_meta` out of the members, wherever it stands. */
function takeMeta<T extends z.ZodType>(members: Map<string, Uint8Array>, schema: T, maxBytes: number): z.output<T> {
  const bytes = members.get(META);
  if (bytes === undefined) throw bad("it has no _meta");
  members.delete(META);
  return parseMessage(schema, bytes, "the _meta of a ZIP", maxBytes);
}

/** Joins lines and members; each member is named exactly once (ZP02) and holds something (ZP11). */
function resolve(meta: readonly MetaLine[], members: Map<string, Uint8Array>): UploadEntry[] {
  const left = new Map(members);
  const entries = meta.map(({ name, member: at }): UploadEntry => {
    if (at === null) return { name, bytes: null };
    const bytes = left.get(at);
    if (bytes === undefined) throw bad("_meta names a member that is not there, or twice");
    if (bytes.length === 0) throw bad("a member is empty");
    left.delete(at);
    return { name, bytes };
  });
  if (left.size > 0) throw bad("a member has no name in _meta");
  return entries;
}

/** The files in the order they were asked for. */
function prefix(asked: readonly string[], byName: ReadonlyMap<string, Uint8Array>): NamedFile[] {
  const files = asked.slice(0, byName.size).map((name): NamedFile => {
    const bytes = byName.get(name);
    if (bytes === undefined) throw bad("it holds other files than were asked for");
    return { name, bytes };
  });
  if (files.length === 0) throw bad("it holds no file");
  return files;
}

function bad(what: string): WireError {
  return new WireError("zip", `Reading a ZIP: ${what}.`);
}
function tooManyEntries(max: number): WireError {
  return new WireError("tooLarge", `Reading a ZIP: its _meta has more than ${String(max)} entries.`);
}
