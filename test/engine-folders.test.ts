/** Which folders are refused, and in which words. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { EngineError } from "../service/engine/errors.ts";
import { openMemoryEngine, OWN_DIRECTORIES, type MemoryEngine } from "./support/memory-engine.ts";

/** Adding and moving alike are refused with `fault`, and nothing is saved. */
async function assertRefused({ engine, settings }: MemoryEngine, root: string, fault: string, words: RegExp): Promise<void> {
  const before = settings.folders();
  const refused = (error: unknown): boolean => {
    assert.ok(error instanceof EngineError, String(error));
    assert.equal(error.fault, fault, root);
    assert.match(error.message, words);
    return true;
  };
  await assert.rejects(engine.folders.add({ root, remote: null, policy: "keep-both", paused: false }), refused);
  await assert.rejects(engine.folders.update("f", { root }), refused);
  assert.deepEqual(settings.folders(), before);
}

test("folders.add update X3 a folder that is, holds or lies in one of Satchel's own directories is refused", async () => {
  const memory = await openMemoryEngine(["f"]);
  for (const own of OWN_DIRECTORIES) {
    await assertRefused(memory, own, "nested", /Satchel keeps its own files.*Choose a folder outside/);
    await assertRefused(memory, `${own}/versions/media`, "nested", /Satchel keeps its own files.*Choose a folder outside/);
  }
  for (const above of ["/home/ada", "/home/ada/.config", "/home/ada/.local/state", "/"])
    await assertRefused(memory, above, "nested", /own files.*in it and would be uploaded.*Choose the folder in it.*SATCHEL_HOME/);
  // Beside them, even with a name that begins alike, is outside.
  for (const root of ["/home/ada/.config/satchel-media", "/home/ada/media"])
    assert.equal((await memory.engine.folders.update("f", { root })).root, root);
  await memory.engine.close();
});

test("createEngine() X3 a configured folder that holds Satchel's own files by now waits with the reason: nothing is looked at or sent", async () => {
  const memory = await openMemoryEngine(["above", "in", "link", "f"], {
    ownDirectories: ["/media/above/state", "/media/in"],
    realRoot: async (path) => await Promise.resolve(path === "/media/link" ? "/media/above/state/versions" : path),
    before: (one) => one.folder.write("key", "secret"),
  });
  const { engine, clock, at } = memory;
  const told = () => engine.folders.list().map(({ folder, state, fault }) => [folder, state, fault]);
  await memory.sync(null);
  await clock.advance(60_000);
  assert.deepEqual(told(), [
    ["above", "error", "nested"],
    ["in", "error", "nested"],
    ["link", "error", "nested"],
    ["f", "insync", null],
  ]);
  for (const id of ["above", "in", "link"]) {
    assert.equal(at(id).account.text("key"), null, id);
    assert.equal(at(id).hint, null, "nobody watches");
    assert.equal(engine.files.list({ folder: id, state: null, after: "", limit: 10 }).length, 0);
    assert.match(engine.folders.get(id).detail ?? "", /can't be a media folder: .*own files/);
    const [run] = await memory.sync(id);
    assert.deepEqual([run?.result, run?.fault], ["failed", "nested"]);
  }
  await engine.close();
});

test("files.list explain: an ignored path is told as ignored, seen before or not", async () => {
  const memory = await openMemoryEngine(["f"]);
  const { engine, at } = memory;
  for (const name of ["a.png", "b.tmp"]) at("f").folder.write(name, name);
  await memory.sync("f");
  at("f").ignored.add("b.tmp").add("never.tmp");
  const listed = (state: "ignored" | "synced" | "pending" | null) =>
    engine.files.list({ folder: "f", state, after: "", limit: 10 }).map((file) => [file.path, file.state]);
  assert.deepEqual(listed(null), [
    ["a.png", "synced"],
    ["b.tmp", "ignored"],
  ]);
  assert.deepEqual([listed("ignored"), listed("pending")], [[["b.tmp", "ignored"]], []]);
  const states = ["a.png", "b.tmp", "never.tmp", "none"].map((path) => engine.files.explain("f", path).state);
  assert.deepEqual(states, ["synced", "ignored", "ignored", "pending"]);
  await engine.close();
});

test("folders.add update: a folder in or around another media folder is refused", async () => {
  const memory = await openMemoryEngine(["f", "g"]);
  for (const root of ["/media/g/sub", "/media"]) await assertRefused(memory, root, "nested", /lie inside one another/);
  await memory.engine.close();
});

test("folders.add update: a second folder on one account is refused", async () => {
  const memory = await openMemoryEngine(["f", "g"]);
  const { engine, settings } = memory;
  const before = settings.folders();
  const refused = { fault: "remoteTaken", message: /\/media\/f is synced with f@memory already.*another account/ };
  await assert.rejects(engine.folders.add({ root: "/media/h", remote: "f@memory", policy: "keep-both", paused: false }), refused);
  await assert.rejects(engine.folders.update("g", { remote: "f@memory" }), refused);
  assert.deepEqual(settings.folders(), before);
  await engine.close();
});
