/** What the session says and asks of the editor. */
import { MessageType, ShowMessageNotification, type _Connection, type WorkspaceEdit } from "vscode-languageserver";

import type { Words } from "./words.ts";

/** A message without an answer: the library's own way asks for one, also where there is nothing to choose. */
export async function say(connection: _Connection, type: MessageType, message: string): Promise<void> {
  await connection.sendNotification(ShowMessageNotification.type, { type, message });
}

/** An editor may refuse, for a note that was changed meanwhile. */
export async function applyEdit(
  { connection, words }: { readonly connection: _Connection; readonly words: Words },
  label: string,
  edit: WorkspaceEdit,
): Promise<void> {
  const { applied, failureReason } = await connection.workspace.applyEdit({ label, edit });
  if (applied) return;
  const why = failureReason === undefined ? "" : ` (${failureReason})`;
  await say(connection, MessageType.Warning, words.refused(why));
}
