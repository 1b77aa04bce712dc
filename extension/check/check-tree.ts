/** The Check view's tree: the last report, and what of it somebody ticked. */
import * as vscode from "vscode";

import { checkItemOf } from "./check-items.ts";
import { Chosen, childrenOf, groupsOf, LISTED_MAX, type CheckNode, type Report, type Unused } from "./findings.ts";

export class CheckTree implements vscode.TreeDataProvider<CheckNode>, vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #chosen = new Chosen();
  #report: Report | null = null;

  /** null: nothing was checked yet. */
  get report(): Report | null {
    return this.#report;
  }

  /** The unused files that are ticked. */
  get chosen(): readonly Unused[] {
    return this.#report === null ? [] : this.#chosen.of(this.#report);
  }

  /** Takes the place of what is shown; nothing in it is ticked. */
  show(report: Report | null): void {
    this.#report = report;
    this.#chosen.clear();
    this.#changed.fire(undefined);
  }

  /** A tick on the group is one on each of its listed files. */
  tick(ticks: readonly (readonly [node: CheckNode, state: vscode.TreeItemCheckboxState])[]): void {
    for (const [node, state] of ticks) {
      const isTicked = state === vscode.TreeItemCheckboxState.Checked;
      if (node.kind === "unused") this.#chosen.set(node.found.path, isTicked);
      else if (node.kind === "group" && node.group === "unused")
        for (const { path } of this.#report?.unused.slice(0, LISTED_MAX) ?? []) this.#chosen.set(path, isTicked);
    }
    this.#changed.fire(undefined);
  }

  getTreeItem(node: CheckNode): vscode.TreeItem {
    if (this.#report === null) throw new Error("an item of the Check view is asked for, and nothing was checked");
    return checkItemOf(node, this.#report, this.#chosen);
  }

  getChildren(node?: CheckNode): CheckNode[] {
    if (this.#report === null) return [];
    return [...(node === undefined ? groupsOf(this.#report) : childrenOf(this.#report, node))];
  }

  getParent(): undefined {
    return undefined;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}
