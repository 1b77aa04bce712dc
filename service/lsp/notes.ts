/** The notes of one session: those open in the editor as it has them, all others of the workspace as they are on disk. */
import { fileURLToPath, pathToFileURL } from "node:url";

import type { Range, TextDocuments } from "vscode-languageserver";
import { TextDocument } from "vscode-languageserver-textdocument";

import { DiskError } from "../core/ports.ts";
import type { NotesSource } from "../notes/finder.ts";
import { listNotes, readNote, type NoteFile } from "../notes/note-files.ts";
import { baseName, below, isNote, slashed } from "../notes/paths.ts";
import type { MediaReference } from "../notes/references.ts";
import { resolve, type MediaPlace, type NotePlace } from "../notes/resolve.ts";
import type { KnownNotes, OnDisk } from "./known-notes.ts";
import type { Media } from "./media.ts";

/** One note, open or not. `version` null: not open, it is what the disk holds. */
export type Note = { readonly document: TextDocument; readonly place: NotePlace; readonly version: number | null };
export type Placed = { readonly reference: MediaReference; readonly place: MediaPlace };

type Parsed = { readonly version: number; readonly references: readonly MediaReference[] };
/** A note of the workspace that the editor has not open. */
export type ClosedNote = {
  /** Absolute. */
  readonly path: string;
  readonly workspace: string | null;
  readonly references: readonly MediaReference[];
  readonly ranges: readonly Range[];
};

export class Notes {
  readonly #open: TextDocuments<TextDocument>;
  readonly #media: Media;
  readonly #source: NotesSource;
  readonly #known: KnownNotes;
  readonly #parsed = new WeakMap<TextDocument, Parsed>();
  #onDisk = new Map<string, OnDisk>();
  /** Absolute, `/`-separated. */
  workspaces: readonly string[] = [];

  constructor(open: TextDocuments<TextDocument>, media: Media, source: NotesSource, known: KnownNotes) {
    this.#open = open;
    this.#media = media;
    this.#source = source;
    this.#known = known;
  }

