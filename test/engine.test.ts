import assert from "node:assert/strict";
import { test } from "node:test";

import { UNKNOWN } from "../service/core/model.ts";
import { DiskError, RemoteError, type FaultPoint } from "../service/core/ports.ts";
import { runFolder } from "../service/engine/run.ts";
import { StoreError } from "../service/store/errors.ts";
import { lookForUndo } from "./support/undo.ts";
import { openDevice } from "./support/memory-device.ts";
import { assertConverged, pair } from "./support/memory-pair.ts";
import { sha1 } from "./support/memory-folder.ts";
import { memoryRemote } from "./support/memory-remote.ts";

test("runFolder() L1 a save, an edit and a deletion reach the other device", async () => {
  const { account, a, b } = pair();
  for (let index = 0; index < 60; index += 1) a.folder.write(`f${index}.png`, `bytes ${index}`);
  const first = await a.sync();
  assert.equal(first.summary.result, "insync");
  assert.equal(first.summary.uploadedFiles, 60);
  assert.equal((await b.sync()).summary.downloadedFiles, 60);
  b.folder.write("f1.png", "edited");
  b.folder.remove("f2.png");
  await b.sync();
  const back = await a.sync();
  assert.equal(back.summary.downloadedFiles, 1);
  assert.equal(back.summary.deletedLocal, 1);
  assert.equal(a.folder.text("f1.png"), "edited");
  assert.equal(Buffer.from(a.folder.kept.get(sha1("bytes 2")) ?? "").toString(), "bytes 2", "N1");
  assertConverged(account, a, b);
  assert.equal(a.parts.rows.pending.count(), 0);
});

test("runFolder() a second sync without changes asks once and moves nothing", async () => {
  const { a, remoteA } = pair();
  a.folder.write("x.png", "x");
  await a.sync();
  remoteA.calls.length = 0;
  const end = await a.sync();
  assert.deepEqual(remoteA.calls, ["state"]);
  assert.equal(end.summary.uploadedFiles + end.summary.downloadedFiles, 0);
});

test("runFolder() N7 equal bytes added on both sides are no conflict and travel once", async () => {
  const { account, a, b, remoteB } = pair();
  a.folder.write("same.png", "same");
  b.folder.write("same.png", "same");
  await a.sync();
  const end = await b.sync();
  assert.equal(end.summary.conflicts, 0);
  assert.ok(!remoteB.calls.includes("download") && !remoteB.calls.includes("upload"));
  assertConverged(account, a, b);
});

test("runFolder() S1 CT18 keep-both: both edits stand on every device, under one copy name", async () => {
  const { account, a, b } = pair();
  a.folder.write("p.png", "one");
  await a.sync();
  await b.sync();
  a.folder.write("p.png", "laptop's");
  b.folder.write("p.png", "desktop's");
  await a.sync();
  const end = await b.sync();
  assert.equal(end.summary.result, "conflicts");
  assert.equal(end.summary.conflicts, 1);
  await a.sync();
  assertConverged(account, a, b);
  assert.equal(b.folder.text("p.png"), "laptop's");
  const copy = [...b.folder.files.keys()].find((path) => path.includes(".conflict-"));
  assert.match(copy ?? "", /^p\.conflict-20260102T\d{6}Z-desktop-[0-9a-f]{4}\.png$/);
  assert.equal(b.folder.text(copy ?? ""), "desktop's");
  assert.equal(b.parts.rows.conflicts.openCount(), 1);
  assert.equal((await b.sync()).summary.result, "insync", "old conflicts alone leave a folder in sync");
});

for (const policy of ["remote-wins", "local-wins"] as const)
  test(`runFolder() S1 ${policy}: one side stands, the other's bytes are kept, a row tells the story`, async () => {
    const { account, a, b } = pair();
    b.policy = policy;
    a.folder.write("p.png", "one");
    await a.sync();
    await b.sync();
    a.folder.write("p.png", "laptop's");
    b.folder.write("p.png", "desktop's");
    await a.sync();
    await b.sync();
    await a.sync();
    assertConverged(account, a, b);
    assert.equal(b.folder.text("p.png"), policy === "remote-wins" ? "laptop's" : "desktop's");
    assert.ok(b.folder.kept.has(sha1(policy === "remote-wins" ? "desktop's" : "laptop's")), "the loser is kept");
    assert.equal(b.parts.rows.conflicts.list({ open: false }).length, 1);
    assert.equal(b.folder.files.size, 1);
  });

