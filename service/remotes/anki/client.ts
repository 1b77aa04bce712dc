/** A folder's remote on an Anki sync server: AnkiWeb, the official self-hosted one, or our own with its additions (DESIGN §6). */
import { LIMITS } from "../../../protocol/anki/limits.ts";
import { SATCHEL } from "../../../protocol/anki/messages.ts";
import { parseMessage } from "../../../protocol/anki/json.ts";
import { WireError } from "../../../protocol/anki/wire-error.ts";
import { partBytes } from "../../core/line-batches.ts";
import { RemoteError, TransportError, type Remote } from "../../core/ports.ts";
import { parseEndpoint } from "../endpoint.ts";
import { downloadFiles } from "./download.ts";
import { readEvents } from "./events.ts";
import { Look } from "./look.ts";
import { faultOfStatus, faultOfTransport } from "./reply-faults.ts";
import { metered, openSession, type Session, type SessionOptions } from "./session.ts";
import { uploadBatch, type SendEntries } from "./upload.ts";
import {
  askFiles,
  askMeta,
  askSanity,
  askSatchelFiles,
  askVersion,
  askVersions,
  sendEntries,
  sendSatchelEntries,
  type Greeting,
} from "./wire.ts";

/** Requests at once where the user chose the server; a round trip's time is then shared by four batches (W21). */
const IN_FLIGHT = 4;
/** A batch for our own server is not smaller than this for the line's sake: it is what 200 Mbit/s carry in 40 ms. */
const LINE_BYTES = 1024 * 1024;
/** AnkiWeb's limits are not known: one after the other, as Anki itself. */
const IN_FLIGHT_ANKIWEB = 1;
/** Between two looks, and between two pushes (DESIGN §11 "Time"). */
const POLL_MS = { satchel: 300_000, stock: 60_000, ankiWeb: 900_000 } as const;
const PUSH_ANKIWEB_MS = 60_000;
/** Our server sends a comment every 20 s: twice missed, the connection is dead. */
const STREAM_STALL_MS = 45_000;

export type AnkiRemoteOptions = Omit<SessionOptions, "endpoint" | "clientVersion"> & {
  readonly url: string;
  readonly client: ClientName;
  /** Requests at once, instead of the default. */
  readonly requestsInFlight?: number;
};
/** How we call ourselves towards servers. */
export type ClientName = {
  /** Satchel's version, "0.1.0". */
  readonly version: string;
  /** Device name: `[a-z0-9-]{1,16}`. */
  readonly device: string;
  /** As `process.platform`. */
  readonly platform: string;
};

/** `c` of the header: "<version>,<build>,<os>". The device's name stands where Anki names its build. */
export function shortClientVersion({ version, device, platform }: ClientName): string {
  return `satchel-${version},${device},${platform}`;
}

function longClientVersion({ version, device, platform }: ClientName): string {
  return `satchel,${version} (${device}),${platform}`;
}

