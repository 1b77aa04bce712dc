/** How each node of the Check view looks, and what it says aloud. */
import path from "node:path";

import * as vscode from "vscode";

import { agoText, counted, problemText, shown, sizeText } from "../words.ts";
import { missingSentence, missingText } from "./cause-words.ts";
import type { CheckGroup, CheckNode, Chosen, Report } from "./findings.ts";

const { l10n } = vscode;
const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
const { Checked, Unchecked } = vscode.TreeItemCheckboxState;

export function checkItemOf(node: CheckNode, report: Report, chosen: Chosen): vscode.TreeItem {
  switch (node.kind) {
    case "group":
      return groupItem(node, report, chosen);
    case "missing":
      return missingItem(node);
    case "reference":
      return referenceItem(node);
    case "badName":
      return badNameItem(node);
    case "duplicate":
      return duplicateItem(node);
    case "copy":
      return copyItem(node);
    case "unused":
      return unusedItem(node, chosen);
    case "unread":
      return unreadItem(node);
    case "more":
      return moreItem(node);
  }
}

type Node<Kind extends CheckNode["kind"]> = Extract<CheckNode, { kind: Kind }>;
type GroupLook = { readonly label: string; readonly icon: string };

function groupLook(group: CheckGroup): GroupLook {
  switch (group) {
    case "unread":
      return { label: l10n.t("Could Not Be Read"), icon: "circle-slash" };
    case "missing":
      return { label: l10n.t("Missing"), icon: "warning" };
    case "badNames":
      return { label: l10n.t("Bad Names"), icon: "symbol-string" };
    case "duplicates":
      return { label: l10n.t("There Twice"), icon: "files" };
    case "unused":
      return { label: l10n.t("Unused"), icon: "trash" };
  }
}

function groupItem({ group, count }: Node<"group">, report: Report, chosen: Chosen): vscode.TreeItem {
  const { label, icon } = groupLook(group);
  const isFull = count !== null && count > 0;
  // A row with a box is opened by its twistie alone, so the unused ones stand open from the first.
  const isOpen = group === "missing" || group === "unread" || group === "unused";
  const item = new vscode.TreeItem(label, isFull ? (isOpen ? Expanded : Collapsed) : None);
  // Another state needs another id: the editor remembers what was opened by id, and an empty group can't be open.
  item.id = `check:${group}:${isFull ? "full" : "empty"}`;
  item.iconPath = new vscode.ThemeIcon(icon);
  item.contextValue = `group.${group}`;
  const number = count === null ? l10n.t("not known") : count === 0 ? l10n.t("none") : String(count);
  const more = [number];
  if (group === "unused" && isFull) {
    more.push(sizeText(bytesOf(report.unused)));
    const ticked = chosen.of(report).length;
    if (ticked > 0) more.push(l10n.t("{0} chosen", ticked));
    item.checkboxState = {
      state: ticked === count ? Checked : Unchecked,
      tooltip: l10n.t("Choose all of the list"),
      accessibilityInformation: { label: l10n.t("Choose all of the list") },
    };
  }
  item.description = more.join(" · ");
  item.tooltip = count === null ? l10n.t("A note that could not be read may use any file: nothing is known to be unused.") : label;
  item.accessibilityInformation = { label: [label, ...more].join(", ") };
  return item;
}

export function bytesOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function placeText({ note, line }: Node<"reference">["mention"]): string {
  return `${shown(path.basename(note))}:${String(line)}`;
}

function missingItem({ missing }: Node<"missing">): vscode.TreeItem {
  const [first, ...others] = missing.references;
  const name = shown(path.posix.basename(missing.path));
  const item = new vscode.TreeItem(name, others.length > 0 ? Collapsed : None);
  item.id = `check:missing:${missing.path}`;
  item.iconPath = new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
  item.contextValue = missing.facts.kept === null ? "missing" : "missing.kept";
  const where = first === undefined ? "" : others.length > 0 ? l10n.t("{0} places", others.length + 1) : placeText(first);
  item.description = [missingText(missing), where].filter((part) => part !== "").join(" · ");
  const sentence = missingSentence(missing);
  item.tooltip = sentence;
  item.accessibilityInformation = { label: [name, sentence, where].join(", ") };
  if (first !== undefined && others.length === 0) item.command = showNote(first);
  return item;
}

