/** Conflicts: look at both sides, keep one or both, all at once if need be. What goes is kept as a version by the service. */
import path from "node:path";

import * as vscode from "vscode";

import type { Conflict } from "../protocol/api/model.ts";
import type { ResultOf } from "../protocol/api/table.ts";
import type { Comparer } from "./compare/compare.ts";
import { aboutOf } from "./compare/documents.ts";
import type { CompareHalf, Fact, Subject } from "./compare/subject.ts";
import { conflictIdOf, nameTrouble, suggestedName } from "./conflict-names.ts";
import { guarded } from "./guarded.ts";
import type { Notes } from "./language.ts";
import type { Parts } from "./parts.ts";
import { needTrust } from "./trust.ts";
import { sentenceOf } from "./sentences.ts";
import { counted, dateText, shown, sizeText } from "./words.ts";

const { l10n } = vscode;
const VIEW = { viewId: "satchel.media" };
/** The language server's, once it runs: every note's link to one file is pointed at another. */
const FOLLOW_LINKS = "satchel.notes.follow";

type Keep = "mine" | "theirs" | "both";
type View = ResultOf<"conflicts/get">;
type Given = Parts & { readonly comparer: Comparer; readonly notes: Notes };

export function registerConflicts(context: vscode.ExtensionContext, given: Given): void {
  const { comparer } = given;
  const register = (name: string, act: (conflict: View) => Promise<void>): void => {
    const run = guarded(given, async (item?: unknown) => {
      const conflict = await chosen(given, item);
      if (conflict !== null) await act(conflict);
    });
    context.subscriptions.push(vscode.commands.registerCommand(name, run));
  };
  register("satchel.conflicts.compare", async (conflict) => await comparer.show(subjectOf(given, conflict)));
  register("satchel.conflicts.keepMine", async (conflict) => await resolve(given, conflict, "mine"));
  register("satchel.conflicts.keepTheirs", async (conflict) => await resolve(given, conflict, "theirs"));
  register("satchel.conflicts.keepBoth", async (conflict) => await keepBoth(given, conflict));
  const tellMenus = (): void =>
    void vscode.commands.executeCommand("setContext", "satchel.conflictInView", conflictIdOf(aboutOf(documentInView())) !== null);
  context.subscriptions.push(
    vscode.window.tabGroups.onDidChangeTabs(tellMenus),
    vscode.window.tabGroups.onDidChangeTabGroups(tellMenus),
    vscode.commands.registerCommand(
      "satchel.conflicts.resolveAll",
      guarded(given, async () => await resolveAll(given)),
    ),
    // Another window, the command line or a script may have answered.
    given.session.onEvent(({ kind, data }) => {
      if (kind !== "conflict/resolved") return;
      const id = conflictIdOf(data);
      if (id !== null) void comparer.close(about(id));
    }),
  );
}

function about(id: number): string {
  return `conflict:${String(id)}`;
}

/** The left document of the diff editor in front. */
function documentInView(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputTextDiff ? input.original : undefined;
}

/** The conflict that a command is for: of the item it was called on, of the documents in view, or one that the user picks. */
async function chosen({ session, board }: Given, item: unknown): Promise<View | null> {
  const inView = conflictIdOf(aboutOf(documentInView()));
  const id = item instanceof vscode.Uri ? inView : (conflictIdOf(item) ?? inView);
  if (id !== null) return await session.call("conflicts/get", { id });
  const { conflicts } = await session.call("conflicts/list", {});
  if (conflicts.length === 0) {
    void vscode.window.showInformationMessage(l10n.t("There is no conflict."));
    return null;
  }
  const [only] = conflicts;
  if (conflicts.length === 1 && only !== undefined) return await session.call("conflicts/get", { id: only.id });
  const picked = await vscode.window.showQuickPick(
    conflicts.map((conflict) => ({
      label: shown(conflict.path),
      description: board.folder(conflict.folder)?.root ?? "",
      detail: dateText(conflict.atMs),
      conflict,
    })),
    { title: l10n.t("Conflicts"), placeHolder: l10n.t("Both sides changed these files"), matchOnDescription: true },
  );
  return picked === undefined ? null : await session.call("conflicts/get", { id: picked.conflict.id });
}

function subjectOf(given: Given, conflict: View): Subject {
  const { id, folder, mine, theirs } = conflict;
  const remote = given.board.folder(folder)?.remote ?? l10n.t("the server");
  const half = (side: View["mine"], label: string, time: Fact): CompareHalf => ({
    label,
    bytes: side.readable && side.sizeBytes !== null ? { folder, path: conflict.path, sha1: side.sha1, sizeBytes: side.sizeBytes } : null,
    facts: [
      { name: l10n.t("Size"), value: side.sizeBytes === null ? l10n.t("not known any more") : sizeText(side.sizeBytes) },
      time,
      { name: l10n.t("Device"), value: side.device === null ? l10n.t("another one, by way of {0}", shown(remote)) : shown(side.device) },
      { name: l10n.t("Stands at"), value: side.path === null ? l10n.t("nowhere; kept as a version") : shown(side.path) },
      { name: "SHA-1", value: side.sha1.slice(0, 12) },
    ],
  });
  const name = shown(path.posix.basename(conflict.path));
  return {
    about: about(id),
    title: l10n.t("{0}: this device ↔ server", name),
    path: conflict.path,
    left: half(mine, l10n.t("This device"), { name: l10n.t("Saved"), value: dateText(mine.atMs) }),
    right: half(theirs, l10n.t("Server"), { name: l10n.t("Came in"), value: dateText(theirs.atMs) }),
    actions: [
      {
        id: "mine",
        label: l10n.t("Keep This Device's"),
        hint: l10n.t("It takes the name; the server's is kept as a version"),
        act: async () => await resolve(given, conflict, "mine"),
      },
      {
        id: "theirs",
        label: l10n.t("Keep the Server's"),
        hint: l10n.t("It keeps the name; this device's is kept as a version"),
        act: async () => await resolve(given, conflict, "theirs"),
      },
      {
        id: "both",
        label: l10n.t("Keep Both…"),
        hint: l10n.t("This device's gets a name of its own"),
        act: async () => await keepBoth(given, conflict),
      },
    ],
  };
}

