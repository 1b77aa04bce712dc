/**
 * Every figure of the wire in one place: its unit stands in its name, who enforces it in its comment. Sources: the Anki media sync
 * specification (§2.3, §2.10, §5, §6) and the limits of RELIABILITY §5.2. What exceeds one is refused, never truncated.
 */
const MIB = 1_048_576;

export const LIMITS = {
  /** Protocol versions that a header may name; the server refuses others. */
  versionMin: 8,
  versionMax: 11,
  /** What our client speaks: header and zstd. */
  version: 11,
  /** What a request without the header is taken for: the multipart protocol. */
  versionMultipart: 10,

  /** The `anki-sync` header. Server. */
  headerBytes: 16_384,
  /** Body of `sync/hostKey`, on the wire and inflated. Server. */
  loginBytes: 1024,
  /** Any other JSON body or reply, inflated. Server, and client for the replies it parses. */
  jsonBytes: MIB,
  /** Nesting of any JSON. Both. */
  jsonDepth: 16,
  /** An upload body, on the wire and inflated: a 100 MiB file behind 2.5 MiB of others must fit. Server. */
  uploadBytes: 104 * MIB,
  /** A download reply, inflated: no official server sends more than 25 files of at most 100 MiB, ours stops at one such file. Client. */
  downloadBytes: 128 * MIB,
  /** One file. Client before it offers it, server for each member. */
  fileBytes: 100 * MIB,
  /** `sync/upload`, the whole collection, on the wire and inflated; `MAX_SYNC_PAYLOAD_MEGS` moves both. Server. */
  collectionWireBytes: 100 * MIB,
  collectionBytes: 300 * MIB,

  /** Files per ZIP and names per `downloadFiles` on Anki's own routes. Both. */
  zipEntries: 25,
  /** Raw bytes after which a ZIP on Anki's own routes is closed; the file that crosses the line is still in it. Client (a server may ignore it). */
  zipTargetBytes: 2_621_440,
  /** `_meta` on Anki's own routes. Both. */
  metaBytes: 51_200,
  /** A name as Anki's clients make it, UTF-8. Client. */
  nameBytes: 120,
  /** A name that a server takes, UTF-8. Server. */
  nameBytesServer: 255,
  /** Rows of one `mediaChanges` page. Server; a client takes any size. */
  feedRows: 1000,

  /** log2 of the largest zstd window that is decoded: 16 MiB. Node would take 2^27. Both. */
  zstdWindowLog: 24,

  /** A multipart request: parts, bytes of one part's headers, bytes of a field that is not `data`. Server. */
  multipartParts: 16,
  multipartHeaderBytes: 1024,
  multipartFieldBytes: 4096,

  /** No byte for this long ends an exchange: Anki desktop's own default. Client. */
  stallMs: 60_000,
  /** Bodies read at once per account. Server. */
  bodiesAtOnce: 2,
  /** Beside them, such that say beforehand that they are not larger than a full batch of `satchel/upload`. Server; client where it is told so. */
  smallBodiesAtOnce: 4,
  smallBodyBytes: 11 * MIB,

  /** Between a Satchel client and a Satchel server (`satchel/…`): entries and names per request. Both. */
  satchelEntries: 1000,
  /** Raw bytes per `satchel/upload` and per `satchel/download` reply; one larger file travels alone. Both. */
  satchelBatchBytes: 8 * MIB,
  /** `_meta` of `satchel/upload` and of the reply of `satchel/download`: 1000 entries of a 255-byte name, escaped, and a hash. Both. */
  satchelMetaBytes: 2 * MIB,
  /** Rows of one `satchel/changes` page. Server. */
  satchelFeedRows: 5000,
  /** Up to so many rows a page tells who sent each: a long one is a first read or a whole collection, and would be looked up row by row. Server. */
  satchelTellingRows: 500,
  /** A `satchel/changes` reply: its rows at their longest. Client. */
  satchelFeedBytes: 8 * MIB,
  /** A comment is sent in `satchel/events` when nothing else was for this long. Server. */
  eventsKeepAliveMs: 20_000,
} as const;
