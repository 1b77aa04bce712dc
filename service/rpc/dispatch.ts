/** JSON-RPC 2.0, strictly: from the text of one message to the text of its answer. Knows no sockets. */
import { ErrorCode } from "../../protocol/errors.ts";
import type { Method, Scope } from "../../protocol/method.ts";
import { errorBody, RpcFailure, type ErrorBody } from "./failures.ts";

/** More in one message is refused as a whole. */
const BATCH_MAX = 100;
/** Requests of one connection that may be under way at once. */
const IN_FLIGHT_MAX = 128;

/** What a handler may use of its caller. */
export type Call = { readonly peer: Peer; readonly signal: AbortSignal };
/** One connection as handlers see it. */
export interface Peer {
  readonly scope: Scope;
  /** Begins (again) to send events. `lostAfter`: the asker's number is of another log, which a gap tells first. */
  subscribe(from: { readonly after: number; readonly lostAfter: number | null }, progress: boolean): void;
  unsubscribe(): void;
  /** Tells this request's progress (of one folder; null: of all) under the caller's token while `work` goes on, and nothing after it. */
  withProgress<T>(token: string | number | undefined, folder: string | null, work: () => Promise<T>): Promise<T>;
}
export type Bound = { readonly method: Method; readonly run: (params: unknown, call: Call) => unknown };
/** A `Map`, so that `__proto__` and its like are names like any other (WS14). */
export type Bindings = ReadonlyMap<string, Bound>;

type Id = string | number | null;
type Request = { readonly method: string; readonly params: unknown; readonly id: Id | undefined };
type Refusal = { readonly jsonrpc: "2.0"; readonly id: Id; readonly error: ErrorBody };
type Reply = Refusal | { readonly jsonrpc: "2.0"; readonly id: Id; readonly result: unknown };

const RANK: Readonly<Record<Scope, number>> = { read: 0, write: 1, admin: 2 };

type Hooks = {
  /** Told how many requests a message holds, before any is carried out. */
  readonly spend?: (requests: number) => void;
  /** True: the message is somebody else's (the language server's), who has taken it. */
  readonly taken?: (message: object) => boolean;
};

/** The requests of one connection. `report`: logs what can't be explained to the peer, returns the id it is logged under. */
export class Dispatcher {
  readonly #bindings: Bindings;
  readonly #peer: Peer;
  readonly #report: (error: unknown) => string;
  readonly #hooks: Hooks;
  readonly #inFlight = new Map<string, AbortController>();
  #unnamed = 0;

  constructor(bindings: Bindings, peer: Peer, report: (error: unknown) => string, hooks: Hooks = {}) {
    this.#bindings = bindings;
    this.#peer = peer;
    this.#report = report;
    this.#hooks = hooks;
  }

