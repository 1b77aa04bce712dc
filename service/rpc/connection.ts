/** One WebSocket connection: its requests, its subscription, and the rule that a slow reader is waited for and never buffered for. */
import type { RawData, WebSocket } from "ws";

import type { Scope } from "../../protocol/method.ts";
import type { OpenLanguageSession } from "../core/language-port.ts";
import type { Engine } from "../engine/facade.ts";
import { Dispatcher, type Bindings, type Peer } from "./dispatch.ts";
import { LanguageShare } from "./language.ts";
import { ProgressFeed } from "./progress.ts";
import type { Identity } from "./tokens.ts";

/** More than this waits in our memory for the peer: its requests are not read until it has taken some. */
const BUFFER_MAX_BYTES = 1024 * 1024;
/** Progress is not worth waiting memory: it is sent only while little waits. */
const PROGRESS_BUFFER_BYTES = 64 * 1024;
/** Events are read from the store in portions; the next one is when this one has left. */
const EVENTS_AT_ONCE = 100;
/** Requests: so many at once, then so many per second (WS17). */
const REQUESTS_BURST = 2000;
const REQUESTS_PER_SECOND = 1000;
/** What was overdrawn is waited for, and a little more, so that the socket is not paused for every single request. */
const THROTTLE_MS = 100;
/** Looks (one a minute) at a peer that takes nothing of what waits for it, before its place is given to somebody else. */
const STALLED_LOOKS_MAX = 10;

export type ConnectionDeps = {
  readonly engine: Engine;
  readonly bindings: Bindings;
  readonly identity: Identity;
  readonly report: (error: unknown) => string;
  /** Absent: no language server on this connection. */
  readonly language?: OpenLanguageSession;
};

/** What a subscriber has been sent so far. `gapAfter`: a gap from this number on is to be told before anything else. */
type Position = { after: number; gapAfter: number | null };

export class Connection implements Peer {
  readonly scope: Scope;
  /** null: opened with the token of service.json. */
  readonly tokenId: string | null;
  readonly #socket: WebSocket;
  readonly #engine: Engine;
  readonly #dispatcher: Dispatcher;
  readonly #language: LanguageShare | null;
  readonly #report: (error: unknown) => string;
  readonly #progress: ProgressFeed;
  readonly #stops: (() => void)[] = [];
  /** Messages that were read before the socket was paused: answered when the peer has taken what waits. */
  readonly #unanswered: string[] = [];
  #position: Position | null = null;
  #sendingEvents = false;
  #allowance = REQUESTS_BURST;
  #allowanceAtMs = performance.now();
  #throttle: NodeJS.Timeout | null = null;
  #full = false;
  /** Heard of since the last look: messages and pongs count. */
  #alive = true;
  #stalledLooks = 0;
  #ended = false;

