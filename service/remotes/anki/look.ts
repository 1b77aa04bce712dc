/** What is learnt of a server when a run begins, and what the feed and the count then need not ask any more. */
import { RemoteError, type FeedPage, type Head } from "../../core/ports.ts";
import { readFeed, type Page } from "./feed.ts";
import type { Session } from "./session.ts";
import { askBegin, askChanges, askHealth, askSatchelChanges, type Greeting, type SatchelPage } from "./wire.ts";

/** `tells`: its pages say who answers, as of the same moment. `stock`: some other server, so it is not asked again. */
type Peer = { readonly greeting: Greeting; readonly tells: boolean } | "stock" | null;

export type LookOptions = {
  readonly session: Session;
  /** Long form, for `begin`. */
  readonly clientVersion: string;
  /** The server's address for people. */
  readonly shown: string;
  readonly ankiWeb: boolean;
  /** Pages of a feed that may be asked for at once. */
  readonly requestsInFlight: number;
};

/** One server, looked at again and again. Everything it tells is of the last look, or of the feed read since. */
export class Look {
  private readonly options: LookOptions;
  private peer: Peer;
  /** The first page, which came with the answer to who is there. */
  private early: { readonly position: string; readonly page: Page } | null = null;
  /** Where the feed ended when the server was looked at; null: not known, only an empty page tells. */
  private top: number | null = null;
  /** The highest usn that replies to our uploads have told. */
  private sentTo = 0;
  /** Live rows at the end of the feed, where that was told and nothing was sent since. */
  private live: number | null = null;

  constructor(options: LookOptions) {
    this.options = options;
    this.peer = options.ankiWeb ? "stock" : null;
  }

  /** Our server's greeting; null: a stock server, or none was met yet. */
  greeting(): Greeting | null {
    return this.peer === null || this.peer === "stock" ? null : this.peer.greeting;
  }

  /** Who answers; `ahead`: the feed after this position is read next. @throws RemoteError */
  async state(ahead: string | null, signal: AbortSignal): Promise<Head> {
    this.early = null;
    this.live = null;
    this.top = null;
    if (this.peer === "stock") return await this.stock(ahead, signal);
    if (this.peer !== null) return await this.again(ahead, signal);
    const met = await this.meet(ahead, signal);
    if (typeof met === "object") return met;
    const head = await this.stock(ahead, signal);
    if (met === "unclear") {
      // The server is there; so whoever showed a page instead of it may be gone. Taken for a stock one, it would be written to unconditionally.
      const answer = await askHealth(this.options.session, signal);
      if (typeof answer === "object") return this.greeted(answer);
      if (answer === "unclear") return head;
    }
    // Remembered only after an answer, and a clear one: whoever just did not know our key, or showed a page, is asked again.
    this.peer = "stock";
    return head;
  }

  /** Pages after `position`; what came with the answer to `state` comes first. @throws RemoteError */
  async *feed(position: string, signal: AbortSignal): AsyncGenerator<FeedPage> {
    const first = this.early?.position === position ? this.early.page : null;
    // Whoever reads on later has not looked: then only an empty page tells where the feed ends.
    const top = this.top;
    this.early = null;
    this.top = null;
    if (first === null) this.live = null;
    const { session, requestsInFlight } = this.options;
    const ours = this.greeting() !== null;
    const readPage = async (last: number): Promise<Page> =>
      ours ? await this.ownPage(last, signal) : await askChanges(session, last, signal);
    yield* readFeed({ readPage, first, top: ours ? null : top, pagesAtOnce: requestsInFlight }, position, signal);
  }

  /** Something is about to be sent: the count does not hold any more. */
  sending(): void {
    this.live = null;
  }

  /** A stock server's answer to an upload. */
  sent(usn: number): void {
    this.sentTo = Math.max(this.sentTo, usn);
  }

  /** How many live rows the feed ended with; null: the server has to be asked. */
  counted(): number | null {
    return this.live;
  }

  private greeted(greeting: Greeting): Head {
    this.peer = { greeting, tells: false };
    return { serverId: greeting.id, epoch: greeting.epoch, position: String(greeting.usn) };
  }

