/** The entry of the VS Code extension: connects the parts and nothing else. Everything shown comes from the service's API. */
import path from "node:path";

import * as vscode from "vscode";

import { VERSION } from "../protocol/version.ts";
import { Board } from "./board.ts";
import { registerCheck } from "./check/check.ts";
import { registerCommands } from "./commands.ts";
import { registerCompare } from "./compare/compare.ts";
import { registerConflicts } from "./conflicts.ts";
import { openSession } from "./connect.ts";
import { registerDecorations } from "./decorations.ts";
import { registerHolds } from "./holds.ts";
import { registerLanguage } from "./language.ts";
import { isInUse, placesHere } from "./launch.ts";
import { registerMediaView } from "./media-view.ts";
import type { Parts } from "./parts.ts";
import { registerPaste } from "./paste.ts";
import { Remembered } from "./remembered.ts";
import type { Session } from "./session.ts";
import { registerReferences } from "./references.ts";
import { registerStatusBar } from "./status-bar.ts";
import { registerSyncOnSave } from "./sync.ts";
import { registerVersions } from "./versions.ts";

/** For tests, and for other extensions that want to know how things stand. */
export type SatchelExports = { readonly session: Session };

export function activate(context: vscode.ExtensionContext): SatchelExports {
  const log = vscode.window.createOutputChannel("Satchel", { log: true });
  const places = placesHere(process.env);
  const session = openSession({
    places,
    env: process.env,
    entry: path.join(context.extensionPath, "dist", "service", "satchel.mjs"),
    logDirectory: context.logUri.fsPath,
    // A remote window, or one in a browser, would forward the port to the user's machine.
    tcp: vscode.env.remoteName === undefined && vscode.env.uiKind === vscode.UIKind.Desktop,
    client: `vscode ${vscode.version}, satchel ${VERSION}`,
    startAtOnce: isInUse(places) && vscode.workspace.getConfiguration("satchel").get("service.startAutomatically", true),
    log,
  });
  const board = new Board(session);
  const parts: Parts = { session, board, log, remembered: new Remembered(context.secrets, log) };
  context.subscriptions.push(board, { dispose: () => session.close() }, log);
  registerStatusBar(context, parts);
  registerMediaView(context, parts);
  registerCheck(context, parts);
  registerHolds(context, parts);
  const notes = registerLanguage(context, parts);
  registerReferences(context, parts, notes);
  registerSyncOnSave(context, parts, notes);
  const comparer = registerCompare(context, parts);
  registerConflicts(context, { ...parts, comparer, notes });
  registerVersions(context, parts, comparer);
  registerDecorations(context, parts);
  registerPaste(context, parts);
  registerCommands(context, parts);
  return { session };
}
