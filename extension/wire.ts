/** One WebSocket to the service, shared by the API and the language server: one JSON-RPC message per text frame. */
import { Agent } from "node:http";
import { connect as connectSocket, type Socket } from "node:net";

import { WebSocket } from "ws";

import type { ServiceFile } from "../protocol/config.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { RequestError, type LanguageLine, type LanguageMessage, type Listening } from "./session.ts";

const HANDSHAKE_MS = 2000;
/** Answers may be large (a plan of a whole folder). */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;
/** Ids of API requests begin so; the language client numbers its own. */
const API_ID = "api-";
const API_NOTICES: ReadonlySet<string> = new Set(["event", "sync/progress"]);

export type Notice = { readonly method: string; readonly params: unknown };
/**
 * Connects to the service's socket whatever the request says. The editor puts its proxy in the place of a missing agent (and of `createConnection`
 * with it), but leaves one that is given for `localhost` alone.
 */
class SocketAgent extends Agent {
  readonly #socket: string;
  constructor(socket: string) {
    super();
    this.#socket = socket;
  }
  override createConnection(): Socket {
    return connectSocket(this.#socket);
  }
}

/** `code`: WebSocket close code; 1001 is the service's goodbye. */
export type Goodbye = { readonly code: number; readonly reason: string };
type Message = { readonly [key: string]: unknown };
type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void };

export class Wire {
  readonly closed: Promise<Goodbye>;
  readonly line: LanguageLine;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #closeListeners = new Set<() => void>();
  readonly #early: LanguageMessage[] = [];
  #onLanguage: ((message: LanguageMessage) => void) | null = null;
  #onNotice: (notice: Notice) => void = () => undefined;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<Goodbye>();
    this.closed = closed.promise;
    socket.on("message", (data: Buffer) => this.#onText(data.toString("utf8")));
    socket.on("error", () => socket.terminate()); // `close` follows and tells the waiting
    socket.on("close", (code: number, reason: Buffer) => {
      const gone = new RequestError(null, "The connection to the Satchel service ended before it answered.");
      for (const waiting of this.#waiting.values()) waiting.reject(gone);
      this.#waiting.clear();
      for (const listener of this.#closeListeners) listener();
      closed.resolve({ code, reason: reason.toString("utf8") });
    });
    this.line = {
      send: async (message) => await this.#send(message),
      onMessage: (listener) => this.#listenToLanguage(listener),
      onClose: (listener) => {
        this.#closeListeners.add(listener);
        return { dispose: () => this.#closeListeners.delete(listener) };
      },
    };
  }

  /** null: nobody answers there. */
  static async open(service: ServiceFile): Promise<Wire | null> {
    const socket = new WebSocket("ws://localhost/", ["satchel.v1"], {
      agent: new SocketAgent(service.socket),
      headers: { Authorization: `Bearer ${service.token}` },
      perMessageDeflate: false,
      maxPayload: ANSWER_MAX_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
    });
    const opened = await new Promise<boolean>((resolve) => {
      socket.once("open", () => resolve(true));
      // Refused, gone or not ours: to the caller it is all the same.
      socket.once("error", () => resolve(false));
    });
    return opened ? new Wire(socket) : null;
  }

  onNotice(listener: (notice: Notice) => void): void {
    this.#onNotice = listener;
  }

  /** @throws RequestError */
  async request(method: string, params: unknown, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted === true) throw cancelled();
    const id = `${API_ID}${String(++this.#lastId)}`;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    const onAbort = () => void this.#send({ jsonrpc: "2.0", method: "$/cancelRequest", params: { id } }).catch(() => undefined);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await this.#send({ jsonrpc: "2.0", id, method, params });
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.#socket.close(1000);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  async #send(message: unknown): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.send(JSON.stringify(message), (error) => {
        if (error === undefined || error === null) resolve();
        else reject(new RequestError(null, `Could not reach the Satchel service: ${error.message}.`, { cause: error }));
      });
    });
  }

  #listenToLanguage(listener: (message: LanguageMessage) => void): Listening {
    this.#onLanguage = listener;
    for (const message of this.#early.splice(0)) listener(message);
    return {
      dispose: () => {
        if (this.#onLanguage === listener) this.#onLanguage = null;
      },
    };
  }

  #onText(text: string): void {
    const message = parsed(text);
    if (message === null) return this.#socket.close(1002, "not a JSON-RPC message");
    const { id, method } = message;
    if (typeof method === "string" && API_NOTICES.has(method)) return this.#onNotice({ method, params: message["params"] });
    if (method === undefined && typeof id === "string" && id.startsWith(API_ID)) return this.#onAnswer(id, message);
    const told: LanguageMessage = { jsonrpc: "2.0", ...message };
    if (this.#onLanguage === null) this.#early.push(told);
    else this.#onLanguage(told);
  }

  #onAnswer(id: string, message: Message): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if ("error" in message) waiting?.reject(errorOf(message["error"]));
    else waiting?.resolve(message["result"]);
  }
}

function cancelled(): RequestError {
  return new RequestError(ErrorCode.RequestCancelled, "The request was cancelled.");
}

function parsed(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object read as one with unknown values
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Message) : null;
  } catch {
    return null;
  }
}

const CODES: ReadonlyMap<number, ErrorCode> = new Map(Object.values(ErrorCode).map((code) => [code, code]));

function errorOf(error: unknown): RequestError {
  const told = typeof error === "object" && error !== null ? error : {};
  const code = "code" in told && typeof told.code === "number" ? CODES.get(told.code) : undefined;
  const message = "message" in told && typeof told.message === "string" ? told.message : "The Satchel service gave no reason.";
  return new RequestError(code ?? ErrorCode.InternalError, message);
}
