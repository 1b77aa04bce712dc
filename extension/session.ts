/** What every part of the extension sees of the service. Nothing here touches the editor, so that it runs in plain Node too. */
import type { StoredEvent } from "../protocol/api/model.ts";
import type { progressNotice } from "../protocol/api/service.ts";
import type { MethodName, ParamsOf, ResultOf } from "../protocol/api/table.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import type * as z from "zod";

export type Hello = ResultOf<"service/hello">;
export type ProgressNotice = z.infer<typeof progressNotice>;

export type SessionState =
  /** No service runs and nobody asked for one: it is attached to as soon as one does. */
  | { readonly kind: "idle" }
  | { readonly kind: "connecting" }
  | { readonly kind: "ready"; readonly hello: Hello }
  /** It ended or would not start; another attempt follows by itself. */
  | { readonly kind: "failed"; readonly message: string }
  /** Somebody told it to stop: it is not started again unless the user says so. */
  | { readonly kind: "stopped" }
  /** The service is newer than this extension and speaks another protocol. */
  | { readonly kind: "outdated"; readonly message: string };

/** As in the editor's API: listening ends with `dispose`. */
export type Listening = { dispose(): void };

/** The service answered with an error, or can't be asked (`code` null). The message is for people. */
export class RequestError extends Error {
  readonly code: ErrorCode | null;
  constructor(code: ErrorCode | null, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RequestError";
    this.code = code;
  }
}

/** A JSON-RPC message of the language server, as it stands on the wire. */
export type LanguageMessage = { readonly jsonrpc: string; readonly [key: string]: unknown };

/** The language server's half of the connection; a new one after every reconnect. */
export type LanguageLine = {
  send(message: LanguageMessage): Promise<void>;
  /** Messages that came before somebody listened are handed over first. */
  onMessage(listener: (message: LanguageMessage) => void): Listening;
  onClose(listener: () => void): Listening;
};

export interface Session {
  readonly state: SessionState;
  onState(listener: (state: SessionState) => void): Listening;
  /** Numbered facts, each once and in order, across restarts of the service; `gap` where some are no longer known. */
  onEvent(listener: (event: StoredEvent) => void): Listening;
  onProgress(listener: (notice: ProgressNotice) => void): Listening;
  /**
   * Calls one method; waits for a connection that is being made. Aborting `signal` cancels the request at the service.
   * @throws RequestError
   */
  call<Name extends MethodName>(method: Name, params: ParamsOf<Name>, signal?: AbortSignal): Promise<ResultOf<Name>>;
  /** Starts the service where none runs. Resolves when it answers. @throws RequestError saying why it does not */
  start(): Promise<void>;
  /** A new connection to the same service: the language server has one session for each. */
  reconnect(): void;
  /** null: not connected. */
  languageLine(): LanguageLine | null;
  /** Leaves the service alone: it goes on for other windows and for later. */
  close(): void;
}
