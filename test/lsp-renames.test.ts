import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";

import { LspPeer, type Json, type Range } from "./support/lsp-peer.ts";
import { actionsAt, NOTE, openLspWorld, position, slice, type Changed, type LspWorld } from "./support/lsp-world.ts";
import type { MemoryEngine } from "./support/memory-engine.ts";
import type { MemoryNotes } from "./support/memory-notes.ts";

type Location = { readonly uri: string; readonly range: Range };

let world: LspWorld;
let memory: MemoryEngine;
let notes: MemoryNotes;
let editor: LspPeer;

beforeEach(async () => {
  world = await openLspWorld();
  ({ memory, notes } = world);
  editor = await LspPeer.inside(world.session);
});
afterEach(async () => {
  await editor.close();
  await world.close();
});

async function begin(options: Json = {}, capabilities?: Json): Promise<void> {
  await editor.begin("/media", options, capabilities);
}

function changesOf({ edit }: Json): readonly Changed[] {
  assert.ok(typeof edit === "object" && edit !== null && "documentChanges" in edit && Array.isArray(edit.documentChanges));
  return edit.documentChanges;
}

suite("references and renames", () => {
  const open = "See ![](m/photo.png) and ![[photo.png|100]].\n";
  beforeEach(() => {
    notes.write("/media/a.md", "an older text on disk\n");
    notes.write("/media/deep/b.md", "[p](../m/photo.png#x 'T')\n<img src=\"/m/photo.png\">\n`m/photo.png`\n");
    notes.write("/media/.hidden/c.md", "![](../m/photo.png)\n");
    notes.write("/media/d.md", "![[m/photo.png]] [d]: m/photo.png\n\n[d]: <m/photo.png>\n");
  });
  const told = (changes: readonly Changed[]): readonly unknown[] =>
    changes.map(({ textDocument, edits, kind, newUri }) =>
      kind === "rename" ? newUri : [textDocument?.uri, textDocument?.version, ...(edits ?? []).map(({ newText }) => newText)],
    );
  const EVERYWHERE = (name: string): readonly unknown[] => [
    [NOTE, 1, `m/${name}`, name],
    ["file:///media/d.md", null, `m/${name}`, `m/${name}`],
    ["file:///media/deep/b.md", null, `../m/${name}`, `/m/${name}`],
  ];

  test("references of a file from a link, and by its address", async () => {
    await begin();
    editor.openNote(NOTE, open);
    const found = await editor.call<readonly Location[]>("textDocument/references", {
      ...position(open, "m/photo"),
      context: { includeDeclaration: true },
    });
    const places = found.map(({ uri, range }) => `${uri}:${range.start.line}:${range.start.character}`);
    assert.deepEqual(places, [
      `${NOTE}:0:8`,
      `${NOTE}:0:28`,
      "file:///media/d.md:0:3",
      "file:///media/d.md:2:6",
      "file:///media/deep/b.md:0:4",
      "file:///media/deep/b.md:1:10",
    ]);
    assert.deepEqual(await editor.call("satchel/references", { uri: "file:///media/m/photo.png" }), found);
    assert.deepEqual(await editor.call("satchel/references", { uri: "file:///elsewhere/photo.png" }), []);
  });

  test("a second look reads only notes that have changed", async () => {
    await begin();
    await editor.call("satchel/references", { uri: "file:///media/m/nowhere.png" });
    const { reads } = notes;
    await editor.call("satchel/references", { uri: "file:///media/m/nowhere.png" });
    assert.equal(notes.reads, reads);
    notes.write("/media/d.md", "![[nowhere.png]]\n");
    const found = await editor.call<readonly Location[]>("satchel/references", { uri: "file:///media/m/nowhere.png" });
    assert.deepEqual(
      found.map(({ uri }) => uri),
      ["file:///media/d.md"],
    );
  });

  test("a second window on the same workspace reads no note again, whether it begins later or at the same time", async () => {
    const nowhere = { uri: "file:///media/m/nowhere.png" };
    await begin();
    await Promise.all([editor.call("satchel/references", nowhere), editor.call("satchel/references", nowhere)]);
    const { reads } = notes;
    assert.equal(reads, 3, "one read for each note");
    const second = await LspPeer.inside(world.session);
    await second.begin("/media");
    await second.call("satchel/references", nowhere);
    await second.close();
    assert.equal(notes.reads, reads);
  });

  test("rename from a link: the file and every link in one edit", async () => {
    await begin();
    editor.openNote(NOTE, open);
    const prepared = await editor.call<{ readonly placeholder: string; readonly range: Range }>(
      "textDocument/prepareRename",
      position(open, "m/photo"),
    );
    assert.deepEqual([prepared.placeholder, slice(open, prepared.range)], ["photo.png", "m/photo.png"]);
    const edit = await editor.call<{ readonly documentChanges: readonly Changed[] }>("textDocument/rename", {
      ...position(open, "m/photo"),
      newName: "new.png",
    });
    assert.deepEqual(told(edit.documentChanges), [...EVERYWHERE("new.png"), "file:///media/m/new.png"]);
    const moved = await editor.call<{ readonly documentChanges: readonly Changed[] }>("textDocument/rename", {
      ...position(open, "m/photo"),
      newName: "sub/new.png",
    });
    assert.equal(told(moved.documentChanges).at(-1), "file:///media/m/sub/new.png");
  });

  test("rename: a name that is taken or leads outside is refused in words", async () => {
    await begin();
    editor.openNote(NOTE, open);
    for (const [newName, why] of [
      ["song.mp3", "is taken by another file"],
      ["../x.png", "leads out of its folder"],
      [" ", "leads out of its folder"],
    ] as const) {
      const answer = await editor.ask("textDocument/rename", { ...position(open, "m/photo"), newName });
      assert.match(JSON.stringify(answer["error"]), new RegExp(`photo\\.png can't be renamed to .*${why}`));
    }
  });

  test("rename in an editor that can't rename files: the service does, the editor gets the links", async () => {
    await begin({}, { workspace: { workspaceEdit: {} } });
    editor.openNote(NOTE, open);
    const edit = await editor.call<{ readonly changes: Readonly<Record<string, readonly unknown[]>> }>("textDocument/rename", {
      ...position(open, "m/photo"),
      newName: "new.png",
    });
    assert.deepEqual(Object.keys(edit.changes), [NOTE, "file:///media/d.md", "file:///media/deep/b.md"]);
    assert.equal(memory.at("m").folder.text("new.png"), "photo.png");
    assert.equal(memory.at("m").folder.text("photo.png"), null);
  });

  test("a rename in the editor's list of files, of the file and of a directory above it", async () => {
    await begin();
    editor.openNote(NOTE, open);
    const rename = async (from: string, to: string): Promise<readonly unknown[]> => {
      const edit = await editor.call<{ readonly documentChanges: readonly Changed[] } | null>("workspace/willRenameFiles", {
        files: [{ oldUri: `file:///media/${from}`, newUri: `file:///media/${to}` }],
      });
      return told(edit?.documentChanges ?? []);
    };
    assert.deepEqual(await rename("m/photo.png", "m/new.png"), EVERYWHERE("new.png"));
    assert.deepEqual(await rename("unrelated.txt", "other.txt"), []);
    const [, , below] = await rename("m", "pictures");
    assert.deepEqual(below, ["file:///media/deep/b.md", null, "../pictures/photo.png", "/pictures/photo.png"]);
  });

  test("beside an editor that updates links itself, only embeds and sounds are ours", async () => {
    await begin({ standDown: ["rename"] });
    editor.openNote(NOTE, open);
    const edit = await editor.call<{ readonly documentChanges: readonly Changed[] }>("workspace/willRenameFiles", {
      files: [{ oldUri: "file:///media/m/photo.png", newUri: "file:///media/m/new.png" }],
    });
    assert.deepEqual(told(edit.documentChanges), [
      [NOTE, 1, "new.png"],
      ["file:///media/d.md", null, "m/new.png"],
    ]);
  });

  test("renamed on another device: offered once, and left where the user says so", async () => {
    await begin();
    editor.openNote(NOTE, open);
    await editor.diagnostics(NOTE, (list) => list.length === 0);
    const asked: string[] = [];
    const answered = Promise.withResolvers<void>();
    editor.onRequest = (method, params) => {
      if (method !== "window/showMessageRequest") return assert.fail(method);
      asked.push(String(params["message"]));
      answered.resolve();
      return { title: "Leave them" };
    };
    const { account } = memory.at("m");
    account.put("photo.png", null);
    account.put("moved.png", Buffer.from("photo.png"));
    await memory.sync("m");
    await answered.promise;
    memory.at("m").folder.write("more.png", "more");
    await memory.sync("m");
    await editor.diagnostics(NOTE, (list) => list.length === 2 && list[0]?.code === "renamed");
    assert.deepEqual(asked, ["photo.png was renamed to moved.png. Update 6 links in 3 notes?"]);
  });

  test("the quick fix for all links of a renamed file: one edit, applied by the editor", async () => {
    await begin({ offerRenames: false });
    memory.at("m").folder.remove("photo.png");
    memory.at("m").folder.write("new.png", "photo.png");
    await memory.sync("m");
    editor.openNote(NOTE, open);
    await editor.diagnostics(NOTE, (list) => list[0]?.code === "renamed");
    const all = (await actionsAt(editor, open, "m/photo")).find(({ title }) => title === "Update all links to photo.png");
    const edits: unknown[] = [];
    editor.onRequest = (method, params) => {
      edits.push(method, ...told(changesOf(params)));
      return { applied: true };
    };
    await editor.call("workspace/executeCommand", all?.command);
    assert.deepEqual(edits, ["workspace/applyEdit", ...EVERYWHERE("new.png")]);
  });

  test("an editor that refuses the edit: said in words", async () => {
    await begin({ offerRenames: false });
    memory.at("m").folder.remove("photo.png");
    memory.at("m").folder.write("new.png", "photo.png");
    await memory.sync("m");
    editor.onRequest = () => ({ applied: false, failureReason: "a.md has changed" });
    await editor.call("workspace/executeCommand", {
      command: "satchel.notes.follow",
      arguments: [{ from: "/media/m/photo.png", to: "/media/m/new.png" }],
    });
    const said = JSON.stringify(editor.notices.filter(({ method }) => method === "window/showMessage"));
    assert.match(said, /The links were not changed: the editor refused the edit \(a\.md has changed\)\. Try again\./);
  });

  test("a note that goes elsewhere keeps its pictures; where the editor sees to it, it is left alone", async () => {
    const move = async (from: string, to: string): Promise<readonly unknown[]> => {
      const edit = await editor.call<{ readonly documentChanges: readonly Changed[] } | null>("workspace/willRenameFiles", {
        files: [{ oldUri: `file:///media/${from}`, newUri: `file:///media/${to}` }],
      });
      return told(edit?.documentChanges ?? []);
    };
    await begin();
    editor.openNote(NOTE, "![](./m/photo.png) ![[photo.png]] ![](/m/photo.png) ![](x/other.png)\n");
    assert.deepEqual(await move("a.md", "deep/er/a.md"), [[NOTE, 1, "../../m/photo.png"]]);
    assert.deepEqual(await move("deep/b.md", "b.md"), [["file:///media/deep/b.md", null, "m/photo.png"]]);
    assert.deepEqual(await move("a.md", "z.md"), []);
    await editor.close();
    editor = await LspPeer.inside(world.session);
    await begin({ standDown: ["rename"] });
    assert.deepEqual(await move("deep/b.md", "b.md"), []);
  });
});
