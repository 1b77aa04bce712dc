/**
 * Every JSON message of the wire, one object per server family, a `request` and a `reply` schema per call. Names and meanings:
 * specification §3, §5, §15.1 for `ANKI`; DESIGN §11 "Server" for `SATCHEL`. Unknown extra keys are ignored.
 */
import * as z from "zod";

import { checkMessage, parseJson } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";

const int32 = z.int32();
const usn = z.int32().min(0);
const bytes = z.int().min(0);
/** 40 hex digits in either case, lower case after parsing. */
const sha1 = z
  .string()
  .regex(/^[0-9a-fA-F]{40}$/)
  .transform((text) => text.toLowerCase());
/** Empty on the wire: a deletion; null after parsing. */
const sha1OrGone = z.union([z.literal("").transform(() => null), sha1]);

/** One row of the feed, as a 3-tuple (what servers send) or an object (what clients also take). */
const changeRow = z.union([
  z.tuple([z.string(), int32, sha1OrGone]).transform(([name, at, hash]) => ({ name, usn: at, sha1: hash })),
  z.object({ fname: z.string(), usn: int32, sha1: sha1OrGone }).transform((row) => ({ name: row.fname, usn: row.usn, sha1: row.sha1 })),
]);
/** `by`: a name for people, null where the server does not know it (any more). What is no such name says nothing: a row counts without it. */
const author = z.object({
  by: z
    .string()
    .regex(/^[\x20-\x7e]{1,40}$/)
    .nullable()
    .catch(null),
  /** Milliseconds since 1970 by the server's clock. */
  atMs: z.int().min(0),
});
/** `[name, usn, sha1 | "", size in bytes]`, and who made it so and when, for those who ask: words for people, which decide nothing. */
const sizedRow = z.tuple([z.string(), usn, sha1OrGone, bytes, author.optional()]).transform(([name, at, hash, sizeBytes, told]) => ({
  name,
  usn: at,
  sha1: hash,
  sizeBytes,
  ...(told === undefined ? {} : { author: told }),
}));

export const ANKI = {
  hostKey: {
    request: z.object({ u: z.string(), p: z.string() }),
    reply: z.object({ key: z.string().min(1) }),
  },
  meta: {
    request: z.object({ v: z.int(), cv: z.string() }),
    reply: z.object({
      mod: z.int(),
      scm: z.int(),
      usn: int32,
      ts: z.int(),
      msg: z.string(),
      cont: z.boolean(),
      hostNum: z.int(),
      empty: z.boolean().default(false),
      media_usn: int32,
    }),
  },
  begin: {
    /** Long client version; empty is refused. */
    request: z.object({ v: z.string().min(1) }),
    reply: z.object({ usn: int32, sk: z.string() }),
  },
  mediaChanges: {
    request: z.object({ lastUsn: int32 }),
    reply: z.array(changeRow),
  },
  downloadFiles: {
    /** The reply is a ZIP, not JSON: `readDownloadZip`. */
    request: z.object({ files: z.array(z.string()).max(LIMITS.zipEntries) }),
  },
  uploadChanges: {
    /** The request is a ZIP: `readUploadZip`. */
    reply: z.tuple([z.int32().min(0), int32]).transform(([processed, current]) => ({ processed, usn: current })),
  },
  mediaSanity: {
    request: z.object({ local: int32 }),
    /** `OK`, or `mediaSanity`: the counts differ. Any other word is an error. */
    reply: z.enum(["OK", "mediaSanity"]),
  },
} as const;

/** What our server says of itself to a device that it knows. */
const greeting = z.object({
  v: z.literal(1),
  /** Identity of this server's data; another id is another server. */
  id: z.string().min(1),
  /** Changes when the server's data went back in time (restored backup). */
  epoch: z.string().min(1),
  usn,
  limits: z.object({
    entries: z.int().min(1),
    batchBytes: z.int().min(1),
    fileBytes: z.int().min(1),
    /** Full batches that are read at once for one account. */
    uploads: z.int().min(1).default(LIMITS.bodiesAtOnce),
  }),
});

