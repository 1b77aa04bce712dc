/** Which file a command is for: of an item of our views, of the explorer, or the one in front. */
import path from "node:path";

import * as vscode from "vscode";

import type { Board, Place } from "./board.ts";
import { shown } from "./words.ts";

const { l10n } = vscode;

/** undefined: none was chosen, and nothing is open. */
function fileOf(board: Pick<Board, "folder">, item: unknown): vscode.Uri | undefined {
  if (item instanceof vscode.Uri) return item;
  if (typeof item !== "object" || item === null) return activeUri();
  if ("uri" in item && item.uri instanceof vscode.Uri) return item.uri;
  if ("file" in item && typeof item.file === "string") return vscode.Uri.file(item.file);
  return namedIn(board, "conflict" in item ? item.conflict : "change" in item ? item.change : undefined) ?? activeUri();
}

/** @throws Error where that is no file of a media folder. `wanted`: what to do where none was chosen */
export function placeOf(board: Pick<Board, "folder" | "placeOf">, item: unknown, wanted: string): Place & { readonly uri: vscode.Uri } {
  const uri = fileOf(board, item);
  if (uri === undefined) throw new Error(wanted);
  const place = uri.scheme === "file" ? board.placeOf(uri.fsPath) : undefined;
  if (place === undefined) throw new Error(l10n.t("{0} is in no media folder that Satchel looks after.", shown(path.basename(uri.path))));
  return { ...place, uri };
}

/** A conflict or a change names its file by folder and path. */
function namedIn(board: Pick<Board, "folder">, told: unknown): vscode.Uri | undefined {
  if (typeof told !== "object" || told === null || !("folder" in told) || !("path" in told)) return undefined;
  const { folder, path: file } = told;
  const owner = typeof folder === "string" ? board.folder(folder) : undefined;
  return owner === undefined || typeof file !== "string" ? undefined : vscode.Uri.file(path.join(owner.root, file));
}

/** A picture's tab has no text editor. */
function activeUri(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom ? input.uri : undefined;
}
