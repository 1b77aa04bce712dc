/** What is wrong with the media of one note, and why. */
import { DiagnosticSeverity, type Diagnostic, type Range } from "vscode-languageserver";
import type { TextDocument } from "vscode-languageserver-textdocument";

import type { Cause, Knowledge, MediaFacts } from "../notes/knowledge.ts";
import type { MediaReference } from "../notes/references.ts";
import type { Media } from "./media.ts";
import type { Note, Notes, Placed } from "./notes.ts";
import type { SessionOptions } from "./options.ts";
import type { Words } from "./words.ts";

export const SOURCE = "satchel";

export type Looked = Placed & { readonly facts: MediaFacts; readonly knowledge: Knowledge };

const SEVERITY: Readonly<Record<Cause, DiagnosticSeverity | null>> = {
  present: null,
  conflict: DiagnosticSeverity.Information,
  ignoredHere: DiagnosticSeverity.Information,
  tooLargeHere: DiagnosticSeverity.Warning,
  troubleHere: DiagnosticSeverity.Warning,
  remote: DiagnosticSeverity.Information,
  remoteTrouble: DiagnosticSeverity.Warning,
  tooLarge: DiagnosticSeverity.Warning,
  renamed: DiagnosticSeverity.Warning,
  deleted: DiagnosticSeverity.Warning,
  ignored: DiagnosticSeverity.Warning,
  never: DiagnosticSeverity.Warning,
};

/** Everything in the note that leads into a folder, with what is known of it. */
export async function look(note: Note, notes: Notes, media: Media): Promise<readonly Looked[]> {
  const looked: Looked[] = [];
  for (const placed of await notes.placed(note)) looked.push({ ...placed, ...(await media.know(placed.place)) });
  return looked;
}

export async function diagnosticsOf(note: Note, notes: Notes, media: Media, options: SessionOptions): Promise<Diagnostic[]> {
  return (await look(note, notes, media)).flatMap((looked) => {
    const diagnostic = diagnosticOf(note.document, looked, options.words);
    return diagnostic === null || isToldAlready(looked, options, true) ? [] : [diagnostic];
  });
}

export function diagnosticOf(document: TextDocument, looked: Looked, words: Words): Diagnostic | null {
  return diagnosticAt(rangeOf(document, looked.reference), looked, words);
}

export function diagnosticAt(range: Range, looked: Looked, words: Words): Diagnostic | null {
  const { place, knowledge } = looked;
  const severity = SEVERITY[knowledge.cause];
  if (severity === null) return null;
  return { range, severity, source: SOURCE, code: knowledge.cause, message: words.sentence(looked), data: place };
}

export function rangeOf(document: TextDocument, { start, end }: Pick<MediaReference, "start" | "end">): Range {
  return { start: document.positionAt(start), end: document.positionAt(end) };
}

/** The editor's own check says of an open note that a linked file is missing; ours adds something only where it knows why. */
export function isToldAlready({ reference, knowledge }: Looked, { standDown }: SessionOptions, isOpen: boolean): boolean {
  return (
    isOpen && standDown.has("diagnostics") && knowledge.cause === "never" && reference.syntax !== "embed" && reference.syntax !== "sound"
  );
}
