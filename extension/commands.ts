/** The commands that belong to no view of their own. */
import * as vscode from "vscode";

import type { Parts } from "./parts.ts";
import { guarded } from "./guarded.ts";

export function registerCommands(context: vscode.ExtensionContext, parts: Parts): void {
  const { session, log } = parts;
  const register = (name: string, act: (...args: never[]) => Promise<void> | void) =>
    context.subscriptions.push(vscode.commands.registerCommand(name, guarded(parts, act)));
  register("satchel.startService", async () => await session.start());
  register("satchel.showLog", () => log.show());
}
