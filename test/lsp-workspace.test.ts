/** Missing media of notes that nobody has open: the list of problems knows the whole workspace. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";

import { LspPeer, type Diagnostic, type Json } from "./support/lsp-peer.ts";
import { NOTE, openLspWorld, type LspWorld } from "./support/lsp-world.ts";

const OTHER = "file:///media/diary/b.md";
const WATCHES: Json = { workspace: { didChangeWatchedFiles: { dynamicRegistration: true } } };

let world: LspWorld;
let editor: LspPeer;

beforeEach(async () => {
  world = await openLspWorld();
  editor = await LspPeer.inside(world.session);
});
afterEach(async () => {
  await editor.close();
  await world.close();
});

const codes = (found: readonly Diagnostic[]): readonly string[] => found.map(({ code }) => code);
/** What was told of a note, in order: how many were flagged each time. */
const told = (uri: string, peer = editor): readonly number[] =>
  peer.notices.flatMap(({ method, params }) => {
    if (method !== "textDocument/publishDiagnostics") return [];
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shape that LSP gives these notices; the assertions look at all of it
    const published = params as { readonly uri: string; readonly diagnostics: readonly unknown[] };
    return published.uri === uri ? [published.diagnostics.length] : [];
  });

suite("diagnostics: notes that are not open", () => {
  test("each missing file is flagged where it stands, with its cause; what is there, in code or outside is not", async () => {
    world.notes.write(
      "/media/diary/b.md",
      "# B\n\n![](../m/photo.png)\n\nsee ![](../m/none.png) and ![[deep one.png]]\n\n`![](../m/code.png)`\n",
    );
    world.notes.write("/media/diary/c.md", "![](../m/photo.png)\n");
    await editor.begin("/media");
    const [one, ...more] = await editor.diagnostics(OTHER, (found) => found.length > 0);
    assert.deepEqual(more, []);
    assert.deepEqual([one?.code, one?.range.start, one?.range.end], ["never", { line: 4, character: 8 }, { line: 4, character: 21 }]);
    assert.deepEqual(told("file:///media/diary/c.md"), [], "a note without anything wrong is not told of");
  });

  test("a file that comes, goes, and a note that changes or goes: told once each", async () => {
    world.notes.write("/media/diary/b.md", "![](../m/none.png)\n");
    await editor.begin("/media", {}, WATCHES);
    await editor.diagnostics(OTHER, (found) => codes(found).join() === "never");
    const asked = editor.until(() => (told(OTHER).length > 1 ? true : undefined));
    world.memory.at("m").folder.write("none.png", "now it is there");
    await world.memory.sync("m");
    await asked;
    assert.deepEqual(await editor.diagnostics(OTHER), []);

    world.notes.write("/media/diary/b.md", "![](../m/none.png) ![](../m/gone.png) ![](../m/lost.png)\n");
    editor.tell("workspace/didChangeWatchedFiles", { changes: [{ uri: OTHER, type: 2 }] });
    await editor.diagnostics(OTHER, (found) => codes(found).join() === "never,never");
    world.notes.texts.delete("/media/diary/b.md");
    editor.tell("workspace/didChangeWatchedFiles", { changes: [{ uri: OTHER, type: 3 }] });
    await editor.diagnostics(OTHER, (found) => found.length === 0);
    assert.deepEqual(told(OTHER), [1, 0, 2, 0]);
  });

  test("an editor that can watch is asked to tell of notes; another is not", async () => {
    const asked: string[] = [];
    editor.onRequest = (method) => {
      asked.push(method);
      return null;
    };
    world.notes.write("/media/diary/b.md", "![](../m/none.png)\n");
    await editor.begin("/media", {}, WATCHES);
    await editor.diagnostics(OTHER, (found) => found.length === 1);
    assert.deepEqual(asked, ["client/registerCapability"]);
    const other = await LspPeer.inside(world.session);
    other.onRequest = (method) => assert.fail(method);
    await other.begin("/media");
    await other.diagnostics(OTHER, (found) => found.length === 1);
    await other.close();
  });

  test("opening a note hands it over to its text in the editor, closing it back to the disk", async () => {
    world.notes.write("/media/a.md", "![](m/none.png)\n");
    await editor.begin("/media");
    await editor.diagnostics(NOTE, (found) => found.length === 1);
    editor.openNote(NOTE, "![](m/none.png) ![](m/other.png)\n");
    await editor.diagnostics(NOTE, (found) => found.length === 2);
    editor.closeNote(NOTE);
    await editor.diagnostics(NOTE, (found) => found.length === 1);
    assert.deepEqual(told(NOTE), [1, 2, 1], "nothing went and came back between");
  });

  test("the editor's own check stands for open notes alone; without the option nothing is told of closed ones", async () => {
    world.notes.write("/media/a.md", "![](m/none.png)\n");
    world.notes.write("/media/diary/b.md", "![](../m/none.png)\n");
    await editor.begin("/media", { standDown: ["diagnostics"] });
    await editor.diagnostics(OTHER, (found) => found.length === 1);
    editor.openNote(NOTE, "![](m/none.png)\n");
    await editor.diagnostics(NOTE, (found) => found.length === 0);
    const off = await LspPeer.inside(world.session);
    await off.begin("/media", { workspaceDiagnostics: false });
    off.openNote(NOTE, "![](m/none.png)\n");
    await off.diagnostics(NOTE, (found) => found.length === 1);
    assert.deepEqual(told(OTHER, off), []);
    await off.close();
  });

  test("a workspace that has nothing to do with a media folder is not walked through", async () => {
    world.notes.write("/work/deep/readme.md", "![[photo.png]] ![[none.png]]\n");
    const { reads } = world.notes;
    await editor.begin("/work/deep");
    // Another session's answer comes after this one's look would have: both wait the same time.
    const near = await LspPeer.inside(world.session);
    world.notes.write("/media/diary/b.md", "![](../m/none.png)\n");
    await near.begin("/media");
    await near.diagnostics(OTHER, (found) => found.length === 1);
    await near.close();
    assert.deepEqual(told("file:///work/deep/readme.md"), []);
    assert.equal(world.notes.reads, reads + 1, "only the note of the other session's workspace was read");
  });
});
