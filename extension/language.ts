/** The language server in Markdown notes: the editor's client over the session's own connection. All it knows, the service knows. */
import * as vscode from "vscode";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  CloseAction,
  DidCloseTextDocumentNotification,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  type DataCallback,
  type Disposable,
  type LanguageClientOptions,
  type Location,
  type Message,
  type MessageWriter,
  type Middleware,
} from "vscode-languageclient/node";

import { leavingOutLarge, tellLargeNotes } from "./large-notes.ts";
import { clientLog, logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import type { LanguageLine, LanguageMessage } from "./session.ts";
import { causeSentence } from "./sentences.ts";
import { mayChangeFiles } from "./trust.ts";
import { shown } from "./words.ts";

const PREVIEW_WIDTH = 320;
/** Settings whose change needs a new session of the server. */
const SETTINGS = ["satchel.notes", "markdown.validate.enabled", "markdown.updateLinksOnFileMove.enabled"];

export type Notes = {
  /** Files of media folders that this note refers to; empty while there is no language server. */
  mediaOf(note: vscode.Uri): Promise<readonly { readonly folder: string; readonly path: string }[]>;
  /** How many places in notes refer to this media file; 0 while there is no language server. */
  linksTo(file: vscode.Uri): Promise<number>;
  /** Those places, in no order; null while there is no language server. */
  referencesTo(file: vscode.Uri): Promise<readonly vscode.Location[] | null>;
};

/** One client for each connection: the server's session lives and ends with it. */
export function registerLanguage(context: vscode.ExtensionContext, { session, log }: Parts): Notes {
  let client: LanguageClient | null = null;
  let turn: Promise<void> = Promise.resolve();
  const tellLarge = tellLargeNotes(context);
  const end = async () => {
    const old = client;
    client = null;
    // The connection may be gone already: then there is nobody to say goodbye to.
    await old?.dispose().catch(() => undefined);
  };
  const begin = async () => {
    await end();
    const line = session.languageLine();
    if (line === null || !vscode.workspace.getConfiguration("satchel").get("notes.enabled", true)) return;
    const leaveOut = async (uri: string) => await fresh.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } });
    const transports = async () => await Promise.resolve({ reader: new LineReader(line), writer: new LineWriter(line), detached: true });
    const fresh: LanguageClient = new LanguageClient(
      "satchel",
      "Satchel",
      transports,
      optionsOf(log, leavingOutLarge(leaveOut, tellLarge)),
    );
    try {
      await fresh.start();
      client = fresh;
    } catch (error) {
      logTrouble(log, "warn", "the language server did not start", error);
      await fresh.dispose().catch(() => undefined);
    }
  };
  const inTurn = (work: () => Promise<void>) => {
    turn = turn.then(work);
  };
  inTurn(begin);
  context.subscriptions.push(
    session.onState(({ kind }) => inTurn(kind === "ready" ? begin : end)),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (SETTINGS.some((setting) => change.affectsConfiguration(setting))) session.reconnect();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => session.reconnect()),
    { dispose: () => inTurn(end) },
  );
  const referencesTo: Notes["referencesTo"] = async (file) => {
    const asked = client;
    if (asked === null) return null;
    const places = await asked.sendRequest<Location[]>("satchel/references", { uri: file.toString() });
    return places.map((place) => asked.protocol2CodeConverter.asLocation(place));
  };
  return {
    mediaOf: async (note) => (await client?.sendRequest("satchel/media", { uri: note.toString() })) ?? [],
    linksTo: async (file) => (await referencesTo(file))?.length ?? 0,
    referencesTo,
  };
}

function optionsOf(log: vscode.LogOutputChannel, aboutLarge: Middleware): LanguageClientOptions {
  const satchel = vscode.workspace.getConfiguration("satchel");
  return {
    documentSelector: [{ scheme: "file", language: "markdown" }],
    outputChannel: channelOf(log),
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: {
      ...aboutLarge,
      handleDiagnostics: inOurWords,
      // Quick fixes fetch files, restore them, and change notes that are not open.
      executeCommand: async (command, args, next) => (mayChangeFiles() ? await next(command, args) : null),
    },
    initializationOptions: {
      standDown: standDown(),
      preview: "file",
      previewWidth: PREVIEW_WIDTH,
      workspaceDiagnostics: satchel.get("notes.checkClosed", true),
      // Notes of a folder that is not trusted are not changed.
      offerRenames: vscode.workspace.isTrusted && satchel.get("notes.offerRenames", true),
    },
    // The session begins a new connection, and with it a new client.
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => ({ action: CloseAction.DoNotRestart, handled: true }),
    },
  };
}

/** Our own log, for the client to write to: what it says there by default holds no names (EX11). */
function channelOf(log: vscode.LogOutputChannel): vscode.LogOutputChannel {
  return {
    ...clientLog(log),
    name: log.name,
    get logLevel() {
      return log.logLevel;
    },
    onDidChangeLogLevel: log.onDidChangeLogLevel,
    replace: (text) => log.debug(text),
    clear: () => undefined,
    // oxlint-disable-next-line typescript/no-deprecated -- the type has an older form of it, too
    show: () => log.show(),
    hide: () => log.hide(),
    // It is the extension's, and stays when a client goes.
    dispose: () => undefined,
  };
}

/** What the editor's own Markdown feature does already, as it is set. */
function standDown(): readonly string[] {
  const markdown = vscode.workspace.getConfiguration("markdown");
  return [
    "links",
    "preview",
    "completion",
    ...(markdown.get("validate.enabled", false) ? ["diagnostics"] : []),
    ...(markdown.get("updateLinksOnFileMove.enabled", "never") === "never" ? [] : ["rename"]),
  ];
}

/** A command of the command line is named where somebody has to choose: the editor has a view for that. Else the server speaks the editor's language. */
function inOurWords(
  uri: vscode.Uri,
  diagnostics: vscode.Diagnostic[],
  next: (uri: vscode.Uri, diagnostics: vscode.Diagnostic[]) => void,
): void {
  for (const diagnostic of diagnostics) {
    const { code } = diagnostic;
    const data: unknown = "data" in diagnostic ? diagnostic.data : null;
    const file = typeof data === "object" && data !== null && "path" in data && typeof data.path === "string" ? data.path : null;
    if (file !== null && code === "conflict") diagnostic.message = causeSentence(code, shown(file), diagnostic.message);
  }
  next(uri, diagnostics);
}

class LineReader extends AbstractMessageReader {
  readonly #line: LanguageLine;

  constructor(line: LanguageLine) {
    super();
    this.#line = line;
    line.onClose(() => this.fireClose());
  }

  listen(callback: DataCallback): Disposable {
    return this.#line.onMessage(callback);
  }
}

class LineWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #line: LanguageLine;

  constructor(line: LanguageLine) {
    super();
    this.#line = line;
  }

  async write(message: Message): Promise<void> {
    // The connection is shared with the API: the server's session ends with it, not before.
    if ("method" in message && message.method === "exit") return;
    await this.#line.send({ ...message } satisfies LanguageMessage);
  }

  end(): void {
    // Only the session ends the connection.
  }
}