  /** An open note; undefined: not open, not a file, or not Markdown. */
  open(uri: string): Note | undefined {
    const document = this.#open.get(uri);
    const path = pathOf(uri);
    if (document === undefined || path === null || !(document.languageId === "markdown" || isNote(path))) return undefined;
    return { document, place: this.#placeOf(path), version: document.version };
  }

  /** By its path, as the editor has it or as it is on disk. null: it can't be read, or is no note. */
  async at(path: string): Promise<Note | null> {
    const open = this.allOpen().find(({ place }) => place.note === path);
    if (open !== undefined || !isNote(path)) return open ?? null;
    const text = await readNote(this.#source.disk, path);
    return text === null ? null : this.#closed(path, text);
  }

  allOpen(): readonly Note[] {
    return this.#open.keys().flatMap((uri) => this.open(uri) ?? []);
  }

  /** Of the text as it is now. One that takes too long to be looked at has none. */
  async references({ document }: Note): Promise<readonly MediaReference[]> {
    const { version } = document;
    const known = this.#parsed.get(document);
    if (known?.version === version) return known.references;
    const references = (await this.#source.find(document.getText())) ?? [];
    if (document.version === version) this.#parsed.set(document, { version, references });
    return references;
  }

  /** In this text, the character at `offset` is part of a media reference. A text that takes too long to be looked at may have one anywhere. */
  async refersAt(text: string, offset: number): Promise<boolean> {
    const references = await this.#source.find(text);
    return references === null || references.some(({ start, end }) => start <= offset && offset < end);
  }

  /** References that lead into a folder. */
  async placed(note: Note): Promise<readonly Placed[]> {
    const found: Placed[] = [];
    for (const reference of await this.references(note)) {
      const place = await resolve(reference, note.place, this.#media);
      if (place !== null) found.push({ reference, place });
    }
    return found;
  }

  /** Every reference in the workspace and the open notes to one of these files. */
  async referring(
    wanted: (place: MediaPlace) => boolean,
    names: ReadonlySet<string>,
  ): Promise<readonly { readonly note: Note; readonly placed: readonly Placed[] }[]> {
    const found: { note: Note; placed: readonly Placed[] }[] = [];
    const keep = async (note: Note): Promise<void> => {
      const placed: Placed[] = [];
      for (const reference of await this.references(note)) {
        if (!mayName(reference, names)) continue;
        const place = await resolve(reference, note.place, this.#media);
        if (place !== null && wanted(place)) placed.push({ reference, place });
      }
      if (placed.length > 0) found.push({ note, placed });
    };
    const open = this.allOpen();
    for (const note of open) await keep(note);
    const openPaths = new Set(open.map(({ place }) => place.note));
    for (const [path, { references }] of await this.#refreshed()) {
      if (openPaths.has(path) || !references.some((reference) => mayName(reference, names))) continue;
      const text = await readNote(this.#source.disk, path);
      if (text === null) continue;
      await keep(this.#closed(path, text));
    }
    return found;
  }

  /** Of the workspaces that `wanted` takes. `relist` false: as they were when last listed. */
  async closedNotes(relist: boolean, wanted: (workspace: string) => boolean, signal: AbortSignal): Promise<readonly ClosedNote[]> {
    const onDisk = relist ? await this.#refreshed(wanted, signal) : this.#onDisk;
    const open = new Set(this.allOpen().map(({ place }) => place.note));
    return [...onDisk].flatMap(([path, { references, ranges }]) =>
      open.has(path) ? [] : [{ path, workspace: this.#placeOf(path).workspace, references, ranges }],
    );
  }

  /** As it is on disk now; null: it can't be read, or is no note. */
  async closedAt(path: string): Promise<ClosedNote | null> {
    const text = isNote(path) ? await readNote(this.#source.disk, path) : null;
    return text === null ? null : { path, workspace: this.#placeOf(path).workspace, ...(await this.#parse(text)) };
  }

  /** The file of a media folder that is meant; null: none. */
  async placeOf(reference: MediaReference, place: NotePlace): Promise<MediaPlace | null> {
    return await resolve(reference, place, this.#media);
  }

  /** The workspaces' notes, read again where size or time have changed. */
  async #refreshed(
    wanted: (workspace: string) => boolean = () => true,
    signal = new AbortController().signal,
  ): Promise<ReadonlyMap<string, OnDisk>> {
    const now = new Map<string, OnDisk>();
    for (const workspace of this.workspaces.filter(wanted)) {
      for (const file of await this.#listed(workspace, signal)) {
        signal.throwIfAborted();
        const parse = async () => await this.#parse((await readNote(this.#source.disk, file.path)) ?? "");
        now.set(file.path, await this.#known.get(file, parse));
      }
    }
    this.#onDisk = now;
    return now;
  }

  async #parse(text: string): Promise<Pick<OnDisk, "references" | "ranges">> {
    const references = (await this.#source.findAmongMany(text)) ?? [];
    if (references.length === 0) return { references, ranges: [] };
    const document = TextDocument.create("", "markdown", 0, text);
    return {
      references,
      ranges: references.map(({ start, end }) => ({ start: document.positionAt(start), end: document.positionAt(end) })),
    };
  }

  async #listed(workspace: string, signal: AbortSignal): Promise<readonly NoteFile[]> {
    try {
      return (await listNotes(this.#source.disk, workspace, signal)).notes;
    } catch (error) {
      // A workspace folder that is gone has no notes; the editor tells its user.
      if (error instanceof DiskError) return [];
      throw error;
    }
  }

  #closed(path: string, text: string): Note {
    return { document: TextDocument.create(uriOf(path), "markdown", 0, text), place: this.#placeOf(path), version: null };
  }

  #placeOf(path: string): NotePlace {
    const around = this.workspaces.filter((workspace) => below(workspace, path) !== null);
    return { note: path, workspace: around.toSorted((a, b) => b.length - a.length)[0] ?? null };
  }
}

/** Absolute and `/`-separated; null: not a file on this machine. */
export function pathOf(uri: string): string | null {
  try {
    return uri.startsWith("file:") ? slashed(fileURLToPath(uri)) : null;
  } catch {
    // Another host's file, or not a URI at all: not ours to read.
    return null;
  }
}

export function uriOf(path: string): string {
  return pathToFileURL(path).href;
}

function mayName({ target, literal }: MediaReference, names: ReadonlySet<string>): boolean {
  return [target, literal].some((name) => names.has(baseName(name.replaceAll("\\", "/")).normalize("NFC")));
}
