/** The commands of the palette and of the Media view's menus. */
import * as vscode from "vscode";

import { addFolder, pauseOrResume, removeFolder, signInAndConnect, signOut } from "./folders.ts";
import { guarded } from "./guarded.ts";
import { answerHold } from "./holds.ts";
import type { MediaNode } from "./media-nodes.ts";
import type { Parts } from "./parts.ts";
import { syncNow } from "./sync.ts";
import { trusted } from "./trust.ts";

const { l10n } = vscode;

export function registerCommands(context: vscode.ExtensionContext, parts: Parts): void {
  const { session, log } = parts;
  const onNode: Readonly<Record<string, (node?: MediaNode) => Promise<void>>> = {
    sync: async (node) => await syncNow(parts, node),
    signIn: async () => await signInAndConnect(parts),
    signOut: async () => await signOut(parts),
    pause: async (node) => await pauseOrResume(parts, "pause", node),
    resume: async (node) => await pauseOrResume(parts, "resume", node),
    removeFolder: async (node) => await removeFolder(parts, node),
    answerHold: async (node) => await answerHold(parts, node),
  };
  context.subscriptions.push(
    ...Object.entries(onNode).map(([name, act]) => vscode.commands.registerCommand(`satchel.${name}`, guarded(parts, trusted(act)))),
    vscode.commands.registerCommand(
      "satchel.addFolder",
      guarded(
        parts,
        trusted(async (folder?: unknown) => await addFolder(parts, folder instanceof vscode.Uri ? folder : undefined)),
      ),
    ),
    vscode.commands.registerCommand(
      "satchel.startService",
      guarded(parts, async () => await session.start()),
    ),
    vscode.commands.registerCommand(
      "satchel.stopService",
      guarded(parts, async () => await stopService(parts)),
    ),
    vscode.commands.registerCommand("satchel.showLog", () => log.show()),
  );
}

/** It goes on without the editor, so there must be a way to end it from here. */
async function stopService({ session }: Parts): Promise<void> {
  const yes = l10n.t("Stop");
  const detail = l10n.t("Nothing is synced until it is started again, here or with the command line. Files stay as they are.");
  if ((await vscode.window.showWarningMessage(l10n.t("Stop the Satchel service?"), { modal: true, detail }, yes)) !== yes) return;
  await session.call("service/shutdown", {});
}
