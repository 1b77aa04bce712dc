/** One editor's language-server session: its own open notes, its own workspace. Disk and engine are the truth for everything else. */
import {
  createConnection,
  DidChangeWatchedFilesNotification,
  FileOperationPatternKind,
  ResponseError,
  TextDocuments,
  TextDocumentSyncKind,
  type _Connection,
  type InitializeParams,
  type InitializeResult,
  type RenameFilesParams,
  type TextDocumentPositionParams,
  type WorkspaceEdit,
} from "vscode-languageserver";
import { createProtocolConnection, type Message } from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import * as z from "zod";

import { VERSION } from "../../protocol/version.ts";
import type { LanguagePeer, LanguageSession } from "../core/language-port.ts";
import type { Engine } from "../engine/facade.ts";
import type { NotesSource } from "../notes/finder.ts";
import { baseName, directoryOf, joined, NOTE_EXTENSIONS } from "../notes/paths.ts";
import { actionsFor, COMMANDS } from "./actions.ts";
import { carryOut } from "./commands.ts";
import { completionsAt, TRIGGERS } from "./completion.ts";
import { diagnosticsOf } from "./diagnostics.ts";
import { hoverAt } from "./hover.ts";
import type { KnownNotes } from "./known-notes.ts";
import { documentLinks, placeAt, placeOfUri, referencesTo } from "./links.ts";
import { Media } from "./media.ts";
import { Notes, pathOf, type Note } from "./notes.ts";
import { RenameOffers } from "./offers.ts";
import { optionsOf, type SessionOptions } from "./options.ts";
import { editsFor, editsInside, movesOf, workspaceEdit, type Move, type NoteEdits } from "./rename.ts";
import { PeerReader, PeerWriter } from "./transport.ts";
import { WorkspaceProblems } from "./workspace-problems.ts";

export type LanguageDeps = {
  readonly engine: Engine;
  readonly notes: NotesSource;
  /** One for all sessions. */
  readonly known: KnownNotes;
  /** A fault of ours: for the log. */
  readonly report: (error: unknown) => void;
};

/** While somebody types, a note is looked at when the keys have been still for so long. */
const TYPING_MS = 150;
/** Events come in groups: one look at all open notes serves them together. */
const EVENTS_MS = 30;

/** Answers until `close`. The library must not end the process: that is why it gets this watch dog. */
export function openLanguageSession(deps: LanguageDeps, peer: LanguagePeer): LanguageSession {
  const reader = new PeerReader();
  const connection = createConnection((logger) => createProtocolConnection(reader, new PeerWriter(peer), logger), {
    shutdownReceived: false,
    initialize: () => undefined,
    exit: () => peer.close(),
  });
  const session = new Session(deps, connection);
  connection.listen();
  return {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library itself tells requests, answers and anything else apart
    receive: (message) => reader.receive(message as Message),
    close: () => {
      session.close();
      reader.close();
      connection.dispose();
    },
  };
}

export type EditorConnection = _Connection;

class Session {
  readonly #deps: LanguageDeps;
  readonly #connection: EditorConnection;
  readonly #documents = new TextDocuments(TextDocument);
  readonly #media: Media;
  readonly #notes: Notes;
  readonly #stops: (() => void)[] = [];
  readonly #typing = new Map<string, NodeJS.Timeout>();
  #events: NodeJS.Timeout | null = null;
  #offers: RenameOffers | null = null;
  /** Of notes that are not open; null: not wanted. */
  #problems: WorkspaceProblems | null = null;
  #closed = false;
  #options: SessionOptions | null = null;

