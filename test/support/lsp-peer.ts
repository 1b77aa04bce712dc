import { once } from "node:events";
import { connect } from "node:net";
import { pathToFileURL } from "node:url";

import { WebSocket } from "ws";

import type { ServiceFile } from "../../protocol/config.ts";
import type { OpenLanguageSession } from "../../service/core/language-port.ts";

export type Json = Readonly<Record<string, unknown>>;
export type Diagnostic = {
  readonly message: string;
  readonly code: string;
  readonly severity: number;
  readonly range: Range;
};
export type Range = { readonly start: Position; readonly end: Position };
export type Position = { readonly line: number; readonly character: number };

type Wire = { readonly send: (message: Json) => void; readonly close: () => Promise<void> };

/** An editor: over the service's WebSocket as the extension connects (API and language server on one connection), or over a session in this process. */
export class LspPeer {
  #wire: Wire = { send: () => undefined, close: async () => await Promise.resolve() };
  readonly #answers = new Map<number, (message: Json) => void>();
  readonly #diagnostics = new Map<string, Json>();
  readonly #versions = new Map<string, number>();
  /** Requests of the server, answered by the test. */
  onRequest: (method: string, params: Json) => unknown = () => null;
  readonly notices: Json[] = [];
  #wake = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<number>();
  #id = 0;

  static async open({ socket: path, token }: Pick<ServiceFile, "socket" | "token">): Promise<LspPeer> {
    const socket = new WebSocket("ws://localhost/", ["satchel.v1"], {
      createConnection: () => connect(path),
      headers: { Authorization: `Bearer ${token}` },
    });
    await once(socket, "open");
    const peer = new LspPeer();
    socket.on("error", () => undefined);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the assertions of the tests look at every field they use
    socket.on("message", (data: Buffer) => peer.#onMessage(JSON.parse(data.toString()) as Json));
    socket.on("close", (code) => peer.#closed.resolve(code));
    peer.#wire = {
      send: (message) => socket.send(JSON.stringify(message)),
      close: async () => {
        socket.close();
        await peer.closed;
      },
    };
    return peer;
  }

  /** A session of its own without a connection. Messages take the way of JSON, as they would. */
  static async inside(open: OpenLanguageSession): Promise<LspPeer> {
    const peer = new LspPeer();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    const copy = (message: object): Json => JSON.parse(JSON.stringify(message)) as Json;
    const session = await open({
      send: (message) => queueMicrotask(() => peer.#onMessage(copy(message))),
      close: () => peer.#closed.resolve(1000),
    });
    peer.#wire = { send: (message) => session.receive(copy(message)), close: async () => await Promise.resolve(session.close()) };
    return peer;
  }

  /** The code with which the other side ended the connection. */
  get closed(): Promise<number> {
    return this.#closed.promise;
  }

  /** A request of either protocol: the whole answer. */
  async ask(method: string, params: unknown = {}): Promise<Json> {
    const id = ++this.#id;
    const answer = new Promise<Json>((resolve) => this.#answers.set(id, resolve));
    this.#wire.send({ jsonrpc: "2.0", id, method, params });
    return await answer;
  }

  /** As `ask`; the result. @throws Error for an error answer */
  async call<T>(method: string, params: unknown = {}): Promise<T> {
    const answer = await this.ask(method, params);
    if ("error" in answer) throw new Error(`${method}: ${JSON.stringify(answer["error"])}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    return answer["result"] as T;
  }

  tell(method: string, params: unknown = {}): void {
    this.#wire.send({ jsonrpc: "2.0", method, params });
  }

  /** `initialize` with the abilities of a modern editor, then `initialized`. */
  async begin(workspace: string, options: Json = {}, capabilities: Json = EDITOR, locale = "en"): Promise<{ readonly capabilities: Json }> {
    const rootUri = pathToFileURL(workspace).href;
    const told = await this.call<{ readonly capabilities: Json }>("initialize", {
      processId: null,
      locale,
      rootUri,
      workspaceFolders: [{ uri: rootUri, name: "notes" }],
      capabilities,
      initializationOptions: options,
    });
    this.tell("initialized");
    return told;
  }

  openNote(uri: string, text: string): void {
    this.#versions.set(uri, 1);
    this.tell("textDocument/didOpen", { textDocument: { uri, languageId: "markdown", version: 1, text } });
  }

  /** The whole text anew, as an incremental change may be. */
  changeNote(uri: string, text: string): number {
    const version = (this.#versions.get(uri) ?? 0) + 1;
    this.#versions.set(uri, version);
    this.tell("textDocument/didChange", { textDocument: { uri, version }, contentChanges: [{ text }] });
    return version;
  }

  closeNote(uri: string): void {
    this.#versions.delete(uri);
    this.tell("textDocument/didClose", { textDocument: { uri } });
  }

  /** The newest diagnostics of a note, once they satisfy `wanted`. */
  async diagnostics(uri: string, wanted: (found: readonly Diagnostic[]) => boolean = () => true): Promise<readonly Diagnostic[]> {
    return await this.until(() => {
      const told = this.#diagnostics.get(uri);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
      const found = told?.["diagnostics"] as readonly Diagnostic[] | undefined;
      const current = told?.["version"] === this.#versions.get(uri);
      return found !== undefined && current && wanted(found) ? found : undefined;
    });
  }

  async until<T>(found: () => T | undefined): Promise<T> {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      await this.#wake.promise;
    }
  }

  async close(): Promise<void> {
    await this.#wire.close();
  }

  #onMessage(message: Json): void {
    const { id, method, params } = message;
    if (typeof method !== "string") {
      if (typeof id === "number") this.#answers.get(id)?.(message);
    } else if (id === undefined) this.#onNotice(message);
    else {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
      const result = this.onRequest(method, params as Json);
      this.#wire.send({ jsonrpc: "2.0", id, result: result ?? null });
    }
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #onNotice(message: Json): void {
    this.notices.push(message);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    const params = message["params"] as Json;
    if (message["method"] === "textDocument/publishDiagnostics") this.#diagnostics.set(String(params["uri"]), params);
  }
}

/** What VS Code tells of itself, as far as we ask. */
const EDITOR: Json = {
  workspace: {
    applyEdit: true,
    workspaceEdit: { documentChanges: true, resourceOperations: ["create", "rename", "delete"] },
    workspaceFolders: true,
  },
  window: { showMessage: { messageActionItem: {} } },
  textDocument: { hover: { contentFormat: ["markdown", "plaintext"] } },
};
