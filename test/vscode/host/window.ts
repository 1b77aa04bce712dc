/** What the tests inside the editor's extension host share: the workspace, the session, and how they wait. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import * as vscode from "vscode";

import type { SatchelExports } from "../../../extension/main.ts";

const LOOK_EVERY_MS = 50;
const WAIT_MS = 60_000;

export type HostTests = Readonly<Record<string, () => Promise<void>>>;

export function workspaceFile(...parts: readonly string[]): vscode.Uri {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(folder !== undefined);
  return vscode.Uri.joinPath(folder.uri, ...parts);
}

/** A file of the other device, absolute: `host.scenario.ts` wrote down where that device's folder is. */
export async function onOtherDevice(file: string): Promise<string> {
  return path.join(await readFile(workspaceFile(".other-device").fsPath, "utf8"), file);
}

/** null: it is not there. */
export async function bytesOf(file: string): Promise<string | null> {
  return await readFile(file, "utf8").catch(() => null);
}

export function extension(): vscode.Extension<SatchelExports> {
  const found = vscode.extensions.getExtension<SatchelExports>("satchel.satchel");
  assert.ok(found !== undefined);
  return found;
}

/** The first answer that is one. @throws Error when there is none for too long */
export async function until<T>(ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited in vain for ${String(ask)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** The extension's session, with the workspace's media folder looked after. */
export async function looking(): Promise<SatchelExports["session"]> {
  const { session } = await extension().activate();
  await session.start();
  const { folders } = await session.call("folders/list", {});
  if (folders.length === 0) await session.call("folders/add", { root: workspaceFile("media").fsPath });
  return session;
}

/** A file in an editor that has the focus and stays open. */
export async function shown(uri: vscode.Uri): Promise<vscode.TextDocument> {
  const { document } = await vscode.window.showTextDocument(uri, { preview: false });
  return document;
}

/** Gives a file another text, as typing would, and saves it. */
export async function change(uri: vscode.Uri, text: string): Promise<void> {
  const document = await shown(uri);
  const edit = new vscode.WorkspaceEdit();
  edit.replace(uri, new vscode.Range(document.positionAt(0), document.lineAt(document.lineCount - 1).range.end), text);
  assert.ok(await vscode.workspace.applyEdit(edit));
  assert.ok(await document.save());
}

/** A setting of the workspace; undefined: its default. Resolves when extensions see it. */
export async function set(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration().update(name, value, vscode.ConfigurationTarget.Workspace);
  await until(() => (vscode.workspace.getConfiguration().inspect(name)?.workspaceValue === value ? true : undefined));
}
