/** Names of media while one is being written. */
import { CompletionItemKind, type CompletionItem, type CompletionList } from "vscode-languageserver";

import type { MediaName } from "../engine/facade.ts";
import { baseName, directoryOf, extensionOf, isMedia, relativeTo } from "../notes/paths.ts";
import type { MediaReference } from "../notes/references.ts";
import { canSpell, spellTarget } from "../notes/spelling.ts";
import type { Media } from "./media.ts";
import type { Note, Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";
import type { Words } from "./words.ts";

/** More are not worth looking through: the list is asked for again with each letter. */
const ITEMS_MAX = 200;

type Place = Pick<MediaReference, "syntax" | "angle" | "quote">;
type Opening = { readonly place: Place; readonly written: string };

const OPENINGS: readonly (readonly [pattern: RegExp, place: Place])[] = [
  [/!\[\[([^[\]|#\n]*)$/, { syntax: "embed", angle: false, quote: "" }],
  [/\[sound:([^[\]\n]*)$/, { syntax: "sound", angle: false, quote: "" }],
  [/!\[[^\]\n]*\]\(<([^<>\n]*)$/, { syntax: "image", angle: true, quote: "" }],
  [/!\[[^\]\n]*\]\(([^\s()<>]*)$/, { syntax: "image", angle: false, quote: "" }],
  [/\]\(<([^<>\n]*)$/, { syntax: "link", angle: true, quote: "" }],
  [/\]\(([^\s()<>]*)$/, { syntax: "link", angle: false, quote: "" }],
  [/^[\s>]*\[[^\]\n]+\]:\s*<([^<>\n]*)$/, { syntax: "definition", angle: true, quote: "" }],
  [/^[\s>]*\[[^\]\n]+\]:\s*([^\s<>]*)$/, { syntax: "definition", angle: false, quote: "" }],
  [/<(?:img|audio|video|source)\b[^<>]*\s(?:src|poster)\s*=\s*"([^"<>]*)$/i, { syntax: "html", angle: false, quote: '"' }],
  [/<(?:img|audio|video|source)\b[^<>]*\s(?:src|poster)\s*=\s*'([^'<>]*)$/i, { syntax: "html", angle: false, quote: "'" }],
];

/** Letters that begin such a place. */
export const TRIGGERS: readonly string[] = ["(", "[", "<", '"', ":", "/"];

export async function completionsAt(
  note: Note,
  offset: number,
  { notes, media, options }: { readonly notes: Notes; readonly media: Media; readonly options: SessionOptions },
): Promise<CompletionList | null> {
  const { document } = note;
  const text = document.getText();
  const line = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  const opening = openingOf(line);
  // In code and its like a line only looks so: the note is read as if the name were written to its end.
  if (opening === null || !(await notes.refersAt(`${text.slice(0, offset)}x${closingOf(opening.place)}${text.slice(offset)}`, offset)))
    return null;
  const range = { start: document.positionAt(offset - opening.written.length), end: document.positionAt(offset) };
  const items: CompletionItem[] = [];
  for await (const { item, newText } of offers(note, opening, media, options)) {
    if (items.length === ITEMS_MAX) return { isIncomplete: true, items };
    items.push({ ...item, textEdit: { range, newText } });
  }
  return { isIncomplete: false, items };
}

function openingOf(line: string): Opening | null {
  for (const [pattern, place] of OPENINGS) {
    const found = pattern.exec(line);
    if (found !== null) return { place, written: found[1] ?? "" };
  }
  return null;
}

/** What would end the name there. */
function closingOf({ syntax, angle, quote }: Place): string {
  switch (syntax) {
    case "embed":
      return "]]";
    case "sound":
      return "]";
    case "html":
      return `${quote}>`;
    case "definition":
      return angle ? ">\n" : "\n";
    case "image":
    case "link":
      return angle ? ">)" : ")";
  }
}

type Offer = { readonly item: CompletionItem; readonly newText: string };

async function* offers(note: Note, { place, written }: Opening, media: Media, { standDown, words }: SessionOptions): AsyncIterable<Offer> {
  const here = directoryOf(note.place.note);
  const byName = place.syntax === "embed" || place.syntax === "sound";
  const wanted = plain(written);
  for (const { folder, root } of media.roots)
    for (const name of await media.names(folder)) {
      if (!isMedia(name.path) || (place.syntax === "sound" && !isPlayed(name.path))) continue;
      // The editor offers by itself what stands on the disk; ours adds what only the remote has.
      if (name.where === "gone" || (standDown.has("completion") && !byName && name.where === "here")) continue;
      if (byName && !plain(name.path).includes(wanted)) continue;
      const path = byName ? await shortName(name.path, place, media) : relativeTo(here, `${root}/${name.path}`);
      if (!canSpell(place, path) || !(plain(path).includes(wanted) || plain(name.path).includes(wanted))) continue;
      const newText = spellTarget(place, path);
      yield { item: itemOf(name, { path, newText, written }, words), newText };
    }
}

/** An embed finds its file by the last name where there is but one of it. */
async function shortName(path: string, { syntax }: Place, media: Media): Promise<string> {
  const last = baseName(path);
  return syntax === "embed" && (await media.named(last)).length === 1 ? last : path;
}

type Spelled = { readonly path: string; readonly newText: string; readonly written: string };

function itemOf(name: MediaName, { path, newText, written }: Spelled, words: Words): CompletionItem {
  const size = name.sizeBytes === null ? "" : words.size(name.sizeBytes);
  return {
    label: path,
    kind: CompletionItemKind.File,
    detail: [size, name.where === "here" ? "" : words.remoteOnly].filter((part) => part !== "").join(" · "),
    // Editors filter by the text between the range's start and the cursor: spelled alike, whatever was typed so far.
    filterText: plain(newText).includes(plain(written)) ? newText : `${written}${newText}`,
    sortText: `${name.where === "here" ? 0 : 1}${path}`,
  };
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll("%20", " ").replace(/^\.\//, "");
}

const PLAYED = new Set("mp3 m4a ogg oga opus wav flac aac 3gp aiff spx mp4 m4v webm mov mkv avi ogv mpg mpeg flv swf".split(" "));

function isPlayed(path: string): boolean {
  return PLAYED.has(extensionOf(path));
}
