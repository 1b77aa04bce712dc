/** Quick fixes for media that are missing, and the commands behind them. */
import { CodeActionKind, type CodeAction, type CodeActionParams, type WorkspaceEdit } from "vscode-languageserver";
import * as z from "zod";

import { baseName, slashed } from "../notes/paths.ts";
import { timeText } from "../notes/knowledge.ts";
import { relink } from "../notes/relink.ts";
import { similarPaths } from "../notes/similar.ts";
import { diagnosticOf, look, rangeOf, SOURCE, type Looked } from "./diagnostics.ts";
import type { Media } from "./media.ts";
import type { Note, Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";
import { workspaceEdit } from "./rename.ts";

/** Names of the commands that the session carries out. */
export const COMMANDS = { fetch: "satchel.notes.fetch", restore: "satchel.notes.restore", follow: "satchel.notes.follow" } as const;
export const fetchArguments = z.tuple([z.object({ folder: z.string(), path: z.string() })]);
export const restoreArguments = z.tuple([z.object({ folder: z.string(), path: z.string(), sha1: z.string() })]);
/** Absolute paths. */
export const followArguments = z.tuple([z.object({ from: z.string(), to: z.string() })]);

const SIMILAR_SHOWN = 3;

type Given = { readonly notes: Notes; readonly media: Media; readonly options: SessionOptions };

export async function actionsFor(note: Note, { range, context }: CodeActionParams, given: Given): Promise<CodeAction[]> {
  if (context.only !== undefined && !context.only.some((kind) => CodeActionKind.QuickFix.startsWith(kind))) return [];
  const [from, to] = [note.document.offsetAt(range.start), note.document.offsetAt(range.end)];
  const touched = (await look(note, given.notes, given.media)).filter(({ reference }) => reference.start <= to && reference.end >= from);
  const actions: CodeAction[] = [];
  for (const looked of touched) {
    const diagnostic = diagnosticOf(note.document, looked, given.options.words);
    const shown = context.diagnostics.filter(({ source, code }) => source === SOURCE && code === diagnostic?.code);
    const about = shown.length === 0 ? {} : { diagnostics: shown };
    for (const fix of await fixes(note, looked, given)) actions.push({ kind: CodeActionKind.QuickFix, ...about, ...fix });
  }
  return actions;
}

async function fixes(note: Note, looked: Looked, given: Given): Promise<CodeAction[]> {
  const { place, knowledge, facts } = looked;
  const name = baseName(place.path);
  switch (knowledge.cause) {
    case "remote":
    case "remoteTrouble":
      return [command(given.options.words.fetch(name), COMMANDS.fetch, { folder: place.folder, path: place.path }, true)];
    case "renamed":
      return [...follow(note, looked, given), ...restore(looked, given)];
    case "deleted":
      return [...restore(looked, given), ...(await similar(note, looked, given))];
    case "never":
    case "ignored":
    case "tooLarge":
      return await similar(note, looked, given);
    case "conflict":
    case "present":
    case "ignoredHere":
    case "tooLargeHere":
    case "troubleHere":
      return facts.conflicts.length > 0 ? compareCopy(note, looked, given) : [];
  }
}

function command(title: string, name: string, argument: object, isPreferred = false): CodeAction {
  return { title, isPreferred, command: { title, command: name, arguments: [argument] } };
}

function restore({ place, knowledge }: Looked, { options: { words } }: Given): CodeAction[] {
  const { restorable } = knowledge;
  if (restorable === null) return [];
  const title = words.restore(baseName(place.path), words.size(restorable.sizeBytes), timeText(restorable.atMs));
  return [command(title, COMMANDS.restore, { folder: place.folder, path: place.path, sha1: restorable.sha1 }, true)];
}

function follow(note: Note, looked: Looked, given: Given): CodeAction[] {
  const { facts } = looked;
  if (facts.movedTo === null) return [];
  const edit = linkTo(note, looked, facts.movedTo, given);
  const root = rootOf(looked, given.media);
  const all = command(given.options.words.updateAll(baseName(facts.path)), COMMANDS.follow, {
    from: facts.diskPath,
    to: `${root}/${facts.movedTo}`,
  });
  return [...(edit === null ? [] : [{ title: given.options.words.changeLink(facts.movedTo), isPreferred: true, edit }]), all];
}

async function similar(note: Note, looked: Looked, given: Given): Promise<CodeAction[]> {
  const names = (await given.media.names(looked.place.folder)).filter(({ where }) => where !== "gone").map(({ path }) => path);
  return similarPaths(looked.place.path, names, SIMILAR_SHOWN).flatMap((path) => {
    const edit = linkTo(note, looked, path, given);
    return edit === null ? [] : [{ title: given.options.words.changeLink(path), edit }];
  });
}

/** The copy beside a conflict may be the one that the note means. */
function compareCopy(note: Note, looked: Looked, given: Given): CodeAction[] {
  return looked.facts.conflicts.flatMap(({ copyPath }) => {
    const edit = copyPath === null ? null : linkTo(note, looked, copyPath, given);
    return edit === null ? [] : [{ title: given.options.words.changeLink(copyPath ?? ""), edit }];
  });
}

function linkTo(note: Note, { reference, facts, place }: Looked, path: string, { media, options }: Given): WorkspaceEdit | null {
  const root = rootOf({ place }, media);
  const newText = relink(reference, note.place, { absolute: facts.diskPath, path: facts.path }, { absolute: `${root}/${path}`, path });
  return newText === null ? null : workspaceEdit([{ note, edits: [{ range: rangeOf(note.document, reference), newText }] }], options);
}

function rootOf({ place }: Pick<Looked, "place">, media: Media): string {
  return slashed(media.roots.find(({ folder }) => folder === place.folder)?.root ?? "/");
}
