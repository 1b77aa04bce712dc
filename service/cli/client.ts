/** A connection to the service, as any front end makes it. */
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";

import { WebSocket } from "ws";

import type { MethodName, ParamsOf, ResultOf } from "../../protocol/api/table.ts";
import type { ServiceFile } from "../../protocol/config.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import { PROTOCOL_VERSION } from "../../protocol/version.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";

/** The service answered with an error. */
class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.name = "RpcError";
    this.code = code;
  }
}

export type Notice = { readonly method: string; readonly params: unknown };
/** Answers may be large (a plan of a whole folder); what we send is under the service's 1 MiB. */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;
const HANDSHAKE_MS = 5000;

type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void };

export class Client {
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  #onText: (text: string) => void = (text) => this.#onMessage(text);
  #onNotice: (notice: Notice) => void = () => undefined;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    socket.on("message", (data: Buffer) => this.#onText(data.toString("utf8")));
    socket.on("error", () => socket.terminate()); // `close` follows and tells the waiting
    socket.on("close", () => {
      const gone = new CliError(Exit.NoService, "The service closed the connection. Look with `satchel service status`, then try again.");
      for (const waiting of this.#waiting.values()) waiting.reject(gone);
      this.#waiting.clear();
      closed.resolve();
    });
  }

  /** null: nobody answers there. @throws CliError when somebody else does, or a service of another version */
  static async open(service: ServiceFile): Promise<Client | null> {
    const socket = new WebSocket("ws://localhost/", ["satchel.v1"], {
      createConnection: () => connectSocket(service.socket),
      headers: { Authorization: `Bearer ${service.token}` },
      perMessageDeflate: false,
      maxPayload: ANSWER_MAX_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
    });
    try {
      await once(socket, "open");
    } catch {
      // Refused, gone or not ours: to the caller it is all the same, the service can't be reached there.
      return null;
    }
    const client = new Client(socket);
    await client.#meet(service);
    return client;
  }

  /** @throws RpcError, or CliError when the connection ends first */
  async call<Name extends MethodName>(method: Name, params: ParamsOf<Name>): Promise<ResultOf<Name>> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the service of this very version answers; `open` compared the protocol
    return (await this.raw(method, params)) as ResultOf<Name>;
  }

  /** As `call`, for a method that this version may not know. */
  async raw(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }), (error) => {
      if (error !== undefined && error !== null) reject(new CliError(Exit.NoService, `Could not reach the service: ${error.message}.`));
    });
    return await promise;
  }

  /** From now on every message goes to `listener` as it came: this connection is another protocol's. */
  onMessage(listener: (text: string) => void): void {
    this.#onText = listener;
  }

  /** A message of that protocol. */
  send(text: string): void {
    this.#socket.send(text);
  }

  /** Nothing is read until `resume`; the service waits. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  onNotice(listener: (notice: Notice) => void): void {
    this.#onNotice = listener;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.closed;
  }

  /** The other side must prove that it wrote service.json before it is told anything (a password, for one). */
  async #meet(service: ServiceFile): Promise<void> {
    const nonce = randomBytes(24).toString("base64url");
    const hello = await this.call("service/hello", { nonce, client: "satchel command line" });
    const proof = createHmac("sha256", service.serviceKey).update(`satchel-hello:${nonce}`).digest("hex");
    if (hello.proof !== proof) {
      this.#socket.terminate();
      throw new CliError(Exit.Fatal, `Something else than the Satchel service answers at ${service.socket}. Nothing was sent to it.`);
    }
    if (hello.protocolVersion === PROTOCOL_VERSION) return;
    this.#socket.terminate();
    throw new CliError(
      Exit.Fatal,
      `The service that runs is Satchel ${hello.version}, which speaks another protocol (${hello.protocolVersion}, not ${PROTOCOL_VERSION}). Stop it (process ${hello.pid}), then run \`satchel service start\`.`,
    );
  }

  #onMessage(text: string): void {
    const message: unknown = JSON.parse(text);
    if (typeof message !== "object" || message === null) return;
    if ("method" in message) {
      if (typeof message.method === "string")
        this.#onNotice({ method: message.method, params: "params" in message ? message.params : undefined });
      return;
    }
    const id = "id" in message && typeof message.id === "number" ? message.id : -1;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if ("error" in message) waiting?.reject(errorOf(message.error));
    else waiting?.resolve("result" in message ? message.result : undefined);
  }
}

function errorOf(error: unknown): RpcError {
  const told = typeof error === "object" && error !== null ? error : {};
  const code = "code" in told && typeof told.code === "number" ? told.code : ErrorCode.InternalError;
  return new RpcError(code, "message" in told && typeof told.message === "string" ? told.message : "The service gave no reason.");
}
