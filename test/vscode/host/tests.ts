/** What the extension promises to the editor, asked through the editor's own API. The workspace is that of `host.scenario.ts`. */
import assert from "node:assert/strict";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import * as vscode from "vscode";

import type { SatchelExports } from "../../../extension/main.ts";

const LOOK_EVERY_MS = 50;
const WAIT_MS = 60_000;

function workspaceFile(...parts: readonly string[]): vscode.Uri {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  assert.ok(folder !== undefined);
  return vscode.Uri.joinPath(folder.uri, ...parts);
}

function extension(): vscode.Extension<SatchelExports> {
  const found = vscode.extensions.getExtension<SatchelExports>("satchel.satchel");
  assert.ok(found !== undefined);
  return found;
}

/** The first answer that is one. @throws Error when there is none for too long */
async function until<T>(ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited in vain for ${String(ask)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** The extension's session, with the workspace's media folder looked after. */
async function looking(): Promise<SatchelExports["session"]> {
  const { session } = await extension().activate();
  await session.start();
  const { folders } = await session.call("folders/list", {});
  if (folders.length === 0) await session.call("folders/add", { root: workspaceFile("media").fsPath });
  return session;
}

export const TESTS: Readonly<Record<string, () => Promise<void>>> = {
  "activate() makes every command of the manifest known": async () => {
    await extension().activate();
    const known = new Set(await vscode.commands.getCommands(true));
    const { commands }: { commands: { command: string }[] } = extension().packageJSON.contributes;
    assert.ok(commands.length >= 10);
    assert.deepEqual(
      commands.map(({ command }) => command).filter((command) => !known.has(command)),
      [],
    );
  },

  "settings EX02 a workspace can't say which server is meant or whether a service is started": async () => {
    const { properties }: { properties: Record<string, { scope: string }> } = extension().packageJSON.contributes.configuration;
    assert.equal(properties["satchel.server.url"]?.scope, "machine");
    assert.equal(properties["satchel.service.startAutomatically"]?.scope, "machine");
    const settings = vscode.workspace.getConfiguration("satchel");
    await assert.rejects(async () => await settings.update("server.url", "https://evil.example/", vscode.ConfigurationTarget.Workspace));
    assert.equal(settings.get("syncOnSave"), true);
  },

  "start() the service answers, and a second start changes nothing": async () => {
    const session = await looking();
    const { service } = await session.call("service/status", {});
    await vscode.commands.executeCommand("satchel.startService");
    assert.equal((await session.call("service/status", {})).service.pid, service.pid);
  },

  "diagnostics: what is missing is flagged with its cause, what is there is not": async () => {
    await looking();
    const uri = workspaceFile("note.md");
    await vscode.window.showTextDocument(uri);
    const found = await until(() => {
      const all = vscode.languages.getDiagnostics(uri).filter(({ source }) => source?.toLowerCase() === "satchel");
      return all.length > 0 ? all : undefined;
    });
    assert.equal(found.length, 1);
    assert.equal(found[0]?.range.start.line, 2);
    assert.match(found[0]?.message ?? "", /gone\.png/);
  },

  "completion: names of media inside an embed": async () => {
    await looking();
    const document = await vscode.workspace.openTextDocument(workspaceFile("embed.md"));
    await vscode.window.showTextDocument(document);
    const names = await until(async () => {
      const list = await vscode.commands.executeCommand<vscode.CompletionList>(
        "vscode.executeCompletionItemProvider",
        document.uri,
        document.lineAt(0).range.end,
        "[",
      );
      const labels = list.items.map(({ label }) => (typeof label === "string" ? label : label.label));
      return labels.some((label) => label.endsWith("cat.png")) ? labels : undefined;
    });
    assert.ok(
      names.some((name) => name.endsWith("sub/dog.png") || name.endsWith("dog.png")),
      names.join(", "),
    );
  },

  "hover: the size and state of a file that is there": async () => {
    await looking();
    const document = await vscode.workspace.openTextDocument(workspaceFile("note.md"));
    await vscode.window.showTextDocument(document);
    const text = await until(async () => {
      const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
        "vscode.executeHoverProvider",
        document.uri,
        new vscode.Position(0, 12),
      );
      const told = hovers
        .flatMap(({ contents }) => contents.map((one) => (one instanceof vscode.MarkdownString ? one.value : "")))
        .join("\n");
      return told.includes("cat.png") ? told : undefined;
    });
    assert.match(text, /3 B/);
  },

  "save: a file of the media folder is known at once": async () => {
    const session = await looking();
    const [folder] = (await session.call("folders/list", {})).folders;
    assert.ok(folder !== undefined);
    const uri = workspaceFile("media", "fresh.txt");
    await vscode.workspace.fs.writeFile(uri, Buffer.from("one"));
    const document = await vscode.workspace.openTextDocument(uri);
    const edit = new vscode.WorkspaceEdit();
    edit.insert(uri, new vscode.Position(0, 0), "two ");
    await vscode.workspace.applyEdit(edit);
    await document.save();
    const known = await until(async () => {
      const { files } = await session.call("files/list", { folder: folder.folder });
      return files.find((file) => file.path === "fresh.txt" && file.sizeBytes === 7);
    });
    assert.equal(known.path, path.basename(uri.fsPath));
  },

  "languages: a service that stops takes the language server with it, and both come back": async () => {
    const session = await looking();
    const uri = workspaceFile("note.md");
    await session.call("service/shutdown", {});
    await until(() => (session.state.kind === "stopped" ? true : undefined));
    await until(() => (vscode.languages.getDiagnostics(uri).length === 0 ? true : undefined));
    await session.start();
    await until(() => (vscode.languages.getDiagnostics(uri).length === 1 ? true : undefined));
  },
};
