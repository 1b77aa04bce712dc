/** The list of changes, page by page. A server that goes in circles is refused, never followed (W29, PR07). */
import { RemoteError, type FeedPage, type FeedRow } from "../../core/ports.ts";

/** Our server lets the last usn ride on a tombstone of this name, which no file can have (specs §15). */
const CARRIER = ":usn";

export type Page = { readonly rows: readonly FeedRow[]; readonly more: boolean };
export type FeedOptions = {
  readonly readPage: (lastUsn: number) => Promise<Page>;
  /** The page after `position`, where it was read already. */
  readonly first?: Page | null;
  /** All that stood there when this began is read at this usn; null: only the empty page, or the server's own word, ends it. */
  readonly top?: number | null;
  /** Where `top` tells that more pages follow: how many may be asked for at once. */
  readonly pagesAtOnce?: number;
};

/** Ends at the empty page, at `top`, or where the server says that no more follows. @throws RemoteError; `protocol` for a page that leads nowhere. */
export async function* readFeed(options: FeedOptions, position: string, signal: AbortSignal): AsyncGenerator<FeedPage> {
  const { readPage, first = null, top = null, pagesAtOnce = 1 } = options;
  let last = usnOf(position);
  /** Asked for beforehand, by where they begin, in order. */
  const ahead: { readonly from: number; readonly page: Promise<Page> }[] = [];
  let next = first;
  try {
    for (;;) {
      // One that begins beyond what was read would leave a gap: what is between is asked for first.
      const asked = next === null && (ahead[0]?.from ?? 0) <= last ? ahead.shift() : undefined;
      const from = asked?.from ?? last;
      const page: Page = next ?? (await (asked?.page ?? readPage(last)));
      next = null;
      const rows = inOrder(page, from).filter(({ usn }) => usn > last);
      const end = rows.at(-1);
      if (end === undefined) {
        if (page.rows.length === 0) return;
        continue;
      }
      const step = end.usn - from;
      last = end.usn;
      yield { rows: rows.filter((row) => row.name !== CARRIER || row.sha1 !== null), position: String(last) };
      if (!page.more || (top !== null && last >= top)) return;
      signal.throwIfAborted();
      // The next pages are thought to reach as far as this one did. A row that moves meanwhile gets a usn beyond `top`: it comes again.
      for (let room = pagesAtOnce - 1 - ahead.length; room > 0; room -= 1) {
        const begin = (ahead.at(-1)?.from ?? from) + step;
        if (top === null || begin >= top) break;
        const asking = readPage(begin);
        // Its turn brings its failure; until then it is not unhandled.
        asking.catch(() => undefined);
        ahead.push({ from: begin, page: asking });
      }
    }
  } finally {
    await Promise.allSettled(ahead.map(async ({ page }) => await page));
  }
}

/** A page's rows, ascending. @throws RemoteError where they do not follow what was asked */
function inOrder(page: Page, asked: number): readonly FeedRow[] {
  const rows = page.rows.toSorted((a, b) => a.usn - b.usn);
  const [first] = rows;
  if (first === undefined && page.more) throw new RemoteError("protocol", "The server says that more changes follow, but sends none.");
  if (first !== undefined && first.usn <= asked) {
    throw new RemoteError(
      "protocol",
      `The server was asked for changes after ${asked} and sent change ${first.usn}: its list goes in circles.`,
    );
  }
  return rows;
}

function usnOf(position: string): number {
  const usn = Number(position);
  if (!Number.isSafeInteger(usn) || usn < 0) throw new RangeError(`feed: “${position}” is no position of an Anki server`);
  return usn;
}
