/** One editor before notes and a folder in memory. The workspace is /media, the folder /media/m. */
import assert from "node:assert/strict";

import type { OpenLanguageSession } from "../../service/core/language-port.ts";
import { KnownNotes } from "../../service/lsp/known-notes.ts";
import { openLanguageSession } from "../../service/lsp/session.ts";
import { findReferences } from "../../service/notes/references.ts";
import type { Diagnostic, Json, LspPeer, Position, Range } from "./lsp-peer.ts";
import { openMemoryEngine, type MemoryEngine } from "./memory-engine.ts";
import { MemoryNotes } from "./memory-notes.ts";

export type Action = {
  readonly title: string;
  readonly isPreferred?: boolean;
  readonly edit?: { readonly documentChanges: readonly Changed[] };
  readonly command?: { readonly command: string; readonly arguments: readonly unknown[] };
};
export type Changed = {
  readonly textDocument?: { readonly uri: string; readonly version: number | null };
  readonly edits?: readonly { readonly range: Range; readonly newText: string }[];
  readonly kind?: string;
  readonly oldUri?: string;
  readonly newUri?: string;
};

/** The note that tests have open. */
export const NOTE = "file:///media/a.md";
const ROOT = "/media/m";

export type LspWorld = {
  readonly memory: MemoryEngine;
  readonly notes: MemoryNotes;
  readonly session: OpenLanguageSession;
  /** Closes the engine; no session may have met a fault of its own. */
  close(): Promise<void>;
};

/** Three files stand in the folder: photo.png, sub/deep one.png, song.mp3. */
export async function openLspWorld(): Promise<LspWorld> {
  const faults: unknown[] = [];
  const known = new KnownNotes();
  const notes = new MemoryNotes();
  const find = async (text: string) => await Promise.resolve(findReferences(text));
  const source = { disk: notes, find, findAmongMany: find };
  const memory = await openMemoryEngine(["m"], { notes: source });
  notes.others = (absolute) =>
    absolute.startsWith(`${ROOT}/`) ? (memory.at("m").folder.files.get(absolute.slice(ROOT.length + 1))?.bytes ?? null) : null;
  for (const name of ["photo.png", "sub/deep one.png", "song.mp3"]) memory.at("m").folder.write(name, name);
  await memory.sync("m");
  return {
    memory,
    notes,
    session: async (peer) =>
      await Promise.resolve(
        openLanguageSession({ engine: memory.engine, notes: source, known, report: (error) => faults.push(error) }, peer),
      ),
    close: async () => {
      await memory.engine.close();
      assert.deepEqual(faults, []);
    },
  };
}

/** Where `mark` begins in the text, plus one. */
function at(text: string, mark: string): Position {
  const lines = text.slice(0, text.indexOf(mark) + 1).split("\n");
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
}

export function slice(text: string, { start, end }: Range): string {
  return (text.split("\n")[start.line] ?? "").slice(start.character, end.character);
}

/** Parameters of a request about a place in the open note. */
export function position(text: string, mark: string): Json {
  return { textDocument: { uri: NOTE }, position: at(text, mark) };
}

export async function actionsAt(
  editor: LspPeer,
  text: string,
  mark: string,
  diagnostics: readonly Diagnostic[] = [],
): Promise<readonly Action[]> {
  const where = at(text, mark);
  const params = { textDocument: { uri: NOTE }, range: { start: where, end: where }, context: { diagnostics } };
  return (await editor.call<readonly Action[] | null>("textDocument/codeAction", params)) ?? [];
}
