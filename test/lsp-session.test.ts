import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { openLanguageSession } from "../service/lsp/session.ts";
import { findReferences } from "../service/notes/references.ts";
import { LspPeer, type Diagnostic, type Json, type Range } from "./support/lsp-peer.ts";
import { openMemoryEngine, type MemoryEngine } from "./support/memory-engine.ts";
import { MemoryNotes } from "./support/memory-notes.ts";

type Action = {
  readonly title: string;
  readonly isPreferred?: boolean;
  readonly edit?: { readonly documentChanges: readonly Changed[] };
  readonly command?: { readonly command: string; readonly arguments: readonly unknown[] };
};
type Changed = {
  readonly textDocument?: { readonly uri: string; readonly version: number | null };
  readonly edits?: readonly { readonly range: Range; readonly newText: string }[];
  readonly kind?: string;
  readonly oldUri?: string;
  readonly newUri?: string;
};
type Location = { readonly uri: string; readonly range: Range };

const NOTE = "file:///media/a.md";
const ROOT = "/media/m";
const PNG = Buffer.from("pretend");

let memory: MemoryEngine;
let notes: MemoryNotes;
let editor: LspPeer;
const faults: unknown[] = [];
const find = async (text: string): Promise<ReturnType<typeof findReferences>> => await Promise.resolve(findReferences(text));

/** The workspace is /media, the folder /media/m. */
beforeEach(async () => {
  faults.length = 0;
  notes = new MemoryNotes();
  memory = await openMemoryEngine(["m"], { notes: { disk: notes, find } });
  notes.others = (absolute) =>
    absolute.startsWith(`${ROOT}/`) ? (memory.at("m").folder.files.get(absolute.slice(ROOT.length + 1))?.bytes ?? null) : null;
  for (const name of ["photo.png", "sub/deep one.png", "song.mp3"]) memory.at("m").folder.write(name, name);
  await memory.sync("m");
  editor = await LspPeer.inside(session);
});
afterEach(async () => {
  await editor.close();
  await memory.engine.close();
  assert.deepEqual(faults, []);
});

async function session(peer: Parameters<typeof openLanguageSession>[1]): ReturnType<Parameters<typeof LspPeer.inside>[0]> {
  return await Promise.resolve(
    openLanguageSession({ engine: memory.engine, notes: { disk: notes, find }, report: (error) => faults.push(error) }, peer),
  );
}

async function begin(options: Json = {}, capabilities?: Json): Promise<void> {
  await editor.begin("/media", options, capabilities);
}

/** Where `mark` begins in the text, plus one. */
function at(text: string, mark: string): { readonly line: number; readonly character: number } {
  const lines = text.slice(0, text.indexOf(mark) + 1).split("\n");
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
}

function slice(text: string, { start, end }: Range): string {
  return (text.split("\n")[start.line] ?? "").slice(start.character, end.character);
}

async function flagged(text: string, count: number): Promise<readonly Diagnostic[]> {
  editor.openNote(NOTE, text);
  return await editor.diagnostics(NOTE, (found) => found.length === count);
}

async function actionsAt(text: string, mark: string, diagnostics: readonly Diagnostic[] = []): Promise<readonly Action[]> {
  const position = at(text, mark);
  const params = { textDocument: { uri: NOTE }, range: { start: position, end: position }, context: { diagnostics } };
  return (await editor.call<readonly Action[] | null>("textDocument/codeAction", params)) ?? [];
}

/** The feed tells of a file, and fetching it fails until `before` is lifted. */
async function onRemoteAlone(name: string, bytes: Uint8Array): Promise<void> {
  const { account, remote } = memory.at("m");
  account.put(name, bytes);
  remote.before = (call) => {
    if (call === "download") throw new RemoteError("offline", "The server can't be reached.");
  };
  await memory.sync("m");
}

/** Time goes on while the work is under way: runs wait for it. */
async function meanwhile(work: Promise<unknown>): Promise<void> {
  const under = new Set([work]);
  const end = work.finally(() => under.delete(work));
  while (under.size > 0) await memory.clock.advance(100);
  await end;
}

function changesOf({ edit }: Json): readonly Changed[] {
  assert.ok(typeof edit === "object" && edit !== null && "documentChanges" in edit && Array.isArray(edit.documentChanges));
  return edit.documentChanges;
}

const position = (text: string, mark: string): Json => ({ textDocument: { uri: NOTE }, position: at(text, mark) });