  constructor(deps: LanguageDeps, connection: EditorConnection) {
    this.#deps = deps;
    this.#connection = connection;
    this.#media = new Media(deps.engine, deps.notes.disk);
    this.#notes = new Notes(this.#documents, this.#media, deps.notes, deps.known);
    connection.onInitialize((params) => this.#initialize(params));
    connection.onInitialized(() => this.#begin());
    this.#documents.listen(connection);
    this.#documents.onDidChangeContent(({ document }) => this.#typed(document.uri));
    this.#documents.onDidOpen(({ document }) => this.#problems?.opened(document.uri));
    this.#documents.onDidSave(() => this.#problems?.notesChanged());
    this.#documents.onDidClose(({ document: { uri } }) => {
      this.#forget(uri);
      if (this.#problems === null) void connection.sendDiagnostics({ uri, diagnostics: [] });
      else this.#problems.closed(uri).catch(deps.report);
    });
    this.#answer();
    this.#answerFiles();
  }

  close(): void {
    this.#closed = true;
    this.#problems?.close();
    for (const stop of this.#stops.splice(0)) stop();
    for (const timer of this.#typing.values()) clearTimeout(timer);
    if (this.#events !== null) clearTimeout(this.#events);
    this.#typing.clear();
  }

  get #given(): { readonly notes: Notes; readonly media: Media; readonly options: SessionOptions } {
    if (this.#options === null) throw new ResponseError(-32_002, "The session was not initialized.");
    return { notes: this.#notes, media: this.#media, options: this.#options };
  }

  #initialize(params: InitializeParams): InitializeResult {
    if (this.#options !== null)
      throw new ResponseError(-32_600, "This connection has its language-server session already. Open another connection.");
    this.#options = optionsOf(params);
    const roots = rootsOf(params);
    this.#notes.workspaces = roots.map(pathOf).filter((path) => path !== null);
    const everything = {
      filters: [
        { scheme: "file", pattern: { glob: "**/*" } },
        { scheme: "file", pattern: { glob: "**/*", matches: FileOperationPatternKind.folder } },
      ],
    };
    return {
      serverInfo: { name: "Satchel", version: VERSION },
      capabilities: {
        positionEncoding: "utf-16",
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
        completionProvider: { triggerCharacters: [...TRIGGERS] },
        hoverProvider: true,
        documentLinkProvider: {},
        referencesProvider: true,
        renameProvider: { prepareProvider: true },
        codeActionProvider: { codeActionKinds: ["quickfix"] },
        executeCommandProvider: { commands: Object.values(COMMANDS) },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true }, fileOperations: { willRename: everything } },
      },
    };
  }

  #begin(): void {
    const { engine } = this.#deps;
    const { options } = this.#given;
    this.#offers = new RenameOffers({ engine, connection: this.#connection, ...this.#given });
    this.#stops.push(engine.onEvent(() => (this.#events ??= setTimeout(() => this.#onEvents(), EVENTS_MS))));
    if (options.workspaceFolders) this.#followWorkspaces();
    if (options.workspaceDiagnostics) this.#beginWorkspace();
    if (!options.appliesEdits)
      this.#connection.console.info("This editor applies no edits of a server: links can't follow a file by themselves.");
    this.#lookAtAll();
    this.#offers.begin();
  }

  /** The library throws where the editor did not say that it tells of them. */
  #followWorkspaces(): void {
    this.#connection.workspace.onDidChangeWorkspaceFolders(({ added, removed }) => {
      const gone = new Set(removed.map(({ uri }) => pathOf(uri)));
      const more = added.map(({ uri }) => pathOf(uri)).filter((path) => path !== null);
      this.#notes.workspaces = [...this.#notes.workspaces.filter((path) => !gone.has(path)), ...more];
      this.#lookAtAll();
      this.#problems?.notesChanged();
    });
  }

  #beginWorkspace(): void {
    const connection = this.#connection;
    this.#problems = new WorkspaceProblems({
      ...this.#given,
      send: async (uri, diagnostics) => await connection.sendDiagnostics({ uri, diagnostics }),
      say: (sentence) => connection.console.info(sentence),
      report: this.#deps.report,
    });
    connection.onDidChangeWatchedFiles(() => this.#problems?.notesChanged());
    const watchers = [{ globPattern: `**/*.{${NOTE_EXTENSIONS.join(",")}}` }];
    // An editor that promised it and refuses: notes are listed again from time to time.
    if (this.#given.options.watches)
      connection.client.register(DidChangeWatchedFilesNotification.type, { watchers }).catch(this.#deps.report);
    this.#problems.notesChanged();
  }

  #onEvents(): void {
    this.#events = null;
    this.#lookAtAll();
    this.#problems?.mediaChanged();
    void this.#offers?.look().catch(this.#deps.report);
  }

  #typed(uri: string): void {
    clearTimeout(this.#typing.get(uri));
    const first = !this.#typing.has(uri);
    this.#typing.set(
      uri,
      setTimeout(() => this.#look(uri), first ? 0 : TYPING_MS),
    );
  }

  #forget(uri: string): void {
    clearTimeout(this.#typing.get(uri));
    this.#typing.delete(uri);
  }

  #lookAtAll(): void {
    for (const { document } of this.#notes.allOpen()) this.#look(document.uri);
  }

  #look(uri: string): void {
    const note = this.#notes.open(uri);
    const options = this.#options;
    if (note === undefined || options === null) return;
    const { version } = note.document;
    const work = async (): Promise<void> => {
      const diagnostics = await diagnosticsOf(note, this.#notes, this.#media, options);
      // A newer look is on its way: what was found is about another text.
      if (!this.#closed && this.#documents.get(uri)?.version === version)
        await this.#connection.sendDiagnostics({ uri, version, diagnostics });
    };
    work().catch(this.#deps.report);
  }

  #answer(): void {
    const connection = this.#connection;
    const at = async <T>(
      params: TextDocumentPositionParams,
      work: (note: Note, offset: number) => Promise<T | null> | T | null,
    ): Promise<T | null> => {
      const note = this.#notes.open(params.textDocument.uri);
      return note === undefined ? null : await work(note, note.document.offsetAt(params.position));
    };
    connection.onHover(
      async (params) =>
        await at(params, async (note, offset) => await hoverAt(note, offset, { ...this.#given, disk: this.#deps.notes.disk })),
    );
    connection.onCompletion(async (params) => await at(params, async (note, offset) => await completionsAt(note, offset, this.#given)));
    connection.onReferences(
      async (params) =>
        await at(params, async (note, offset) => {
          const place = await placeAt(note, offset, this.#notes);
          return place === null ? null : await referencesTo(place, this.#notes);
        }),
    );
    connection.onDocumentLinks(async ({ textDocument }) => {
      const note = this.#notes.open(textDocument.uri);
      return note === undefined ? null : await documentLinks(note, this.#notes, this.#media, this.#given.options);
    });
    connection.onCodeAction(async (params) => {
      const note = this.#notes.open(params.textDocument.uri);
      return note === undefined ? null : await actionsFor(note, params, this.#given);
    });
    connection.onRequest("satchel/references", async (params: unknown) => {
      const place = placeOfUri(z.object({ uri: z.string() }).parse(params).uri, this.#media);
      return place === null ? [] : await referencesTo(place, this.#notes);
    });
    connection.onRequest("satchel/media", async (params: unknown) => {
      const note = this.#notes.open(z.object({ uri: z.string() }).parse(params).uri);
      return note === undefined ? [] : (await this.#notes.placed(note)).map(({ place: { folder, path } }) => ({ folder, path }));
    });
    connection.onExecuteCommand(async ({ command, arguments: values }, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort(new Error("the command was cancelled")));
      await carryOut(command, values ?? [], { ...this.#given, engine: this.#deps.engine, connection }, stop.signal);
      this.#lookAtAll();
      return null;
    });
  }

  /** Files that move: from a link in a note, or in the editor's own list of files. */
  #answerFiles(): void {
    const connection = this.#connection;
    connection.onPrepareRename(async ({ textDocument, position }) => {
      const note = this.#notes.open(textDocument.uri);
      if (note === undefined) return null;
      const offset = note.document.offsetAt(position);
      const found = (await this.#notes.placed(note)).find(({ reference }) => reference.start <= offset && offset <= reference.end);
      if (found === undefined || this.#media.standing(found.place) !== "here") return null;
      const { start, end } = found.reference;
      return {
        range: { start: note.document.positionAt(start), end: note.document.positionAt(end) },
        placeholder: baseName(found.place.path),
      };
    });
    connection.onRenameRequest(async ({ textDocument, position, newName }) => {
      const note = this.#notes.open(textDocument.uri);
      const place = note === undefined ? null : await placeAt(note, note.document.offsetAt(position), this.#notes);
      return place === null ? null : await this.#rename(place, newName);
    });
    connection.workspace.onWillRenameFiles(async ({ files }: RenameFilesParams) => {
      const moves: Move[] = [];
      const inside: NoteEdits[] = [];
      for (const { oldUri, newUri } of files) {
        const [from, to] = [pathOf(oldUri), pathOf(newUri)];
        if (from === null || to === null) continue;
        moves.push(...(await movesOf(from, to, this.#media)));
        inside.push(...(await editsInside({ from, to }, this.#given)));
      }
      const edits = [...(await editsFor(moves, true, this.#given)), ...inside];
      return edits.length === 0 ? null : workspaceEdit(edits, this.#given.options);
    });
  }

  /** `newName`: a name in the same directory, or a path from the folder's root. */
  async #rename({ folder, path }: { readonly folder: string; readonly path: string }, newName: string): Promise<WorkspaceEdit> {
    const { options } = this.#given;
    const root = this.#media.roots.find((one) => one.folder === folder)?.root ?? "/";
    const from = `${root}/${path}`;
    const to = newName.includes("/") ? joined(root, newName) : joined(directoryOf(from), newName);
    const refused =
      newName.trim() === "" || !to.startsWith(`${root}/`)
        ? "leads out of its folder"
        : (await this.#media.exists(to))
          ? "is taken by another file"
          : null;
    if (refused !== null)
      throw new ResponseError(-32_803, `${path} can't be renamed to ${newName}: that name ${refused}. Choose another one.`);
    const edits = await editsFor([{ from, to }], false, this.#given);
    if (options.renamesFiles) return workspaceEdit(edits, options, { from, to });
    // An editor that can't rename files gets the links; the file goes by the service, which keeps its bytes.
    await this.#deps.engine.files.rename(folder, path, to.slice(root.length + 1));
    return workspaceEdit(edits, options);
  }
}

/** Workspace folders; an older editor has one root instead. */
function rootsOf({ workspaceFolders, ...older }: InitializeParams): readonly string[] {
  if (workspaceFolders !== undefined && workspaceFolders !== null) return workspaceFolders.map(({ uri }) => uri);
  const { data } = z.object({ rootUri: z.string() }).safeParse(older);
  return data === undefined ? [] : [data.rootUri];
}
