/** One batch to the server. A bad entry is found and named by halving; the others of its batch arrive (W11, PR10). */
import { RemoteError, type Upload, type UploadResult } from "../../core/ports.ts";
import { StatusError } from "./reply-faults.ts";

/** Sends these entries; resolves with results for the first ones, at least one: the rest is sent again. */
export type SendEntries = (entries: readonly Upload[], signal: AbortSignal) => Promise<readonly UploadResult[]>;

/** One result per entry, in order. @throws RemoteError when it is not about single entries. */
export async function uploadBatch(send: SendEntries, batch: readonly Upload[], signal: AbortSignal): Promise<readonly UploadResult[]> {
  const results: UploadResult[] = [];
  while (results.length < batch.length) {
    signal.throwIfAborted();
    const rest = batch.slice(results.length);
    const taken = await sendOrHalve(send, rest, signal);
    if (taken.length === 0 || taken.length > rest.length) {
      throw new RemoteError("protocol", `The server says it took ${taken.length} of the ${rest.length} entries that were sent to it.`);
    }
    results.push(...taken);
  }
  return results;
}

/** 400 and 413 are about what is in the body, and nothing of it was applied: a smaller part may pass. */
async function sendOrHalve(send: SendEntries, entries: readonly Upload[], signal: AbortSignal): Promise<readonly UploadResult[]> {
  try {
    return await send(entries, signal);
  } catch (error) {
    if (!(error instanceof StatusError) || (error.status !== 400 && error.status !== 413)) throw error;
    if (entries.length === 1) return [{ kind: "refused", detail: refusalWords(error.status) }];
    const middle = entries.length >> 1;
    const first = await uploadBatch(send, entries.slice(0, middle), signal);
    return [...first, ...(await uploadBatch(send, entries.slice(middle), signal))];
  }
}

function refusalWords(status: number): string {
  return status === 413
    ? "it is larger than a proxy before the server lets through (413). The server's owner can raise that limit (nginx: client_max_body_size)."
    : "the server does not take this name, or these bytes (400). Give the file another name.";
}
