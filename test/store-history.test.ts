import assert from "node:assert/strict";
import path from "node:path";
import { test, type TestContext } from "node:test";

import Database from "better-sqlite3";

import { type Conflict, type Hold, type RunSummary, type Version } from "../service/core/model.ts";
import { openState } from "../service/store/open.ts";
import { changeOf, directory, faultOf, memory, sha } from "./support/store-rows.ts";

const RUN: RunSummary = {
  run: "r1",
  folder: "f1",
  root: "/m",
  result: "insync",
  uploadedFiles: 1,
  uploadedBytes: 2,
  downloadedFiles: 3,
  downloadedBytes: 4,
  deletedLocal: 5,
  deletedRemote: 6,
  conflicts: 0,
  problems: 1,
  durationMs: 12,
  startedAtMs: 1000,
  error: null,
  fault: null,
};

test("changes.append() S20 numbers are contiguous over folders and transactions, and a rollback leaves no hole", (t) => {
  const { state, folder } = memory(t);
  const other = state.folder("f2");
  const first = state.transaction(() => [folder.changes.append(changeOf("a", "1")), other.changes.append(changeOf("b", "2"))]);
  assert.throws(() =>
    state.transaction(() => {
      folder.changes.append(changeOf("lost", "x"));
      throw new Error("no");
    }),
  );
  const second = state.transaction(() => folder.changes.append(changeOf("a", null, 9)));
  assert.deepEqual([...first, second], [1, 2, 3]);
  assert.deepEqual(state.changesSince(1, 10), [
    { ...changeOf("b", "2"), seq: 2, folder: "f2" },
    { ...changeOf("a", null, 9), seq: 3, folder: "f1" },
  ]);
  assert.deepEqual(
    folder.changes.since(0, 10).map((change) => change.seq),
    [1, 3],
  );
  assert.deepEqual(
    folder.changes.ofPath("a", 1).map((change) => change.seq),
    [3],
  );
  assert.equal(state.checkChangeLog(), null);
});

test("changes.knows() N3 only bytes that stood at this path of this folder", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.changes.append(changeOf("a", "old"));
    folder.changes.append(changeOf("a", "new"));
    folder.changes.append(changeOf("img-2ya8.png", "twin"));
    state.folder("f2").changes.append(changeOf("a", "elsewhere"));
  });
  const asked = [
    ["a", "old", true],
    ["a", "new", true],
    ["a", "elsewhere", false],
    ["b", "old", false],
    // These two paths have the same path_hash in the first folder.
    ["img-2ya8.png", "twin", true],
    ["img-zki6.png", "twin", false],
  ] as const;
  for (const [name, text, expected] of asked) assert.equal(folder.changes.knows(name, sha(text)), expected, `${name} ${text}`);
  assert.deepEqual(folder.changes.ofPath("img-zki6.png", 5), []);
});

test("changes.ofPath() and knows() N3 answer the same however many rows are not filed yet, and when what was filed is rolled back", (t) => {
  const { state, folder } = memory(t);
  const append = (count: number, text: string): void => {
    for (let row = 0; row < count; row++) folder.changes.append(changeOf(`p${row % 5}`, `${text}${row}`));
  };
  const newest = (): readonly number[] => folder.changes.ofPath("p0", 2).map((change) => change.seq);
  state.transaction(() => append(50, "x"));
  assert.deepEqual(newest(), [46, 41]);
  state.transaction(() => append(50, "y"));
  assert.deepEqual(newest(), [96, 91]);
  assert.throws(() =>
    state.transaction(() => {
      append(100, "lost");
      assert.deepEqual(newest(), [196, 191]);
      throw new Error("no");
    }),
  );
  assert.deepEqual(newest(), [96, 91]);
  state.transaction(() => append(100, "z"));
  assert.deepEqual(newest(), [196, 191]);
  const asked = ["x0", "y45", "z95", "lost0", "x1"];
  assert.deepEqual(
    asked.map((text) => folder.changes.knows("p0", sha(text))),
    [true, true, true, false, false],
  );
  assert.equal(folder.changes.ofPath("p0", 1000).length, 40);
});

