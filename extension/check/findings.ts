/** What a check of notes found, as the Check view shows it. Nothing here touches the editor, so that it runs in plain Node too. */
import path from "node:path";

import type { ResultOf } from "../../protocol/api/table.ts";

export type Report = ResultOf<"notes/check">;
export type Missing = Report["missing"][number];
export type Unused = Report["unused"][number];
type Mention = Missing["references"][number];

/** In the order in which they are shown: while there are notes that could not be read, nothing is known to be unused. */
export const CHECK_GROUPS = ["unread", "missing", "badNames", "duplicates", "unused"] as const;
export type CheckGroup = (typeof CHECK_GROUPS)[number];
/** So many of each group are listed: a longer list is not read by people, and holds the window up. */
export const LISTED_MAX = 2000;
/** So many files are removed in one step, which one undo must take back (the API's limit). */
export const REMOVE_MAX = 1000;

/** `kind` is also the beginning of the item's `contextValue`. `file`: absolute; menus hand it to their commands. */
export type CheckNode =
  /** `count` null: not known. */
  | { readonly kind: "group"; readonly group: CheckGroup; readonly count: number | null }
  | { readonly kind: "missing"; readonly file: string; readonly missing: Missing }
  /** `at`: its number among the file's. */
  | { readonly kind: "reference"; readonly of: string; readonly at: number; readonly mention: Mention }
  | { readonly kind: "badName"; readonly file: string; readonly found: Report["badNames"][number] }
  | { readonly kind: "duplicate"; readonly found: Report["duplicates"][number] }
  | { readonly kind: "copy"; readonly file: string; readonly path: string; readonly references: number }
  | { readonly kind: "unused"; readonly file: string; readonly found: Unused }
  | { readonly kind: "unread"; readonly file: string }
  | { readonly kind: "more"; readonly group: CheckGroup; readonly count: number };

/** All groups, the empty ones too; of the notes that could not be read only where there are any. */
export function groupsOf(report: Report): readonly CheckNode[] {
  return CHECK_GROUPS.filter((group) => group !== "unread" || report.unread.length > 0).map((group) => ({
    kind: "group",
    group,
    count: group === "unused" && report.unread.length > 0 ? null : report[group].length,
  }));
}

/** What stands below an item. */
export function childrenOf(report: Report, node: CheckNode): readonly CheckNode[] {
  switch (node.kind) {
    case "group":
      return listed(node.group, inGroup(report, node.group));
    case "missing":
      return node.missing.references.length < 2 ? [] : referencesOf(node.missing);
    case "duplicate":
      return node.found.files.map((one) => ({ kind: "copy", file: placed(report, one.path), ...one }));
    case "reference":
    case "badName":
    case "copy":
    case "unused":
    case "unread":
    case "more":
      return [];
  }
}

function inGroup(report: Report, group: CheckGroup): readonly CheckNode[] {
  switch (group) {
    case "unread":
      return report.unread.map((file) => ({ kind: "unread", file }));
    case "missing":
      return report.missing.map((missing) => ({ kind: "missing", file: placed(report, missing.path), missing }));
    case "badNames":
      return report.badNames.map((found) => ({ kind: "badName", file: placed(report, found.path), found }));
    case "duplicates":
      return report.duplicates.map((found) => ({ kind: "duplicate", found }));
    case "unused":
      return report.unused.map((found) => ({ kind: "unused", file: placed(report, found.path), found }));
  }
}

function listed(group: CheckGroup, nodes: readonly CheckNode[]): readonly CheckNode[] {
  const rest = nodes.length - LISTED_MAX;
  return rest <= 0 ? nodes : [...nodes.slice(0, LISTED_MAX), { kind: "more", group, count: rest }];
}

/** Every place that names a missing file. */
function referencesOf({ path: of, references }: Missing): readonly Extract<CheckNode, { kind: "reference" }>[] {
  return references.map((mention, at) => ({ kind: "reference", of, at, mention }));
}

function placed({ root }: Report, file: string): string {
  return path.join(root, file);
}

/** Nothing is wrong, and that is known: every note could be read. */
export function isClean(report: Report): boolean {
  return CHECK_GROUPS.every((group) => report[group].length === 0);
}

/** `open`: the workspace's folders. Those that hold the media folder; else all of them, and the directory that it lies in. */
export function noteDirectories(open: readonly string[], root: string): string[] {
  const around = open.filter((directory) => root === directory || root.startsWith(`${directory}${path.sep}`));
  return around.length > 0 ? around : [...open, path.dirname(root)];
}

/** The unused files that somebody ticked. A new report begins with none (nothing is ever chosen beforehand). */
export class Chosen {
  readonly #paths = new Set<string>();

  has(file: string): boolean {
    return this.#paths.has(file);
  }

  set(file: string, isChosen: boolean): void {
    if (isChosen) this.#paths.add(file);
    else this.#paths.delete(file);
  }

  clear(): void {
    this.#paths.clear();
  }

  /** In the report's order. */
  of({ unused }: Report): readonly Unused[] {
    return unused.filter((file) => this.#paths.has(file.path));
  }
}

export type Undone = ResultOf<"sync/undo">;

/** The last step that can be undone is this removal and nothing else: a sync that replaced something since is not what its undo was for. */
export function isOnly(removed: readonly string[], { undone, skipped }: Undone): boolean {
  const meant = new Set(removed);
  return [...undone, ...skipped.map((one) => one.path)].every((file) => meant.has(file));
}
