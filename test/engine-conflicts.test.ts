import assert from "node:assert/strict";
import { test } from "node:test";

import { viewConflict } from "../service/engine/conflict-view.ts";
import { EngineError } from "../service/engine/errors.ts";
import { readBytes, removedPaths } from "../service/engine/kept-bytes.ts";
import { resolveConflict } from "../service/engine/resolve.ts";
import { undoLast } from "../service/engine/undo.ts";
import type { Device } from "./support/memory-device.ts";
import { sha1 } from "./support/memory-folder.ts";
import { assertConverged, pair } from "./support/memory-pair.ts";
import { lookForUndo } from "./support/undo.ts";

/** Both devices edited `p.png`; the desktop, which synced later, has the conflict. */
async function conflicted() {
  const world = pair();
  const { a, b } = world;
  a.folder.write("p.png", "before");
  await a.sync();
  await b.sync();
  a.folder.write("p.png", "laptop's");
  b.folder.write("p.png", "desktop's own");
  await a.sync();
  await b.sync();
  const [conflict] = b.parts.rows.conflicts.list({ open: true });
  assert.ok(conflict?.copyPath, "a conflict with a visible copy");
  return { ...world, conflict, copyPath: conflict.copyPath };
}

function slice(device: Device, text: string, from = 0, length = 100) {
  const asked = { sha1: sha1(text), offsetBytes: from, lengthBytes: length };
  return async (standing: boolean) => Buffer.from(await readBytes(device.parts.versions, standing ? device.parts : null, asked)).toString();
}

test("viewConflict() tells where both byte strings stand, how large they are, whose they are, and that they can be read", async () => {
  const { b, conflict, copyPath } = await conflicted();
  const view = viewConflict(b.parts, conflict);
  const { atMs: savedMs, ...mine } = view.mine;
  assert.deepEqual(mine, { sha1: sha1("desktop's own"), sizeBytes: 13, path: copyPath, readable: true, device: "desktop" });
  assert.ok(savedMs !== null && savedMs <= conflict.atMs);
  assert.deepEqual(view.theirs, {
    sha1: sha1("laptop's"),
    sizeBytes: 8,
    path: "p.png",
    readable: true,
    atMs: conflict.atMs,
    device: null,
  });
  assert.equal(view.base?.sha1, sha1("before"));
});

test("viewConflict() names the device that sent the other bytes, and when, where the remote tells; after a restart and a later edit too", async () => {
  const { account, a, b } = pair();
  a.folder.write("p.png", "before");
  await a.sync();
  await b.sync();
  b.folder.write("p.png", "desktop's own");
  const sent = { by: "phone", atMs: 1_700_000_000_000 };
  account.put("p.png", Buffer.from("phone's"), sent);
  account.put("other.png", Buffer.from("in nobody's way"), sent);
  await b.sync();
  const [conflict] = b.parts.rows.conflicts.list({ open: true });
  assert.ok(conflict !== undefined);
  const told = (device: Device): unknown[] => {
    const { mine, theirs } = viewConflict(device.parts, conflict);
    return [mine.device, theirs.device, theirs.atMs];
  };
  assert.deepEqual(told(b), ["desktop", "phone", sent.atMs]);
  assert.equal(b.parts.rows.remoteAuthors.get("other.png", sha1("in nobody's way")), null, "what is in nobody's way is not kept");
  account.put("p.png", Buffer.from("tablet's, in nobody's way"), { by: "tablet", atMs: sent.atMs + 1 });
  await b.sync();
  assert.equal(b.folder.text("p.png"), "tablet's, in nobody's way");
  assert.deepEqual(told(await b.restart()), ["desktop", "phone", sent.atMs]);
});

test("viewConflict() a device is named only for the very bytes that it sent; a key that was revoked has no name", async () => {
  const { account, b } = pair();
  account.put("p.png", Buffer.from("one"), { by: null, atMs: 5 });
  b.folder.write("p.png", "desktop's own");
  await b.sync();
  const [first] = b.parts.rows.conflicts.list({ open: true });
  assert.ok(first !== undefined);
  const { theirs } = viewConflict(b.parts, first);
  assert.deepEqual([theirs.device, theirs.atMs], [null, 5]);
  b.folder.write("p.png", "desktop's second");
  account.put("p.png", Buffer.from("two"), { by: "phone", atMs: 6 });
  await b.sync();
  const [second] = b.parts.rows.conflicts.list({ open: true });
  assert.ok(second !== undefined && second.id !== first.id);
  assert.equal(viewConflict(b.parts, second).theirs.device, "phone");
  const again = viewConflict(b.parts, first).theirs;
  assert.deepEqual([again.device, again.atMs], [null, first.atMs]);
});

test("viewConflict() bytes that are nowhere any more are not offered", async () => {
  const { b, conflict } = await conflicted();
  b.folder.write("p.png", "edited since");
  await b.sync();
  b.parts.state.transaction(() => b.parts.rows.versions.remove(sha1("laptop's")));
  const { theirs } = viewConflict(b.parts, conflict);
  assert.deepEqual([theirs.path, theirs.sizeBytes, theirs.readable], [null, null, false]);
});

test("readBytes() hands out kept bytes, and standing ones of the folder that is named; never those of a file that was changed", async () => {
  const { b } = await conflicted();
  const theirs = slice(b, "laptop's", 3, 4);
  assert.equal(await theirs(true), "top'");
  await assert.rejects(theirs(false), (error) => error instanceof EngineError && error.fault === "versionNotFound");
  assert.equal(await slice(b, "desktop's own", 8)(false), "s own");
  assert.equal(await slice(b, "desktop's own", 13)(false), "", "behind the end");
  b.folder.write("p.png", "edited, not looked at yet");
  await assert.rejects(theirs(true), (error) => error instanceof EngineError && error.fault === "versionNotFound");
});

