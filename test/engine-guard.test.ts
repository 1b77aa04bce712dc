/** Roots that go, come back or can't be read, and the user's answers about them. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { DiskError, RemoteError } from "../service/core/ports.ts";
import { EngineError } from "../service/engine/errors.ts";
import { openMemoryEngine, type MemoryEngine } from "./support/memory-engine.ts";

/** A folder of three files that is in sync, and nobody touches any more. */
async function inSync(): Promise<MemoryEngine> {
  const memory = await openMemoryEngine(["f"]);
  const { folder, account } = memory.at("f");
  await memory.clock.settle();
  for (const name of ["a.png", "b.png", "c.png"]) folder.write(name, `bytes of ${name}`);
  await memory.sync("f");
  assert.equal(account.rows.size, 3);
  return memory;
}

function onlyHold({ engine }: MemoryEngine) {
  const [hold, ...more] = engine.guard.list("f");
  assert.ok(hold !== undefined && more.length === 0, `${more.length} more holds`);
  return hold;
}

test("checkRoot() S14 a root that can't be read is told as that, nothing is deleted, and it comes back by itself", async () => {
  const memory = await inSync();
  const { engine, clock, at } = memory;
  const { folder, account } = at("f");
  folder.rootState = "unreadable";
  const bytes = new Map(folder.files);
  folder.files.clear();
  const [run] = await memory.sync("f");
  assert.deepEqual([run?.result, run?.fault], ["failed", "unreadable"]);
  assert.match(run?.error ?? "", /can't be read.*chmod/);
  assert.deepEqual(engine.guard.list("f"), [], "no question that a person could not answer");
  assert.deepEqual([engine.folders.get("f").state, engine.folders.get("f").fault], ["error", "unreadable"]);
  // An hour of failures, and still it is looked at every quarter of a minute.
  await clock.advance(3_600_000);
  assert.equal(account.text("a.png"), "bytes of a.png");
  for (const [path, file] of bytes) folder.files.set(path, file);
  folder.write("later.png", "changed while nobody could look");
  folder.rootState = "ok";
  await clock.advance(15_000);
  assert.equal(engine.folders.get("f").state, "insync");
  assert.equal(account.text("later.png"), "changed while nobody could look");
  assert.equal(account.rows.size, 4);
  await engine.close();
});

test("observe() N2 a root that can be entered but not listed is the same trouble", async () => {
  const memory = await inSync();
  const { engine, at } = memory;
  const { local } = at("f").folder;
  const observeAll = local.observeAll.bind(local);
  local.observeAll = () => {
    throw new DiskError("access", "Could not list /media/f: permission denied (EACCES).");
  };
  const [run] = await memory.sync("f");
  assert.deepEqual([run?.result, run?.fault], ["failed", "unreadable"]);
  local.observeAll = observeAll;
  assert.equal((await memory.sync("f"))[0]?.result, "insync");
  await engine.close();
});

test("guard.reject S14 markerGone: the files come back, and nothing is asked again when their absence settles", async () => {
  const memory = await inSync();
  const { engine, clock, at } = memory;
  const { folder, account } = at("f");
  folder.looksBeforeGone = 2;
  folder.files.clear();
  folder.rootState = "markerGone";
  await memory.sync("f");
  const hold = onlyHold(memory);
  assert.deepEqual([hold.scope, hold.reason], ["folder", "markerGone"]);
  await engine.guard.reject(hold.id, hold.hash);
  await clock.advance(60_000);
  for (let round = 0; round < 4; round += 1) await memory.sync("f");
  assert.deepEqual(engine.guard.list("f"), []);
  assert.equal(folder.text("a.png"), "bytes of a.png");
  assert.deepEqual([folder.files.size, account.rows.size], [3, 3]);
  await engine.close();
});

test("guard.reject markerGone: what does stand and was edited stays edited", async () => {
  const memory = await inSync();
  const { engine, clock, at } = memory;
  const { folder, account } = at("f");
  folder.files.delete("a.png");
  folder.write("b.png", "edited");
  folder.rootState = "markerGone";
  await memory.sync("f");
  const hold = onlyHold(memory);
  await engine.guard.reject(hold.id, hold.hash);
  await clock.advance(60_000);
  assert.equal(folder.text("a.png"), "bytes of a.png");
  assert.equal(folder.text("b.png"), "edited");
  assert.equal(account.text("b.png"), "edited");
  assert.equal(folder.files.size, 3, "no conflict with our own past");
  await engine.close();
});

test("status() whatever a folder says in words, it says by a closed word too: not opened, nobody signed in, no remote, offline", async () => {
  const TOOK = new EngineError("rootLocked", "Another service has it.");
  const memory = await openMemoryEngine(["taken", "out", "far", "none"], {
    before: (one) => {
      if (one.id === "taken") one.openFails = TOOK;
    },
  });
  const { engine, at, settings } = memory;
  at("far").remote.before = () => {
    throw new RemoteError("offline", "The server can't be reached.");
  };
  await memory.sync("far");
  await engine.remotes.logout("out@memory");
  await settings.saveFolders(settings.folders().map((one) => (one.id === "none" ? { ...one, remote: null } : one)));
  const told = engine.folders.list().map(({ folder, detail, fault }) => [folder, detail?.slice(0, 12), fault]);
  assert.deepEqual(told, [
    ["taken", "Another serv", "rootLocked"],
    ["out", "Nobody is si", "auth"],
    ["far", "The server c", "offline"],
    ["none", "No remote is", "noRemote"],
  ]);
  assert.deepEqual(
    (await memory.sync(null)).map(({ root, fault }) => [root, fault]),
    [
      ["/media/taken", "rootLocked"],
      ["/media/out", "auth"],
      ["/media/far", "offline"],
    ],
  );
  await engine.close();
});

test("guard.reject rootMissing: refused in words that say what to do, the question stays", async () => {
  const memory = await inSync();
  const { engine, at } = memory;
  at("f").folder.rootState = "missing";
  await memory.sync("f");
  const hold = onlyHold(memory);
  assert.equal(hold.reason, "rootMissing");
  await assert.rejects(engine.guard.reject(hold.id, hold.hash), (error: Error) => {
    assert.match(error.message, /not there.*Mount it/);
    return "fault" in error && error.fault === "disk";
  });
  assert.equal(onlyHold(memory).id, hold.id);
  at("f").folder.rootState = "ok";
  assert.equal((await memory.sync("f"))[0]?.result, "insync");
  assert.deepEqual(engine.guard.list("f"), []);
  await engine.close();
});

test("guard.reject otherServer: refused in words that say what to do", async () => {
  const memory = await inSync();
  const { engine, at } = memory;
  at("f").account.serverId = "server-2";
  await memory.sync("f");
  const hold = onlyHold(memory);
  await assert.rejects(engine.guard.reject(hold.id, hold.hash), /no files to bring back.*old server back.*approve/);
  assert.equal(onlyHold(memory).id, hold.id);
  await engine.close();
});

test("Folder: events are to be had again seconds after the root was away, not minutes", async () => {
  const memory = await inSync();
  const { engine, clock, at } = memory;
  const one = at("f");
  assert.equal(engine.folders.get("f").watching, "events");
  one.folder.rootState = "missing";
  one.watchFails = new DiskError("notFound", "Could not watch /media/f: it is not a folder (any more).");
  one.hint?.({ kind: "gone" });
  await clock.advance(60_000);
  assert.equal(engine.folders.get("f").watching, "timed");
  one.folder.rootState = "ok";
  one.watchFails = null;
  await clock.advance(15_000);
  assert.deepEqual([engine.folders.get("f").watching, engine.folders.get("f").state], ["events", "insync"]);
  // Replaced in one go: the watch follows within two seconds.
  one.hint?.({ kind: "gone" });
  await clock.advance(2_000);
  assert.equal(engine.folders.get("f").watching, "events");
  await engine.close();
});