/** A log of three transactions (rows 1, 2–601, 602) in a file, closed; the triggers are gone, so that a test can damage it. */
function damagedLog(t: TestContext, damage: string): number | null {
  const file = path.join(directory(t), "state.db");
  const state = openState({ path: file, now: () => 0 });
  const folder = state.folder("f1");
  state.transaction(() => folder.changes.append(changeOf("a", "1")));
  state.transaction(() => {
    for (let count = 0; count < 600; count++) folder.changes.append(changeOf(`b${count}`, "2"));
  });
  state.transaction(() => folder.changes.append(changeOf("c\uFFFF\uD800\0", "3")));
  assert.equal(state.checkChangeLog(), null);
  state.close();
  const db = new Database(file);
  const triggers = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all();
  for (const trigger of triggers) db.exec(`DROP TRIGGER ${trigger}`);
  db.exec(damage);
  db.close();
  const again = openState({ path: file, now: () => 0 });
  try {
    return again.checkChangeLog();
  } finally {
    again.close();
  }
}

test("checkChangeLog() S20 names the first bad number", (t) => {
  const table: readonly (readonly [what: string, damage: string, bad: number | null])[] = [
    ["untouched", "SELECT 1", null],
    ["a row was changed", "UPDATE change SET path = 'x' WHERE seq = 300", 2],
    ["a date was changed", "UPDATE change SET at_ms = 2 WHERE seq = 602", 602],
    ["a row is missing", "DELETE FROM change WHERE seq = 300", 300],
    [
      "a row was added behind",
      "INSERT INTO change SELECT 603, folder, path, 0, kind, sha1, size_bytes, origin, at_ms FROM change WHERE seq = 1",
      603,
    ],
    ["a link is missing", "DELETE FROM change_link WHERE last_seq = 601", 2],
    ["a link was forged", "UPDATE change_link SET hash = randomblob(32) WHERE last_seq = 1", 1],
  ];
  for (const [what, damage, bad] of table) assert.equal(damagedLog(t, damage), bad, what);
});

test("change log S20 the database itself refuses UPDATE and DELETE", (t) => {
  const file = path.join(directory(t), "state.db");
  const state = openState({ path: file, now: () => 0 });
  state.transaction(() => state.folder("f").changes.append(changeOf("a", "1")));
  state.close();
  const db = new Database(file);
  const statements = [
    "UPDATE change SET path = 'x'",
    "DELETE FROM change",
    "UPDATE change_link SET last_seq = 9",
    "DELETE FROM change_link",
  ];
  for (const sql of statements) assert.throws(() => db.exec(sql), /append-only/, sql);
  db.close();
});

test("cursor.get() N10 is what was put, in the transaction that put it", (t) => {
  const { state, folder } = memory(t);
  const cursor = { serverId: "s", epoch: null, position: "12", generation: 3, full: true };
  assert.equal(folder.cursor.get(), undefined);
  assert.throws(() =>
    state.transaction(() => {
      folder.cursor.put(cursor);
      throw new Error("no");
    }),
  );
  assert.equal(folder.cursor.get(), undefined);
  state.transaction(() => folder.cursor.put(cursor));
  state.transaction(() => folder.cursor.put({ ...cursor, position: "13", full: false }));
  assert.deepEqual(folder.cursor.get(), { ...cursor, position: "13", full: false });
  state.transaction(() => folder.cursor.clear());
  assert.equal(folder.cursor.get(), undefined);
});

