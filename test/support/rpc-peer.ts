import { once } from "node:events";
import { connect } from "node:net";

import { WebSocket } from "ws";

import { METHODS, type MethodName, type ParamsOf, type ResultOf } from "../../protocol/api/table.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Method } from "../../protocol/method.ts";
import { ALWAYS } from "../../protocol/openrpc.ts";

/** The token of every service that a test starts by hand. */
export const TOKEN = "t".repeat(43);

/** A real client that keeps every message. */
export class Peer {
  readonly socket: WebSocket;
  /** Names of the methods that were asked. */
  readonly asked = new Set<string>();
  readonly messages: Record<string, unknown>[] = [];
  #wake = Promise.withResolvers<void>();
  #id = 0;
  #events = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the assertions below look at every field they use
      const parsed = JSON.parse(data.toString()) as Record<string, unknown> | Record<string, unknown>[];
      this.messages.push(...(Array.isArray(parsed) ? parsed : [parsed]));
      if (!Array.isArray(parsed) && parsed["method"] === "event") this.#events += 1;
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  static async tcp(port: number, token = TOKEN): Promise<Peer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { Authorization: `Bearer ${token}` } });
    await once(socket, "open");
    return new Peer(socket);
  }

  static async unix(socketPath: string, token = TOKEN): Promise<Peer> {
    const socket = new WebSocket("ws://localhost/", {
      createConnection: () => connect(socketPath),
      headers: { Authorization: `Bearer ${token}` },
    });
    await once(socket, "open");
    return new Peer(socket);
  }

  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      await this.#wake.promise;
    }
  }

  async say(text: string): Promise<Record<string, unknown>> {
    const seen = this.messages.length;
    this.socket.send(text);
    return await this.until(() => this.messages[seen]);
  }

  async call(method: string, params: unknown = {}): Promise<Record<string, unknown>> {
    const id = ++this.#id;
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    const answer = await this.until(() => this.messages.find((message) => message["id"] === id));
    refuseUndeclared(method, answer);
    return answer;
  }

  /** The result, which keeps to the method's schema. @throws Error when the answer is an error, or not what the schema says */
  async ask<Name extends MethodName>(name: Name, params: ParamsOf<Name>): Promise<ResultOf<Name>> {
    this.asked.add(name);
    const answer = await this.call(name, params);
    if (!("result" in answer)) throw new Error(`${name} answered ${JSON.stringify(answer)}`);
    const one = (METHODS as readonly Method[]).find((method) => method.name === name);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema of this very method
    return one?.result.parse(answer["result"]) as ResultOf<Name>;
  }

  events(): { seq: number; kind: string; data: unknown }[] {
    const events = this.messages.filter(({ method }) => method === "event").map(({ params }) => params);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    return events as { seq: number; kind: string; data: unknown }[];
  }

  /** Resolves when so many events have arrived. */
  async eventCount(count: number): Promise<void> {
    await this.until(() => (this.#events >= count ? true : undefined));
  }

  async close(): Promise<void> {
    this.socket.close();
    if (this.socket.readyState !== WebSocket.CLOSED) await once(this.socket, "close");
  }
}

/** @throws Error when a method answers with a code that it does not declare */
function refuseUndeclared(name: string, answer: Record<string, unknown>): void {
  const one = (METHODS as readonly Method[]).find((method) => method.name === name);
  if (one === undefined || !("error" in answer)) return;
  const declared: readonly unknown[] = [...one.errors, ...ALWAYS, ErrorCode.InvalidRequest];
  if (!declared.includes(codeOf(answer))) throw new Error(`${name} does not declare this error: ${JSON.stringify(answer)}`);
}

/** The code of an error answer; a text where it is none. */
export function codeOf(answer: Record<string, unknown>): unknown {
  const { error } = answer;
  return typeof error === "object" && error !== null && "code" in error ? error.code : `no error: ${JSON.stringify(answer)}`;
}
