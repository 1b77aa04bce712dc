/** Quick fixes that succeed, asked for and chosen through the editor. */
import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";

import * as vscode from "vscode";

import { bytesOf, looking, onOtherDevice, shown, until, workspaceFile, type HostTests } from "./window.ts";

/** The quick fix with this title at a piece of a note, as soon as it is offered. */
async function fixAt(note: vscode.TextDocument, piece: string, title: RegExp): Promise<vscode.CodeAction> {
  return await until(async () => {
    const start = note.getText().indexOf(piece);
    assert.ok(start >= 0, `${piece} is not in ${note.getText()}`);
    const at = note.positionAt(start);
    const found = await vscode.commands.executeCommand<readonly vscode.CodeAction[]>(
      "vscode.executeCodeActionProvider",
      note.uri,
      new vscode.Range(at, at),
      vscode.CodeActionKind.QuickFix.value,
    );
    return found.find((action) => title.test(action.title));
  });
}

/** What the editor does with a quick fix that is chosen. */
async function choose({ edit, command }: vscode.CodeAction): Promise<void> {
  assert.ok(edit !== undefined || command !== undefined);
  if (edit !== undefined) assert.ok(await vscode.workspace.applyEdit(edit));
  if (command !== undefined) await vscode.commands.executeCommand(command.command, ...(command.arguments ?? []));
}

/** Resolves when nothing of ours is flagged at this piece any more. */
async function flagGone(note: vscode.TextDocument, piece: string): Promise<void> {
  await until(() => {
    const at = note.positionAt(note.getText().indexOf(piece));
    const flags = vscode.languages.getDiagnostics(note.uri).filter(({ range }) => range.contains(at));
    return flags.length === 0 ? true : undefined;
  });
}

export const FIXES: HostTests = {
  "EX quick fix: a link to a name that was never there is changed to a similar one": async () => {
    await looking();
    const note = await shown(workspaceFile("near.md"));
    await choose(await fixAt(note, "media/catt.png", /^Change the link to cat\.png$/));
    assert.equal(note.getText(), "![near](media/cat.png)\n");
    await flagGone(note, "media/cat.png");
    assert.ok(await note.save());
  },

  "EX quick fix: the link of a file that was renamed on disk is changed; then all links of another note at once": async () => {
    await looking();
    const [one, more] = [await vscode.workspace.openTextDocument(workspaceFile("old-more.md")), await shown(workspaceFile("old.md"))];
    await rename(workspaceFile("media", "old.png").fsPath, workspaceFile("media", "young.png").fsPath);
    await choose(await fixAt(more, "media/old.png", /^Change the link to young\.png$/));
    assert.equal(more.getText(), "![old](media/young.png)\n");
    await flagGone(more, "media/young.png");
    await shown(one.uri);
    await choose(await fixAt(one, "media/old.png", /^Update all links to old\.png$/));
    await until(() => (one.getText() === "![old](media/young.png)\n\n![[young.png]]\n" ? true : undefined));
    for (const note of [one, more]) assert.ok(await note.save());
  },

  "EX quick fix: a file that another device deleted comes back with its bytes, there too": async () => {
    await looking();
    const [here, there] = [workspaceFile("media", "lost.png").fsPath, await onOtherDevice("lost.png")];
    const note = await shown(workspaceFile("lost.md"));
    await rm(there);
    await choose(await fixAt(note, "media/lost.png", /^Restore lost\.png \(4 B, /));
    assert.equal(await bytesOf(here), "lost");
    await flagGone(note, "media/lost.png");
    await until(async () => ((await bytesOf(there)) === "lost" ? true : undefined));
  },

  "EX quick fix: a file that could not be fetched is fetched now": async () => {
    await looking();
    const [here, there] = [workspaceFile("media", "far", "away.png").fsPath, await onOtherDevice("far/away.png")];
    const note = await shown(workspaceFile("far.md"));
    // A link that leads nowhere stands where the directory has to: the run says so and leaves it.
    await symlink("nowhere", path.dirname(here));
    await mkdir(path.dirname(there));
    await writeFile(there, "far away");
    const fix = await fixAt(note, "media/far/away.png", /^Fetch away\.png now$/);
    await rm(path.dirname(here));
    // The service may not have seen yet that the way is free: then it says so, and the user asks once more.
    await until(async () => {
      await choose(fix);
      return (await bytesOf(here)) === "far away" ? true : undefined;
    });
    await flagGone(note, "media/far/away.png");
  },
};
