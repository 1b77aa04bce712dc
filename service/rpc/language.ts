/** The language server's share of a connection: which messages are its own. API methods need no `initialize`; everything else does. */
import type { LanguagePeer, LanguageSession, OpenLanguageSession } from "../core/language-port.ts";

/** Sorts the messages of one connection. A client that uses both keeps the ids of its requests apart. */
export class LanguageShare {
  readonly #open: OpenLanguageSession;
  readonly #peer: LanguagePeer;
  readonly #isApi: (method: string) => boolean;
  readonly #report: (error: unknown) => string;
  /** Begins with `initialize`, at most once per connection. */
  #session: Promise<LanguageSession | null> | null = null;
  #closed = false;

  constructor(given: {
    readonly open: OpenLanguageSession;
    readonly peer: LanguagePeer;
    readonly isApi: (method: string) => boolean;
    readonly report: (error: unknown) => string;
  }) {
    this.#open = given.open;
    this.#peer = given.peer;
    this.#isApi = given.isApi;
    this.#report = given.report;
  }

  /** True: the message was the language server's and is taken. */
  takes(message: object): boolean {
    const method = "method" in message ? message.method : undefined;
    if (method !== undefined && (typeof method !== "string" || this.#isApi(method))) return false;
    if (method === "initialize") this.#session ??= this.#begin();
    if (this.#session === null) return false;
    void this.#session.then((session) => session?.receive(message));
    // Whose request it was is known by its id alone: the API's dispatcher looks too.
    return method !== "$/cancelRequest";
  }

  close(): void {
    this.#closed = true;
    void this.#session?.then((session) => session?.close());
  }

  async #begin(): Promise<LanguageSession | null> {
    try {
      const session = await this.#open(this.#peer);
      if (this.#closed) session.close();
      return session;
    } catch (error) {
      this.#report(error);
      this.#peer.close();
      return null;
    }
  }
}
