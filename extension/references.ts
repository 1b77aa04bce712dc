/** From a media file to the notes that show it: asked for on the file itself, where no link is at hand. */
import path from "node:path";

import * as vscode from "vscode";

import { guarded } from "./guarded.ts";
import { placeOf } from "./item-file.ts";
import type { Notes } from "./language.ts";
import type { Parts } from "./parts.ts";
import { shown } from "./words.ts";

const { l10n } = vscode;

export function registerReferences(context: vscode.ExtensionContext, parts: Parts, notes: Notes): void {
  const find = async (item: unknown) => await findReferences(parts, notes, item);
  context.subscriptions.push(vscode.commands.registerCommand("satchel.findReferences", guarded(parts, find)));
}

/** One place is shown at once; several in the editor's own list of references, over a note that holds one of them. */
async function findReferences({ board }: Parts, notes: Notes, item: unknown): Promise<void> {
  const wanted = l10n.t("Open a file of a media folder, or choose one in the explorer, then ask where it is used.");
  const { uri } = placeOf(board, item, wanted);
  const name = shown(path.basename(uri.path));
  const title = l10n.t("Looking for notes with {0}", name);
  const found = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title },
    async () => await notes.referencesTo(uri),
  );
  if (found === null)
    throw new Error(
      l10n.t("The help in notes is off or not ready, and it is what knows the references. See the setting satchel.notes.enabled."),
    );
  const places = inOrder(found);
  const [first] = places;
  if (first === undefined) return void vscode.window.showInformationMessage(l10n.t("Satchel: no note refers to {0}.", name));
  const open = vscode.window.activeTextEditor?.document.uri.toString();
  const at = places.find((place) => place.uri.toString() === open) ?? first;
  await vscode.window.showTextDocument(at.uri, { selection: at.range });
  if (places.length > 1) await vscode.commands.executeCommand("editor.action.showReferences", at.uri, at.range.start, places);
}

function inOrder(places: readonly vscode.Location[]): vscode.Location[] {
  return places.toSorted((a, b) => a.uri.path.localeCompare(b.uri.path) || a.range.start.compareTo(b.range.start));
}