test("runFolder() CT17 an edit beats a deletion, in both directions", async () => {
  const { account, a, b } = pair();
  for (const name of ["x", "y", "z"]) a.folder.write(name, "old");
  await a.sync();
  await b.sync();
  a.folder.write("x", "edited here");
  b.folder.remove("x");
  a.folder.remove("y");
  b.folder.write("y", "edited there");
  await b.sync();
  await a.sync();
  await b.sync();
  assert.equal(a.folder.text("x"), "edited here");
  assert.equal(a.folder.text("y"), "edited there");
  assertConverged(account, a, b);
});

test("runFolder() W31 PR01 the echo of an own upload whose reply was lost never undoes a newer edit", async () => {
  const { account, a, remoteA } = pair();
  a.folder.write("p.png", "one");
  await a.sync();
  a.folder.write("p.png", "two");
  remoteA.after = () => {
    throw new RemoteError("retry", "the reply was lost");
  };
  assert.equal((await a.sync()).summary.result, "failed");
  assert.equal(account.text("p.png"), "two");
  remoteA.after = () => {};
  a.folder.write("p.png", "three");
  const end = await a.sync();
  assert.equal(end.summary.conflicts, 0, "no copy of our own past");
  assert.equal(account.text("p.png"), "three");
  assert.equal(a.folder.text("p.png"), "three");
});

test("runFolder() W31 a deletion right after a lost upload reply is not undone by the echo", async () => {
  const { account, a, remoteA } = pair();
  a.folder.write("keep.png", "k");
  await a.sync();
  a.folder.write("p.png", "one");
  remoteA.after = () => {
    throw new RemoteError("retry", "the reply was lost");
  };
  await a.sync();
  remoteA.after = () => {};
  a.folder.remove("p.png");
  await a.sync();
  assert.equal(account.text("p.png"), null);
  assert.equal(a.folder.text("p.png"), null);
});

test("runFolder() S2 another device's upload between our fetch and our upload is not overwritten", async () => {
  const { account, a, b, remoteA } = pair();
  a.folder.write("p.png", "one");
  await a.sync();
  await b.sync();
  a.folder.write("p.png", "laptop's");
  b.folder.write("p.png", "desktop's");
  let raced = false;
  const others: Promise<unknown>[] = [];
  remoteA.before = (call) => {
    if (call === "upload" && !raced) {
      raced = true;
      account.put("p.png", Buffer.from("desktop's"));
    }
  };
  const end = await a.sync();
  await Promise.all(others);
  assert.equal(end.summary.conflicts, 1);
  await b.sync();
  await a.sync();
  assertConverged(account, a, b);
  assert.deepEqual([...a.folder.files.keys()].length, 2);
});

test("runFolder() S14 a mass deletion here waits, the rest goes on; approve lets it go, reject brings it back", async () => {
  for (const answer of ["approve", "reject"] as const) {
    const { account, a, b } = pair();
    for (let index = 0; index < 20; index += 1) a.folder.write(`f${index}`, `bytes ${index}`);
    await a.sync();
    await b.sync();
    for (let index = 0; index < 12; index += 1) a.folder.remove(`f${index}`);
    a.folder.write("new", "new");
    const end = await a.sync();
    assert.equal(end.summary.result, "held");
    assert.equal(account.text("new"), "new");
    assert.equal(account.text("f0"), "bytes 0");
    const [hold] = a.parts.rows.holds.list("held");
    assert.equal(hold?.paths.length, 12);
    assert.equal(hold?.reason, "manyDeletions");
    if (answer === "approve") a.state.transaction(() => a.parts.rows.holds.update(hold?.id ?? 0, "approved"));
    else
      a.state.transaction(() => {
        for (const path of hold?.paths ?? []) a.parts.rows.base.remove(path);
        a.parts.rows.holds.remove(hold?.id ?? 0);
      });
    assert.equal((await a.sync()).summary.result, "insync");
    assertConverged(account, a);
    assert.equal(a.folder.files.size, answer === "approve" ? 9 : 21);
    assert.deepEqual(a.parts.rows.holds.list("held"), []);
    const there = await b.sync();
    assert.equal(there.summary.result, answer === "approve" ? "held" : "insync", "the other device has a guard of its own");
    assert.equal(b.folder.files.size, 21);
  }
});

