/** What quick fixes carry out. What goes wrong is said in the editor, in words. */
import { MessageType, type _Connection } from "vscode-languageserver";

import { EngineError } from "../engine/errors.ts";
import type { Engine } from "../engine/facade.ts";
import { baseName } from "../notes/paths.ts";
import { COMMANDS, fetchArguments, followArguments, restoreArguments } from "./actions.ts";
import type { Media } from "./media.ts";
import type { Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";
import { editsFor, workspaceEdit } from "./rename.ts";
import { applyEdit, say } from "./say.ts";

type Given = {
  readonly engine: Engine;
  readonly connection: _Connection;
  readonly notes: Notes;
  readonly media: Media;
  readonly options: SessionOptions;
};

/** @throws ZodError for arguments that are not the command's */
export async function carryOut(command: string, values: readonly unknown[], given: Given, signal: AbortSignal): Promise<void> {
  try {
    if (command === COMMANDS.fetch) await fetch(fetchArguments.parse(values)[0], given, signal);
    else if (command === COMMANDS.restore) await restore(restoreArguments.parse(values)[0], given);
    else if (command === COMMANDS.follow) await follow(followArguments.parse(values)[0], given);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    await say(given.connection, MessageType.Error, given.options.words.refusal(error));
  }
}

async function fetch(
  { folder, path }: { folder: string; path: string },
  { engine, media, connection, options: { words } }: Given,
  signal: AbortSignal,
): Promise<void> {
  const [run] = await engine.sync.run({ folder, scan: false }, signal);
  const known = await media.know({ folder, path });
  if (!known.knowledge.missing) return;
  const why = (run === undefined ? null : words.failed(run)) ?? words.sentence(known);
  await say(connection, MessageType.Warning, words.notFetched(baseName(path), why));
}

async function restore({ folder, path, sha1 }: { folder: string; path: string; sha1: string }, { engine }: Given): Promise<void> {
  await engine.versions.restore(folder, path, sha1);
}

async function follow(move: { from: string; to: string }, { connection, ...given }: Given): Promise<void> {
  const edits = await editsFor([move], false, given);
  if (edits.length === 0) return;
  const edit = workspaceEdit(edits, given.options);
  const { words } = given.options;
  await applyEdit({ connection, words }, words.linksTo(baseName(move.to)), edit);
}
