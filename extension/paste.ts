/** Pictures, sounds and films pasted or dropped into a note go to its media folder; the note gets the link. */
import { createHash } from "node:crypto";
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import {
  isInFence,
  isInside,
  linkSnippet,
  linkTarget,
  mediaName,
  mediaRootFor,
  numberedName,
  settingDestination,
  type Incoming,
  type Note,
} from "./names.ts";
import { logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import { reasonOf, shown } from "./words.ts";

const { l10n } = vscode;
const NOTES: vscode.DocumentSelector = [{ language: "markdown", scheme: "file" }];
const KIND = vscode.DocumentDropOrPasteEditKind.Empty.append("markdown", "link", "satchel");
const MEDIA = /^(?:image|audio|video)\/|^application\/pdf$/;
const MIME_TYPES = ["image/*", "audio/*", "video/*", "application/pdf", "files"];
/** The editor's own paste of a file's path would win otherwise. */
const YIELDED = [vscode.DocumentDropOrPasteEditKind.Text, vscode.DocumentDropOrPasteEditKind.Empty.append("uri")];
const FILES_AT_ONCE_MAX = 50;
/** An offer that was not taken by then will not be: its name is free again. */
const PROMISED_MS = 60_000;

type Entry = { readonly mime: string; readonly file: vscode.DataTransferFile };
/** One file with its place: where it stands, or is to be made (`bytes`). */
type Placed = { readonly file: string; readonly incoming: Incoming; readonly bytes: Uint8Array | null };
type Edit = { readonly snippet: vscode.SnippetString; readonly additional: vscode.WorkspaceEdit; readonly title: string };

export function registerPaste(context: vscode.ExtensionContext, parts: Parts): void {
  const paster = new Paster(parts);
  const paste: vscode.DocumentPasteEditProvider = {
    provideDocumentPasteEdits: async (document, ranges, transfer, _context, token) => {
      const edit = await paster.editFor(document, ranges[0]?.start, transfer, token);
      if (edit === null) return undefined;
      const made = new vscode.DocumentPasteEdit(edit.snippet, edit.title, KIND);
      made.additionalEdit = edit.additional;
      return [made];
    },
  };
  const drop: vscode.DocumentDropEditProvider = {
    provideDocumentDropEdits: async (document, position, transfer, token) => {
      const edit = await paster.editFor(document, position, transfer, token);
      if (edit === null) return undefined;
      const made = new vscode.DocumentDropEdit(edit.snippet, edit.title, KIND);
      made.additionalEdit = edit.additional;
      made.yieldTo = YIELDED;
      return made;
    },
  };
  context.subscriptions.push(
    vscode.languages.registerDocumentPasteEditProvider(NOTES, paste, { providedPasteEditKinds: [KIND], pasteMimeTypes: MIME_TYPES }),
    vscode.languages.registerDocumentDropEditProvider(NOTES, drop, { providedDropEditKinds: [KIND], dropMimeTypes: MIME_TYPES }),
    // The edit makes the file once the user has chosen it: only then is there something to look at.
    vscode.workspace.onDidCreateFiles(({ files }) => void paster.onCreated(files)),
  );
}

class Paster {
  readonly #parts: Parts;
  /** Names given out for pastes whose files are not made yet, and when: two pictures in one paste must not share one. */
  readonly #given = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** null: not ours; the editor's own way is taken. */
  async editFor(
    document: vscode.TextDocument,
    position: vscode.Position | undefined,
    transfer: vscode.DataTransfer,
    token: vscode.CancellationToken,
  ): Promise<Edit | null> {
    const setting = vscode.workspace.getConfiguration("satchel", document.uri);
    if (!vscode.workspace.isTrusted || !setting.get("paste.enabled", true)) return null;
    if (position === undefined || isInFence(document.getText(), document.offsetAt(position))) return null;
    const entries = entriesOf(transfer);
    if (entries.length === 0) return null;
    try {
      const placed: Placed[] = [];
      for (const entry of entries) {
        const one = await this.#place(document, entry);
        if (one === null || token.isCancellationRequested) return null;
        placed.push(one);
      }
      return editOf(document, placed);
    } catch (error) {
      // The service went, or the file can't be read: the editor's own paste is better than none.
      logTrouble(this.#parts.log, "warn", "what was pasted was left to the editor", error);
      return null;
    }
  }

  /** A file that the editor made, by our edit or any other way, is looked at at once. */
  async onCreated(files: readonly vscode.Uri[]): Promise<void> {
    const { board, session, log } = this.#parts;
    for (const uri of files) {
      this.#given.delete(uri.fsPath);
      const place = uri.scheme === "file" && vscode.workspace.isTrusted ? board.placeOf(uri.fsPath) : undefined;
      if (place === undefined || session.state.kind !== "ready") continue;
      const { folder, state } = place.folder;
      try {
        if (state !== "paused") await session.call("files/add", { folder, path: place.path });
      } catch (error) {
        // An empty or an ignored file, say: the view tells.
        log.debug(`${shown(place.path)} was made and not looked at at once: ${reasonOf(error)}`);
      }
    }
  }

  async #place(document: vscode.TextDocument, { mime, file }: Entry): Promise<Placed | null> {
    const { board, session } = this.#parts;
    const bytes = await file.data();
    const incoming: Incoming = { name: file.name === "" ? null : file.name, mime, sha1: createHash("sha1").update(bytes).digest("hex") };
    const target = targetFor(document, incoming, board.folders);
    if (target === null || bytes.length === 0) return null;
    const { folder, root, file: wanted } = target;
    // The same bytes stand there already: the note links to them, wherever in the folder they are (N7).
    const known = (await session.call("files/find", { folder, sha1: incoming.sha1 })).file;
    if (known !== null) return { file: path.posix.join(root, known.path), incoming, bytes: null };
    return { file: await this.#free(wanted), incoming, bytes };
  }

  async #free(wanted: string): Promise<string> {
    for (let number = 1; ; number++) {
      const file = number === 1 ? wanted : numberedName(wanted, number);
      const uri = uriOf(file);
      const givenMs = this.#given.get(uri.fsPath);
      const isPromised = givenMs !== undefined && Date.now() - givenMs < PROMISED_MS;
      if (isPromised || (await exists(uri))) continue;
      this.#given.set(uri.fsPath, Date.now());
      return file;
    }
  }
}

function entriesOf(transfer: vscode.DataTransfer): readonly Entry[] {
  const entries: Entry[] = [];
  for (const [type, item] of transfer) {
    const file = item.asFile();
    const mime = type.toLowerCase();
    if (file !== undefined && MEDIA.test(mime)) entries.push({ mime, file });
  }
  return entries.slice(0, FILES_AT_ONCE_MAX);
}

type Target = { readonly folder: string; readonly root: string; readonly file: string };

/** By the editor's own setting where the user has set it for this note, else the nearest media folder; null: none, or not one of ours. */
function targetFor(document: vscode.TextDocument, incoming: Incoming, folders: readonly FolderStatus[]): Target | null {
  const workspace = vscode.workspace.getWorkspaceFolder(document.uri)?.uri ?? null;
  const note: Note = { path: document.uri.path, workspace: workspace?.path ?? null };
  const roots = folders.map(({ folder, root }) => ({ folder, root: vscode.Uri.file(root).path }));
  const now = new Date();
  const setting = destinationSetting(document, workspace);
  if (setting !== null) {
    const file = settingDestination(setting, note, incoming, now);
    const owner = roots.find(({ root }) => root !== file && isInside(root, file));
    return owner === undefined ? null : { ...owner, file };
  }
  const nearest = mediaRootFor(note, roots);
  if (nearest === null) return null;
  const template = vscode.workspace.getConfiguration("satchel", document.uri).get("paste.fileName", "${documentBaseName}-${date}-${time}");
  return { ...nearest, file: path.posix.join(nearest.root, mediaName(template, note, incoming, now)) };
}

/** The value of `markdown.copyFiles.destination` whose pattern matches this note; null: none does. */
function destinationSetting(document: vscode.TextDocument, workspace: vscode.Uri | null): string | null {
  const map = vscode.workspace.getConfiguration("markdown", document.uri).get<unknown>("copyFiles.destination");
  if (typeof map !== "object" || map === null) return null;
  for (const [pattern, destination] of Object.entries(map)) {
    if (typeof destination !== "string") continue;
    const rooted = pattern.startsWith("/") && workspace !== null;
    const glob = rooted ? new vscode.RelativePattern(workspace, pattern.slice(1)) : pattern.startsWith("**") ? pattern : `**/${pattern}`;
    if (vscode.languages.match({ pattern: glob }, document) > 0) return destination;
  }
  return null;
}

function editOf(document: vscode.TextDocument, placed: readonly Placed[]): Edit {
  const additional = new vscode.WorkspaceEdit();
  const links = placed.map(({ file, incoming, bytes }, at) => {
    if (bytes !== null) additional.createFile(uriOf(file), { contents: bytes, ignoreIfExists: false, overwrite: false });
    const target = linkTarget(document.uri.path, file);
    // Every link of one snippet has a place of its own for its description.
    return linkSnippet(target, incoming.mime, { alt: l10n.t("alt text"), name: path.posix.basename(file) }).replace(
      "${1:",
      `\${${String(at + 1)}:`,
    );
  });
  const isNew = placed.some(({ bytes }) => bytes !== null);
  const title = isNew ? l10n.t("Insert Link, File into the Media Folder") : l10n.t("Insert Link to the File That Is There");
  return { snippet: new vscode.SnippetString(links.join("\n")), additional, title };
}

function uriOf(file: string): vscode.Uri {
  return vscode.Uri.file(file);
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}
