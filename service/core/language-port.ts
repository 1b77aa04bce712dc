/** How a language-server session shares one connection of the API: `service/rpc/` carries, `service/lsp/` answers, neither knows the other. */

/** The connection as the session sees it. */
export interface LanguagePeer {
  /** One JSON-RPC message to the editor. */
  send(message: object): void;
  /** The editor said `exit`. */
  close(): void;
}

export interface LanguageSession {
  /** One JSON-RPC message of the editor, parsed. */
  receive(message: object): void;
  /** The connection is gone. */
  close(): void;
}

export type OpenLanguageSession = (peer: LanguagePeer) => Promise<LanguageSession>;
