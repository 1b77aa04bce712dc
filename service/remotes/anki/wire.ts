/** The calls of the two dialects, one function per call: Anki's own routes, and Satchel's between our client and our server. */
import type { z } from "zod";

import { parseMessage } from "../../../protocol/anki/json.ts";
import { LIMITS } from "../../../protocol/anki/limits.ts";
import { ANKI, parseEnvelope, SATCHEL } from "../../../protocol/anki/messages.ts";
import { WireError } from "../../../protocol/anki/wire-error.ts";
import { buildSatchelUpload, buildUploadZip, readDownloadZip, readSatchelDownload } from "../../../protocol/anki/zip-messages.ts";
import type { Sha1 } from "../../core/model.ts";
import { RemoteError, type RemoteVersion, type Upload, type UploadResult } from "../../core/ports.ts";
import type { Received } from "./download.ts";
import type { Page } from "./feed.ts";
import { faultOfStatus, isPage, StatusError } from "./reply-faults.ts";
import type { Ask, Session } from "./session.ts";

/** What our server says of itself to a device that it knows. */
export type Greeting = z.output<typeof SATCHEL.health.reply>["satchel"];
/** A page of our own server; `satchel`: who says so, where it is of an age that tells. */
export type SatchelPage = z.output<typeof SATCHEL.changes.reply>;

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const ask = (path: string, doing: string, replyBytesMax: number = LIMITS.jsonBytes): Omit<Ask, "body"> & { readonly method: "POST" } => ({
  path,
  method: "POST",
  doing,
  replyBytesMax,
});

/**
 * Who answers: our server's greeting, or `stock` for what has none. `unclear`: some page that may be a health page of its own, or a network
 * that wants you to sign in first. @throws RemoteError where nobody answers, or a proxy says why not.
 */
export async function askHealth(session: Session, signal: AbortSignal): Promise<Greeting | "stock" | "unclear"> {
  const question: Ask = { path: "health", method: "GET", doing: "reach", body: null, replyBytesMax: LIMITS.jsonBytes };
  const response = await session.exchange(question, signal);
  if (response.status >= 500 || response.status === 429) throw faultOfStatus(session.attemptOf(question), response);
  if (isPage(response)) return "unclear";
  if (response.status !== 200 || response.body.length === 0) return "stock";
  try {
    return parseMessage(SATCHEL.health.reply, response.body, "the answer of health").satchel;
  } catch (error) {
    // Somebody else's health page, or a later Satchel's: the next call on Anki's routes shows whether it is a sync server at all.
    if (error instanceof WireError) return "unclear";
    throw error;
  }
}

/** AnkiWeb says with the redirect of this call which of its hosts keeps the account. Untried: AnkiWeb is not ours to test with. */
export async function askMeta(session: Session, clientVersion: string, signal: AbortSignal): Promise<void> {
  await session.call(ask("sync/meta", "begin a sync with"), [json({ v: LIMITS.version, cv: clientVersion })], signal);
}

/** The server's present usn. `clientVersion`: the long form (specs §5.1). */
export async function askBegin(session: Session, clientVersion: string, signal: AbortSignal): Promise<number> {
  const question = ask("msync/begin", "begin a sync with");
  const body = [json({ v: clientVersion })];
  const payload = await session.call(question, body, signal);
  return read(session, question, () => parseEnvelope(ANKI.begin.reply, payload, "the answer of begin")).usn;
}

/** One page on Anki's own route: only an empty one says that nothing follows. */
export async function askChanges(session: Session, lastUsn: number, signal: AbortSignal): Promise<Page> {
  const question = ask("msync/mediaChanges", "read the changes from", LIMITS.satchelFeedBytes);
  const body = [json({ lastUsn })];
  const payload = await session.call(question, body, signal);
  const rows = read(session, question, () =>
    parseEnvelope(ANKI.mediaChanges.reply, payload, "the answer of mediaChanges", LIMITS.satchelFeedBytes),
  );
  return { rows: rows.map((row) => ({ ...row, sizeBytes: null })), more: rows.length > 0 };
}