test("uploadIntents: oldest first, removed up to a number, numbers never come again", (t) => {
  const { state, folder } = memory(t);
  const [one, two, other] = state.transaction(() => [
    folder.uploadIntents.add("a", sha("1"), "r1"),
    folder.uploadIntents.add("a", null, "r2"),
    folder.uploadIntents.add("b", sha("2"), "r2"),
  ]);
  assert.ok(one !== undefined && two !== undefined && other !== undefined);
  assert.deepEqual(folder.uploadIntents.ofPath("a"), [
    { id: one, path: "a", sha1: sha("1"), run: "r1" },
    { id: two, path: "a", sha1: null, run: "r2" },
  ]);
  state.transaction(() => folder.uploadIntents.removeUpTo("a", one));
  assert.deepEqual(
    folder.uploadIntents.all().map((intent) => intent.id),
    [two, other],
  );
  state.transaction(() => folder.uploadIntents.removeUpTo("b", other));
  assert.ok(state.transaction(() => folder.uploadIntents.add("c", null, "r3")) > other);
});

test("intents N3 N5 those of one transaction go one by one, survive a new start at each step, and a rollback brings them back", (t) => {
  const { state, folder } = memory(t);
  const names = Array.from({ length: 1500 }, (_, index) => `n${String(index).padStart(4, "0")}`);
  const put = { sha1: sha("1"), expectSha1: null, temp: "/t", movesBase: true, origin: "apply", run: "r" } as const;
  const ids = state.transaction(() =>
    names.map((name) => {
      folder.applyIntents.put({ ...put, path: name });
      return folder.uploadIntents.add(name, sha(name), "r");
    }),
  );
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    ids,
  );
  assert.equal(new Set(ids).size, names.length);
  const standing = (left: readonly string[]): void => {
    const again = openState({ path: state.serialize(), now: () => 0 });
    for (const each of [folder, again.folder("f1")]) {
      assert.deepEqual(
        each.uploadIntents.all().map((intent) => [intent.id, intent.path, intent.sha1]),
        left.map((name) => [ids[names.indexOf(name)], name, sha(name)]),
      );
      assert.deepEqual(
        each.applyIntents.all(),
        left.map((name) => ({ path: name, ...put })),
      );
    }
    again.close();
  };
  standing(names);
  const remove = (gone: readonly string[]): void => {
    for (const name of gone) {
      folder.uploadIntents.removeUpTo(name, ids[names.indexOf(name)] ?? 0);
      folder.applyIntents.remove(name);
    }
  };
  state.transaction(() => remove(names.slice(0, 400)));
  standing(names.slice(400));
  assert.throws(() =>
    state.transaction(() => {
      remove(names.slice(400));
      throw new Error("no");
    }),
  );
  standing(names.slice(400));
  state.transaction(() => remove(names.slice(400)));
  standing([]);
  const next = state.transaction(() => folder.uploadIntents.add("new", null, "r"));
  assert.ok(next > Math.max(...ids));
});

test("applyIntents: one per path, every field kept", (t) => {
  const { state, folder } = memory(t);
  const put = { path: "a", sha1: sha("1"), expectSha1: null, temp: "/m/.satchel/t", movesBase: true, origin: "apply", run: "r" } as const;
  const removal = { ...put, path: "b", sha1: null, expectSha1: sha("2"), temp: null, movesBase: false, origin: "restore" } as const;
  state.transaction(() => {
    folder.applyIntents.put({ ...put, run: "older" });
    folder.applyIntents.put(put);
    folder.applyIntents.put(removal);
  });
  assert.deepEqual(folder.applyIntents.all(), [put, removal]);
  state.transaction(() => folder.applyIntents.remove("a"));
  assert.deepEqual(folder.applyIntents.all(), [removal]);
});

