/** What a hover tells of the file under the cursor. */
import type { Hover } from "vscode-languageserver";

import { readPreview, type NotesDisk } from "../notes/note-files.ts";
import { baseName, extensionOf } from "../notes/paths.ts";
import { timeText } from "../notes/knowledge.ts";
import { look, rangeOf, type Looked } from "./diagnostics.ts";
import type { Media } from "./media.ts";
import { uriOf, type Note, type Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";

const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  svg: "image/svg+xml",
};

export async function hoverAt(
  note: Note,
  offset: number,
  given: { notes: Notes; media: Media; disk: NotesDisk; options: SessionOptions },
): Promise<Hover | null> {
  const { notes, media, options } = given;
  const found = (await look(note, notes, media)).find(({ reference }) => reference.start <= offset && offset <= reference.end);
  if (found === undefined) return null;
  const range = rangeOf(note.document, found.reference);
  const lines = factLines(found, options);
  if (!options.markdown) return { range, contents: { kind: "plaintext", value: lines.join("\n") } };
  const preview = await previewOf(found, given.disk, options);
  const [first = "", ...rest] = lines.map(escaped);
  // A tall picture pushes what stands below it out of sight.
  return { range, contents: { kind: "markdown", value: [`**${first}**`, ...rest, ...preview].join("\n\n") } };
}

/** The path, then size, time and state, then why. */
function factLines(looked: Looked, { words }: SessionOptions): string[] {
  const { facts, knowledge, place } = looked;
  const sentence = words.sentence(looked);
  const size = facts.entry?.sizeBytes ?? facts.remote?.sizeBytes ?? null;
  const told = [
    size === null ? "" : words.size(size),
    facts.entry === null ? "" : words.changed(timeText(facts.entry.mtimeMs)),
    knowledge.cause === "present" ? sentence : "",
  ];
  const lines = [place.path, told.filter((part) => part !== "").join(" · ")];
  if (knowledge.cause !== "present") lines.push(sentence);
  if (knowledge.missing && knowledge.restorable !== null)
    lines.push(words.kept(words.size(knowledge.restorable.sizeBytes), timeText(knowledge.restorable.atMs)));
  return lines.filter((line) => line !== "");
}

async function previewOf(
  { facts, knowledge, reference }: Looked,
  disk: NotesDisk,
  { preview, previewWidth, standDown }: SessionOptions,
): Promise<string[]> {
  const type = IMAGES[extensionOf(facts.path)];
  const editors = standDown.has("preview") && reference.syntax !== "embed" && reference.syntax !== "sound";
  if (type === undefined || knowledge.missing || preview === "none" || editors) return [];
  if (preview === "file") return [image(facts.path, uriOf(facts.diskPath), previewWidth)];
  const bytes = await readPreview(disk, facts.diskPath);
  return bytes === null ? [] : [image(facts.path, `data:${type};base64,${Buffer.from(bytes).toString("base64")}`, previewWidth)];
}

function image(path: string, address: string, width: number | null): string {
  return `![${escaped(baseName(path))}](${address.replaceAll("(", "%28").replaceAll(")", "%29")}${width === null ? "" : `|width=${width}`})`;
}

/** Names are text, whatever they look like. */
function escaped(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()#+!<>&|~-]/g, String.raw`\$&`);
}