  constructor(socket: WebSocket, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#engine = deps.engine;
    this.scope = deps.identity.scope;
    this.tokenId = deps.identity.tokenId;
    this.#report = deps.report;
    this.#language = shareOf(
      deps,
      (message) => this.#send(JSON.stringify(message)),
      () => this.end(1000, "exit"),
    );
    this.#dispatcher = new Dispatcher(deps.bindings, this, deps.report, {
      spend: (requests) => this.#spend(requests),
      taken: (message) => this.#language?.takes(message) ?? false,
    });
    this.#progress = new ProgressFeed(deps.engine, (notice) => {
      if (socket.bufferedAmount > PROGRESS_BUFFER_BYTES) return false;
      this.#send(notice);
      return true;
    });
    socket.on("message", (data: RawData, isBinary: boolean) => {
      this.#alive = true;
      if (this.#ended) return;
      if (isBinary) this.end(1003, "text frames only");
      else if (this.#full) this.#unanswered.push(textOf(data));
      else void this.#onText(textOf(data));
    });
    socket.on("pong", () => (this.#alive = true));
    socket.on("error", () => socket.terminate()); // a broken frame or a reset: `close` follows
    socket.on("close", () => this.#onClose());
  }

  /** Bytes that wait in our memory for the peer to take them. */
  get waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  subscribe(from: { readonly after: number; readonly lostAfter: number | null }, progress: boolean): void {
    this.unsubscribe();
    this.#position = { after: from.after, gapAfter: from.lostAfter };
    this.#stops.push(this.#engine.onEvent(() => this.#pump()));
    if (progress) this.#stops.push(this.#progress.watch(null, (value) => notification("sync/progress", value)));
    // The answer to the subscription leaves first.
    setImmediate(() => this.#pump());
  }

  unsubscribe(): void {
    this.#position = null;
    for (const stop of this.#stops.splice(0)) stop();
  }

  async withProgress<T>(token: string | number | undefined, folder: string | null, work: () => Promise<T>): Promise<T> {
    if (token === undefined) return await work();
    const done = this.#progress.watch(folder, (value) => notification("$/progress", { token, value }));
    try {
      return await work();
    } finally {
      done();
    }
  }

  /** Pings. Dropped is a peer that has not been heard of since the last call, or that takes nothing of what waits for it for too long. */
  checkAlive(): void {
    this.#stalledLooks = this.#full ? this.#stalledLooks + 1 : 0;
    if (this.#stalledLooks >= STALLED_LOOKS_MAX || (!this.#alive && !this.#socket.isPaused)) return this.#socket.terminate();
    this.#alive = false;
    this.#socket.ping();
  }

  /** Says goodbye and does nothing more for this peer, whatever it still sends: what waits is cancelled. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.unsubscribe();
    this.#progress.close();
    this.#dispatcher.close();
    this.#socket.close(code, reason);
    this.#socket.resume(); // the other side's goodbye must be read
  }

  async #onText(text: string): Promise<void> {
    const answer = await this.#dispatcher.handle(text);
    if (answer !== null) this.#send(answer);
  }

  #send(text: string, sent: () => void = () => undefined): void {
    const { OPEN } = this.#socket;
    if (this.#socket.readyState !== OPEN) return;
    this.#socket.send(text, () => {
      this.#stalledLooks = 0;
      if (this.#full && this.#socket.bufferedAmount < BUFFER_MAX_BYTES) {
        this.#full = false;
        this.#resume();
      }
      sent();
    });
    if (this.#socket.bufferedAmount >= BUFFER_MAX_BYTES) {
      this.#full = true;
      this.#socket.pause();
    }
  }

  /** Each portion is read from the store when the one before has left: nothing is held for a slow reader, and nothing is left out. */
  #pump(): void {
    const position = this.#position;
    if (position === null || this.#sendingEvents || this.#full || this.#ended) return;
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    try {
      const notices = this.#nextNotices(position);
      for (const [at, { seq, text }] of notices.entries()) {
        const last = at === notices.length - 1;
        position.after = seq;
        if (last) this.#sendingEvents = true;
        this.#send(text, last ? () => this.#onPortionSent() : undefined);
        if (this.#full && !last) return; // `#resume` goes on from here
      }
    } catch (error) {
      // The store refused: a subscriber must not believe that it is up to date.
      this.#report(error);
      this.end(1011, "events can't be read");
    }
  }

  #onPortionSent(): void {
    this.#sendingEvents = false;
    setImmediate(() => this.#pump());
  }

  /** The next events after `position`; before them what tells that some are missing. */
  #nextNotices(position: Position): readonly { readonly seq: number; readonly text: string }[] {
    const { events, gap } = this.#engine.events.since(position.after, EVENTS_AT_ONCE);
    const notices = events.map((event) => ({ seq: event.seq, text: notification("event", event) }));
    const [first] = events;
    const lost = position.gapAfter !== null;
    if (lost || (gap && first !== undefined)) {
      const through = first === undefined ? position.after : first.seq - 1;
      const data = { after: position.gapAfter ?? position.after, through };
      const told = { seq: through, atMs: first?.atMs ?? Date.now(), kind: "gap", folder: null, data };
      notices.unshift({ seq: through, text: notification("event", told) });
    }
    position.gapAfter = null;
    return notices;
  }

  #spend(requests: number): void {
    const now = performance.now();
    const earned = ((now - this.#allowanceAtMs) * REQUESTS_PER_SECOND) / 1000;
    this.#allowance = Math.min(REQUESTS_BURST, this.#allowance + earned) - requests;
    this.#allowanceAtMs = now;
    if (this.#allowance >= 0 || this.#throttle !== null) return;
    this.#socket.pause();
    const owedMs = (-this.#allowance * 1000) / REQUESTS_PER_SECOND;
    this.#throttle = setTimeout(() => {
      this.#throttle = null;
      this.#resume();
    }, owedMs + THROTTLE_MS);
  }

  #resume(): void {
    if (this.#full || this.#throttle !== null || this.#ended) return;
    this.#alive = true;
    const text = this.#unanswered.shift();
    if (text !== undefined) {
      void this.#onText(text);
      setImmediate(() => this.#resume());
      return;
    }
    this.#socket.resume();
    this.#pump();
  }

  #onClose(): void {
    this.#ended = true;
    this.unsubscribe();
    this.#progress.close();
    if (this.#throttle !== null) clearTimeout(this.#throttle);
    this.#dispatcher.close();
    this.#language?.close();
  }
}

/** null: only scope `admin` gets a language server, which looks into directories of the editor's choice and restores files. */
function shareOf(
  { language, identity, bindings, report }: ConnectionDeps,
  send: (message: object) => void,
  close: () => void,
): LanguageShare | null {
  if (language === undefined || identity.scope !== "admin") return null;
  return new LanguageShare({ open: language, peer: { send, close }, isApi: (method) => bindings.has(method), report });
}

function notification(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return data instanceof ArrayBuffer ? Buffer.from(data).toString("utf8") : data.toString("utf8");
}
