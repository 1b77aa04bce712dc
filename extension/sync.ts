/** Syncing on the user's word, and on save. The service would see a saved file by itself: this only takes the waiting out of it. */
import { setTimeout as sleep } from "node:timers/promises";

import * as vscode from "vscode";

import type { RunSummary } from "../protocol/api/model.ts";
import type { ResultOf } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Notes } from "./language.ts";
import type { MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { faultSentence } from "./sentences.ts";
import { RequestError } from "./session.ts";
import { counted, filesOf, nameOf, reasonOf, shown } from "./words.ts";

const { l10n } = vscode;
/** A run that is over before this shows no progress: it would only flash. */
const QUIET_MS = 400;
/** By then the run that was asked for is under way. */
const BEGUN_MS = 150;

/** All folders, or the one whose menu was used. */
export async function syncNow(parts: Parts, node?: MediaNode): Promise<void> {
  const { session, board } = parts;
  await session.start();
  await board.refresh();
  if (board.folders.length === 0) return void vscode.commands.executeCommand("satchel.addFolder");
  const folder = node?.kind === "folder" ? node.folder.folder : null;
  const stop = new AbortController();
  const running = session.call("sync/run", { folder }, stop.signal);
  // A run tells of itself when it moves something: until then the status bar would stand still.
  setTimeout(() => void board.refresh(), BEGUN_MS);
  const over = await Promise.race([running.then(() => true).catch(() => true), sleep(QUIET_MS, false)]);
  try {
    tell((over ? await running : await withProgress(parts, { running, folder, stop })).runs);
  } catch (error) {
    if (!(error instanceof RequestError && error.code === ErrorCode.RequestCancelled)) throw error;
    void vscode.window.setStatusBarMessage(l10n.t("Satchel: the sync was cancelled. What it had finished stays."), 5000);
  }
}

type Running = {
  readonly running: Promise<ResultOf<"sync/run">>;
  /** null: all. */
  readonly folder: string | null;
  readonly stop: AbortController;
};

async function withProgress({ session, board }: Parts, { running, folder, stop }: Running): Promise<ResultOf<"sync/run">> {
  const cancelRuns = () => {
    stop.abort();
    for (const one of board.folders.filter(({ state }) => state === "syncing"))
      if (folder === null || one.folder === folder) void session.call("sync/cancel", { folder: one.folder }).catch(() => undefined);
  };
  const options = { location: vscode.ProgressLocation.Notification, title: l10n.t("Satchel: syncing"), cancellable: true };
  return await vscode.window.withProgress(options, async (progress, token) => {
    const listening = [
      token.onCancellationRequested(cancelRuns),
      session.onProgress((notice) => {
        const one = board.folder(notice.folder);
        if (one !== undefined) progress.report({ message: [shown(nameOf(one)), filesOf(notice)].join(" ") });
      }),
    ];
    try {
      return await running;
    } finally {
      for (const one of listening) one.dispose();
    }
  });
}

/** A sync that went well is said in passing; one that did not stays to be read. */
function tell(runs: readonly RunSummary[]): void {
  const failed = runs.filter(({ result }) => result === "failed");
  if (failed.length > 0)
    return void vscode.window.showErrorMessage(
      failed.map((run) => `Satchel: ${faultSentence(run, run.fault, run.error) ?? l10n.t("failed")}`).join("\n"),
    );
  const sum = (key: "uploadedFiles" | "downloadedFiles" | "conflicts" | "problems") => runs.reduce((total, run) => total + run[key], 0);
  const facts = [
    l10n.t("{0} sent, {1} received", sum("uploadedFiles"), sum("downloadedFiles")),
    ...(sum("conflicts") > 0 ? [counted("conflict", sum("conflicts"))] : []),
    ...(sum("problems") > 0 ? [counted("problem", sum("problems"))] : []),
  ];
  void vscode.window.setStatusBarMessage(`$(check) Satchel: ${facts.join(", ")}`, 5000);
}

/** A file saved in a media folder is looked at at once; so is what a saved note refers to now and did not before. */
export function registerSyncOnSave(context: vscode.ExtensionContext, { session, board, log }: Parts, notes: Notes): void {
  const known = new Map<string, ReadonlySet<string>>();
  const onSave = async ({ uri, languageId }: vscode.TextDocument): Promise<void> => {
    if (uri.scheme !== "file" || !vscode.workspace.isTrusted || session.state.kind !== "ready") return;
    if (!vscode.workspace.getConfiguration("satchel", uri).get("syncOnSave", true)) return;
    try {
      const place = board.placeOf(uri.fsPath);
      if (place !== undefined) return await syncSoon([{ folder: place.folder.folder, path: place.path }]);
      if (languageId !== "markdown") return;
      const media = await notes.mediaOf(uri);
      const before = known.get(uri.fsPath);
      known.set(uri.fsPath, new Set(media.map(nameOfMedia)));
      await syncSoon(media.filter((one) => before?.has(nameOfMedia(one)) !== true));
    } catch (error) {
      log.debug(`${uri.fsPath} was saved and nothing was synced at once: ${reasonOf(error)}`);
    }
  };
  const syncSoon = async (media: readonly Media[]): Promise<void> => {
    const folders = new Set(media.map(({ folder }) => folder).filter((id) => board.folder(id)?.state !== "paused"));
    for (const { folder, path } of media)
      // An ignored file, or one that is still to be fetched: the run will tell.
      if (folders.has(folder)) await session.call("files/add", { folder, path }).catch(() => undefined);
    for (const folder of folders) await session.call("sync/run", { folder, scan: false, wait: false });
  };
  context.subscriptions.push(
    vscode.workspace.onDidSaveTextDocument((document) => void onSave(document)),
    vscode.workspace.onDidCloseTextDocument(({ uri }) => known.delete(uri.fsPath)),
  );
}

type Media = { readonly folder: string; readonly path: string };

function nameOfMedia({ folder, path }: Media): string {
  return `${folder}/${path}`;
}