  private heard({ rows, more }: Page, greeting: NonNullable<SatchelPage["satchel"]>): Page {
    this.peer = { greeting, tells: true };
    this.live = more ? null : greeting.live;
    return { rows, more };
  }

  /** Who is there and what is new, in one request and as of one moment. null: this server is of an age that does not tell. */
  private async lookAndRead(position: string, signal: AbortSignal): Promise<Head | null> {
    const page = await askSatchelChanges(this.options.session, Number(position), signal);
    if (page.satchel === undefined) return null;
    this.early = { position, page: this.heard(page, page.satchel) };
    return { serverId: page.satchel.id, epoch: page.satchel.epoch, position: String(page.satchel.usn) };
  }

  /** Our server, which was met before. One odd answer of a proxy may not turn it into one of whom nothing is known. */
  private async again(ahead: string | null, signal: AbortSignal): Promise<Head> {
    const { session, shown } = this.options;
    if (ahead !== null && typeof this.peer === "object" && this.peer?.tells === true) {
      try {
        const head = await this.lookAndRead(ahead, signal);
        if (head !== null) return head;
      } catch (error) {
        if (error instanceof RemoteError && error.fault === "notOurServer") throw notItself(shown, error);
        throw error;
      }
    }
    const answer = await askHealth(session, signal);
    if (typeof answer === "object") return this.greeted(answer);
    throw notItself(shown);
  }

  /** The first meeting. Both ways are tried at once, so that our own server answers after one round trip. */
  private async meet(ahead: string | null, signal: AbortSignal): Promise<Head | "stock" | "unclear"> {
    const [health, page] = await Promise.allSettled([
      askHealth(this.options.session, signal),
      ahead === null ? null : this.lookAndRead(ahead, signal),
    ]);
    signal.throwIfAborted();
    if (page.status === "fulfilled" && page.value !== null) return page.value;
    if (health.status === "rejected") throw health.reason;
    // Whatever the page's way ended in: to a server that is not ours, it is no way.
    if (typeof health.value !== "object") return health.value;
    if (page.status === "rejected") throw page.reason;
    return this.greeted(health.value);
  }

  private async stock(ahead: string | null, signal: AbortSignal): Promise<Head> {
    const { session, clientVersion, ankiWeb } = this.options;
    // Only of a first sync, and after an upload of our own, is it known beforehand that there is something to read.
    const wanted = !ankiWeb && ahead !== null && (ahead === "0" || Number(ahead) < this.sentTo);
    const [begun, page] = await Promise.allSettled([
      askBegin(session, clientVersion, signal),
      wanted ? askChanges(session, Number(ahead), signal) : null,
    ]);
    if (begun.status === "rejected") throw begun.reason;
    if (page.status === "rejected") throw page.reason;
    this.top = begun.value;
    this.sentTo = 0;
    if (ahead !== null && page.value !== null) this.early = { position: ahead, page: page.value };
    return { serverId: null, epoch: null, position: String(begun.value) };
  }

  /** A page of our server. @throws RemoteError where it is not any more what it was when this read began: its rows are of another list */
  private async ownPage(last: number, signal: AbortSignal): Promise<Page> {
    const known = this.peer;
    const page = await askSatchelChanges(this.options.session, last, signal);
    if (known === null || known === "stock") return page;
    const { satchel } = page;
    if (satchel === undefined && !known.tells) return page;
    if (satchel?.id !== known.greeting.id || satchel.epoch !== known.greeting.epoch) throw wentBack(this.options.shown);
    return this.heard(page, satchel);
  }
}

function notItself(shown: string, cause?: unknown): RemoteError {
  return new RemoteError(
    "notOurServer",
    `Could not reach ${shown}: what answers does not say any more that it is the Satchel server it was a moment ago. A proxy, or a network that wants you to sign in first? Nothing was changed; it is tried again.`,
    cause === undefined ? {} : { cause },
  );
}

function wentBack(shown: string): RemoteError {
  return new RemoteError(
    "retry",
    `Could not read the changes from ${shown}: the server was put back to a backup, or replaced, while its list was read. Nothing was deleted because of it; the list is read again.`,
  );
}
