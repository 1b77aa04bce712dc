/** How things are said to people: states, counts, sizes, names. In the language of the editor. */
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import type { ProgressNotice } from "./session.ts";

const { l10n } = vscode;

/** What a status bar and a list can show of one state. `icon`: a codicon. */
export type Look = { readonly icon: string; readonly text: string };

/** The folder's state in a few words. */
export function lookOf({ state }: Pick<FolderStatus, "state">): Look {
  switch (state) {
    case "insync":
      return { icon: "check", text: l10n.t("in sync") };
    case "pending":
      return { icon: "cloud-upload", text: l10n.t("changes wait") };
    case "syncing":
      return { icon: "sync", text: l10n.t("syncing") };
    case "offline":
      return { icon: "debug-disconnect", text: l10n.t("offline") };
    case "held":
      return { icon: "question", text: l10n.t("waits for your answer") };
    case "paused":
      return { icon: "debug-pause", text: l10n.t("paused") };
    case "error":
      return { icon: "error", text: l10n.t("error") };
  }
}

/** The last part of the root: what people call the folder. */
export function nameOf(folder: Pick<FolderStatus, "root">): string {
  return path.basename(folder.root) || folder.root;
}

/** `3/10` of the files that a run carries; empty while their number is not known. */
export function filesOf(notice: ProgressNotice): string {
  const { filesUp = 0, filesUpTotal = 0, filesDown = 0, filesDownTotal = 0 } = notice.progress;
  const total = filesUpTotal + filesDownTotal;
  return total === 0 ? "" : `${String(filesUp + filesDown)}/${String(total)}`;
}

/** Names come from disks and servers: no control or direction characters reach a label. */
export function shown(name: string): string {
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are exactly what is looked for
  return name.replace(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g, "\uFFFD");
}

/** What went wrong, for a message. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