test("conflicts: newest first, open ones counted, updates change only what they name", (t) => {
  const { state, folder } = memory(t);
  const hashes = { localSha1: sha("l"), remoteSha1: sha("r"), baseSha1: null };
  const conflict: Omit<Conflict, "id" | "folder"> = {
    path: "a",
    copyPath: "a.conflict",
    ...hashes,
    policy: "keep-both",
    state: "planned",
    resolution: null,
    atMs: 5,
    run: "r",
  };
  const [first, second] = state.transaction(() => [
    folder.conflicts.add(conflict),
    folder.conflicts.add({ ...conflict, path: "b", state: "open" }),
  ]);
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(folder.conflicts.get(first), { ...conflict, id: first, folder: "f1" });
  assert.equal(state.folder("f2").conflicts.get(first), undefined);
  assert.equal(folder.conflicts.openCount(), 1);
  state.transaction(() => folder.conflicts.update(first, { state: "open" }));
  assert.deepEqual(
    folder.conflicts.list({ open: true }).map((each) => each.id),
    [second, first],
  );
  state.transaction(() => folder.conflicts.update(second, { state: "resolved", resolution: "both", copyPath: null }));
  assert.equal(folder.conflicts.openCount(), 1);
  assert.deepEqual(folder.conflicts.ofPath("b"), [
    { ...conflict, path: "b", id: second, folder: "f1", state: "resolved", resolution: "both", copyPath: null },
  ]);
  assert.equal(folder.conflicts.list({ open: false }).length, 2);
  assert.equal(
    faultOf(() => state.transaction(() => folder.conflicts.update(99, { state: "open" }))),
    "other",
  );
});

test("holds, runs.last() N5 what a transaction that failed had written is not told of afterwards", (t) => {
  const { state, folder } = memory(t);
  const hold = { scope: "folder", reason: "rootMissing", paths: [], hash: "h", state: "held", atMs: 1 } as const;
  assert.deepEqual([folder.holds.list("held"), folder.runs.last()], [[], undefined]);
  const failed = (): void =>
    state.transaction(() => {
      folder.holds.add(hold);
      folder.runs.put({ ...RUN, run: "r1" });
      assert.deepEqual([folder.holds.list("held").length, folder.runs.last()?.run], [1, "r1"]);
      throw new Error("in the middle");
    });
  assert.throws(failed, /in the middle/);
  assert.deepEqual([folder.holds.list("held"), folder.runs.last()], [[], undefined]);
  state.transaction(() => {
    folder.holds.add(hold);
    folder.runs.put({ ...RUN, run: "r2" });
  });
  assert.deepEqual([folder.holds.list("held").length, folder.runs.last()?.run], [1, "r2"]);
});

test("holds: the set and its hash change together; an answer moves a hold to its state", (t) => {
  const { state, folder } = memory(t);
  const hold: Omit<Hold, "id" | "folder"> = {
    scope: "deleteLocal",
    reason: "manyDeletions",
    paths: ["a", 'b"\uD800'],
    hash: "h1",
    state: "held",
    atMs: 5,
  };
  const id = state.transaction(() => folder.holds.add(hold));
  assert.deepEqual(folder.holds.list("held"), [{ ...hold, id, folder: "f1" }]);
  state.transaction(() => folder.holds.replace(id, ["c"], "h2"));
  state.transaction(() => folder.holds.update(id, "approved"));
  assert.deepEqual(folder.holds.list("held"), []);
  assert.deepEqual(folder.holds.list("approved"), [{ ...hold, id, folder: "f1", paths: ["c"], hash: "h2", state: "approved" }]);
  assert.equal(
    faultOf(() => state.transaction(() => state.folder("f2").holds.update(id, "held"))),
    "other",
  );
  state.transaction(() => folder.holds.remove(id));
  assert.deepEqual(folder.holds.list("approved"), []);
});

test("deletions.since() S14 gives each path once, of one direction, from a moment on", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.deletions.add("deleteLocal", "old", 10);
    folder.deletions.add("deleteLocal", "b", 20);
    folder.deletions.add("deleteLocal", "b", 30);
    folder.deletions.add("deleteLocal", "a", 25);
    folder.deletions.add("deleteRemote", "r", 25);
  });
  assert.deepEqual(folder.deletions.since("deleteLocal", 20), ["a", "b"]);
  state.transaction(() => folder.deletions.trim(20));
  assert.deepEqual(folder.deletions.since("deleteLocal", 0), ["a", "b"]);
  assert.deepEqual(folder.deletions.since("deleteRemote", 0), ["r"]);
});