test("runFolder() S14 a hold that grows is told again, with the hash that an answer must name", async () => {
  const { a } = pair();
  for (let index = 0; index < 40; index += 1) a.folder.write(`f${index}`, `bytes ${index}`);
  await a.sync();
  const told: unknown[] = [];
  for (const count of [15, 15, 20]) {
    for (let index = 0; index < count; index += 1) a.folder.remove(`f${index}`);
    assert.equal((await a.sync()).summary.result, "held");
    const held = a.state.events.since(0, 1000).events.filter(({ kind }) => kind === "guard/held");
    told.push(held.length);
    assert.equal(JSON.stringify(held.at(-1)?.data).includes(a.parts.rows.holds.list("held")[0]?.hash ?? "none"), true);
  }
  assert.deepEqual(told, [1, 1, 2]);
});

test("runFolder() S14 a hold dissolves when the files come back by themselves", async () => {
  const { a } = pair();
  for (const name of ["x", "y"]) a.folder.write(name, name);
  await a.sync();
  a.folder.remove("x");
  a.folder.remove("y");
  assert.equal((await a.sync()).summary.result, "held");
  a.folder.write("x", "x");
  a.folder.write("y", "y");
  assert.equal((await a.sync()).summary.result, "insync");
  assert.deepEqual(a.parts.rows.holds.list("held"), []);
});

test("runFolder() PR25 renaming everything is no mass deletion and fetches nothing on the other side", async () => {
  const { account, a, b, remoteB } = pair();
  for (let index = 0; index < 30; index += 1) a.folder.write(`f${index}`, `bytes ${index}`);
  await a.sync();
  await b.sync();
  for (let index = 0; index < 30; index += 1) {
    a.folder.remove(`f${index}`);
    a.folder.write(`g${index}`, `bytes ${index}`);
  }
  assert.equal((await a.sync()).summary.result, "insync");
  remoteB.calls.length = 0;
  assert.equal((await b.sync()).summary.result, "insync");
  assert.ok(!remoteB.calls.includes("download"), "N7: the bytes are here");
  assertConverged(account, a, b);
});

for (const [state, reason] of [
  ["missing", "rootMissing"],
  ["replaced", "rootReplaced"],
  ["markerGone", "markerGone"],
] as const)
  test(`checkRoot() S14 root ${state} with its files gone: the whole folder waits, nothing is concluded`, async () => {
    const { account, a } = pair();
    for (const name of ["x", "y", "z"]) a.folder.write(name, name);
    await a.sync();
    const files = new Map(a.folder.files);
    a.folder.files.clear();
    a.folder.rootState = state;
    const end = await a.sync();
    assert.equal(end.summary.result, "held");
    assert.equal(end.summary.fault, reason);
    assert.equal(account.text("x"), "x");
    for (const [path, file] of files) a.folder.files.set(path, file);
    if (state === "missing") a.folder.rootState = "ok";
    assert.equal((await a.sync()).summary.result, "insync", "with every file back the marker is made again");
    assert.deepEqual(a.parts.rows.holds.list("held"), []);
  });

test("runFolder() W2 N2 a file that becomes empty or unreadable is a problem, never a deletion", async () => {
  const { account, a, b } = pair();
  for (const name of ["x", "y"]) a.folder.write(name, name);
  await a.sync();
  await b.sync();
  a.folder.troubles.set("x", "empty");
  const end = await a.sync();
  assert.equal(end.summary.result, "problems");
  assert.equal(a.parts.rows.pending.row("x").local, UNKNOWN);
  account.put("x", Buffer.from("newer there"));
  await a.sync();
  assert.equal(a.folder.text("x"), "x", "not overwritten while it can't be told");
  a.folder.troubles.clear();
  await a.sync();
  assert.equal(a.folder.text("x"), "newer there");
  assert.equal(a.parts.rows.problems.count(), 0);
});

