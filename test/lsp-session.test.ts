import assert from "node:assert/strict";
import { afterEach, beforeEach, suite, test } from "node:test";

import { RemoteError } from "../service/core/ports.ts";
import { LspPeer, type Diagnostic, type Json, type Range } from "./support/lsp-peer.ts";
import { actionsAt, NOTE, openLspWorld, position, slice, type LspWorld } from "./support/lsp-world.ts";
import type { MemoryEngine } from "./support/memory-engine.ts";

const PNG = Buffer.from("pretend");

let world: LspWorld;
let memory: MemoryEngine;
let editor: LspPeer;

beforeEach(async () => {
  world = await openLspWorld();
  ({ memory } = world);
  editor = await LspPeer.inside(world.session);
});
afterEach(async () => {
  await editor.close();
  await world.close();
});

async function begin(options: Json = {}, capabilities?: Json): Promise<void> {
  await editor.begin("/media", options, capabilities);
}

async function flagged(text: string, count: number): Promise<readonly Diagnostic[]> {
  editor.openNote(NOTE, text);
  return await editor.diagnostics(NOTE, (found) => found.length === count);
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
      editor,
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
    const [fetch] = await actionsAt(editor, text, "m/far");
    await meanwhile(editor.call("workspace/executeCommand", fetch?.command));
    const said = editor.notices.find(({ method }) => method === "window/showMessage");
    assert.match(JSON.stringify(said), /far\.png was not fetched\. The server can't be reached\./);
  });

  test("deleted by a device that the server names: diagnostic and hover say who and when, in German too; the next nameless deletion is nobody's", async () => {
    await begin();
    memory.at("m").account.put("photo.png", null, { by: "desk [top]", atMs: Date.UTC(2026, 4, 3, 12) });
    await memory.sync("m");
    const text = "![](m/photo.png)\n";
    const [found] = await flagged(text, 1);
    assert.match(found?.message ?? "", /^photo\.png was deleted by desk \[top\] on 2026-05-0\d \d\d:\d\d\. Its bytes are kept\.$/);
    const german = await LspPeer.inside(world.session);
    await german.begin("/media", {}, undefined, "de");
    german.openNote(NOTE, text);
    const [told] = await german.diagnostics(NOTE, (list) => list.length === 1);
    assert.match(
      told?.message ?? "",
      /^photo\.png wurde am 2026-05-0\d \d\d:\d\d von desk \[top\] gelöscht\. Der Inhalt ist aufgehoben\.$/,
    );
    const hovered = await german.call<{ readonly contents: { readonly value: string } }>("textDocument/hover", position(text, "m/photo"));
    assert.ok(hovered.contents.value.includes(String.raw`von desk \[top\] gelöscht`), hovered.contents.value);
    await german.close();
    for (const bytes of [PNG, null]) {
      memory.at("m").account.put("photo.png", bytes);
      await memory.sync("m");
    }
    await editor.diagnostics(NOTE, ([one]) => one?.message.includes("was deleted on another device; that arrived here") === true);
  });

  test("deleted on another device, its bytes kept; the quick fix restores them", async () => {
    await begin();
    memory.at("m").account.put("photo.png", null);
    await memory.sync("m");
    const text = "![](m/photo.png)\n";
    const [found] = await flagged(text, 1);
    assert.equal(found?.code, "deleted");
    assert.match(found.message, /^photo\.png was deleted on another device; that arrived here on .*\. Its bytes are kept\.$/);
    const [restore] = await actionsAt(editor, text, "m/photo");
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
    const [change, all] = await actionsAt(editor, text, "./m");
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
      (await actionsAt(editor, text, "deep-one")).map(({ title, edit }) => [title, edit?.documentChanges[0]?.edits?.[0]?.newText]),
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
    const other = await LspPeer.inside(world.session);
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
    editor = await LspPeer.inside(world.session);
    await begin({ standDown: ["preview"] }, { textDocument: { hover: { contentFormat: ["plaintext"] } } });
    assert.match(await hover("![](m/photo.png)\n", "m/photo"), /^photo\.png\n9 B/);
  });

  test("l10n an editor in German is answered in German: hover, quick fix, completion", async () => {
    await editor.begin("/media", {}, undefined, "de-AT");
    await onRemoteAlone("far.png", PNG);
    assert.match(await hover("![[photo.png]]\n", "photo"), /geändert .* · abgeglichen/);
    const text = "![](m/far.png)\n";
    assert.match(await hover(text, "m/far"), /ist auf dem Server \\\(7 B\\\) und noch nicht geholt/);
    const [fetch] = await actionsAt(editor, text, "m/far");
    assert.equal(fetch?.title, "far.png jetzt holen");
  });

  test("l10n in German, what the service refuses and why a file is not synced too", async () => {
    await editor.begin("/media", {}, undefined, "de");
    const text = "![](m/away.png) ![[void.png]]\n";
    memory.at("m").folder.troubles.set("void.png", "empty");
    memory.at("m").folder.write("void.png", "");
    await memory.sync("m");
    assert.match(await hover(text, "void"), /Andere Geräte bekommen void\.png nicht\. Sie ist leer\./);
    await onRemoteAlone("away.png", PNG);
    const [fetch] = await actionsAt(editor, text, "m/away");
    await meanwhile(editor.call("workspace/executeCommand", fetch?.command));
    const OFFLINE = "away.png wurde nicht geholt. Der Server ist nicht erreichbar. Es wird von selbst wieder versucht.";
    const told = editor.notices.findLast(({ method }) => method === "window/showMessage");
    assert.deepEqual(told?.["params"], { type: 2, message: OFFLINE });
    await memory.engine.sync.pause("m");
    await editor.call("workspace/executeCommand", fetch?.command);
    const said = editor.notices.findLast(({ method }) => method === "window/showMessage");
    assert.deepEqual(said?.["params"], { type: 1, message: "Der Ordner pausiert. Setze ihn erst fort." });
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
    assert.deepEqual(await labels("[logo]: m/ph|>"), [["m/photo.png", "m/photo.png"]]);
    assert.deepEqual(await labels("> [logo]: <m/sub|>"), [["m/sub/deep one.png", "m/sub/deep one.png"]]);
    assert.deepEqual(await labels("no place |>"), []);
  });

  test("completion: never where media means nothing: in code, front matter, comments, behind a backslash", async () => {
    await begin();
    assert.deepEqual(await labels("![[deep|>"), [["deep one.png", "deep one.png"]]);
    for (const text of [
      "```\n![[deep|>\n```\n",
      "a `![[deep|>` b",
      "text\n\n    ![[deep|>\n",
      "- a\n  ~~~\n  ![](m/ph|>\n  ~~~\n",
      "---\ncover: ![[deep|>\n---\n",
      "<!-- [sound:so|> -->",
      String.raw`\![[deep|>`,
    ])
      assert.deepEqual(await labels(text), [], text);
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
    editor = await LspPeer.inside(world.session);
    await begin({ standDown: ["links"] });
    assert.deepEqual(await links(), named);
  });
});
