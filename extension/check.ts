/** Notes held against their media: what is missing, what nobody uses, what is there twice, what has a bad name; and the way to clear up. */
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import type { ResultOf } from "../protocol/api/table.ts";
import { chooseFolderFor } from "./folders.ts";
import type { MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { causeSentence } from "./sentences.ts";
import { agoText, counted, nameOf, problemText, shown, sizeText } from "./words.ts";

const { l10n } = vscode;
/** In one step, so that one undo takes it back. */
const REMOVE_MAX = 1000;

type Report = ResultOf<"notes/check">;
type Item = vscode.QuickPickItem & { readonly open?: vscode.Location | vscode.Uri; readonly unused?: true };

/** Checks, then lists what was found. A choice opens it; unused files are removed from a list of their own, where nothing is chosen beforehand. */
export async function checkNotes(parts: Parts, node?: MediaNode): Promise<void> {
  const { session, board } = parts;
  await session.start();
  await board.refresh();
  const folder = await chooseFolderFor(board.folders, node, l10n.t("Check Notes and Media"));
  if (folder === undefined) return;
  const notes = noteDirectories(folder);
  const options = { location: { viewId: "satchel.media" } };
  const report = await vscode.window.withProgress(options, async () => await session.call("notes/check", { folder: folder.folder, notes }));
  const title = l10n.t("{0} in {1}", counted("file", folder.files), shown(nameOf(folder)));
  const items = itemsOf(report);
  if (items.length === 0)
    return void vscode.window.showInformationMessage(
      l10n.t("Satchel: nothing is missing, unused, twice or badly named in {0}.", shown(nameOf(folder))),
    );
  const chosen = await vscode.window.showQuickPick(items, { title, matchOnDescription: true, matchOnDetail: true });
  if (chosen?.unused === true) return await removeUnused(parts, report, notes);
  if (chosen?.open instanceof vscode.Location) await vscode.window.showTextDocument(chosen.open.uri, { selection: chosen.open.range });
  else if (chosen?.open !== undefined) await vscode.commands.executeCommand("vscode.open", chosen.open);
}

/** The workspace's folders that hold the media folder or lie beside it; else the directory that it lies in. */
function noteDirectories({ root }: FolderStatus): string[] {
  const open = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file").map(({ uri }) => uri.fsPath);
  const around = open.filter((directory) => root === directory || root.startsWith(`${directory}${path.sep}`));
  return around.length > 0 ? around : open.length > 0 ? [...open, path.dirname(root)] : [path.dirname(root)];
}

function itemsOf(report: Report): Item[] {
  const at = (file: string) => vscode.Uri.file(path.join(report.root, file));
  const missing = report.missing.flatMap(({ path: file, cause, detail, references }) =>
    references.map(({ note, line, column }): Item => {
      const position = new vscode.Position(line - 1, column - 1);
      return {
        label: `$(warning) ${shown(file)}`,
        description: `${shown(path.basename(note))}:${String(line)}`,
        detail: causeSentence(cause, shown(file), detail),
        open: new vscode.Location(vscode.Uri.file(note), position),
      };
    }),
  );
  const badNames = report.badNames.map(({ path: file, reason, suggestion }): Item => ({
    label: `$(symbol-string) ${shown(file)}`,
    description: problemText(reason),
    ...(suggestion === null ? {} : { detail: l10n.t("Suggestion: {0}", shown(suggestion)) }),
    open: at(file),
  }));
  const twice = report.duplicates.map(({ files, sizeBytes }): Item => ({
    label: `$(files) ${files.map((file) => shown(file.path)).join(", ")}`,
    description: sizeText(sizeBytes),
    ...(files[0] === undefined ? {} : { open: at(files[0].path) }),
  }));
  const unusedBytes = report.unused.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const unused: Item = {
    label: `$(trash) ${l10n.t("{0} that no note uses…", counted("file", report.unused.length))}`,
    description: sizeText(unusedBytes),
    unused: true,
  };
  const unread = report.unread.map((note): Item => ({ label: `$(circle-slash) ${shown(note)}`, open: vscode.Uri.file(note) }));
  return [
    // While there are any, nothing is known to be unused.
    ...section(l10n.t("Could Not Be Read"), unread),
    ...section(l10n.t("Missing"), missing),
    ...section(l10n.t("Bad Names"), badNames),
    ...section(l10n.t("There Twice"), twice),
    ...section(l10n.t("Unused"), report.unused.length > 0 ? [unused] : []),
  ];
}

function section(label: string, items: readonly Item[]): Item[] {
  return items.length === 0 ? [] : [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items];
}

/** The service checks again before it removes; what it removes is kept, and undo brings it back. */
async function removeUnused({ session, board }: Parts, report: Report, notes: string[]): Promise<void> {
  const items = report.unused.map(({ path: file, sizeBytes, mtimeMs }) => ({
    label: shown(file),
    description: [sizeText(sizeBytes), agoText(mtimeMs)].join(" · "),
    file,
  }));
  const placeHolder = l10n.t("Choose what to remove. It is kept for at least 30 days, and Undo brings it back.");
  const chosen = await vscode.window.showQuickPick(items, { title: l10n.t("Remove Unused Media"), placeHolder, canPickMany: true });
  const wanted = (chosen ?? []).map(({ file }) => file);
  const paths = wanted.slice(0, REMOVE_MAX);
  if (paths.length === 0) return;
  const { removed, skipped } = await session.call("notes/clean", { folder: report.folder, notes, paths });
  await board.refresh();
  const said = [l10n.t("Satchel: removed {0}.", counted("file", removed.length))];
  if (skipped.length > 0) said.push(l10n.t("Left alone: {0}.", skipped.map((one) => shown(one.path)).join(", ")));
  const rest = wanted.length - paths.length;
  if (rest > 0) said.push(l10n.t("At most {0} go at once: check again for the other {1}.", REMOVE_MAX, rest));
  const undo = l10n.t("Undo");
  const answer = await vscode.window.showInformationMessage(said.join(" "), undo);
  if (answer === undo) await undoClean(session, report.folder, removed);
}

/** The last step may be another one by now: a sync that replaced something since is not what the button was for. */
async function undoClean(session: Parts["session"], folder: string, removed: readonly string[]): Promise<void> {
  const { undone, skipped } = await session.call("sync/undo", { folder, preview: true });
  const meant = new Set(removed);
  if ([...undone, ...skipped.map((one) => one.path)].every((file) => meant.has(file))) await session.call("sync/undo", { folder });
  else
    void vscode.window.showInformationMessage(
      l10n.t(
        "Satchel: other files were replaced or removed since, so nothing was undone. “Bring Back a File That Is Gone” has what was removed.",
      ),
    );
}
