/** Links from notes to media, and from a file back to the notes. */
import type { DocumentLink, Location } from "vscode-languageserver";

import { baseName, joined, slashed } from "../notes/paths.ts";
import { placeOf, type MediaPlace } from "../notes/resolve.ts";
import { look, rangeOf } from "./diagnostics.ts";
import type { Media } from "./media.ts";
import { pathOf, uriOf, type Note, type Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";

/** Files that stand here. A path that the editor itself follows to the same file is left to it. */
export async function documentLinks(note: Note, notes: Notes, media: Media, options: SessionOptions): Promise<DocumentLink[]> {
  return (await look(note, notes, media)).flatMap(({ reference, facts, knowledge }) => {
    if (knowledge.missing) return [];
    const ownWay = joined(slashed(note.place.note).replace(/\/[^/]*$/, ""), reference.target) === facts.diskPath;
    if (options.standDown.has("links") && ownWay && reference.syntax !== "embed" && reference.syntax !== "sound") return [];
    return [{ range: rangeOf(note.document, reference), target: uriOf(facts.diskPath), tooltip: knowledge.sentence }];
  });
}

/** The reference at an offset of the note; its end counts, for a cursor behind the last letter. */
export async function placeAt(note: Note, offset: number, notes: Notes): Promise<MediaPlace | null> {
  const found = (await notes.placed(note)).find(({ reference }) => reference.start <= offset && offset <= reference.end);
  return found?.place ?? null;
}

/** Every place in the notes that names the file. */
export async function referencesTo(place: MediaPlace, notes: Notes): Promise<Location[]> {
  const referring = await notes.referring(
    ({ folder, path }) => folder === place.folder && path === place.path,
    new Set([baseName(place.path)]),
  );
  return referring.flatMap(({ note, placed }) =>
    placed.map(({ reference }) => ({ uri: note.document.uri, range: rangeOf(note.document, reference) })),
  );
}

/** The file of a folder behind an address of the editor. */
export function placeOfUri(uri: string, media: Media): MediaPlace | null {
  const path = pathOf(uri);
  return path === null ? null : placeOf(media.roots, path);
}
