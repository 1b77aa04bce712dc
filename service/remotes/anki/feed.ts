/** The list of changes, page by page. A server that goes in circles is refused, never followed (W29, PR07). */
import { RemoteError, type FeedPage, type FeedRow } from "../../core/ports.ts";

/** Our server lets the last usn ride on a tombstone of this name, which no file can have (specs §15). */
const CARRIER = ":usn";

export type ReadPage = (lastUsn: number, signal: AbortSignal) => Promise<{ readonly rows: readonly FeedRow[]; readonly more: boolean }>;

/** Ends at the empty page, or where the server says that no more follows. @throws RemoteError; `protocol` for a page that leads nowhere. */
export async function* readFeed(readPage: ReadPage, position: string, signal: AbortSignal): AsyncGenerator<FeedPage> {
  let last = usnOf(position);
  for (;;) {
    const page = await readPage(last, signal);
    const rows = page.rows.toSorted((a, b) => a.usn - b.usn);
    const [first, end] = [rows.at(0), rows.at(-1)];
    if (first === undefined || end === undefined) {
      if (page.more) throw new RemoteError("protocol", "The server says that more changes follow, but sends none.");
      return;
    }
    if (first.usn <= last) {
      throw new RemoteError(
        "protocol",
        `The server was asked for changes after ${last} and sent change ${first.usn}: its list goes in circles.`,
      );
    }
    last = end.usn;
    yield { rows: rows.filter((row) => row.name !== CARRIER || row.sha1 !== null), position: String(last) };
    if (!page.more) return;
    signal.throwIfAborted();
  }
}

function usnOf(position: string): number {
  const usn = Number(position);
  if (!Number.isSafeInteger(usn) || usn < 0) throw new RangeError(`feed: “${position}” is no position of an Anki server`);
  return usn;
}
