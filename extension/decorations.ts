/** Marks on files in the explorer and in tabs: what waits, what is in conflict, what can't be synced. Colours are our own. */
import path from "node:path";

import * as vscode from "vscode";

import type { Parts } from "./parts.ts";
import { problemText } from "./words.ts";

const { l10n } = vscode;
/** Changes come in bursts; the explorer is redrawn once for each. */
const LOOK_AFTER_MS = 200;
/** Files of one state in one folder; a first sync has a hundred thousand that wait, and the mark on their folder says so. */
const MARKED_MAX = 2000;
const PAGE = 1000;

type Mark = { readonly badge: string; readonly tooltip: string; readonly color: string };

export function registerDecorations(context: vscode.ExtensionContext, parts: Parts): void {
  const marks = new Marks(parts);
  context.subscriptions.push(marks, vscode.window.registerFileDecorationProvider(marks));
}

class Marks implements vscode.FileDecorationProvider, vscode.Disposable {
  readonly #parts: Parts;
  readonly #changed = new vscode.EventEmitter<vscode.Uri[]>();
  readonly onDidChangeFileDecorations = this.#changed.event;
  readonly #listening: readonly vscode.Disposable[];
  #marks: ReadonlyMap<string, Mark> = new Map();
  #timer: NodeJS.Timeout | null = null;
  /** What the last look was for: nothing is asked while nothing has changed. */
  #seen = "";
  #looking = false;
  #again = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#listening = [parts.board.onChange(() => this.#lookSoon()), parts.session.onEvent(() => this.#lookSoon())];
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    if (uri.scheme !== "file") return undefined;
    const mark = this.#marks.get(keyOf(uri.fsPath));
    if (mark === undefined) return undefined;
    const decoration = new vscode.FileDecoration(mark.badge, mark.tooltip, new vscode.ThemeColor(mark.color));
    decoration.propagate = true;
    return decoration;
  }

  dispose(): void {
    for (const listening of this.#listening) listening.dispose();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changed.dispose();
  }

  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      void this.#look();
    }, LOOK_AFTER_MS);
  }

  async #look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    const { board } = this.#parts;
    const seen = JSON.stringify(board.folders.map(({ folder, pending, conflicts, problems }) => [folder, pending, conflicts, problems]));
    // Files may have changed places while the counts stayed, but not where there are none at all.
    if (seen === this.#seen && board.folders.every(({ pending, conflicts, problems }) => pending + conflicts + problems === 0)) return;
    this.#looking = true;
    this.#again = false;
    try {
      const marks = await this.#ask();
      this.#seen = seen;
      this.#replace(marks);
    } catch (error) {
      // The connection went: the marks stay until it is back and the board changes.
      this.#parts.log.debug(`marks on files were not told: ${String(error)}`);
    } finally {
      this.#looking = false;
    }
    if (this.#again) this.#lookSoon();
  }

  async #ask(): Promise<ReadonlyMap<string, Mark>> {
    const { session, board } = this.#parts;
    const marks = new Map<string, Mark>();
    for (const { folder, root, pending, problems, conflicts } of board.folders) {
      const set = (file: string, mark: Mark): void => void marks.set(keyOf(path.join(root, file)), mark);
      if (pending > 0) for (const file of await this.#files(folder, "pending")) set(file.path, waiting());
      if (conflicts > 0) {
        const open = await session.call("conflicts/list", { folder });
        for (const conflict of open.conflicts)
          for (const file of [conflict.path, conflict.copyPath]) if (file !== null) set(file, conflicted(file === conflict.path));
      }
      if (problems > 0) for (const file of await this.#files(folder, "problem")) set(file.path, troubled(file.problems[0]?.reason ?? ""));
    }
    return marks;
  }

  async #files(folder: string, state: "pending" | "problem") {
    const { session } = this.#parts;
    const files = [];
    for (let after = ""; files.length < MARKED_MAX;) {
      const page = await session.call("files/list", { folder, state, after, limit: PAGE });
      files.push(...page.files);
      after = page.files.at(-1)?.path ?? "";
      if (page.files.length < PAGE) break;
    }
    return files;
  }

  #replace(marks: ReadonlyMap<string, Mark>): void {
    const before = this.#marks;
    this.#marks = marks;
    const gone = [...before.keys()].filter((key) => !marks.has(key));
    const changed = [...marks].filter(([key, mark]) => before.get(key)?.tooltip !== mark.tooltip).map(([key]) => key);
    const files = [...gone, ...changed].map((key) => vscode.Uri.file(key));
    if (files.length > 0) this.#changed.fire(files);
  }
}

function waiting(): Mark {
  return { badge: "↑", tooltip: l10n.t("Satchel: waits to be synced"), color: "satchel.pendingForeground" };
}

function conflicted(isName: boolean): Mark {
  const tooltip = isName
    ? l10n.t("Satchel: both sides changed this file; the server's stands here")
    : l10n.t("Satchel: this device's file of a conflict");
  return { badge: "!?", tooltip, color: "satchel.conflictForeground" };
}

function troubled(reason: string): Mark {
  return { badge: "!", tooltip: l10n.t("Satchel: not synced ({0})", problemText(reason)), color: "satchel.problemForeground" };
}

/** Disks may spell a name in another normal form than the service does. */
function keyOf(file: string): string {
  return file.normalize("NFC");
}
