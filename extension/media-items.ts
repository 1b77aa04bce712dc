/** How each node of the Media view looks, and what it says aloud. */
import path from "node:path";

import * as vscode from "vscode";

import type { Conflict, FolderStatus, Hold, RunSummary } from "../protocol/api/model.ts";
import type { Board } from "./board.ts";
import type { FileNode, Group, MediaNode } from "./media-nodes.ts";
import type { Change } from "./recent.ts";
import { faultSentence, problemSentence } from "./sentences.ts";
import { agoText, counted, lookOf, nameOf, problemText, shown, sizeText } from "./words.ts";

const { l10n } = vscode;
const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;

export function itemOf(node: MediaNode, board: Board): vscode.TreeItem {
  switch (node.kind) {
    case "group":
      return groupItem(node.group, node.count);
    case "folder":
      return folderItem(node.folder);
    case "hold":
      return holdItem(node.hold, board);
    case "conflict":
      return conflictItem(node.conflict, board);
    case "file":
      return fileItem(node);
    case "more":
      return new vscode.TreeItem(node.listed ? l10n.t("and {0} more", node.count) : l10n.t("{0} not on this disk", node.count), None);
    case "change":
      return changeItem(node.change, board);
    case "run":
      return runItem(node.run, board);
  }
}

type GroupLook = { readonly label: string; readonly icon: string; readonly state: vscode.TreeItemCollapsibleState };

function groupLook(group: Group): GroupLook {
  switch (group) {
    case "folders":
      return { label: l10n.t("Folders"), icon: "folder-library", state: Expanded };
    case "holds":
      return { label: l10n.t("Questions"), icon: "question", state: Expanded };
    case "conflicts":
      return { label: l10n.t("Conflicts"), icon: "git-compare", state: Expanded };
    case "problems":
      return { label: l10n.t("Problems"), icon: "warning", state: Expanded };
    case "pending":
      return { label: l10n.t("Pending"), icon: "cloud-upload", state: Expanded };
    case "recent":
      return { label: l10n.t("Recent"), icon: "history", state: Collapsed };
  }
}

function groupItem(group: Group, count: number | null): vscode.TreeItem {
  const { label, icon, state } = groupLook(group);
  const item = new vscode.TreeItem(label, count === 0 ? None : state);
  // Another state needs another id: the editor remembers what was opened by id, and an empty group can't be open.
  item.id = `group:${group}:${count === 0 ? "empty" : "full"}`;
  item.iconPath = new vscode.ThemeIcon(icon);
  item.contextValue = `group.${group}`;
  if (count !== null) item.description = count === 0 ? l10n.t("none") : String(count);
  item.accessibilityInformation = { label: count === null ? label : `${label}, ${count === 0 ? l10n.t("none") : String(count)}` };
  return item;
}

function folderItem(folder: FolderStatus): vscode.TreeItem {
  const { icon, text } = lookOf(folder);
  const name = shown(nameOf(folder));
  const why = faultSentence(folder, folder.fault, folder.detail);
  const item = new vscode.TreeItem(name, None);
  item.id = `folder:${folder.folder}`;
  item.iconPath = new vscode.ThemeIcon(folder.state === "syncing" ? "sync~spin" : icon);
  item.contextValue = folder.state === "paused" ? "folder.paused" : "folder.active";
  item.description = [text, folder.remote === null ? l10n.t("not signed in") : shown(folder.remote)].join(" · ");
  const lines = [
    shown(folder.root),
    `${counted("file", folder.files)}, ${sizeText(folder.bytes)}`,
    folder.lastRunAt === null ? l10n.t("not synced yet") : l10n.t("last sync {0}", agoText(folder.lastRunAt)),
    ...(why === null ? [] : [why]),
    ...(folder.watching === "timed" ? [l10n.t("File events can't be had here; the folder is looked at every minute.")] : []),
  ];
  item.tooltip = lines.join("\n");
  item.accessibilityInformation = { label: `${name}, ${text}, ${lines.join(", ")}` };
  return item;
}

function holdItem(hold: Hold, board: Board): vscode.TreeItem {
  const folder = board.folder(hold.folder);
  const title = holdTitle(hold);
  const item = new vscode.TreeItem(title, None);
  item.id = `hold:${String(hold.id)}`;
  item.iconPath = new vscode.ThemeIcon("question", new vscode.ThemeColor("list.warningForeground"));
  item.contextValue = "hold";
  if (folder !== undefined) item.description = shown(nameOf(folder));
  item.tooltip = [title, ...hold.paths.slice(0, 20).map(shown)].join("\n");
  // An item whose command may not be used is drawn in grey, and the question must be readable.
  if (vscode.workspace.isTrusted)
    item.command = { command: "satchel.answerHold", title: l10n.t("Answer"), arguments: [{ kind: "hold", hold }] };
  return item;
}

