/** What looks like an accident: the question, with the names of the files, and the answer. */
import path from "node:path";

import * as vscode from "vscode";

import type { Hold } from "../protocol/api/model.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { holdTitle } from "./media-items.ts";
import type { MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { sentenceOf } from "./sentences.ts";
import { RequestError } from "./session.ts";
import { nameOf, reasonOf, shown } from "./words.ts";

const { l10n } = vscode;
/** So many names a message can hold; the list has them all. */
const NAMED = 5;

/** Asks as soon as something waits, each question once in this window and only while it is looked at. */
export function registerHolds(context: vscode.ExtensionContext, parts: Parts): void {
  const { session, log } = parts;
  const asked = new Set<number>();
  const look = async () => {
    // In a folder that is not trusted the view shows that something waits, and nothing is asked.
    if (session.state.kind !== "ready" || !vscode.window.state.focused || !vscode.workspace.isTrusted) return;
    try {
      const { holds } = await session.call("guard/list", {});
      const fresh = holds.filter(({ id, state }) => state === "held" && !asked.has(id));
      for (const hold of fresh) {
        asked.add(hold.id);
        void ask(parts, hold);
      }
    } catch (error) {
      log.debug(`what waits for an answer was not told: ${reasonOf(error)}`);
    }
  };
  context.subscriptions.push(
    session.onState(() => void look()),
    session.onEvent(({ kind }) => void (kind === "guard/held" ? look() : undefined)),
    vscode.window.onDidChangeWindowState(() => void look()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void look()),
  );
}

/** The question of one item of the view, or the user chooses which. */
export async function answerHold(parts: Parts, node?: MediaNode): Promise<void> {
  if (node?.kind === "hold") return await showFiles(parts, node.hold);
  const { holds } = await parts.session.call("guard/list", {});
  const items = holds.filter(({ state }) => state === "held").map((hold) => ({ label: holdTitle(hold), hold }));
  if (items.length === 0) return void vscode.window.showInformationMessage(l10n.t("Satchel: nothing waits for an answer."));
  const chosen = items.length === 1 ? items[0] : await vscode.window.showQuickPick(items, { title: l10n.t("Questions") });
  if (chosen !== undefined) await showFiles(parts, chosen.hold);
}

type Words = { readonly approve: string; readonly reject: string };

function wordsFor({ scope }: Hold): Words {
  return scope === "folder" || scope === "paths"
    ? { approve: l10n.t("Go On"), reject: l10n.t("Keep Waiting") }
    : { approve: l10n.t("Delete"), reject: l10n.t("Bring Them Back") };
}

async function ask(parts: Parts, hold: Hold): Promise<void> {
  const { approve, reject } = wordsFor(hold);
  const folder = parts.board.folder(hold.folder);
  const names = hold.paths.slice(0, NAMED).map((file) => shown(path.posix.basename(file)));
  const more = hold.paths.length - names.length;
  const listed = [...names, ...(more > 0 ? [l10n.t("and {0} more", more)] : [])].join(", ");
  const where = folder === undefined ? "" : ` (${shown(nameOf(folder))})`;
  const text = `Satchel${where}: ${holdTitle(hold)}${listed === "" ? "" : ` ${listed}`}`;
  const show = l10n.t("Show Files");
  const buttons = hold.paths.length > 0 ? [show, approve, reject] : [approve, reject];
  const answer = await vscode.window.showWarningMessage(text, ...buttons);
  try {
    if (answer === show) await showFiles(parts, hold);
    else if (answer === approve) await confirm(parts, hold);
    else if (answer === reject) await settle(parts, hold, "reject");
  } catch (error) {
    void vscode.window.showErrorMessage(`Satchel: ${sentenceOf(error)}`);
  }
}

/** All names in a list that can be searched; the answers stand above them. */
async function showFiles(parts: Parts, hold: Hold): Promise<void> {
  const { approve, reject } = wordsFor(hold);
  type Item = vscode.QuickPickItem & { readonly answer?: "approve" | "reject" };
  const items: Item[] = [
    { label: `$(trash) ${approve}`, answer: "approve", alwaysShow: true },
    { label: `$(discard) ${reject}`, answer: "reject", alwaysShow: true },
    { label: l10n.t("Files"), kind: vscode.QuickPickItemKind.Separator },
    ...hold.paths.map((file): Item => ({ label: shown(path.posix.basename(file)), description: shown(file) })),
  ];
  const chosen = await vscode.window.showQuickPick(items, {
    title: holdTitle(hold),
    placeHolder: l10n.t("Choose what to do with these files"),
  });
  if (chosen?.answer === "approve") await confirm(parts, hold);
  else if (chosen?.answer === "reject") await settle(parts, hold, "reject");
}

/** What can't be taken back on the other devices is asked twice, the second time with the names. */
async function confirm(parts: Parts, hold: Hold): Promise<void> {
  const { approve } = wordsFor(hold);
  const names = hold.paths.slice(0, NAMED * 2).map(shown);
  const more = hold.paths.length - names.length;
  const kept = l10n.t("They can be restored for at least 30 days.");
  const detail = [...names, ...(more > 0 ? [l10n.t("and {0} more", more)] : []), "", kept].join("\n");
  const answer = await vscode.window.showWarningMessage(holdTitle(hold), { modal: true, detail }, approve);
  if (answer === approve) await settle(parts, hold, "approve");
}

async function settle({ session, board }: Parts, { id, hash, folder }: Hold, answer: "approve" | "reject"): Promise<void> {
  try {
    await session.call(`guard/${answer}`, { id, hash });
    await session.call("sync/run", { folder, scan: false, wait: false });
  } catch (error) {
    if (!(error instanceof RequestError) || (error.code !== ErrorCode.HoldNotFound && error.code !== ErrorCode.HoldChanged)) throw error;
    void vscode.window.showInformationMessage(
      l10n.t("Satchel: this has been answered meanwhile, or the files have changed. Nothing was done."),
    );
  }
  await board.refresh();
}
