import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { LspPeer, type Diagnostic, type Json, type Range } from "./support/lsp-peer.ts";
import { codeOf } from "./support/rpc-peer.ts";
import { readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";

let top = "";
let media = "";
let server: SyncServer;
let laptop: Satchel;
let desktop: Satchel;
let editor: LspPeer;

type Applied = {
  readonly edit: {
    readonly documentChanges: readonly {
      readonly textDocument: { readonly uri: string; readonly version: number | null };
      readonly edits: readonly { readonly newText: string }[];
    }[];
  };
};
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the assertions look at every field they use
const appliedOf = (params: Json): Applied => params as Applied;
const uriOf = (name: string): string => pathToFileURL(path.join(top, name)).href;
const codes = (found: readonly Diagnostic[]): string[] => found.map(({ code }) => code);
/** A text with the given range replaced by what it marks, for reading. */
function written(text: string, { start, end }: Range): string {
  const line = text.split("\n")[start.line] ?? "";
  return line.slice(start.character, end.character);
}
function at(text: string, mark: string): { line: number; character: number } {
  const offset = text.indexOf(mark) + 1;
  const lines = text.slice(0, offset).split("\n");
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
}

before(async () => {
  top = await mkdtemp(path.join(tmpdir(), "satchel-notes-"));
  media = path.join(top, "media");
  await mkdir(path.join(media, "sub"), { recursive: true });
  await writeFile(path.join(media, "photo.png"), "photo");
  await writeFile(path.join(media, "sub", "deep one.png"), "deep");
  await writeFile(path.join(media, "gone.png"), "gone soon");
  server = await startSyncServer({ kind: "satchel" }, 1);
  laptop = await makeSatchel(media);
  desktop = await makeSatchel();
  await laptop.run();
  await desktop.run();
  await laptop.join(server.url, "user1");
  await laptop.sync();
  await desktop.join(server.url, "user1");
  await desktop.sync();
  const told = await readServiceFile(laptop.home);
  assert.ok(told !== undefined);
  editor = await LspPeer.open(told);
});
after(async () => {
  await editor.close();
  await laptop.close();
  await desktop.close();
  await server.close();
  await rm(top, { recursive: true, force: true });
});

test("language server: only after `initialize`, and the API goes on beside it on one connection", async () => {
  const early = await editor.ask("textDocument/hover", {});
  assert.equal(codeOf(early), -32_601);
  const { capabilities } = await editor.begin(top);
  assert.equal(capabilities["hoverProvider"], true);
  const { service } = await editor.call<{ service: { pid: number } }>("service/status");
  assert.equal(service.pid, await laptop.pid());
  const again = await editor.ask("initialize", { processId: null, rootUri: null, capabilities: {} });
  assert.ok("error" in again, "one session per connection");
});

test("language server: only a token of scope admin gets one: it looks into directories of the editor's choice", async () => {
  const { socket } = (await readServiceFile(laptop.home)) ?? { socket: "" };
  for (const [scope, expected] of [
    ["read", true],
    ["write", true],
    ["admin", false],
  ] as const) {
    const { token } = await editor.call<{ readonly token: string }>("tokens/create", { name: `lsp-${scope}`, scope });
    const other = await LspPeer.open({ socket, token });
    const answer = await other.ask("initialize", { processId: null, rootUri: null, capabilities: {} });
    assert.equal(codeOf(answer) === -32_601, expected, scope);
    await other.close();
  }
});

test("language server: `exit` ends the connection, cleanly", async () => {
  const told = await readServiceFile(laptop.home);
  assert.ok(told !== undefined);
  const other = await LspPeer.open(told);
  await other.begin(top);
  await other.call("shutdown");
  other.tell("exit");
  assert.equal(await other.closed, 1000);
});

test("diagnostics: a file that a rule leaves alone is told with the rule", async () => {
  const uri = uriOf("rules.md");
  editor.openNote(uri, "![](media/draft.tmp) ![](media/.git/x.png)\n");
  const found = await editor.diagnostics(uri, (list) => list.length === 2);
  assert.deepEqual(codes(found), ["ignored", "ignored"]);
  assert.match(
    found[0]?.message ?? "",
    /^draft\.tmp is not here: it is left alone by built-in rule \*\.tmp, so it is not fetched either\.$/,
  );
});

test("diagnostics: a missing file is flagged with its cause, everything else is not, and it follows the disk", async () => {
  const uri = uriOf("a.md");
  const text =
    "![](media/photo.png)\n![](media/never.png) `![](media/code.png)`\n![[deep one.png]] ![[lost.png|300]]\n![](elsewhere/x.png)\n";
  editor.openNote(uri, text);
  const found = await editor.diagnostics(uri, (list) => list.length === 2);
  assert.deepEqual(codes(found), ["never", "never"]);
  assert.deepEqual(
    found.map(({ range }) => written(text, range)),
    ["media/never.png", "lost.png"],
  );
  assert.match(found[0]?.message ?? "", /never\.png has never been seen, neither here nor on the remote/);
  await writeFile(path.join(media, "never.png"), "now it is");
  await editor.diagnostics(uri, (list) => list.length === 1);
  await unlink(path.join(media, "gone.png"));
  editor.changeNote(uri, "![](media/gone.png)\n");
  const [deleted] = await editor.diagnostics(uri, (list) => list[0]?.code === "deleted");
  assert.match(deleted?.message ?? "", /^gone\.png was deleted on this device on 20/);
});

test("quick fix: kept bytes of a deleted file are restored by its command, and the flag goes", async () => {
  const uri = uriOf("b.md");
  const text = "![](media/photo.png)\n";
  editor.openNote(uri, text);
  await editor.diagnostics(uri, (list) => list.length === 0);
  // The desktop deletes: our service removes the file and keeps its bytes.
  await unlink(path.join(desktop.root, "photo.png"));
  await desktop.sync();
  await laptop.sync();
  const [deleted] = await editor.diagnostics(uri, (list) => list[0]?.code === "deleted");
  assert.match(deleted?.message ?? "", /photo\.png was deleted by .+ on 2\d{3}-\d\d-\d\d \d\d:\d\d\. Its bytes are kept/);
  const actions = await editor.call<{ title: string; command: { command: string; arguments: unknown[] } }[]>("textDocument/codeAction", {
    textDocument: { uri },
    range: { start: at(text, "media/photo"), end: at(text, "media/photo") },
    context: { diagnostics: [deleted] },
  });
  assert.match(actions[0]?.title ?? "", /^Restore photo\.png \(5 B, kept on /);
  await editor.call("workspace/executeCommand", actions[0]?.command);
  await editor.diagnostics(uri, (list) => list.length === 0);
});

test("a file renamed on disk: the user is asked, and one edit over all notes makes the links follow", async () => {
  const [open, closed] = [uriOf("c.md"), path.join(top, "closed.md")];
  await writeFile(closed, "See [it](media/sub/deep%20one.png 'T') and ![[deep one.png|200]].\n");
  editor.openNote(open, "<img src='media/sub/deep one.png'>\n");
  await editor.diagnostics(open, (list) => list.length === 0);
  let asked = "";
  const applied = Promise.withResolvers<Applied>();
  editor.onRequest = (method, params) => {
    if (method === "window/showMessageRequest") {
      asked = String(params["message"]);
      return { title: "Update links" };
    }
    if (method === "workspace/applyEdit") applied.resolve(appliedOf(params));
    return { applied: true };
  };
  await rename(path.join(media, "sub", "deep one.png"), path.join(media, "sub", "other (1).png"));
  const { edit } = await applied.promise;
  assert.equal(asked, "deep one.png was renamed to other (1).png. Update 3 links in 2 notes?");
  const told = edit.documentChanges.map(({ textDocument, edits }) => [
    textDocument.uri,
    textDocument.version,
    edits.map(({ newText }) => newText),
  ]);
  assert.deepEqual(told, [
    [open, 1, ["media/sub/other (1).png"]],
    [pathToFileURL(closed).href, null, ["media/sub/other%20%281%29.png", "other (1).png"]],
  ]);
  const [renamed] = await editor.diagnostics(open, (list) => list[0]?.code === "renamed");
  assert.match(renamed?.message ?? "", /the same file is now sub\/other \(1\)\.png/);
});
