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
const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes, with at most one decimal, as the editor's language writes numbers. */
export function sizeText(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = new Intl.NumberFormat(vscode.env.language, { maximumFractionDigits: step === 0 ? 0 : 1 }).format(bytes / 1000 ** step);
  return `${value} ${UNITS[step] ?? "B"}`;
}

/** `3 minutes ago`. */
export function agoText(atMs: number, nowMs = Date.now()): string {
  const seconds = Math.round((atMs - nowMs) / 1000);
  const words = new Intl.RelativeTimeFormat(vscode.env.language, { numeric: "auto" });
  if (seconds > -60) return words.format(Math.min(0, seconds), "second");
  if (seconds > -3600) return words.format(Math.round(seconds / 60), "minute");
  if (seconds > -172_800) return words.format(Math.round(seconds / 3600), "hour");
  return words.format(Math.round(seconds / 86_400), "day");
}

/** The moment itself; null: nobody knows it any more. */
export function dateText(atMs: number | null): string {
  if (atMs === null) return l10n.t("not known any more");
  return new Intl.DateTimeFormat(vscode.env.language, { dateStyle: "medium", timeStyle: "medium" }).format(atMs);
}

/** `1 file`, `3 files`. */
export function counted(what: "file" | "conflict" | "problem", count: number): string {
  switch (what) {
    case "file":
      return count === 1 ? l10n.t("1 file") : l10n.t("{0} files", count);
    case "conflict":
      return count === 1 ? l10n.t("1 conflict") : l10n.t("{0} conflicts", count);
    case "problem":
      return count === 1 ? l10n.t("1 problem") : l10n.t("{0} problems", count);
  }
}

/** Why a file can't be synced, in a few words; what the service says at length stands in the tooltip. */
export function problemText(reason: string): string {
  switch (reason) {
    case "empty":
      return l10n.t("empty");
    case "tooLarge":
    case "tooLargeThere":
      return l10n.t("too large");
    case "unreadable":
      return l10n.t("can't be read");
    case "symlink":
      return l10n.t("a link, not a file");
    case "special":
      return l10n.t("not a file");
    case "badName":
    case "unsafeName":
    case "reserved":
      return l10n.t("name not allowed");
    case "nameTooLong":
      return l10n.t("name too long");
    case "secondName":
    case "twin":
      return l10n.t("same name twice");
    case "locked":
      return l10n.t("in use by another program");
    case "unsettled":
      return l10n.t("still being written");
    case "missing":
      return l10n.t("missing on the server");
    case "refused":
      return l10n.t("refused by the server");
    case "hashMismatch":
      return l10n.t("arrived damaged");
    case "diskFull":
      return l10n.t("disk full");
    default:
      return l10n.t("can't be synced");
  }
}