  /** The answer to one message, or null where none is due. Never rejects. */
  async handle(text: string): Promise<string | null> {
    let message: unknown;
    this.#hooks.spend?.(1);
    try {
      message = JSON.parse(text);
    } catch {
      return JSON.stringify(failure(null, ErrorCode.ParseError, "The message is not JSON."));
    }
    if (typeof message === "object" && message !== null && !Array.isArray(message) && this.#hooks.taken?.(message) === true) return null;
    if (!Array.isArray(message)) return await this.#answer(message).then((reply) => (reply === null ? null : JSON.stringify(reply)));
    if (message.length === 0 || message.length > BATCH_MAX) {
      const why = message.length === 0 ? "A batch holds at least one request." : `A batch holds at most ${BATCH_MAX} requests.`;
      return JSON.stringify(failure(null, ErrorCode.InvalidRequest, why));
    }
    this.#hooks.spend?.(message.length - 1);
    const replies = await Promise.all(message.map(async (one: unknown) => await this.#answer(one)));
    const due = replies.filter((reply) => reply !== null);
    return due.length === 0 ? null : JSON.stringify(due);
  }

  /** The connection is gone: nobody waits any more. */
  close(): void {
    for (const controller of this.#inFlight.values()) controller.abort(new Error("the connection was closed"));
  }

  async #answer(message: unknown): Promise<Reply | null> {
    const request = readRequest(message);
    if ("error" in request) return request;
    if (request.method === "$/cancelRequest") {
      this.#cancel(request.params);
      return request.id === undefined ? null : { jsonrpc: "2.0", id: request.id, result: null };
    }
    // Unknown `$/` notifications may be ignored by anybody (language server protocol).
    if (request.id === undefined && request.method.startsWith("$/")) return null;
    const key = request.id === undefined ? `n${++this.#unnamed}` : keyOf(request.id);
    if (this.#inFlight.has(key))
      return failure(request.id ?? null, ErrorCode.InvalidRequest, "A request with this id is under way already.");
    if (this.#inFlight.size >= IN_FLIGHT_MAX)
      return request.id === undefined
        ? null
        : failure(
            request.id,
            ErrorCode.Busy,
            `At most ${IN_FLIGHT_MAX} requests of one connection may be under way; wait for an answer first.`,
          );
    const controller = new AbortController();
    this.#inFlight.set(key, controller);
    try {
      const result = await this.#run(request, controller.signal);
      return request.id === undefined ? null : { jsonrpc: "2.0", id: request.id, result: result ?? null };
    } catch (error) {
      const body = errorBody(error, controller.signal, this.#report);
      return request.id === undefined ? null : { jsonrpc: "2.0", id: request.id, error: body };
    } finally {
      this.#inFlight.delete(key);
    }
  }

  async #run(request: Request, signal: AbortSignal): Promise<unknown> {
    const bound = this.#bindings.get(request.method);
    if (bound === undefined) throw new RpcFailure(ErrorCode.MethodNotFound, `There is no method ${request.method.slice(0, 100)}.`);
    if (RANK[this.#peer.scope] < RANK[bound.method.scope])
      throw new RpcFailure(
        ErrorCode.Forbidden,
        `${request.method} needs a token of scope ${bound.method.scope}; this one has ${this.#peer.scope}.`,
      );
    if (Array.isArray(request.params)) throw new RpcFailure(ErrorCode.InvalidParams, "Parameters go by name, as an object.");
    const work = bound.run(bound.method.params.parse(request.params ?? {}), { peer: this.#peer, signal });
    // Who only wanted to see need not wait for the end of it. What changes something tells how it ended.
    return bound.method.scope === "read" ? await Promise.race([work, aborted(signal)]) : await work;
  }

  #cancel(params: unknown): void {
    if (typeof params !== "object" || params === null || !("id" in params)) return;
    const { id } = params;
    if (typeof id === "string" || typeof id === "number") this.#inFlight.get(keyOf(id))?.abort(new Error("the request was cancelled"));
  }
}

/** Rejects when the signal fires; never resolves. */
async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true }));
}

function readRequest(message: unknown): Request | Refusal {
  if (typeof message !== "object" || message === null || Array.isArray(message))
    return failure(null, ErrorCode.InvalidRequest, "A request is an object.");
  const { jsonrpc, method, id, params } = fieldsOf(message);
  const knownId = typeof id === "string" || typeof id === "number" || id === null ? id : undefined;
  const bad = (why: string) => failure(knownId ?? null, ErrorCode.InvalidRequest, why);
  if (id !== undefined && knownId === undefined) return bad("An id is a string, a number or null.");
  if (jsonrpc !== "2.0") return bad('A request says "jsonrpc": "2.0".');
  if (typeof method !== "string") return bad("A request names its method.");
  if (params !== undefined && (typeof params !== "object" || params === null)) return bad("Parameters are an object.");
  return { method, params, id: knownId };
}

/** Own properties only: what a message does not say is not taken from any prototype. */
function fieldsOf(message: object): { jsonrpc?: unknown; method?: unknown; id?: unknown; params?: unknown } {
  return { ...message };
}

function failure(id: Id, code: ErrorCode, message: string): Refusal {
  return { jsonrpc: "2.0", id, error: { code, message } };
}

function keyOf(id: Id): string {
  return `${typeof id}:${String(id)}`;
}
