/** What the extension promises to the editor, asked through the editor's own API. The workspace is that of `host.scenario.ts`. */
import assert from "node:assert/strict";
import path from "node:path";

import * as vscode from "vscode";

import { change, extension, looking, set, shown, until, workspaceFile } from "./window.ts";

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
    await change(uri, "two one");
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

  "Show Log opens the output channel": async () => {
    await looking();
    const log = () =>
      vscode.window.visibleTextEditors.find(
        ({ document: { uri } }) => uri.scheme === "output" && uri.path.toLowerCase().includes("satchel"),
      );
    await vscode.commands.executeCommand("workbench.action.closePanel");
    await until(() => (log() === undefined ? true : undefined));
    await vscode.commands.executeCommand("satchel.showLog");
    await until(log);
    await vscode.commands.executeCommand("workbench.action.closePanel");
  },

  "settings: notes.enabled off takes the flags away, checkClosed off those of notes that nobody opened; both come back": async () => {
    await looking();
    const [open, closed] = [workspaceFile("note.md"), workspaceFile("closed.md")];
    await shown(open);
    const flags = (uri: vscode.Uri) =>
      vscode.languages.getDiagnostics(uri).filter(({ source }) => source?.toLowerCase() === "satchel").length;
    const stand = async (inOpen: number, inClosed: number) =>
      await until(() => (flags(open) === inOpen && flags(closed) === inClosed ? true : undefined));
    await stand(1, 1);
    await set("satchel.notes.checkClosed", false);
    await stand(1, 0);
    await set("satchel.notes.enabled", false);
    await stand(0, 0);
    await set("satchel.notes.enabled", undefined);
    await set("satchel.notes.checkClosed", undefined);
    await stand(1, 1);
  },
};
