/** What was kept: the history of a file, files that are gone, and the last sync's steps taken back. */
import path from "node:path";

import * as vscode from "vscode";

import type { FolderStatus, Version } from "../protocol/api/model.ts";
import type { ResultOf } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Place } from "./board.ts";
import type { Comparer } from "./compare/compare.ts";
import type { CompareHalf, Subject } from "./compare/subject.ts";
import { guarded } from "./guarded.ts";
import { placeOf } from "./item-file.ts";
import { logTrouble } from "./log-words.ts";
import type { Parts } from "./parts.ts";
import { RequestError } from "./session.ts";
import { needTrust } from "./trust.ts";
import { agoText, counted, dateText, nameOf, shown, sizeText } from "./words.ts";

const { l10n } = vscode;
/** How long the list must rest on a version before it is shown: arrow keys go through many. */
const PREVIEW_AFTER_MS = 150;
const REMOVED_SHOWN = 200;
const UNDO_SHOWN = 10;

type Given = Parts & { readonly comparer: Comparer };

export function registerVersions(context: vscode.ExtensionContext, parts: Parts, comparer: Comparer): void {
  const given: Given = { ...parts, comparer };
  const register = (name: string, act: (item: unknown) => Promise<void>): void => {
    context.subscriptions.push(vscode.commands.registerCommand(name, guarded(parts, act)));
  };
  register("satchel.versions.show", async (item) => await showHistory(given, item));
  register("satchel.versions.removed", async () => await showRemoved(given));
  register("satchel.undo", async () => await undo(given));
}

type KeptVersion = ResultOf<"versions/list">["versions"][number];
type VersionItem = vscode.QuickPickItem & { readonly version: Version };

async function showHistory(given: Given, item: unknown): Promise<void> {
  const wanted = l10n.t("Open a file of a media folder, or choose one in the explorer, then ask for its versions.");
  const place = placeOf(given.board, item, wanted);
  const name = shown(path.posix.basename(place.path));
  const { versions, remoteDetail } = await given.session.call("versions/list", { folder: place.folder.folder, path: place.path });
  if (remoteDetail !== null) logTrouble(given.log, "info", "versions that only the server keeps are not listed", remoteDetail);
  const items = distinct(versions).map((version) => versionItem(version));
  if (items.length === 0) {
    void vscode.window.showInformationMessage(l10n.t("No earlier version of {0} is kept: it was not replaced or removed yet.", name));
    return;
  }
  const title = l10n.t("Versions of {0}", name);
  await pickVersion(given, place, items, remoteDetail === null ? title : `${title} (${l10n.t("the server could not be asked")})`);
}

/** The same bytes may have been kept by several steps: the newest tells. */
function distinct(versions: readonly KeptVersion[]): readonly KeptVersion[] {
  const seen = new Set<string>();
  return versions.filter(({ sha1 }) => !seen.has(sha1) && seen.add(sha1));
}

function versionItem(version: Version | KeptVersion, label = dateText(version.atMs)): VersionItem {
  return {
    label,
    description: [sizeText(version.sizeBytes), whereText(version)].join(" · "),
    detail: `${agoText(version.atMs)} · ${version.sha1.slice(0, 12)}`,
    buttons: [{ iconPath: new vscode.ThemeIcon("discard"), tooltip: l10n.t("Restore This Version") }],
    version,
  };
}

function whereText(version: Version | KeptVersion): string {
  return "where" in version && version.where === "remote" ? l10n.t("kept on the server") : whyText(version.why);
}

function whyText(why: Version["why"]): string {
  switch (why) {
    case "replaced":
      return l10n.t("kept before it was replaced");
    case "removed":
      return l10n.t("kept before it was removed");
    case "conflict":
      return l10n.t("kept in a conflict");
    case "restored":
      return l10n.t("restored");
    case "fetched":
      return l10n.t("fetched");
  }
}

/** A list that shows the version it rests on beside it; Enter or its button restores that one. */
async function pickVersion(given: Given, place: Place, items: readonly VersionItem[], title: string): Promise<void> {
  const pick = vscode.window.createQuickPick<VersionItem>();
  pick.title = title;
  pick.placeholder = l10n.t("Enter restores; what stands there now is kept first");
  pick.items = items;
  pick.matchOnDescription = true;
  // A look into the comparison must not end the choice.
  pick.ignoreFocusOut = true;
  let timer: NodeJS.Timeout | undefined;
  const preview = guarded(given, async (version: Version) => {
    const subject = await subjectOf(given, place, version);
    await given.comparer.show(subject, { where: vscode.ViewColumn.Active, preserveFocus: true });
  });
  const chosen = await new Promise<Version | null>((resolve) => {
    pick.onDidChangeActive(([item]) => {
      clearTimeout(timer);
      if (item !== undefined) timer = setTimeout(() => void preview(item.version), PREVIEW_AFTER_MS);
    });
    pick.onDidAccept(() => resolve(pick.activeItems[0]?.version ?? null));
    pick.onDidTriggerItemButton(({ item }) => resolve(item.version));
    pick.onDidHide(() => resolve(null));
    pick.show();
  });
  clearTimeout(timer);
  pick.dispose();
  if (chosen !== null) await restore(given, place, chosen);
}

