/** One item on the left: how everything stands. A click opens the Media view. */
import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import type { Parts } from "./parts.ts";
import { faultSentence, stateSentence } from "./sentences.ts";
import type { SessionState } from "./session.ts";
import { counted, filesOf, lookOf, nameOf, shown } from "./words.ts";

const { l10n } = vscode;
/** What the item tells first, where folders stand differently. */
const URGENCY = ["error", "held", "syncing", "offline", "pending", "paused", "insync"] as const satisfies readonly FolderStatus["state"][];

type Shown = {
  readonly icon: string;
  readonly text: string;
  /** Spoken, and the first line of the tooltip. */
  readonly label: string;
  readonly urgent: "error" | "warning" | null;
};

export function registerStatusBar(context: vscode.ExtensionContext, { session, board }: Parts): void {
  const item = vscode.window.createStatusBarItem("media", vscode.StatusBarAlignment.Left);
  item.name = "Satchel";
  const draw = () => {
    const { icon, text, label, urgent } = shownNow(session.state, board.folders, (id) => board.progressOf(id));
    item.text = `$(${icon}) ${text}`;
    item.tooltip = tooltipOf(label, board.folders);
    item.accessibilityInformation = { label };
    item.command = session.state.kind === "failed" || session.state.kind === "stopped" ? "satchel.startService" : "satchel.media.focus";
    item.backgroundColor = urgent === null ? undefined : new vscode.ThemeColor(`statusBarItem.${urgent}Background`);
  };
  draw();
  item.show();
  context.subscriptions.push(item, session.onState(draw), board.onChange(draw));
}

function shownNow(state: SessionState, folders: readonly FolderStatus[], progressOf: Parts["board"]["progressOf"]): Shown {
  switch (state.kind) {
    case "connecting":
      return { icon: "sync~spin", text: "Satchel", label: l10n.t("Satchel: connecting to its service"), urgent: null };
    case "idle":
    case "stopped":
      return { icon: "circle-slash", text: "Satchel", label: l10n.t("Satchel: the service does not run"), urgent: null };
    case "failed":
    case "outdated":
      return { icon: "warning", text: "Satchel", label: `Satchel: ${stateSentence(state)}`, urgent: "warning" };
    case "ready":
      return folders.length === 0
        ? { icon: "cloud", text: "Satchel", label: l10n.t("Satchel: no folder yet"), urgent: null }
        : foldersNow(folders, progressOf);
  }
}

function foldersNow(folders: readonly FolderStatus[], progressOf: Parts["board"]["progressOf"]): Shown {
  const most = URGENCY.find((state) => folders.some((folder) => folder.state === state)) ?? "insync";
  const conflicts = folders.reduce((sum, folder) => sum + folder.conflicts, 0);
  const problems = folders.reduce((sum, folder) => sum + folder.problems, 0);
  const counts = [...(conflicts > 0 ? [counted("conflict", conflicts)] : []), ...(problems > 0 ? [counted("problem", problems)] : [])];
  const words = lookOf({ state: most }).text;
  const label = ["Satchel", [words, ...counts].join(", ")].join(": ");
  if (most === "error") return { icon: "error", text: "Satchel", label, urgent: "error" };
  if (most === "held") return { icon: "question", text: l10n.t("Satchel asks"), label, urgent: "warning" };
  if (most === "syncing") {
    const files = folders.map(({ folder }) => progressOf(folder)).flatMap((notice) => (notice === undefined ? [] : [filesOf(notice)]));
    return { icon: "sync~spin", text: files.find((text) => text !== "") ?? "Satchel", label, urgent: null };
  }
  const icon = conflicts > 0 ? "git-compare" : problems > 0 ? "warning" : lookOf({ state: most }).icon;
  return { icon, text: counts[0] ?? "Satchel", label, urgent: null };
}

function tooltipOf(label: string, folders: readonly FolderStatus[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString("", true);
  text.appendText(`${label}\n`);
  for (const folder of folders) {
    const { icon, text: words } = lookOf(folder);
    const why = faultSentence(folder, folder.fault, folder.detail);
    text.appendMarkdown(`\n\n$(${icon}) `).appendText(`${shown(nameOf(folder))}: ${words}${why === null ? "" : `. ${why}`}`);
  }
  return text;
}