/** Files by Anki's own route. */
export async function askFiles(
  session: Session,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Received[] | "gone" | "tooMuch"> {
  const question = ask("msync/downloadFiles", "fetch files from", LIMITS.downloadBytes);
  const body = [json({ files: names })];
  return await receive(names, async () => {
    const payload = await session.call(question, body, signal);
    return read(session, question, () => readDownloadZip(payload, names));
  });
}

/** 409: some name is gone. A reply over the limit is asked for in smaller parts, as long as there are any. */
async function receive(
  names: readonly string[],
  fetchThem: () => Promise<readonly Received[]>,
): Promise<readonly Received[] | "gone" | "tooMuch"> {
  try {
    return await fetchThem();
  } catch (error) {
    if (error instanceof StatusError && error.status === 409) return "gone";
    if (error instanceof RemoteError && error.fault === "tooLarge" && names.length > 1) return "tooMuch";
    throw error;
  }
}

/** Results of the first entries that were taken. A server may take fewer than were sent. `onUsn` hears where its list then ends. */
export async function sendEntries(
  session: Session,
  entries: readonly Upload[],
  signal: AbortSignal,
  onUsn: (usn: number) => void = () => undefined,
): Promise<readonly UploadResult[]> {
  const question = ask("msync/uploadChanges", "send files to");
  const payload = await session.call(question, buildUploadZip(entries), signal);
  const { processed, usn } = read(session, question, () => parseEnvelope(ANKI.uploadChanges.reply, payload, "the answer of uploadChanges"));
  onUsn(usn);
  // Never more results than the caller can place; `uploadBatch` refuses the number itself.
  return Array.from({ length: Math.min(processed, entries.length + 1) }, () => ({ kind: "done" }));
}

/** Whether the server counts as many live files. */
export async function askSanity(session: Session, liveRows: number, signal: AbortSignal): Promise<"ok" | "differs"> {
  const question = ask("msync/mediaSanity", "compare the number of files with");
  const body = [json({ local: liveRows })];
  const payload = await session.call(question, body, signal);
  const answer = read(session, question, () => parseEnvelope(ANKI.mediaSanity.reply, payload, "the answer of mediaSanity"));
  return answer === "OK" ? "ok" : "differs";
}

/** One page with sizes, from our own server. */
export async function askSatchelChanges(session: Session, lastUsn: number, signal: AbortSignal): Promise<SatchelPage> {
  const question = ask("satchel/changes", "read the changes from", LIMITS.satchelFeedBytes);
  const body = [json({ lastUsn, deletions: true, senders: true })];
  const payload = await session.plain(question, body, signal);
  return read(session, question, () =>
    parseEnvelope(SATCHEL.changes.reply, payload, "the answer of satchel/changes", LIMITS.satchelFeedBytes),
  );
}

/** Files from our own server, as many as fit its limit of bytes; those it has no more are named. */
export async function askSatchelFiles(
  session: Session,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Received[] | "gone" | "tooMuch"> {
  const question = { ...ask("satchel/download", "fetch files from", LIMITS.downloadBytes), replyMemory: session.lend };
  const body = [json({ files: names })];
  return await receive(names, async () => {
    const payload = await session.plain(question, body, signal);
    const files = read(session, question, () => readSatchelDownload(payload, names));
    const release = afterAll(files.length, () => session.giveBack(payload));
    return files.map((file) => ({ ...file, release }));
  });
}

/** Calls `done` at the last of `count` calls. */
function afterAll(count: number, done: () => void): () => void {
  let left = count;
  return () => {
    left -= 1;
    if (left === 0) done();
  };
}

/** Conditional upload to our own server: each entry with what we believe stands there. */
export async function sendSatchelEntries(
  session: Session,
  entries: readonly Upload[],
  signal: AbortSignal,
): Promise<readonly UploadResult[]> {
  const question = ask("satchel/upload", "send files to");
  const payload = await session.plain(question, buildSatchelUpload(entries), signal);
  const { results } = read(session, question, () => parseEnvelope(SATCHEL.upload.reply, payload, "the answer of satchel/upload"));
  return results.map((result): UploadResult => {
    if (typeof result === "string") return { kind: "done" };
    return "refused" in result ? { kind: "refused", detail: result.refused } : { kind: "changed" };
  });
}

/** What our own server keeps of a name. */
export async function askVersions(session: Session, name: string, signal: AbortSignal): Promise<readonly RemoteVersion[]> {
  const question = ask("satchel/versions", "ask for kept versions from", LIMITS.satchelFeedBytes);
  const payload = await session.plain(question, [json({ name })], signal);
  const kept = read(session, question, () =>
    parseEnvelope(SATCHEL.versions.reply, payload, "the answer of satchel/versions", LIMITS.satchelFeedBytes),
  );
  return kept.map(({ sha1, size, atMs, why }) => ({ sha1, sizeBytes: size, atMs, why: why === "deleted" ? "removed" : why }));
}

/** Bytes that our own server keeps of a name. @throws RemoteError `notFound` */
export async function askVersion(session: Session, name: string, sha1: Sha1, signal: AbortSignal): Promise<Uint8Array> {
  const question = ask("satchel/version", "fetch a kept version from", LIMITS.fileBytes);
  try {
    return await session.plain(question, [json({ name, sha1 })], signal);
  } catch (error) {
    if (!(error instanceof StatusError) || error.status !== 404) throw error;
    throw new RemoteError("notFound", `Could not ${session.attemptOf(question)}: it does not keep these bytes any more.`, { cause: error });
  }
}

/** A reply that is not what the protocol allows, or a text of the server for people, as RemoteError. */
export function read<T>(session: Session, question: { readonly doing: string }, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const attempt = session.attemptOf(question);
    if (error.fault === "serverSays")
      throw new RemoteError("refused", `Could not ${attempt}: the server says: ${error.message}`, { cause: error });
    throw new RemoteError("protocol", `Could not ${attempt}: the answer breaks the protocol. ${error.message}`, { cause: error });
  }
}