export const SATCHEL = {
  /** The body of an authenticated `GET health`. Without a key the body is empty, which says: a stock server, or not signed in. */
  health: {
    reply: z.object({ satchel: greeting }),
  },
  /**
   * Rows strictly after `lastUsn`, ascending, at most 5000; `more` false: nothing followed when it was read. Tombstones have size 0. In the usual
   * envelope. `deletions`: the asker takes rows that tell who deleted a file; `senders`: and rows that
   * tell who sent one that stands, of a short page. Servers from before that pass over the question, older clients don't ask.
   * `satchel`: as in `health`, and the number of live rows, as of the moment of the rows; servers before it was thought of leave it out.
   */
  changes: {
    request: z.object({ lastUsn: usn, deletions: z.boolean().default(false), senders: z.boolean().default(false) }),
    reply: z.object({ rows: z.array(sizedRow), more: z.boolean(), satchel: greeting.extend({ live: z.int().min(0) }).optional() }),
  },
  /** Request: a ZIP with `[name, member | null, base sha1 | ""]` (`readSatchelUpload`). Reply in the usual envelope, one result per entry, in order. */
  upload: {
    reply: z.object({
      usn,
      results: z
        .array(
          z.union([
            z.literal("done"),
            z.literal("same"),
            /** Other bytes stand there than the base that was named: not taken. `""`: nothing stands there. */
            z.object({ changed: sha1OrGone }),
            z.object({ refused: z.string() }),
          ]),
        )
        .max(LIMITS.satchelEntries),
    }),
  },
  /** Reply: a ZIP with `[name, member | null]` for a non-empty prefix of `files`; null: not here any more (`readSatchelDownload`). */
  download: {
    request: z.object({ files: z.array(z.string()).min(1).max(LIMITS.satchelEntries) }),
  },
  /** `data:` of one server-sent event of `GET satchel/events?since=USN`. */
  event: z.object({ usn }),
  /** What the server kept of a name, newest first. In the usual envelope. */
  versions: {
    request: z.object({ name: z.string() }),
    reply: z.array(
      z.object({
        sha1,
        size: bytes,
        /** Milliseconds since 1970 when the bytes stopped being current. */
        atMs: z.int(),
        why: z.enum(["replaced", "deleted"]),
      }),
    ),
  },
  /** The bytes of one kept (or current) version of a name. Reply: the bytes themselves; 404 when it is not kept. */
  version: {
    request: z.object({ name: z.string(), sha1 }),
  },
} as const;

/** The JSON text of a success (specification §2.2): both keys always stand there, for clients of every age. */
export function buildEnvelope(data: unknown): string {
  return JSON.stringify({ data, err: "" });
}

/** The JSON text of a failure that the user of a stock client shall read; sent with status 200. */
export function buildErrorEnvelope(text: string): string {
  return JSON.stringify({ data: null, err: text });
}

/**
 * Takes the data out of a reply: data of the expected shape is a success even beside an `err`; otherwise a non-empty `err` is the server's message.
 * @throws WireError `serverSays` (the message is the server's text), `json`, `tooLarge`.
 */
export function parseEnvelope<T extends z.ZodType>(
  schema: T,
  payload: Uint8Array | string,
  what: string,
  maxBytes: number = LIMITS.jsonBytes,
): z.output<T> {
  const { data, err } = checkMessage(envelope, parseJson(payload, what, maxBytes), what);
  if (typeof err !== "string" || err === "") return checkMessage(schema, data, what);
  const parsed = data === undefined || data === null ? undefined : schema.safeParse(data);
  if (parsed?.success === true) return parsed.data;
  throw new WireError("serverSays", err.slice(0, 1000));
}
const envelope = z.object({ data: z.unknown().optional(), err: z.unknown().optional() });