test("resolveConflict() both, under a chosen name: the copy gets it, on every device", async () => {
  const { account, a, b, conflict, copyPath } = await conflicted();
  const resolved = await resolveConflict(b.parts, conflict.id, "both", "p (desktop).png");
  assert.deepEqual([resolved.state, resolved.resolution, resolved.copyPath], ["resolved", "both", "p (desktop).png"]);
  assert.equal(b.folder.text("p (desktop).png"), "desktop's own");
  assert.equal(b.folder.text("p.png"), "laptop's");
  assert.equal(b.folder.text(copyPath), null);
  await b.sync();
  await a.sync();
  assertConverged(account, a, b);
});

test("resolveConflict() both, under a name that is taken: refused, and nothing is touched", async () => {
  const { b, conflict, copyPath } = await conflicted();
  b.folder.write("taken.png", "another");
  await b.sync();
  await assert.rejects(
    resolveConflict(b.parts, conflict.id, "both", "taken.png"),
    (error) => error instanceof EngineError && error.fault === "exists",
  );
  await assert.rejects(
    resolveConflict(b.parts, conflict.id, "both", "p.png"),
    (error) => error instanceof EngineError && error.fault === "exists",
  );
  assert.equal(b.parts.rows.conflicts.get(conflict.id)?.state, "open");
  assert.deepEqual(
    ["taken.png", "p.png", copyPath].map((path) => b.folder.text(path)),
    ["another", "laptop's", "desktop's own"],
  );
});

test("resolveConflict() both, when the copy was removed meanwhile: the kept bytes come back under the chosen name", async () => {
  const { b, conflict, copyPath } = await conflicted();
  b.folder.remove(copyPath);
  await b.sync();
  await resolveConflict(b.parts, conflict.id, "both", "mine.png");
  assert.equal(b.folder.text("mine.png"), "desktop's own");
});

for (const keep of ["mine", "theirs"] as const)
  test(`undoLast() of a conflict answered with ${keep} opens it again; undone itself, it is answered as before`, async () => {
    const { account, a, b, conflict, copyPath } = await conflicted();
    const standing = (): unknown[] => {
      const { state, resolution } = b.parts.rows.conflicts.get(conflict.id) ?? {};
      return [state, resolution, b.folder.text("p.png"), b.folder.text(copyPath), b.parts.rows.conflicts.openCount()];
    };
    const open = ["open", null, "laptop's", "desktop's own", 1];
    assert.deepEqual(standing(), open);
    await resolveConflict(b.parts, conflict.id, keep);
    const answered = ["resolved", keep, keep === "mine" ? "desktop's own" : "laptop's", null, 0];
    assert.deepEqual(standing(), answered);
    const seen = b.state.events.lastSeq();
    await lookForUndo(b);
    assert.deepEqual(standing(), open);
    assert.deepEqual(
      b.state.events.since(seen, 10).events.map(({ kind }) => kind),
      ["undo", "conflict"],
    );
    await lookForUndo(b);
    assert.deepEqual(standing(), answered);
    await b.sync();
    await a.sync();
    assertConverged(account, a, b);
  });

test("undoLast() of the run that made a conflict gives ours the name, and no question is left; undone itself, it is open again", async () => {
  const { account, a, b, conflict, copyPath } = await conflicted();
  await lookForUndo(b);
  assert.deepEqual([b.folder.text("p.png"), b.folder.text(copyPath)], ["desktop's own", "desktop's own"]);
  assert.equal(b.parts.rows.conflicts.get(conflict.id)?.resolution, "mine");
  await lookForUndo(b);
  assert.deepEqual([b.folder.text("p.png"), b.parts.rows.conflicts.get(conflict.id)?.state], ["laptop's", "open"]);
  await b.sync();
  await a.sync();
  assertConverged(account, a, b);
});

test("undoLast() as a preview names what it would take back and does nothing", async () => {
  const { a, b } = pair();
  for (const name of ["x", "y"]) a.folder.write(name, "old");
  await a.sync();
  await b.sync();
  a.folder.write("x", "new");
  a.folder.remove("y");
  await a.sync();
  await b.sync();
  const before = b.state.events.lastSeq();
  const shown = await undoLast(b.parts, { preview: true });
  assert.deepEqual([shown.undone.toSorted(), shown.skipped], [["x", "y"], []]);
  assert.deepEqual([b.folder.text("x"), b.folder.text("y")], ["new", null]);
  assert.equal(b.state.events.lastSeq(), before);
  assert.deepEqual((await undoLast(b.parts)).undone.toSorted(), ["x", "y"]);
  assert.deepEqual([b.folder.text("x"), b.folder.text("y")], ["old", "old"]);
});

test("removedPaths() lists what is gone, newest first, each path once with the bytes kept last", async () => {
  const { a, b } = pair();
  for (const name of ["stays", "first", "second"]) a.folder.write(name, `${name} 1`);
  await a.sync();
  await b.sync();
  a.folder.write("first", "first 2");
  a.folder.write("stays", "stays 2");
  await a.sync();
  await b.sync();
  for (const name of ["first", "second"]) {
    a.folder.remove(name);
    await a.sync();
    await b.sync();
  }
  const gone = removedPaths(b.parts, 10);
  assert.deepEqual(
    gone.map(({ path, sha1: hash }) => [path, hash]),
    [
      ["second", sha1("second 1")],
      ["first", sha1("first 2")],
    ],
  );
  assert.deepEqual(
    removedPaths(b.parts, 1).map(({ path }) => path),
    ["second"],
  );
});
