/** Unused files are removed: asked about by number and size, kept by the service, taken back by one undo that takes back nothing else. */
import * as vscode from "vscode";

import type { Parts } from "../parts.ts";
import { counted, shown, sizeText } from "../words.ts";
import { bytesOf } from "./check-items.ts";
import { isOnly, REMOVE_MAX, type Unused } from "./findings.ts";

const { l10n } = vscode;
/** So many names a question can hold. */
const NAMED = 10;

export type Place = { readonly folder: string; readonly notes: string[] };
/** What a clean-up removed; `skipped`: what it left alone. */
export type Cleaned = { readonly folder: string; readonly removed: readonly string[]; readonly said: string };

/** Asks, then removes. The service checks again before. null: the user went away, or there is nothing to do. */
export async function removeUnused({ session }: Parts, { folder, notes }: Place, chosen: readonly Unused[]): Promise<Cleaned | null> {
  const files = chosen.slice(0, REMOVE_MAX);
  const rest = chosen.length - files.length;
  if (files.length === 0 || !(await isWanted(files, rest))) return null;
  const { removed, skipped } = await session.call("notes/clean", { folder, notes, paths: files.map(({ path }) => path) });
  const said = [l10n.t("Satchel: removed {0}.", counted("file", removed.length))];
  if (skipped.length > 0) said.push(l10n.t("Left alone: {0}.", namesOf(skipped.map(({ path }) => path)).join(", ")));
  if (rest > 0) said.push(l10n.t("At most {0} go at once: the other {1} are still there.", REMOVE_MAX, rest));
  return { folder, removed, said: said.join(" ") };
}

async function isWanted(files: readonly Unused[], rest: number): Promise<boolean> {
  const yes = l10n.t("Remove");
  const question = l10n.t("Remove {0} that no note uses ({1})?", counted("file", files.length), sizeText(bytesOf(files)));
  const detail = [
    ...namesOf(files.map(({ path }) => path)),
    "",
    ...(rest > 0 ? [l10n.t("At most {0} go at once: the other {1} are left for the next time.", REMOVE_MAX, rest)] : []),
    l10n.t("They are kept for at least 30 days, and Undo brings them back."),
  ].join("\n");
  return (await vscode.window.showWarningMessage(question, { modal: true, detail }, yes)) === yes;
}

function namesOf(paths: readonly string[]): string[] {
  const more = paths.length - NAMED;
  return [...paths.slice(0, NAMED).map(shown), ...(more > 0 ? [l10n.t("and {0} more", more)] : [])];
}

/** The last step may be another one by now: then nothing is undone, and the user is told where the files are. True: they are back. */
export async function undoClean({ session }: Parts, { folder, removed }: Pick<Cleaned, "folder" | "removed">): Promise<boolean> {
  if (isOnly(removed, await session.call("sync/undo", { folder, preview: true }))) {
    const { undone } = await session.call("sync/undo", { folder });
    void vscode.window.showInformationMessage(l10n.t("Undone: {0}.", counted("file", undone.length)));
    return true;
  }
  void vscode.window.showInformationMessage(
    l10n.t(
      "Satchel: other files were replaced or removed since, so nothing was undone. “Bring Back a File That Is Gone” has what was removed.",
    ),
  );
  return false;
}