test("versions: the journal read in twice is one row each (N6), bytes count once, oldest go first", (t) => {
  const { state, folder } = memory(t);
  const version: Omit<Version, "folder"> = { path: "a", sha1: sha("v"), sizeBytes: 10, why: "replaced", run: "r1", atMs: 100 };
  const later = { ...version, path: "b", run: "r2", atMs: 200, why: "removed" } as const;
  const third = { ...version, sha1: sha("w"), sizeBytes: 5, atMs: 150 };
  for (let life = 0; life < 2; life++) {
    state.transaction(() => {
      for (const each of [version, later, third]) folder.versions.add(each);
    });
  }
  const stored = (each: Omit<Version, "folder">): Version => ({ ...each, folder: "f1" });
  assert.deepEqual(folder.versions.ofPath("a"), [stored(third), stored(version)]);
  assert.deepEqual(folder.versions.ofRun("r1"), [stored(version), stored(third)]);
  assert.equal(folder.versions.totalBytes(), 15);
  assert.deepEqual(folder.versions.before(200), [stored(version), stored(third)]);
  assert.deepEqual([folder.versions.has(sha("v")), folder.versions.has(sha("x"))], [true, false]);
  state.transaction(() => folder.versions.remove(sha("v")));
  assert.deepEqual([folder.versions.has(sha("v")), folder.versions.totalBytes()], [false, 5]);
});

test("runs: newest first, a second put of one run replaces it, the surplus goes", (t) => {
  const { state, folder } = memory(t);
  const run = RUN;
  assert.equal(folder.runs.last(), undefined);
  state.transaction(() => {
    folder.runs.put(run);
    folder.runs.put({ ...run, run: "r2" });
    folder.runs.put({ ...run, result: "failed", error: "No.", fault: "auth" });
  });
  assert.deepEqual(folder.runs.get("r1"), { ...run, result: "failed", error: "No.", fault: "auth" });
  assert.deepEqual(
    folder.runs.list(10).map((each) => each.run),
    ["r2", "r1"],
  );
  assert.equal(folder.runs.last()?.run, "r2");
  assert.equal(state.folder("f2").runs.get("r1"), undefined);
  state.transaction(() => {
    for (let count = 0; count < 10_600; count++) folder.runs.put({ ...run, run: `x${count}` });
  });
  const kept = folder.runs.list(20_000);
  assert.ok(kept.length >= 10_000 && kept.length < 10_300, `${kept.length} kept`);
  assert.equal(kept[0]?.run, "x10599");
});

test("events.since() gives what follows in order, and says so when numbers in between are gone", (t) => {
  const { state } = memory(t);
  assert.deepEqual(state.events.since(0, 10), { events: [], gap: false });
  state.transaction(() => {
    for (let count = 1; count <= 10; count++) state.events.append("k", count % 2 === 0 ? "f1" : null, { count }, count * 100);
  });
  assert.equal(state.events.lastSeq(), 10);
  assert.deepEqual(state.events.since(8, 1), { events: [{ seq: 9, atMs: 900, kind: "k", folder: null, data: { count: 9 } }], gap: false });
  state.transaction(() => state.events.trim(300, 100));
  assert.deepEqual([state.events.since(2, 1).gap, state.events.since(1, 1).gap, state.events.since(1, 1).events[0]?.seq], [false, true, 3]);
  state.transaction(() => state.events.trim(0, 2));
  assert.deepEqual(
    state.events.since(0, 10).events.map((event) => event.seq),
    [9, 10],
  );
  state.transaction(() => state.events.trim(99_999, 100));
  assert.deepEqual([state.events.lastSeq(), state.events.since(10, 5).gap, state.events.since(9, 5).gap], [10, false, true]);
  assert.equal(
    state.transaction(() => state.events.append("k", null, undefined, 1)),
    11,
  );
  assert.equal(state.events.since(10, 5).events[0]?.data, null);
  assert.equal(state.events.since(500, 5).gap, true, "a number this log never gave: the state was lost in between");
});