/** @throws RemoteError `refused` for an address that can't be one. Nothing is sent before the first call. */
export function openAnkiRemote(options: AnkiRemoteOptions): Remote {
  const endpoint = parseEndpoint(options.url);
  const session = openSession({ ...options, endpoint, clientVersion: shortClientVersion(options.client) });
  const longVersion = longClientVersion(options.client);
  const inFlight = options.requestsInFlight ?? (endpoint.ankiWeb ? IN_FLIGHT_ANKIWEB : IN_FLIGHT);
  const look = new Look({
    session,
    clientVersion: longVersion,
    shown: endpoint.shown,
    ankiWeb: endpoint.ankiWeb,
    requestsInFlight: inFlight,
  });
  const greeting = () => look.greeting();

  return {
    kind: "anki",
    get can() {
      const ours = greeting() !== null;
      return { conditionalUpload: ours, changeStream: ours, versions: ours };
    },
    get limits() {
      return limitsOf(greeting(), endpoint.ankiWeb, inFlight);
    },
    async state(signal, ahead) {
      session.renew();
      if (endpoint.ankiWeb) await askMeta(session, longVersion, signal);
      return await look.state(ahead ?? null, signal);
    },
    feed: (position, signal) => look.feed(position, signal),
    download(names, signal, onBytes, sizeOf) {
      const ours = greeting();
      const fetchFiles = ours === null ? askFiles : askSatchelFiles;
      const namesPerRequest = ours === null ? LIMITS.zipEntries : Math.min(ours.limits.entries, LIMITS.satchelEntries);
      const line = metered(session, "down", onBytes);
      const request = async (part: readonly string[], abort: AbortSignal) => await fetchFiles(line, part, abort);
      const asking = { fetchFiles: request, namesPerRequest, requestsInFlight: inFlight };
      if (ours === null || sizeOf === undefined) return downloadFiles(asking, names, signal);
      const bytes = names.reduce((sum, name) => sum + (sizeOf(name) ?? 0), 0);
      const bytesPerRequest = partBytes(bytes, LINE_BYTES, Math.min(ours.limits.batchBytes, LIMITS.satchelBatchBytes));
      return downloadFiles({ ...asking, bytesPerRequest, sizeOf }, names, signal);
    },
    async upload(batch, signal, onBytes) {
      look.sending();
      const line = metered(session, "up", onBytes);
      const send: SendEntries = async (entries, abort) =>
        greeting() === null
          ? await sendEntries(line, entries, abort, (usn) => look.sent(usn))
          : await sendSatchelEntries(line, entries, abort);
      return await uploadBatch(send, batch, signal);
    },
    async verify(liveRows, signal) {
      session.rest();
      signal.throwIfAborted();
      const counted = look.counted();
      if (counted !== null) return counted === liveRows ? "ok" : "differs";
      return await askSanity(session, liveRows, signal);
    },
    // Other servers have no such routes, and say so.
    versions: async (name, signal) => await askVersions(session, name, signal),
    version: async (name, sha1, signal) => await askVersion(session, name, sha1, signal),
    async follow(position, onChange, signal) {
      if (greeting() === null) throw new RemoteError("refused", `${endpoint.shown} has no stream of changes.`);
      await followEvents(session, options.transport, position, onChange, signal);
    },
    async close() {
      // Connections belong to the transport, which its owner closes.
      session.rest();
    },
  };
}

function limitsOf(ours: Greeting | null, ankiWeb: boolean, inFlight: number): Remote["limits"] {
  if (ours !== null) {
    return {
      uploadEntries: Math.min(ours.limits.entries, LIMITS.satchelEntries),
      uploadBytes: Math.min(ours.limits.batchBytes, LIMITS.satchelBatchBytes),
      uploadsInFlight: Math.min(inFlight, ours.limits.uploads),
      lineBytes: LINE_BYTES,
      fileBytes: Math.min(ours.limits.fileBytes, LIMITS.fileBytes),
      pushEveryMs: 0,
      pollEveryMs: POLL_MS.satchel,
    };
  }
  return {
    uploadEntries: LIMITS.zipEntries,
    uploadBytes: LIMITS.zipTargetBytes,
    uploadsInFlight: inFlight,
    lineBytes: null,
    fileBytes: LIMITS.fileBytes,
    pushEveryMs: ankiWeb ? PUSH_ANKIWEB_MS : 0,
    pollEveryMs: ankiWeb ? POLL_MS.ankiWeb : POLL_MS.stock,
  };
}

/** Reads events until the stream ends, stalls or is aborted: whoever follows opens it again, and the feed is the truth anyway. */
async function followEvents(
  session: Session,
  transport: SessionOptions["transport"],
  position: string,
  onChange: (position: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const attempt = session.attemptOf({ doing: "follow the changes of" });
  const { url, headers } = session.stream(`satchel/events?since=${encodeURIComponent(position)}`);
  const request = { method: "GET", url, headers, body: null, stallMs: STREAM_STALL_MS, maxResponseBytes: LIMITS.jsonBytes } as const;
  let opened = false;
  try {
    const { status, chunks } = await transport.stream(request, signal);
    if (status !== 200) throw faultOfStatus(attempt, { status, headers: {}, body: new Uint8Array(0) });
    opened = true;
    onChange(position);
    for await (const data of readEvents(chunks)) onChange(String(parseMessage(SATCHEL.event, data, "an event").usn));
  } catch (error) {
    if (signal.aborted) return;
    if (opened && error instanceof TransportError && (error.fault === "stall" || error.fault === "reset")) return;
    if (error instanceof WireError || error instanceof RangeError) {
      throw new RemoteError("protocol", `Could not ${attempt}: ${error.message}`, { cause: error });
    }
    throw faultOfTransport(attempt, error);
  }
}