test("runFolder() N8 bytes that are not the announced ones reach no path", async () => {
  const { account, a, b } = pair();
  a.folder.write("p", "p");
  await a.sync();
  const row = account.rows.get("p");
  if (row !== undefined) row.bytes = Buffer.from("rotten");
  const end = await b.sync();
  assert.equal(end.summary.result, "problems");
  assert.equal(b.folder.text("p"), null);
  assert.equal(b.parts.rows.problems.get("p")[0]?.reason, "hashMismatch");
  if (row !== undefined) row.bytes = Buffer.from("p");
  await b.sync();
  assert.equal(b.folder.text("p"), "p");
});

test("runFolder() S3 bytes written in the instant of a replace become a visible copy", async () => {
  const { account, a, b } = pair();
  a.folder.write("p", "one");
  await a.sync();
  await b.sync();
  a.folder.write("p", "two");
  await a.sync();
  b.folder.beforeStep = (step) => {
    if (step.path === "p") b.folder.write("p", "in the last instant");
    b.folder.beforeStep = () => {};
  };
  await b.sync();
  await b.sync();
  await a.sync();
  assertConverged(account, a, b);
  assert.ok([...b.folder.files.values()].some((file) => Buffer.from(file.bytes).toString() === "in the last instant"));
});

test("runFolder() RELIABILITY 3.8 a path that an editor has just re-created is left alone, then synced", async () => {
  const { account, a, b } = pair();
  a.folder.write("p", "one");
  await a.sync();
  await b.sync();
  a.folder.write("p", "two");
  await a.sync();
  b.folder.restless.add("p");
  const end = await b.sync();
  assert.equal(b.folder.text("p"), "one");
  assert.equal(end.workLeft, true);
  b.folder.restless.clear();
  await b.sync();
  assertConverged(account, a, b);
});

const POINTS: readonly FaultPoint[] = [
  "fetch/beforeCommit",
  "apply/beforeIntent",
  "apply/afterIntent",
  "apply/beforeCommit",
  "upload/beforeIntent",
  "upload/afterIntent",
];
for (const point of POINTS)
  test(`recoverFolder() N5 S8 killed at ${point}: the next start ends in the same state by itself`, async () => {
    const { account, a, b } = pair();
    for (const name of ["edit", "conflict", "gone", "stay"]) a.folder.write(name, "one");
    await a.sync();
    await b.sync();
    b.folder.write("edit", "two");
    b.folder.write("conflict", "desktop's");
    b.folder.remove("gone");
    await b.sync();
    a.folder.write("conflict", "laptop's");
    a.folder.write("mine", "mine");
    let image: Buffer | null = null;
    a.faults = (at) => {
      if (at !== point || image !== null) return false;
      image = a.state.serialize();
      throw new Error("killed");
    };
    await a.sync();
    assert.ok(image !== null, `${point} was never reached`);
    const again = await a.restart(image);
    await again.sync();
    await again.sync();
    await b.sync();
    await again.sync();
    assertConverged(account, again, b);
    assert.equal(again.folder.text("edit"), "two");
    assert.equal(again.folder.text("gone"), null);
    assert.equal([...again.folder.files.keys()].filter((path) => path.includes(".conflict-")).length, 1, "one copy, whatever happened");
    assert.equal(again.parts.rows.conflicts.openCount(), 1);
  });

test("recoverFolder() N3 S8 a power cut that keeps the replace and loses the copy before it: the copy is made from what was kept (simulator seed 902920)", async () => {
  const { account, a, b } = pair();
  a.folder.write("p", "one");
  await a.sync();
  await b.sync();
  b.folder.write("p", "desktop's");
  await b.sync();
  a.folder.write("p", "laptop's");
  let image: Buffer | null = null;
  a.faults = (at) => {
    if (at !== "apply/beforeCommit" || image !== null) return false;
    image = a.state.serialize();
    throw new Error("killed");
  };
  await a.sync();
  assert.ok(image !== null);
  const copy = [...a.folder.files.keys()].find((path) => path.includes(".conflict-"));
  assert.ok(copy !== undefined);
  a.folder.remove(copy);
  const again = await a.restart(image);
  assert.equal(again.folder.text(copy), "laptop's");
  await again.sync();
  await b.sync();
  await again.sync();
  assertConverged(account, again, b);
  assert.equal(b.folder.text(copy), "laptop's");
  assert.deepEqual(
    again.parts.rows.conflicts.list({ open: true }).map(({ copyPath }) => copyPath),
    [copy],
  );
});

