/** The Media view: folders, questions, pending files, conflicts, problems, what happened lately. Lists are asked for when they are looked at. */
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus } from "../protocol/api/model.ts";
import { itemOf } from "./media-items.ts";
import { GROUPS, type Group, type MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { RecentChanges } from "./recent.ts";
import { reasonOf } from "./words.ts";

const { l10n } = vscode;
/** More would be no list for people; the command line has them all. */
const FILES_SHOWN = 200;
const CHANGES_SHOWN = 30;
const RUNS_LOOKED_AT = 5;
/** While a run goes on the board changes ten times a second. */
const REDRAW_MS = 250;

export function registerMediaView(context: vscode.ExtensionContext, parts: Parts): void {
  const { session, board } = parts;
  const provider = new MediaTree(parts);
  const view = vscode.window.createTreeView<MediaNode>("satchel.media", { treeDataProvider: provider, showCollapseAll: true });
  const onChange = () => {
    const { kind } = session.state;
    void vscode.commands.executeCommand("setContext", "satchel.state", kind);
    void vscode.commands.executeCommand("setContext", "satchel.told", board.status !== null);
    void vscode.commands.executeCommand(
      "setContext",
      "satchel.signedIn",
      board.remotes.some(({ signedIn }) => signedIn),
    );
    void vscode.commands.executeCommand("setContext", "satchel.hasFolders", board.folders.length > 0);
    view.badge = badgeOf(board.folders);
    provider.redrawSoon();
  };
  onChange();
  context.subscriptions.push(
    view,
    provider,
    session.onState(onChange),
    board.onChange(onChange),
    session.onEvent(() => provider.redrawSoon()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => provider.redrawSoon()),
  );
}

function badgeOf(folders: readonly FolderStatus[]): vscode.ViewBadge | undefined {
  const value = folders.reduce((sum, folder) => sum + folder.conflicts + folder.held, 0);
  return value === 0 ? undefined : { value, tooltip: l10n.t("Waiting for your decision: {0}", value) };
}

class MediaTree implements vscode.TreeDataProvider<MediaNode>, vscode.Disposable {
  readonly #parts: Parts;
  readonly #changes: RecentChanges;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#changes = new RecentChanges(parts.session);
  }

  redrawSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#changed.fire(undefined);
    }, REDRAW_MS);
  }

  getTreeItem(node: MediaNode): vscode.TreeItem {
    return itemOf(node, this.#parts.board);
  }

  async getChildren(node?: MediaNode): Promise<MediaNode[]> {
    const { board, log } = this.#parts;
    if (board.folders.length === 0) return [];
    if (node === undefined) return this.#groups();
    if (node.kind !== "group") return [];
    try {
      return await this.#inGroup(node.group);
    } catch (error) {
      // The connection went while the list was asked for; the next change of the board asks again.
      log.debug(`the list of ${node.group} was not told: ${reasonOf(error)}`);
      return [];
    }
  }

  getParent(): undefined {
    return undefined;
  }

  dispose(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changed.dispose();
  }

  #groups(): MediaNode[] {
    const { folders } = this.#parts.board;
    const sum = (key: "pending" | "conflicts" | "problems" | "held") => folders.reduce((total, folder) => total + folder[key], 0);
    const counts: Readonly<Record<Group, number | null>> = {
      folders: null,
      holds: sum("held"),
      pending: sum("pending"),
      conflicts: sum("conflicts"),
      problems: sum("problems"),
      recent: null,
    };
    return GROUPS.filter((group) => group !== "holds" || (counts.holds ?? 0) > 0).map((group) => ({
      kind: "group",
      group,
      count: counts[group],
    }));
  }

  async #inGroup(group: Group): Promise<MediaNode[]> {
    const { session, board } = this.#parts;
    switch (group) {
      case "folders":
        return board.folders.map((folder) => ({ kind: "folder", folder }));
      case "holds":
        return (await session.call("guard/list", {})).holds.filter(({ state }) => state === "held").map((hold) => ({ kind: "hold", hold }));
      case "conflicts":
        return (await session.call("conflicts/list", {})).conflicts.map((conflict) => ({ kind: "conflict", conflict }));
      case "pending":
        return await this.#files("pending");
      case "problems":
        return await this.#files("problem");
      case "recent":
        return await this.#recent();
    }
  }

  async #files(state: "pending" | "problem"): Promise<MediaNode[]> {
    const { session, board } = this.#parts;
    const nodes: MediaNode[] = [];
    for (const folder of board.folders) {
      const { files } = await session.call("files/list", { folder: folder.folder, state, limit: FILES_SHOWN });
      nodes.push(
        ...files.map((file): MediaNode => ({ kind: "file", folder, file, uri: vscode.Uri.file(path.join(folder.root, file.path)) })),
      );
      const known = state === "pending" ? folder.pending : folder.problems;
      if (known > files.length) nodes.push({ kind: "more", listed: files.length === FILES_SHOWN, count: known - files.length });
    }
    return nodes;
  }

  /** Files, newest first; above them what failed since. */
  async #recent(): Promise<MediaNode[]> {
    const { session, board } = this.#parts;
    const [changes, ...runs] = await Promise.all([
      this.#changes.read(CHANGES_SHOWN),
      ...board.folders.map(async ({ folder }) => (await session.call("sync/runs", { folder, limit: RUNS_LOOKED_AT })).runs),
    ]);
    const failed = runs.flatMap((all) => all.slice(0, 1)).filter(({ result }) => result === "failed");
    return [...failed.map((run): MediaNode => ({ kind: "run", run })), ...changes.map((change): MediaNode => ({ kind: "change", change }))];
  }
}
