/** Links that follow their files: one edit over all notes, whoever renames. */
import type { TextEdit, WorkspaceEdit } from "vscode-languageserver";

import { baseName, below, directoryOf, isNote } from "../notes/paths.ts";
import { relink, relinkMoved, type FilePlace } from "../notes/relink.ts";
import { placeOf, type MediaPlace } from "../notes/resolve.ts";
import { rangeOf } from "./diagnostics.ts";
import type { Media } from "./media.ts";
import { uriOf, type Note, type Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";

/** A file of a folder that goes elsewhere; both absolute and `/`-separated. */
export type Move = { readonly from: string; readonly to: string };
export type NoteEdits = { readonly note: Note; readonly edits: readonly TextEdit[] };
type Given = { readonly notes: Notes; readonly media: Media; readonly options: SessionOptions };

/** The edits that make every note follow. `byEditor`: the editor renames, and its own feature may follow plain links already. */
export async function editsFor(moves: readonly Move[], byEditor: boolean, { notes, media, options }: Given): Promise<readonly NoteEdits[]> {
  const { roots } = media;
  const places = new Map<string, FilePlace & { readonly to: FilePlace }>();
  for (const { from, to } of moves) {
    const place = placeOf(roots, from);
    if (place !== null)
      places.set(keyOf(place), { absolute: from, path: place.path, to: { absolute: to, path: placeOf(roots, to)?.path ?? null } });
  }
  if (places.size === 0) return [];
  const names = new Set([...places.values()].map(({ absolute }) => baseName(absolute)));
  const referring = await notes.referring((place) => places.has(keyOf(place)), names);
  const leave = byEditor && options.standDown.has("rename");
  return referring.flatMap(({ note, placed }) => {
    const edits = placed.flatMap(({ reference, place }) => {
      const move = places.get(keyOf(place));
      if (move === undefined || (leave && reference.syntax !== "embed" && reference.syntax !== "sound")) return [];
      const newText = relink(reference, note.place, move, move.to);
      return newText === null ? [] : [{ range: rangeOf(note.document, reference), newText }];
    });
    return edits.length === 0 ? [] : [{ note, edits }];
  });
}

/** A note that goes elsewhere: the relative ways in it to media that stay. Empty where the editor rewrites a moved note itself. */
export async function editsInside({ from, to }: Move, { notes, media, options }: Given): Promise<readonly NoteEdits[]> {
  if (options.standDown.has("rename") || !isNote(from) || directoryOf(from) === directoryOf(to)) return [];
  const note = await notes.at(from);
  if (note === null) return [];
  const edits: TextEdit[] = [];
  for (const { reference, place } of await notes.placed(note)) {
    const newText = relinkMoved(reference, from, to, `${rootOf(place, media)}/${place.path}`);
    if (newText !== null) edits.push({ range: rangeOf(note.document, reference), newText });
  }
  return edits.length === 0 ? [] : [{ note, edits }];
}

function rootOf({ folder }: MediaPlace, media: Media): string {
  return media.roots.find((one) => one.folder === folder)?.root ?? "";
}

/** What the editor applies, and takes back, as one. `rename`: the file itself goes too. */
export function workspaceEdit(edits: readonly NoteEdits[], { documentChanges }: SessionOptions, rename?: Move): WorkspaceEdit {
  if (!documentChanges) return { changes: Object.fromEntries(edits.map(({ note, edits: some }) => [note.document.uri, [...some]])) };
  return {
    documentChanges: [
      ...edits.map(({ note, edits: some }) => ({ textDocument: { uri: note.document.uri, version: note.version }, edits: [...some] })),
      ...(rename === undefined ? [] : [{ kind: "rename" as const, oldUri: uriOf(rename.from), newUri: uriOf(rename.to) }]),
    ],
  };
}

/** The files of all folders that a rename in the editor moves: the file itself, or all below a directory. */
export async function movesOf(from: string, to: string, media: Media): Promise<readonly Move[]> {
  const { roots } = media;
  const moves: Move[] = [];
  for (const { folder, root } of roots) {
    // The folder's own root moves: references keep their paths inside it, and only their way there changes.
    if (below(root, from) === null && below(from, root) === null) continue;
    for (const { path, where } of await media.names(folder)) {
      const absolute = `${root}/${path}`;
      const rest = below(from, absolute);
      if (where === "here" && rest !== null) moves.push({ from: absolute, to: rest === "" ? to : `${to}/${rest}` });
    }
  }
  return moves;
}

function keyOf({ folder, path }: MediaPlace): string {
  return `${folder}\0${path}`;
}
