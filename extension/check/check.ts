/** The Check view: notes held against their media, and the way to clear up. Nothing is read before somebody asks for a check. */
import path from "node:path";

import * as vscode from "vscode";

import { ErrorCode } from "../../protocol/errors.ts";
import { chooseFolderFor } from "../folders.ts";
import { guarded } from "../guarded.ts";
import type { MediaNode } from "../media-nodes.ts";
import type { Parts } from "../parts.ts";
import { RequestError } from "../session.ts";
import { trusted } from "../trust.ts";
import { nameOf, shown } from "../words.ts";
import { CheckTree } from "./check-tree.ts";
import { removeUnused, undoClean, type Cleaned, type Place } from "./clean-up.ts";
import { isClean, noteDirectories, type CheckNode, type Report } from "./findings.ts";

const { l10n } = vscode;

export function registerCheck(context: vscode.ExtensionContext, parts: Parts): void {
  const tree = new CheckTree();
  // A tick on the group is shown on its files by us: the editor would tick those alone that were unfolded already.
  const view = vscode.window.createTreeView("satchel.check", {
    treeDataProvider: tree,
    showCollapseAll: true,
    manageCheckboxStateManually: true,
  });
  const check = new Check(parts, tree, view);
  const acts: readonly vscode.Disposable[] = [
    vscode.commands.registerCommand(
      "satchel.checkNotes",
      guarded(
        parts,
        trusted(async (node?: MediaNode) => await check.begin(node)),
      ),
    ),
    vscode.commands.registerCommand(
      "satchel.check.refresh",
      guarded(
        parts,
        trusted(async () => await check.again()),
      ),
    ),
    vscode.commands.registerCommand(
      "satchel.check.clean",
      guarded(
        parts,
        trusted(async () => await check.clean()),
      ),
    ),
    vscode.commands.registerCommand(
      "satchel.check.undo",
      guarded(
        parts,
        trusted(async () => await check.undo()),
      ),
    ),
    vscode.commands.registerCommand(
      "satchel.check.restore",
      guarded(
        parts,
        trusted(async (node?: CheckNode) => await check.restore(node)),
      ),
    ),
  ];
  context.subscriptions.push(
    ...acts,
    view,
    tree,
    view.onDidChangeCheckboxState(({ items }) => check.tick(items)),
    parts.board.onChange(() => check.forgetGone()),
  );
}

class Check {
  readonly #parts: Parts;
  readonly #tree: CheckTree;
  readonly #view: vscode.TreeView<CheckNode>;
  #place: Place | null = null;
  #cleaned: Cleaned | null = null;
  /** The check that is under way. */
  #running: AbortController | null = null;

  constructor(parts: Parts, tree: CheckTree, view: vscode.TreeView<CheckNode>) {
    this.#parts = parts;
    this.#tree = tree;
    this.#view = view;
    this.#tellMenus();
  }

  async begin(node?: MediaNode): Promise<void> {
    const { session, board } = this.#parts;
    await session.start();
    await board.refresh();
    const folder = await chooseFolderFor(board.folders, node, l10n.t("Check Notes and Media"));
    if (folder === undefined) return;
    const open = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file").map(({ uri }) => uri.fsPath);
    this.#place = { folder: folder.folder, notes: noteDirectories(open, folder.root) };
    await vscode.commands.executeCommand("satchel.check.focus");
    await this.again();
  }

  /** The same folder once more; the first time, as the command does. A check that is under way gives way to the newer one. */
  async again(): Promise<void> {
    const place = this.#place;
    if (place === null) return await this.begin();
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    try {
      const ask = async () => await this.#parts.session.call("notes/check", place, running.signal);
      const report = await vscode.window.withProgress({ location: { viewId: "satchel.check" } }, ask);
      if (this.#running === running) this.#show(report);
    } catch (error) {
      if (!(error instanceof RequestError && error.code === ErrorCode.RequestCancelled)) throw error;
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  tick(items: Parameters<CheckTree["tick"]>[0]): void {
    this.#tree.tick(items);
    this.#tellMenus();
  }

  async clean(): Promise<void> {
    const { report, chosen } = this.#tree;
    const place = this.#place;
    if (place === null || report === null || chosen.length === 0)
      return void vscode.window.showInformationMessage(l10n.t("Satchel: tick unused files in the Check view first."));
    const cleaned = await removeUnused(this.#parts, place, chosen);
    if (cleaned === null) return;
    this.#cleaned = cleaned.removed.length > 0 ? cleaned : this.#cleaned;
    await this.#parts.board.refresh();
    // Not waited for: the message may stand there for ever.
    void this.#offerUndo(cleaned);
    await this.again();
  }

  async #offerUndo(cleaned: Cleaned): Promise<void> {
    const undo = l10n.t("Undo");
    const answer = await vscode.window.showInformationMessage(cleaned.said, ...(cleaned.removed.length > 0 ? [undo] : []));
    if (answer === undo && this.#cleaned === cleaned) await vscode.commands.executeCommand("satchel.check.undo");
  }

  /** Of the last clean-up, from the message or the view's title. */
  async undo(): Promise<void> {
    const cleaned = this.#cleaned;
    if (cleaned === null) return void vscode.window.showInformationMessage(l10n.t("Satchel: there is no clean-up to undo."));
    const isBack = await undoClean(this.#parts, cleaned);
    this.#cleaned = null;
    this.#tellMenus();
    if (!isBack) return;
    await this.#parts.board.refresh();
    await this.again();
  }

  /** The kept bytes of a missing file come back to where notes look for them. */
  async restore(node?: CheckNode): Promise<void> {
    if (node?.kind !== "missing" || node.missing.facts.kept === null || this.#place === null) return;
    const { path: file, facts } = node.missing;
    await this.#parts.session.call("versions/restore", { folder: this.#place.folder, path: file, sha1: facts.kept?.sha1 ?? "" });
    await this.again();
  }

  /** A folder that is not looked after any more has no findings. */
  forgetGone(): void {
    const { board } = this.#parts;
    if (this.#place === null || board.status === null || board.folder(this.#place.folder) !== undefined) return;
    this.#running?.abort();
    this.#place = null;
    this.#cleaned = null;
    this.#show(null);
  }

  #show(report: Report | null): void {
    this.#tree.show(report);
    this.#view.description = report === null ? "" : titleOf(report, this.#parts.board.folders.length);
    this.#view.message = report === null ? "" : messageOf(report);
    this.#tellMenus();
  }

  #tellMenus(): void {
    const tell = (key: string, value: boolean) => void vscode.commands.executeCommand("setContext", `satchel.check.${key}`, value);
    tell("done", this.#tree.report !== null);
    tell("chosen", this.#tree.chosen.length > 0);
    tell("undoable", this.#cleaned !== null);
  }
}

/** The time first: there is little room. Where there is but one folder it needs no name. */
function titleOf(report: Report, folders: number): string {
  const time = new Intl.DateTimeFormat(vscode.env.language, { timeStyle: "short" }).format(Date.now());
  return [l10n.t("checked at {0}", time), ...(folders > 1 ? [shown(nameOf(report))] : [])].join(" · ");
}

/** Above the list: only what the list can't say. */
function messageOf(report: Report): string {
  if (report.unread.length > 0) return l10n.t("Not every note could be read, so nothing is known to be unused.");
  return isClean(report) ? l10n.t("Nothing is missing, unused, twice or badly named in {0}.", shown(path.basename(report.root))) : "";
}
