/** Messages between the shared connection and the language-server library: parsed on one side, handed over on the other. */
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageWriter,
} from "vscode-languageserver/node";

import type { LanguagePeer } from "../core/language-port.ts";

export class PeerReader extends AbstractMessageReader {
  #callback: DataCallback | null = null;
  #early: Message[] = [];

  listen(callback: DataCallback): Disposable {
    this.#callback = callback;
    for (const message of this.#early.splice(0)) callback(message);
    return { dispose: () => (this.#callback = null) };
  }

  receive(message: Message): void {
    if (this.#callback === null) this.#early.push(message);
    else this.#callback(message);
  }

  close(): void {
    this.fireClose();
  }
}

export class PeerWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #peer: LanguagePeer;

  constructor(peer: LanguagePeer) {
    super();
    this.#peer = peer;
  }

  async write(message: Message): Promise<void> {
    this.#peer.send(message);
    await Promise.resolve();
  }

  end(): void {
    // The connection is shared: only its owner ends it.
  }
}