suite("diagnostics: the cause", () => {
  test("never seen, present, outside, code", async () => {
    await begin();
    const text = "![](m/photo.png) ![](m/none.png) ![](x/y.png) `![](m/code.png)` ![[deep one.png]] [sound:none.mp3] [n](m/other.md)\n";
    const found = await flagged(text, 2);
    assert.deepEqual(
      found.map(({ range, code, severity }) => [slice(text, range), code, severity]),
      [
        ["m/none.png", "never", 2],
        ["none.mp3", "never", 2],
      ],
    );
  });

  test("on the remote, with its size; the quick fix fetches it and the flag goes", async () => {
    await begin();
    await onRemoteAlone("far.png", Buffer.alloc(2_500_000));
    const text = "![](m/far.png)\n";
    const [found] = await flagged(text, 1);
    assert.deepEqual(
      [found?.code, found?.severity, found?.message],
      ["remote", 3, "far.png is on the remote (2.5 MB) and not fetched yet."],
    );
    const [fetch] = await actionsAt(
      text,
      "m/far",
      [found].filter((one) => one !== undefined),
    );
    assert.equal(fetch?.title, "Fetch far.png now");
    memory.at("m").remote.before = () => undefined;
    await meanwhile(editor.call("workspace/executeCommand", fetch.command));
    assert.equal(memory.at("m").folder.files.get("far.png")?.bytes.length, 2_500_000);
    await editor.diagnostics(NOTE, (list) => list.length === 0);
  });

  test("a fetch that fails says why", async () => {
    await begin();
    await onRemoteAlone("far.png", PNG);
    const text = "![](m/far.png)\n";
    await flagged(text, 1);
    const [fetch] = await actionsAt(text, "m/far");
    await meanwhile(editor.call("workspace/executeCommand", fetch?.command));
    const said = editor.notices.find(({ method }) => method === "window/showMessage");
    assert.match(JSON.stringify(said), /far\.png was not fetched\. The server can't be reached\./);
  });

  test("deleted on another device, its bytes kept; the quick fix restores them", async () => {
    await begin();
    memory.at("m").account.put("photo.png", null);
    await memory.sync("m");
    const text = "![](m/photo.png)\n";
    const [found] = await flagged(text, 1);
    assert.equal(found?.code, "deleted");
    assert.match(found.message, /^photo\.png was deleted on another device; that arrived here on .*\. Its bytes are kept\.$/);
    const [restore] = await actionsAt(text, "m/photo");
    assert.match(restore?.title ?? "", /^Restore photo\.png \(9 B, kept on /);
    await editor.call("workspace/executeCommand", restore?.command);
    assert.equal(memory.at("m").folder.text("photo.png"), "photo.png");
    await editor.diagnostics(NOTE, (list) => list.length === 0);
  });

  test("renamed: the link is changed in one edit, spelled as it was", async () => {
    await begin({ offerRenames: false });
    memory.at("m").folder.remove("photo.png");
    memory.at("m").folder.write("sub/a (1).png", "photo.png");
    await memory.sync("m");
    const text = "![](./m/photo.png) <img src='m/photo.png'>\n";
    const found = await flagged(text, 2);
    assert.match(found[0]?.message ?? "", /the same file is now sub\/a \(1\)\.png/);
    const [change, all] = await actionsAt(text, "./m");
    assert.deepEqual(
      [change?.title, change?.isPreferred, all?.title],
      ["Change the link to sub/a (1).png", true, "Update all links to photo.png"],
    );
    assert.deepEqual(
      change?.edit?.documentChanges[0]?.edits?.map(({ newText }) => newText),
      ["./m/sub/a%20%281%29.png"],
    );
  });

  test("never seen: names that may be meant are offered", async () => {
    await begin();
    const text = "![](m/Foto.png) ![[deep-one.jpg]]\n";
    await flagged(text, 2);
    assert.deepEqual(
      (await actionsAt(text, "deep-one")).map(({ title, edit }) => [title, edit?.documentChanges[0]?.edits?.[0]?.newText]),
      [["Change the link to sub/deep one.png", "deep one.png"]],
    );
  });

  test("a conflict, and a file that other devices don't get", async () => {
    await begin();
    const { folder, account } = memory.at("m");
    folder.write("photo.png", "mine");
    account.put("photo.png", Buffer.from("theirs"));
    folder.troubles.set("huge.png", "tooLarge");
    folder.write("huge.png", "x");
    await memory.sync("m");
    const found = await flagged("![](m/photo.png) ![](m/huge.png)\n", 2);
    assert.deepEqual(
      found.map(({ code, severity }) => [code, severity]),
      [
        ["conflict", 3],
        ["tooLargeHere", 2],
      ],
    );
    assert.match(found[0]?.message ?? "", /changed on two devices; the other one stands beside it as photo\.conflict-/);
  });

  test("the editor checks links itself: only what has a cause of ours, and what it can't read", async () => {
    await begin({ standDown: ["diagnostics"] });
    memory.at("m").account.put("photo.png", null);
    await memory.sync("m");
    const found = await flagged("![](m/none.png) ![](m/photo.png) ![[lost.png]]\n", 2);
    assert.deepEqual(
      found.map(({ code }) => code),
      ["deleted", "never"],
    );
  });

  test("each session has its own text of a note; a closed note has no flags", async () => {
    await begin();
    const other = await LspPeer.inside(session);
    await other.begin("/media");
    await flagged("![](m/none.png)\n", 1);
    other.openNote(NOTE, "nothing\n");
    await other.diagnostics(NOTE, (list) => list.length === 0);
    await editor.diagnostics(NOTE, (list) => list.length === 1);
    editor.tell("textDocument/didClose", { textDocument: { uri: NOTE } });
    await editor.until(() => editor.notices.findLast(({ params }) => JSON.stringify(params).includes('"diagnostics":[]')));
    await other.close();
  });
});

suite("hover, completion, links", () => {
  const hover = async (text: string, mark: string): Promise<string> => {
    editor.openNote(NOTE, text);
    const told = await editor.call<{ readonly contents: { readonly value: string } } | null>("textDocument/hover", position(text, mark));
    return told?.contents.value ?? "";
  };
  const labels = async (text: string): Promise<readonly (readonly [string, string])[]> => {
    const cut = text.indexOf("|>");
    const written = text.slice(0, cut) + text.slice(cut + 2);
    editor.openNote(NOTE, written);
    const lines = text.slice(0, cut).split("\n");
    const told = await editor.call<{
      readonly items: readonly { readonly label: string; readonly textEdit: { readonly newText: string; readonly range: Range } }[];
    } | null>("textDocument/completion", {
      textDocument: { uri: NOTE },
      position: { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 },
    });
    return (told?.items ?? []).map(({ label, textEdit }) => [label, textEdit.newText] as const);
  };

  test("hover: the picture, its size and its state; a name is never markup", async () => {
    await begin({ previewWidth: 200 });
    const told = await hover("![](m/photo.png)\n", "m/photo");
    assert.match(
      told,
      /^\*\*photo\.png\*\*\n\n9 B · changed .* · in sync\n\n!\[photo\.png\]\(file:\/\/\/media\/m\/photo\.png\|width=200\)$/,
    );
    assert.match(await hover("[sound:<b>_x_.mp3]\n", "<b>"), /^\*\*\\<b\\>\\_x\\_\.mp3\*\*\n\n.*has never been seen/);
  });

  test("hover: inside the text for editors that can't open the file, plain for those that show no Markdown, none where the editor has its own", async () => {
    await begin({ preview: "data" });
    assert.match(await hover("![[photo.png]]\n", "photo"), /in sync\n\n!\[photo\.png\]\(data:image\/png;base64,cGhvdG8ucG5n\)$/);
    await editor.close();
    editor = await LspPeer.inside(session);
    await begin({ standDown: ["preview"] }, { textDocument: { hover: { contentFormat: ["plaintext"] } } });
    assert.match(await hover("![](m/photo.png)\n", "m/photo"), /^photo\.png\n9 B/);
  });

  test("completion: spelled for the place it stands in", async () => {
    await begin();
    assert.deepEqual(await labels("![[deep|>"), [["deep one.png", "deep one.png"]]);
    assert.deepEqual(await labels("![](|>"), [
      ["m/photo.png", "m/photo.png"],
      ["m/song.mp3", "m/song.mp3"],
      ["m/sub/deep one.png", "m/sub/deep%20one.png"],
    ]);
    assert.deepEqual(await labels("x ![a](<m/sub|>"), [["m/sub/deep one.png", "m/sub/deep one.png"]]);
    assert.deepEqual(await labels('<img src="m/ph|>'), [["m/photo.png", "m/photo.png"]]);
    assert.deepEqual(await labels("[sound:|>"), [["song.mp3", "song.mp3"]]);
    assert.deepEqual(await labels("no place |>"), []);
  });

  test("completion beside an editor's own: what only the remote has", async () => {
    await begin({ standDown: ["completion"] });
    await onRemoteAlone("far.png", PNG);
    assert.deepEqual(await labels("![](|>"), [["m/far.png", "m/far.png"]]);
    assert.deepEqual(await labels("![[photo|>"), [["photo.png", "photo.png"]]);
  });

  test("links to what stands here; beside an editor's own only what it would not find", async () => {
    const text = "![](m/photo.png) ![[deep one.png]] ![](m/none.png) [sound:song.mp3]\n";
    const links = async (): Promise<readonly string[]> => {
      editor.openNote(NOTE, text);
      const found = await editor.call<readonly { readonly target: string; readonly range: Range }[]>("textDocument/documentLink", {
        textDocument: { uri: NOTE },
      });
      return found.map(({ target, range }) => `${slice(text, range)} → ${target}`);
    };
    await begin();
    const named = ["deep one.png → file:///media/m/sub/deep%20one.png", "song.mp3 → file:///media/m/song.mp3"];
    assert.deepEqual(await links(), ["m/photo.png → file:///media/m/photo.png", ...named]);
    await editor.close();
    editor = await LspPeer.inside(session);
    await begin({ standDown: ["links"] });
    assert.deepEqual(await links(), named);
  });
});

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
    const all = (await actionsAt(open, "m/photo")).find(({ title }) => title === "Update all links to photo.png");
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
});
