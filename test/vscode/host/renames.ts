/** Media that get another name beside the editor's own Markdown feature: every link follows, once. By the user's keys: `language.scenario.ts`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import * as vscode from "vscode";

import type { SatchelExports } from "../../../extension/main.ts";
import { looking, set, shown, until, workspaceFile, type HostTests } from "./window.ts";

/** A place in the note that is shown. */
const IN_EMBED = new vscode.Position(2, 5);
const UPDATES = "markdown.updateLinksOnFileMove.enabled";

/** The notes that refer to the file, and what they say when it has a name; one of them is in no editor. */
async function notesAbout(): Promise<{ readonly uri: vscode.Uri; say(name: string): Promise<void> }> {
  const uri = workspaceFile("pet.md");
  const [first, second] = [
    await vscode.workspace.openTextDocument(uri),
    await vscode.workspace.openTextDocument(workspaceFile("pet-too.md")),
  ];
  await shown(uri);
  return {
    uri,
    say: async (name) => {
      const expected = [`![pet](media/${name})\n\n![[${name}]]\n`, `A [pet](media/${name}).\n`];
      const told = () => [first.getText(), second.getText()];
      await until(() => (JSON.stringify(told()) === JSON.stringify(expected) ? true : undefined)).catch((error: unknown) => {
        throw new Error(`the notes say ${JSON.stringify(told())} and not ${JSON.stringify(expected)}`, { cause: error });
      });
    },
  };
}

/** Resolves when the file has the one name and not the other. */
async function standsAs(name: string, other: string): Promise<void> {
  const there = (file: string) => existsSync(workspaceFile("media", file).fsPath);
  await until(() => (there(name) && !there(other) ? true : undefined));
}

/** What F2 offers to change: tried until somebody knows the place. */
async function nameAt(uri: vscode.Uri, at: vscode.Position): Promise<string> {
  return await until(async () => {
    try {
      const asked = await vscode.commands.executeCommand<{ readonly placeholder: string } | null>("vscode.prepareRename", uri, at);
      return asked?.placeholder;
    } catch (error) {
      // The Markdown feature's word on an embed while our server is not there yet.
      if (error instanceof Error && /rename/i.test(error.message)) return undefined;
      throw error;
    }
  });
}

/** What the explorer does. */
async function renameFile(from: string, to: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.renameFile(workspaceFile("media", from), workspaceFile("media", to));
  assert.ok(await vscode.workspace.applyEdit(edit));
}

/** Resolves when this has made the window begin a new session of the language server, and it answers. */
async function inNewSession(session: SatchelExports["session"], uri: vscode.Uri, work: () => Promise<void>): Promise<void> {
  let left = false;
  let begun = false;
  const listening = session.onState(({ kind }) => {
    if (kind === "ready") begun ||= left;
    else left = true;
  });
  await work();
  await until(() => begun || undefined);
  listening.dispose();
  await nameAt(uri, IN_EMBED);
}

export const RENAMES: HostTests = {
  "EX rename in the explorer beside the editor's own updating of links: each link is changed once": async () => {
    const session = await looking();
    const notes = await notesAbout();
    await inNewSession(session, notes.uri, async () => await set(UPDATES, "always"));
    await renameFile("pet.png", "parrot.png");
    await standsAs("parrot.png", "pet.png");
    await notes.say("parrot.png");
    // And all of them by Satchel alone.
    await inNewSession(session, notes.uri, async () => await set(UPDATES, undefined));
    await renameFile("parrot.png", "pet.png");
    await notes.say("pet.png");
  },

  "EX links and references: an embed leads to its file, a plain link is the editor's alone; every note is found": async () => {
    await looking();
    const notes = await notesAbout();
    const target = workspaceFile("media", "pet.png").fsPath;
    const embeds = await until(async () => {
      const links = await vscode.commands.executeCommand<readonly vscode.DocumentLink[]>("vscode.executeLinkProvider", notes.uri, 10);
      const on = (line: number) => links.filter(({ range }) => range.start.line === line);
      return on(0).length === 1 && on(2).length > 0 ? on(2) : undefined;
    });
    assert.deepEqual(
      embeds.map((link) => link.target?.fsPath),
      [target],
    );
    const places = await until(async () => {
      const found = await vscode.commands.executeCommand<readonly vscode.Location[]>(
        "vscode.executeReferenceProvider",
        notes.uri,
        IN_EMBED,
      );
      return found.length > 0 ? found : undefined;
    });
    assert.deepEqual(
      [...new Set(places.map(({ uri, range }) => `${vscode.workspace.asRelativePath(uri)}:${String(range.start.line)}`))].toSorted(),
      ["pet-too.md:0", "pet.md:0", "pet.md:2"],
    );
  },
};