async function resolve({ session, comparer }: Given, { id }: Pick<Conflict, "id">, keep: Keep, as: string | null = null): Promise<void> {
  needTrust();
  await vscode.window.withProgress({ location: VIEW }, async () => await session.call("conflicts/resolve", { id, keep, as }));
  await comparer.close(about(id));
}

async function keepBoth(given: Given, conflict: View): Promise<void> {
  needTrust();
  const { session } = given;
  const standing = conflict.copyPath ?? suggestedName(conflict.path, conflict.mine.device);
  const value = suggestedName(conflict.path, conflict.mine.device);
  const stem = path.posix.basename(value, path.posix.extname(value));
  const directory = path.posix.dirname(value) === "." ? 0 : path.posix.dirname(value).length + 1;
  const as = await vscode.window.showInputBox({
    title: l10n.t("Keep both of {0}", shown(path.posix.basename(conflict.path))),
    prompt: l10n.t("Name for this device's file. The server's keeps “{0}”.", shown(conflict.path)),
    value,
    valueSelection: [directory, directory + stem.length],
    validateInput: async (name) => {
      const trouble = nameTrouble(name);
      if (trouble !== null) return l10n.t("“{0}” can't stand in a name that travels.", trouble);
      if (name === conflict.copyPath) return undefined;
      const { local } = await session.call("files/explain", { folder: conflict.folder, path: name });
      return local === null ? undefined : l10n.t("{0} is there already.", shown(name));
    },
  });
  if (as === undefined) return;
  await resolve(given, conflict, "both", as);
  await offerLinks(given, conflict, { standing, as });
}

/** Notes that showed the file showed this device's bytes until the other ones came: which should they show from now on? */
async function offerLinks({ board, notes }: Given, conflict: View, { standing, as }: { standing: string; as: string }): Promise<void> {
  const root = board.folder(conflict.folder)?.root;
  if (root === undefined) return;
  const absolute = (file: string): string => `${root.split(path.sep).join("/")}/${file}`;
  const linksTo = async (file: string): Promise<number> => await notes.linksTo(vscode.Uri.file(path.join(root, file)));
  const follow = async (from: string): Promise<void> =>
    await vscode.commands.executeCommand(FOLLOW_LINKS, { from: absolute(from), to: absolute(as) });
  // Links to the copy's first name would lead nowhere: they follow in any case.
  if (standing !== as && (await linksTo(standing)) > 0) await follow(standing);
  const links = await linksTo(conflict.path);
  if (links === 0) return;
  const [name = "", other = ""] = [path.posix.basename(conflict.path), path.posix.basename(as)].map(shown);
  const rewrite = l10n.t("Point Notes at {0}", other);
  const question =
    links === 1
      ? l10n.t("One link in your notes leads to {0}, now the server's file. Should it lead to this device's, {1}?", name, other)
      : l10n.t("{0} links in your notes lead to {1}, now the server's file. Should they lead to this device's, {2}?", links, name, other);
  const answer = await vscode.window.showInformationMessage(question, rewrite, l10n.t("Leave Notes as They Are"));
  if (answer === rewrite) await follow(conflict.path);
}

async function resolveAll(given: Given): Promise<void> {
  needTrust();
  const { session } = given;
  const { conflicts } = await session.call("conflicts/list", {});
  if (conflicts.length === 0) return void vscode.window.showInformationMessage(l10n.t("There is no conflict."));
  const names = conflicts.slice(0, 5).map((one) => shown(path.posix.basename(one.path)));
  const detail = conflicts.length > names.length ? `${names.join(", ")} …` : names.join(", ");
  const picked = await vscode.window.showQuickPick(
    [
      { label: l10n.t("Keep Both of All"), detail: l10n.t("Both stay; this device's keep their conflict names"), keep: "both" },
      { label: l10n.t("Keep This Device's of All"), detail: l10n.t("The server's are kept as versions"), keep: "mine" },
      { label: l10n.t("Keep the Server's of All"), detail: l10n.t("This device's are kept as versions"), keep: "theirs" },
    ] as const,
    { title: l10n.t("Resolve {0}", counted("conflict", conflicts.length)), placeHolder: detail },
  );
  if (picked === undefined) return;
  const title = l10n.t("Resolving {0}", counted("conflict", conflicts.length));
  const failed = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const troubles: string[] = [];
      for (const conflict of conflicts) {
        if (token.isCancellationRequested) break;
        progress.report({ increment: 100 / conflicts.length, message: shown(path.posix.basename(conflict.path)) });
        try {
          await resolve(given, conflict, picked.keep);
        } catch (error) {
          // One that can't be resolved now must not keep the others from it.
          troubles.push(`${shown(conflict.path)}: ${sentenceOf(error)}`);
        }
      }
      return troubles;
    },
  );
  if (failed.length > 0) throw new Error(l10n.t("Not resolved: {0}", failed.join(" ")));
}
