/** What stands in the Media view. Commands on an item get its node. */
import type * as vscode from "vscode";

import type { Conflict, FileView, FolderStatus, Hold, RunSummary } from "../protocol/api/model.ts";
import type { Change } from "./recent.ts";

/** In the order in which they are shown. */
export const GROUPS = ["holds", "conflicts", "problems", "pending", "recent", "folders"] as const;
export type Group = (typeof GROUPS)[number];

/** `kind` is also the item's `contextValue` (a folder's is `folder.paused` or `folder.active`): menus in the manifest name it. */
export type MediaNode =
  | { readonly kind: "group"; readonly group: Group; readonly count: number | null }
  | { readonly kind: "folder"; readonly folder: FolderStatus }
  | { readonly kind: "hold"; readonly hold: Hold }
  | ConflictNode
  | FileNode
  /** `listed`: the list was cut; else these have no file here, because they are to be fetched or were deleted. */
  | { readonly kind: "more"; readonly listed: boolean; readonly count: number }
  | { readonly kind: "change"; readonly change: Change }
  | { readonly kind: "run"; readonly run: RunSummary };

export type ConflictNode = { readonly kind: "conflict"; readonly conflict: Conflict };
/** A pending file, or one with a problem. */
export type FileNode = { readonly kind: "file"; readonly folder: FolderStatus; readonly file: FileView; readonly uri: vscode.Uri };