test("runFolder() N6 a lost database is rebuilt from disk and remote: equal files adopted, nothing deleted", async () => {
  const { account, a, b } = pair();
  for (const name of ["x", "y"]) a.folder.write(name, name);
  await a.sync();
  await b.sync();
  b.folder.remove("y");
  const fresh = openDevice("desktop", memoryRemote(account), { folder: b.folder, clock: b.clock });
  const end = await fresh.sync();
  assert.equal(end.summary.conflicts, 0);
  assert.equal(end.summary.downloadedFiles, 1, "what is missing here comes back");
  assertConverged(account, a, fresh);
});

test("runFolder() ignored paths are neither applied nor deleted (FN27)", async () => {
  const { account, a } = pair();
  account.put(".git~2f_hooks~2f_x", Buffer.from("evil"));
  await a.sync();
  assert.equal(a.folder.files.size, 0);
  assert.equal(account.text(".git~2f_hooks~2f_x"), "evil");
});

test("runFolder() DK02 a disk that refuses to take what came ends the run with a word on what to do", async () => {
  const { account, a } = pair();
  account.put("x.png", Buffer.from("x"));
  for (const [fault, next] of [
    ["readOnly", /refused\. .*Make it writable again; it is tried again/],
    ["tooManyOpen", /refused\. .*open more files \(`ulimit -n`\)/],
  ] as const) {
    const stage = async () => await Promise.reject(new DiskError(fault, "Could not write /f/.satchel/put-1: refused."));
    const parts = { ...a.parts, applier: { ...a.folder.applier, stage } };
    const how = { scan: true, rehash: false, waitSettle: false, ask: true, origin: "user" } as const;
    const { summary, retry } = await runFolder(parts, how, AbortSignal.any([]));
    assert.deepEqual([summary.result, summary.fault, retry], ["failed", "disk", true]);
    assert.match(summary.error ?? "", next);
  }
  await a.sync();
  assert.equal(a.folder.text("x.png"), "x");
});

test("undoLast() takes back what the last run removed or replaced, and can be undone itself", async () => {
  const { a, b } = pair();
  for (const name of ["x", "y", "z"]) a.folder.write(name, "old");
  await a.sync();
  await b.sync();
  a.folder.write("x", "new");
  a.folder.remove("y");
  await a.sync();
  await b.sync();
  assert.deepEqual(await lookForUndo(b), { undone: ["x", "y"], skipped: 0 });
  assert.equal(b.folder.text("x"), "old");
  assert.equal(b.folder.text("y"), "old");
  assert.deepEqual(await lookForUndo(b), { undone: ["x", "y"], skipped: 0 });
  assert.equal(b.folder.text("x"), "new");
  assert.equal(b.folder.text("y"), null);
});

test("runFolder() a run that somebody asked for asks the remote, whatever the stream has told", async () => {
  const { a, b, remoteB } = pair();
  a.folder.write("x", "x");
  await a.sync();
  await b.sync();
  a.folder.write("y", "y");
  await a.sync();
  remoteB.calls.length = 0;
  const believing = { ...b.parts, streamIsCurrent: () => true };
  const options = { scan: false, rehash: false, waitSettle: false, origin: "user" } as const;
  await runFolder(believing, { ...options, ask: false }, AbortSignal.any([]));
  assert.deepEqual(remoteB.calls, [], "an own save does not ask");
  await runFolder(believing, { ...options, ask: true }, AbortSignal.any([]));
  assert.equal(b.folder.text("y"), "y");
});

test("runFolder() DB02 a state that can't be written ends the run in words, not the service", async () => {
  const { a } = pair();
  a.folder.write("x", "x");
  const refusing = {
    ...a.parts.state,
    transaction: <T>(work: () => T): T => {
      a.parts.state.transaction(work);
      throw new StoreError("full", "Could not write to the state: the disk is full.");
    },
  };
  const end = await runFolder(
    { ...a.parts, state: refusing },
    { scan: true, rehash: false, waitSettle: false, ask: true, origin: "user" },
    AbortSignal.any([]),
  );
  assert.equal(end.summary.result, "failed");
  assert.equal(end.summary.fault, "diskFull");
  assert.equal(end.retry, true);
  assert.match(end.summary.error ?? "", /make room/);
});
