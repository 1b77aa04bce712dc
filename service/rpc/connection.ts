/** One WebSocket connection: its requests, its subscription, and the rule that a slow reader is waited for and never buffered for. */
import type { RawData, WebSocket } from "ws";

import type { Scope } from "../../protocol/method.ts";
import type { Engine } from "../engine/facade.ts";
import { Dispatcher, type Bindings, type Peer } from "./dispatch.ts";
import type { Identity } from "./tokens.ts";

/** More than this waits in our memory for the peer: its requests are not read until it has taken some. */
const BUFFER_MAX_BYTES = 1024 * 1024;
/** Progress is not worth waiting memory: it is sent only while little waits. */
const PROGRESS_BUFFER_BYTES = 64 * 1024;
const PROGRESS_EVERY_MS = 100;
/** Events are handed to the socket in portions; the next one goes when this one has left. */
const EVENTS_AT_ONCE = 100;
/** Requests: so many at once, then so many per second (WS17). */
const REQUESTS_BURST = 2000;
const REQUESTS_PER_SECOND = 1000;

export type ConnectionDeps = {
  readonly engine: Engine;
  readonly bindings: Bindings;
  readonly identity: Identity;
  readonly report: (error: unknown) => string;
};

export class Connection implements Peer {
  readonly scope: Scope;
  /** null: opened with the token of service.json. */
  readonly tokenId: string | null;
  readonly #socket: WebSocket;
  readonly #engine: Engine;
  readonly #dispatcher: Dispatcher;
  readonly #report: (error: unknown) => string;
  readonly #stops: (() => void)[] = [];
  #nextEvents: { after: number } | null = null;
  #sendingEvents = false;
  #progress: Map<string, string> | null = null;
  #progressTimer: NodeJS.Timeout | null = null;
  #allowance = REQUESTS_BURST;
  #allowanceAtMs = performance.now();
  #throttle: NodeJS.Timeout | null = null;
  #full = false;
  /** Heard of since the last look: messages and pongs count. */
  #alive = true;
  #ended = false;

  constructor(socket: WebSocket, deps: ConnectionDeps) {
    this.#socket = socket;
    this.#engine = deps.engine;
    this.scope = deps.identity.scope;
    this.tokenId = deps.identity.tokenId;
    this.#report = deps.report;
    this.#dispatcher = new Dispatcher(deps.bindings, this, deps.report);
    socket.on("message", (data: RawData, isBinary: boolean) => {
      this.#alive = true;
      if (this.#ended) return;
      if (isBinary) this.end(1003, "text frames only");
      else void this.#onText(textOf(data));
    });
    socket.on("pong", () => (this.#alive = true));
    socket.on("error", () => socket.terminate()); // a broken frame or a reset: `close` follows
    socket.on("close", () => this.#onClose());
  }

  subscribe(since: number, progress: boolean): void {
    this.unsubscribe();
    this.#nextEvents = { after: since };
    this.#stops.push(this.#engine.onEvent(() => this.#pump()));
    if (progress) {
      this.#progress = new Map();
      this.#stops.push(
        this.#engine.onProgress((folder, run, phase, counts) => {
          this.#progress?.set(folder, notification("sync/progress", { folder, run, phase, progress: counts, atMs: Date.now() }));
          this.#progressTimer ??= setTimeout(() => this.#flushProgress(), PROGRESS_EVERY_MS);
        }),
      );
    }
    // The answer to the subscription leaves first.
    setImmediate(() => this.#pump());
  }

  unsubscribe(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#nextEvents = null;
    this.#progress = null;
    if (this.#progressTimer !== null) clearTimeout(this.#progressTimer);
    this.#progressTimer = null;
  }

  /** Pings; a peer that has not been heard of since the last call is dropped. */
  checkAlive(): void {
    if (!this.#alive && !this.#socket.isPaused) return this.#socket.terminate();
    this.#alive = false;
    this.#socket.ping();
  }

  /** Says goodbye and does nothing more for this peer, whatever it still sends: what waits is cancelled. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.unsubscribe();
    this.#dispatcher.close();
    this.#socket.close(code, reason);
    this.#socket.resume(); // the other side's goodbye must be read
  }

  async #onText(text: string): Promise<void> {
    this.#spend();
    const answer = await this.#dispatcher.handle(text);
    if (answer !== null) this.#send(answer);
  }

  #send(text: string, sent: () => void = () => undefined): void {
    const { OPEN } = this.#socket;
    if (this.#socket.readyState !== OPEN) return;
    this.#socket.send(text, () => {
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
    const next = this.#nextEvents;
    if (next === null || this.#sendingEvents || this.#full || this.#socket.readyState !== this.#socket.OPEN) return;
    try {
      const { events, gap } = this.#engine.events.since(next.after, EVENTS_AT_ONCE);
      if (events.length === 0) return;
      const first = events[0]?.seq ?? 0;
      const notices = events.map((event) => notification("event", event));
      if (gap) {
        const data = { after: next.after, through: first - 1 };
        notices.unshift(notification("event", { seq: first - 1, atMs: events[0]?.atMs ?? 0, kind: "gap", folder: null, data }));
      }
      next.after = events.at(-1)?.seq ?? next.after;
      this.#sendingEvents = true;
      notices.forEach((notice, at) =>
        this.#send(notice, () => {
          if (at !== notices.length - 1) return;
          this.#sendingEvents = false;
          setImmediate(() => this.#pump());
        }),
      );
    } catch (error) {
      // The store refused: a subscriber must not believe that it is up to date.
      this.#report(error);
      this.end(1011, "events can't be read");
    }
  }

  #flushProgress(): void {
    this.#progressTimer = null;
    if (this.#progress === null) return;
    if (this.#socket.bufferedAmount > PROGRESS_BUFFER_BYTES) {
      this.#progressTimer = setTimeout(() => this.#flushProgress(), PROGRESS_EVERY_MS);
      return;
    }
    for (const notice of this.#progress.values()) this.#send(notice);
    this.#progress.clear();
  }

  #spend(): void {
    const now = performance.now();
    const earned = ((now - this.#allowanceAtMs) * REQUESTS_PER_SECOND) / 1000;
    this.#allowance = Math.min(REQUESTS_BURST, this.#allowance + earned) - 1;
    this.#allowanceAtMs = now;
    if (this.#allowance >= 0 || this.#throttle !== null) return;
    this.#socket.pause();
    const owedMs = (-this.#allowance * 1000) / REQUESTS_PER_SECOND;
    this.#throttle = setTimeout(() => {
      this.#throttle = null;
      this.#resume();
    }, owedMs + PROGRESS_EVERY_MS);
  }

  #resume(): void {
    if (this.#full || this.#throttle !== null) return;
    this.#alive = true;
    this.#socket.resume();
    this.#pump();
  }

  #onClose(): void {
    this.unsubscribe();
    if (this.#throttle !== null) clearTimeout(this.#throttle);
    this.#dispatcher.close();
  }
}

function notification(method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return data instanceof ArrayBuffer ? Buffer.from(data).toString("utf8") : data.toString("utf8");
}