/** The version against what stands there now. */
async function subjectOf(given: Given, place: Place, version: Version): Promise<Subject> {
  const { folder } = place.folder;
  const now = await given.session.call("files/explain", { folder, path: place.path });
  const name = shown(path.posix.basename(place.path));
  const size = (bytes: number) => ({ name: l10n.t("Size"), value: sizeText(bytes) });
  const left: CompareHalf = {
    label: l10n.t("Kept {0}", dateText(version.atMs)),
    bytes: { folder, path: place.path, sha1: version.sha1, sizeBytes: version.sizeBytes },
    facts: [
      size(version.sizeBytes),
      { name: l10n.t("Why"), value: whereText(version) },
      { name: "SHA-1", value: version.sha1.slice(0, 12) },
    ],
  };
  const stands = now.sha1 !== null && now.sizeBytes !== null;
  const right: CompareHalf = {
    label: l10n.t("Now"),
    bytes: now.sha1 !== null && now.sizeBytes !== null ? { folder, path: place.path, sha1: now.sha1, sizeBytes: now.sizeBytes } : null,
    facts: stands
      ? [size(now.sizeBytes ?? 0), { name: "SHA-1", value: (now.sha1 ?? "").slice(0, 12) }]
      : [{ name: l10n.t("Size"), value: l10n.t("there is no such file now") }],
  };
  const restoreIt = {
    id: "restore",
    label: l10n.t("Restore This Version"),
    hint: l10n.t("What stands there now is kept first"),
    act: async () => await restore(given, place, version),
  };
  return {
    about: `version:${folder}:${place.path}`,
    title: l10n.t("{0}: kept ↔ now", name),
    path: place.path,
    left,
    right,
    actions: now.sha1 === version.sha1 ? [] : [restoreIt],
  };
}

async function restore(given: Given, place: Place, version: Version): Promise<void> {
  needTrust();
  const { folder } = place.folder;
  await given.session.call("versions/restore", { folder, path: place.path, sha1: version.sha1 });
  await given.comparer.close(`version:${folder}:${place.path}`);
  const name = shown(path.posix.basename(place.path));
  void vscode.window.setStatusBarMessage(l10n.t("Satchel: {0} is again as it was kept {1}", name, agoText(version.atMs)), 5000);
}

async function showRemoved(given: Given): Promise<void> {
  const folder = await pickFolder(given);
  if (folder === null) return;
  const { versions } = await given.session.call("versions/removed", { folder: folder.folder, limit: REMOVED_SHOWN });
  if (versions.length === 0) {
    void vscode.window.showInformationMessage(l10n.t("No file of {0} that is gone is kept.", shown(nameOf(folder))));
    return;
  }
  const picked = await vscode.window.showQuickPick(
    versions.map((version) => ({ ...versionItem(version, shown(version.path)), buttons: [] })),
    {
      title: l10n.t("Files that are gone from {0}", shown(nameOf(folder))),
      placeHolder: l10n.t("Enter brings it back"),
      matchOnDescription: true,
    },
  );
  if (picked !== undefined) await restore(given, { folder, path: picked.version.path }, picked.version);
}

async function undo(given: Given): Promise<void> {
  needTrust();
  const folder = await pickFolder(given);
  if (folder === null) return;
  const asked = await previewOf(given, folder);
  if (asked === null || asked.undone.length === 0) {
    const why = asked?.skipped[0];
    const more = why === undefined ? "" : ` ${l10n.t("{0} was changed since, or can't be put back.", shown(why.path))}`;
    void vscode.window.showInformationMessage(l10n.t("There is nothing to undo in {0}.", shown(nameOf(folder))) + more);
    return;
  }
  const question = l10n.t("Undo the last step that replaced or removed files: {0}?", counted("file", asked.undone.length));
  const names = asked.undone.slice(0, UNDO_SHOWN).map(shown);
  const rest = asked.undone.length - names.length;
  const left = asked.skipped.map(({ path: file }) => l10n.t("{0} stays as it is: it was changed since.", shown(file))).slice(0, UNDO_SHOWN);
  const detail = [...names, ...(rest > 0 ? [l10n.t("and {0} more", rest)] : []), ...left].join("\n");
  const yes = l10n.t("Undo");
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, yes)) !== yes) return;
  const { undone, skipped } = await given.session.call("sync/undo", { folder: folder.folder });
  const done = l10n.t("Undone: {0}.", counted("file", undone.length));
  void vscode.window.showInformationMessage(
    skipped.length === 0 ? done : `${done} ${l10n.t("Left alone: {0}.", counted("file", skipped.length))}`,
  );
}

/** null: there is nothing to undo. */
async function previewOf({ session }: Given, { folder }: FolderStatus) {
  try {
    return await session.call("sync/undo", { folder, preview: true });
  } catch (error) {
    if (error instanceof RequestError && error.code === ErrorCode.NothingToUndo) return null;
    throw error;
  }
}

async function pickFolder({ board }: Given): Promise<FolderStatus | null> {
  const { folders } = board;
  if (folders.length === 0) throw new Error(l10n.t("There is no media folder yet. Add one first."));
  const [only] = folders;
  if (folders.length === 1 && only !== undefined) return only;
  const picked = await vscode.window.showQuickPick(
    folders.map((folder) => ({ label: shown(nameOf(folder)), description: shown(folder.root), folder })),
    { placeHolder: l10n.t("Which media folder?") },
  );
  return picked?.folder ?? null;
}