/** What the guard asks, in one sentence. */
export function holdTitle({ scope, reason, paths }: Hold): string {
  if (scope === "deleteRemote") return l10n.t("Deleted here: {0}. Delete on the server too?", counted("file", paths.length));
  if (scope === "deleteLocal") return l10n.t("Deleted on the server: {0}. Delete here too?", counted("file", paths.length));
  switch (reason) {
    case "rootMissing":
      return l10n.t("The media folder is not there. Is it on a disk that is not connected?");
    case "rootReplaced":
    case "markerGone":
      return l10n.t("Another folder stands where the media folder was. Go on with this one?");
    case "otherServer":
      return l10n.t("Another server answers at this address. Go on with this one?");
    case "manyDeletions":
    case "allDeleted":
    case "pingPong":
      return l10n.t("What happens in this folder looks like an accident. Go on?");
  }
}

function conflictItem(conflict: Conflict, board: Board): vscode.TreeItem {
  const name = shown(path.posix.basename(conflict.path));
  const item = new vscode.TreeItem(name, None);
  const folder = board.folder(conflict.folder);
  item.id = `conflict:${String(conflict.id)}`;
  item.iconPath = new vscode.ThemeIcon("git-compare", new vscode.ThemeColor("list.warningForeground"));
  item.contextValue = "conflict";
  item.description = agoText(conflict.atMs);
  const both = l10n.t("Both sides changed this file. Both versions are kept.");
  item.tooltip = [shown(conflict.path), both, ...(conflict.copyPath === null ? [] : [shown(conflict.copyPath)])].join("\n");
  item.accessibilityInformation = { label: `${name}, ${both}` };
  if (folder !== undefined) item.resourceUri = vscode.Uri.file(path.join(folder.root, conflict.path));
  item.command = { command: "satchel.conflicts.compare", title: l10n.t("Compare"), arguments: [{ kind: "conflict", conflict }] };
  return item;
}

function fileItem({ folder, file, uri }: FileNode): vscode.TreeItem {
  const name = shown(path.posix.basename(file.path));
  const item = new vscode.TreeItem(name, None);
  item.id = `file:${folder.folder}:${file.state}:${file.path}`;
  const [problem] = file.problems;
  item.contextValue = file.state === "problem" ? "problem" : "pending";
  const reason = problem === undefined ? null : problemText(problem.reason);
  const directory = path.posix.dirname(file.path);
  item.description = reason ?? (directory === "." ? shown(nameOf(folder)) : shown(directory));
  item.iconPath =
    problem === undefined
      ? new vscode.ThemeIcon("file-media")
      : new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
  item.tooltip = [shown(file.path), ...(problem === undefined ? [] : [problemSentence(problem.reason, problem.detail)])].join("\n");
  item.accessibilityInformation = { label: [name, reason ?? l10n.t("waits to be sent or fetched")].join(", ") };
  item.command = { command: "vscode.open", title: l10n.t("Open"), arguments: [uri] };
  return item;
}

type Story = { readonly icon: string; readonly text: string };

function storyOf({ kind, origin }: Change): Story {
  if (origin === "apply")
    return kind === "put" ? { icon: "cloud-download", text: l10n.t("received") } : { icon: "trash", text: l10n.t("deleted by a sync") };
  if (origin === "restore") return { icon: "discard", text: l10n.t("brought back") };
  return kind === "put" ? { icon: "edit", text: l10n.t("changed here") } : { icon: "trash", text: l10n.t("deleted here") };
}

function changeItem(change: Change, board: Board): vscode.TreeItem {
  const name = shown(path.posix.basename(change.path));
  const { icon, text } = storyOf(change);
  const folder = board.folder(change.folder);
  const item = new vscode.TreeItem(name, None);
  item.id = `change:${String(change.seq)}`;
  item.contextValue = "change";
  item.iconPath = new vscode.ThemeIcon(icon);
  item.description = [text, agoText(change.atMs)].join(" · ");
  item.tooltip = [
    shown(change.path),
    new Date(change.atMs).toLocaleString(vscode.env.language),
    ...(change.sizeBytes === null ? [] : [sizeText(change.sizeBytes)]),
  ].join("\n");
  item.accessibilityInformation = { label: [name, item.description].join(", ") };
  if (change.kind === "put" && folder !== undefined)
    item.command = { command: "vscode.open", title: l10n.t("Open"), arguments: [vscode.Uri.file(path.join(folder.root, change.path))] };
  return item;
}

/** A run that failed. */
function runItem(run: RunSummary, board: Board): vscode.TreeItem {
  const folder = board.folder(run.folder);
  const text = l10n.t("The last sync failed");
  const why = faultSentence(run, run.fault, run.error) ?? "";
  const item = new vscode.TreeItem(text, None);
  item.id = `run:${run.run}`;
  item.contextValue = "run";
  item.iconPath = new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"));
  item.description = [...(folder === undefined || board.folders.length < 2 ? [] : [shown(nameOf(folder))]), agoText(run.startedAtMs)].join(
    " · ",
  );
  item.tooltip = [new Date(run.startedAtMs).toLocaleString(vscode.env.language), why].join("\n");
  item.accessibilityInformation = { label: [text, item.description, why].join(", ") };
  return item;
}