function referenceItem({ of, at, mention }: Node<"reference">): vscode.TreeItem {
  const item = new vscode.TreeItem(placeText(mention), None);
  item.id = `check:reference:${of}:${String(at)}`;
  item.iconPath = new vscode.ThemeIcon("markdown");
  item.contextValue = "reference";
  item.description = shown(mention.written);
  item.tooltip = shown(mention.note);
  item.accessibilityInformation = { label: l10n.t("{0}, line {1}", shown(path.basename(mention.note)), mention.line) };
  item.command = showNote(mention);
  return item;
}

/** The note, with the written name marked. */
function showNote({ note, line, column, written }: Node<"reference">["mention"]): vscode.Command {
  const start = new vscode.Position(line - 1, column - 1);
  const selection = new vscode.Range(start, start.translate(0, written.length));
  return { command: "vscode.open", title: l10n.t("Open"), arguments: [vscode.Uri.file(note), { selection }] };
}

function openFile(file: string): vscode.Command {
  return { command: "vscode.open", title: l10n.t("Open"), arguments: [vscode.Uri.file(file)] };
}

function badNameItem({ file, found }: Node<"badName">): vscode.TreeItem {
  const name = shown(found.path);
  const item = new vscode.TreeItem(name, None);
  item.id = `check:badName:${found.path}`;
  item.iconPath = new vscode.ThemeIcon("symbol-string");
  item.contextValue = "file";
  const reason = problemText(found.reason);
  const suggestion = found.suggestion === null ? [] : [l10n.t("Suggestion: {0}", shown(found.suggestion))];
  item.description = [reason, ...suggestion].join(" · ");
  item.tooltip = [name, reason, ...suggestion].join("\n");
  item.accessibilityInformation = { label: [name, reason, ...suggestion].join(", ") };
  item.command = openFile(file);
  return item;
}

function duplicateItem({ found: { sha1, sizeBytes, files } }: Node<"duplicate">): vscode.TreeItem {
  const names = files.map((file) => shown(file.path));
  const item = new vscode.TreeItem(names.map((name) => path.posix.basename(name)).join(", "), Collapsed);
  item.id = `check:duplicate:${sha1}`;
  item.iconPath = new vscode.ThemeIcon("files");
  item.contextValue = "duplicate";
  item.description = `${String(files.length)} × ${sizeText(sizeBytes)}`;
  item.tooltip = names.join("\n");
  item.accessibilityInformation = { label: [...names, item.description].join(", ") };
  return item;
}

function copyItem({ file, path: name, references }: Node<"copy">): vscode.TreeItem {
  const item = new vscode.TreeItem(shown(name), None);
  item.id = `check:copy:${name}`;
  item.iconPath = new vscode.ThemeIcon("file-media");
  item.contextValue = "file";
  item.description = references === 1 ? l10n.t("1 reference") : l10n.t("{0} references", references);
  item.accessibilityInformation = { label: `${shown(name)}, ${item.description}` };
  item.command = openFile(file);
  return item;
}

function unusedItem({ file, found }: Node<"unused">, chosen: Chosen): vscode.TreeItem {
  const name = shown(found.path);
  const item = new vscode.TreeItem(name, None);
  item.id = `check:unused:${found.path}`;
  item.contextValue = "file.unused";
  item.description = [sizeText(found.sizeBytes), agoText(found.mtimeMs)].join(" · ");
  item.tooltip = [name, item.description].join("\n");
  item.accessibilityInformation = { label: [name, item.description].join(", ") };
  item.checkboxState = {
    state: chosen.has(found.path) ? Checked : Unchecked,
    tooltip: l10n.t("Choose for removal"),
    accessibilityInformation: { label: l10n.t("Choose {0} for removal", name) },
  };
  item.command = openFile(file);
  return item;
}

function unreadItem({ file }: Node<"unread">): vscode.TreeItem {
  const name = shown(path.basename(file));
  const item = new vscode.TreeItem(name, None);
  item.id = `check:unread:${file}`;
  item.iconPath = new vscode.ThemeIcon("circle-slash");
  item.contextValue = "unread";
  item.description = shown(path.dirname(file));
  item.tooltip = [shown(file), l10n.t("Check its permissions, and that it is smaller than 4 MB; then check again.")].join("\n");
  item.accessibilityInformation = { label: [name, l10n.t("could not be read")].join(", ") };
  item.command = openFile(file);
  return item;
}

function moreItem({ group, count }: Node<"more">): vscode.TreeItem {
  const item = new vscode.TreeItem(l10n.t("and {0} more", count), None);
  item.id = `check:more:${group}`;
  item.contextValue = "more";
  item.tooltip = counted("file", count);
  return item;
}
