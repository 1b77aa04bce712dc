import assert from "node:assert/strict";
import { test } from "node:test";

import { foldKey } from "../service/core/case-folding.ts";
import { UNKNOWN } from "../service/core/model.ts";
import { StoreError } from "../service/store/errors.ts";
import { openState } from "../service/store/open.ts";
import { changeOf, entry, faultOf, marked, memory, pendingPaths, remoteRow, sha } from "./support/store-rows.ts";

test("entries.put() returns every field bit-equal, nanoseconds and file ids beyond 2^53 included", (t) => {
  const { state, folder } = memory(t);
  const odd = entry("a.png", "x", { diskPath: "A\u0301.png", racy: true, mtimeNs: 1_799_999_999_999_999_744 });
  state.transaction(() => folder.entries.put(odd));
  assert.deepEqual(folder.entries.get("a.png"), odd);
  assert.deepEqual([...folder.entries.all()], [odd]);
  assert.equal(folder.entries.get("b.png"), undefined);
});

test("entries.all() gives every path in code unit order over several pages, and writing while it runs does no harm", (t) => {
  const { state, folder } = memory(t);
  const names = Array.from({ length: 4500 }, (_, index) => `n${(index * 7919) % 4500}`);
  names.push("\u{1F600}.png", "\uFF21.png", "\uE000.png", "z\u{10FFFF}", "z\u{1F600}", "z\uFFFF");
  state.transaction(() => {
    for (const name of names) folder.entries.put(entry(name));
  });
  const seen: string[] = [];
  for (const found of folder.entries.all()) {
    if (seen.length === 10) state.transaction(() => folder.base.put(found.path, found.sha1));
    seen.push(found.path);
  }
  assert.deepEqual(seen, names.toSorted());
});

test("entries.fingerprints() tells of every entry what entries.all() tells, in columns, over several pages", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    for (let index = 0; index < 4500; index++)
      folder.entries.put({
        ...entry(`n${String(index)}`),
        mtimeNs: 1_700_000_000_000_000_000 + index * 1e6,
        fileId: index,
        diskPath: index % 7 === 0 ? `\uE000 ${String(index)}` : null,
        racy: index % 5 === 0,
      });
  });
  const seen = [...folder.entries.fingerprints()].flatMap(({ paths, numbers, diskPaths }) => {
    const names = new Map(diskPaths);
    return paths.map((path, index) => [path, ...numbers.subarray(index * 5, index * 5 + 5), names.get(index) ?? null]);
  });
  const all = [...folder.entries.all()].map((one) => [
    one.path,
    one.sizeBytes,
    one.mtimeNs,
    one.ctimeNs,
    one.fileId,
    one.racy ? 1 : 0,
    one.diskPath,
  ]);
  assert.deepEqual(seen, all);
});

test("entries.totals() N9 counts rows and bytes through puts, replacements and removals", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.entries.put(entry("a", "12345"));
    folder.entries.put(entry("b", "123"));
    folder.entries.put(entry("a", "1"));
    folder.entries.remove("b");
    folder.entries.remove("never");
  });
  assert.deepEqual(folder.entries.totals(), { files: 1, bytes: 1 });
});

test("entries.withSha1() N7 finds bytes that stand at another path, before and after a rollback took its index away", (t) => {
  const { state, folder } = memory(t);
  assert.throws(() =>
    state.transaction(() => {
      folder.entries.put(entry("a", "same"));
      assert.equal(folder.entries.withSha1(sha("same"))?.path, "a");
      throw new Error("no");
    }),
  );
  assert.equal(folder.entries.withSha1(sha("same")), undefined);
  state.transaction(() => {
    folder.entries.put(entry("b", "same"));
    folder.entries.put(entry("a", "same"));
  });
  assert.equal(folder.entries.withSha1(sha("same"))?.path, "a");
  assert.equal(folder.entries.withSha1(sha("other")), undefined);
  assert.equal(state.folder("f2").entries.withSha1(sha("same")), undefined);
});

test("entries.twinOf() S16 finds another path with the same folded name, and follows puts, removals and rollbacks", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => folder.entries.put(entry("Photo.PNG")));
  const twin = (): string | undefined => folder.entries.twinOf("photo.png", foldKey("photo.png"))?.path;
  assert.equal(twin(), "Photo.PNG");
  assert.equal(folder.entries.twinOf("Photo.PNG", foldKey("Photo.PNG")), undefined);
  assert.throws(() =>
    state.transaction(() => {
      folder.entries.remove("Photo.PNG");
      folder.entries.put(entry("PHOTO.png"));
      assert.equal(twin(), "PHOTO.png");
      throw new Error("no");
    }),
  );
  assert.equal(twin(), "Photo.PNG");
  state.transaction(() => folder.entries.remove("Photo.PNG"));
  assert.equal(twin(), undefined);
  state.transaction(() => folder.entries.put(entry("PHOTO.png")));
  assert.equal(twin(), "PHOTO.png");
  state.transaction(() => {
    state.dropFolder("f1");
    folder.entries.put(entry("pHoto.png"));
  });
  assert.equal(twin(), "pHoto.png");
});

test("remote.put() keeps spelling, tombstones and generations; removeOlderThan() gives what a feed from 0 did not mention", (t) => {
  const { state, folder } = memory(t);
  const renamed = remoteRow("sub/a.png", "a", { wireName: "sub~2f_a.png", usn: null, sizeBytes: null });
  state.transaction(() => {
    folder.remote.put(renamed, 1);
    folder.remote.put(remoteRow("b.png", null), 1);
    folder.remote.put(remoteRow("c.png"), 1);
    folder.remote.put(remoteRow("c.png"), 2);
  });
  assert.deepEqual(folder.remote.get("sub/a.png"), renamed);
  assert.deepEqual(folder.remote.byWireName("sub~2f_a.png"), renamed);
  assert.deepEqual(folder.remote.byWireName("c.png"), remoteRow("c.png"));
  assert.equal(folder.remote.byWireName("sub/a.png"), undefined);
  assert.equal(folder.remote.get("b.png")?.sha1, null);
  assert.equal(folder.remote.liveCount(), 2);
  assert.deepEqual(
    [...folder.remote.all()].map((row) => row.path),
    ["b.png", "c.png", "sub/a.png"],
  );
  assert.deepEqual(state.transaction(() => folder.remote.removeOlderThan(2)).toSorted(), ["b.png", "sub/a.png"]);
  assert.equal(folder.remote.liveCount(), 1);
  state.transaction(() => folder.remote.put(remoteRow("c.png", null), 2));
  assert.equal(folder.remote.liveCount(), 0);
  state.transaction(() => folder.remote.put(remoteRow("c.png", "back"), 2));
  assert.equal(folder.remote.liveCount(), 1);
  state.transaction(() => folder.remote.remove("c.png"));
  assert.equal(folder.remote.liveCount(), 0);
});

test("base.get() tells never agreed, agreed absent and agreed bytes apart", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.base.put("bytes", sha("x"));
    folder.base.put("absent", null);
    folder.base.put("removed", sha("y"));
    folder.base.remove("removed");
  });
  assert.deepEqual([folder.base.get("bytes"), folder.base.get("absent"), folder.base.get("removed")], [sha("x"), null, undefined]);
  assert.equal(folder.base.liveCount(), 1);
  assert.deepEqual([...folder.base.livePaths()], ["bytes"]);
  state.transaction(() => folder.base.removeAll());
  assert.deepEqual([folder.base.get("bytes"), folder.base.liveCount(), [...folder.base.livePaths()].length], [undefined, 0, 0]);
});

test("pending: every writer of a tree or a problem marks its path, and an unchanged value marks nothing", (t) => {
  const { state, folder } = memory(t);
  const problem = { path: "p", side: "local", reason: "empty", detail: "It is empty.", sinceMs: 5 } as const;
  const steps: readonly (readonly [what: string, work: () => void, expected: readonly string[]])[] = [
    ["new entry", () => folder.entries.put(entry("p")), ["p"]],
    ["same bytes touched", () => folder.entries.put(entry("p", "p", { mtimeNs: 5, racy: true })), []],
    ["other bytes", () => folder.entries.put(entry("p", "q")), ["p"]],
    ["new remote row", () => folder.remote.put(remoteRow("p"), 1), ["p"]],
    ["echo of the same row", () => folder.remote.put(remoteRow("p", "p", { usn: 99 }), 2), []],
    ["other remote bytes", () => folder.remote.put(remoteRow("p", "r"), 2), ["p"]],
    ["other spelling", () => folder.remote.put(remoteRow("p", "r", { wireName: "P" }), 2), ["p"]],
    ["tombstone", () => folder.remote.put(remoteRow("p", null, { wireName: "P" }), 2), ["p"]],
    ["new base", () => folder.base.put("p", sha("p")), ["p"]],
    ["same base", () => folder.base.put("p", sha("p")), []],
    ["base agreed absent", () => folder.base.put("p", null), ["p"]],
    ["new problem", () => folder.problems.put(problem), ["p"]],
    ["same problem later", () => folder.problems.put({ ...problem, sinceMs: 9 }), []],
    ["other reason", () => folder.problems.put({ ...problem, reason: "unreadable" }), ["p"]],
    ["problem of nothing cleared", () => folder.problems.clear("p", "remote"), []],
    ["problem cleared", () => folder.problems.clear("p", "local"), ["p"]],
    ["base forgotten", () => folder.base.remove("p"), ["p"]],
    ["no base to forget", () => folder.base.remove("p"), []],
    ["remote row not in the feed", () => void folder.remote.removeOlderThan(3), ["p"]],
    ["no remote row", () => folder.remote.remove("p"), []],
    ["entry gone", () => folder.entries.remove("p"), ["p"]],
    ["no entry", () => folder.entries.remove("p"), []],
  ];
  for (const [what, work, expected] of steps) assert.deepEqual(marked(state, folder, work), expected, what);
});

test("pending: within a transaction the last word about a path counts, and every question there is answered by it", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.entries.put(entry("a"));
    folder.base.put("a", entry("a").sha1);
    folder.pending.remove("a");
    folder.pending.add("b");
    assert.deepEqual([pendingPaths(folder), folder.pending.count()], [["b"], 1]);
    folder.pending.remove("b");
    folder.pending.add("a");
    assert.deepEqual([folder.pending.count(), pendingPaths(folder)], [1, ["a"]]);
    folder.pending.remove("a");
    folder.base.removeAll();
    folder.pending.add("c");
  });
  assert.deepEqual([pendingPaths(folder), folder.pending.count()], [["a", "c"], 2]);
  assert.throws(() =>
    state.transaction(() => {
      folder.pending.remove("a");
      folder.pending.add("d");
      throw new Error("thrown");
    }),
  );
  state.transaction(() => folder.pending.add("e"));
  assert.deepEqual([pendingPaths(folder), folder.pending.count()], [["a", "c", "e"], 3]);
  state.transaction(() => {
    folder.pending.add("f");
    state.dropFolder(folder.id);
  });
  assert.deepEqual([pendingPaths(folder), folder.pending.count()], [[], 0]);
});

test("pending.rows() sets the three trees side by side, in code unit order, and N2 problems make their side unknown", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.entries.put(entry("a", "one"));
    folder.base.put("a", sha("zero"));
    folder.remote.put(remoteRow("b", "two", { wireName: "b~" }), 1);
    folder.base.put("b", null);
    folder.remote.put(remoteRow("c", null), 1);
    folder.pending.add("d");
    folder.entries.put(entry("e", "five"));
    folder.remote.put(remoteRow("e", "six"), 1);
  });
  const nothing = { local: null, remote: null, base: undefined, localSizeBytes: null, remoteSizeBytes: null, wireName: null };
  const a = { ...nothing, path: "a", local: sha("one"), base: sha("zero"), localSizeBytes: 3 };
  const b = { ...nothing, path: "b", remote: sha("two"), base: null, remoteSizeBytes: 3, wireName: "b~" };
  const c = { ...nothing, path: "c", wireName: "c" };
  const d = { ...nothing, path: "d" };
  const e = { ...nothing, path: "e", local: sha("five"), remote: sha("six"), localSizeBytes: 4, remoteSizeBytes: 3, wireName: "e" };
  assert.deepEqual(folder.pending.rows(100), [a, b, c, d, e]);
  assert.deepEqual(folder.pending.rows(2), [a, b]);
  state.transaction(() => {
    folder.problems.put({ path: "a", side: "remote", reason: "refused", detail: "", sinceMs: 1 });
    folder.problems.put({ path: "e", side: "local", reason: "twin", detail: "", sinceMs: 1 });
    folder.problems.put({ path: "f", side: "local", reason: "badName", detail: "", sinceMs: 1 });
  });
  assert.deepEqual(folder.pending.rows(100), [
    { ...a, remote: UNKNOWN },
    b,
    c,
    d,
    { ...e, local: UNKNOWN },
    { ...nothing, path: "f", local: UNKNOWN },
  ]);
  for (const row of folder.pending.rows(100)) assert.deepEqual(folder.pending.row(row.path), row);
  assert.deepEqual(folder.pending.row("nowhere"), { ...nothing, path: "nowhere" });
});

test("pending.addAll() names every path of every tree once, of this folder alone", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.entries.put(entry("a"));
    folder.remote.put(remoteRow("b"), 1);
    folder.remote.put(remoteRow("a"), 1);
    folder.base.put("c", null);
    folder.problems.put({ path: "d", side: "local", reason: "empty", detail: "", sinceMs: 1 });
    state.folder("f2").entries.put(entry("other"));
  });
  state.transaction(() => {
    for (const name of pendingPaths(folder)) folder.pending.remove(name);
  });
  assert.equal(folder.pending.count(), 0);
  state.transaction(() => folder.pending.addAll());
  assert.deepEqual(pendingPaths(folder), ["a", "b", "c", "d"]);
  assert.equal(folder.pending.count(), 4);
});

test("problems: one per path and side; the same reason keeps its first date", (t) => {
  const { state, folder } = memory(t);
  const local = { path: "p", side: "local", reason: "empty", detail: "first", sinceMs: 5 } as const;
  const remote = { path: "p", side: "remote", reason: "refused", detail: "no", sinceMs: 6 } as const;
  state.transaction(() => {
    folder.problems.put(local);
    folder.problems.put(remote);
    folder.problems.put({ ...local, detail: "second", sinceMs: 50 });
  });
  assert.deepEqual(folder.problems.get("p"), [{ ...local, detail: "second" }, remote]);
  assert.deepEqual(folder.problems.list(), folder.problems.get("p"));
  assert.equal(folder.problems.count(), 2);
  state.transaction(() => folder.problems.put({ ...local, reason: "locked", sinceMs: 50 }));
  assert.equal(folder.problems.get("p")[0]?.sinceMs, 50);
  state.transaction(() => folder.problems.clear("p", "local"));
  assert.deepEqual(folder.problems.get("p"), [remote]);
  assert.equal(folder.problems.count(), 1);
});

test("transaction() joins nested calls; a throw anywhere in it takes everything back, even when somebody caught it", (t) => {
  const { state, folder } = memory(t);
  const boom = new Error("boom");
  assert.throws(
    () =>
      state.transaction(() => {
        folder.entries.put(entry("a"));
        state.transaction(() => folder.entries.put(entry("b")));
        throw boom;
      }),
    boom,
  );
  assert.throws(
    () =>
      state.transaction(() => {
        folder.entries.put(entry("a"));
        try {
          state.transaction(() => {
            throw boom;
          });
        } catch (error) {
          assert.equal(error, boom);
        }
      }),
    (error: unknown) => error instanceof StoreError && error.cause === boom,
  );
  assert.deepEqual([folder.entries.totals().files, [...folder.entries.all()].length, folder.pending.count()], [0, 0, 0]);
  assert.equal(
    state.transaction(() => {
      folder.entries.put(entry("a"));
      return state.transaction(() => folder.entries.get("a")?.path);
    }),
    "a",
  );
});

test("transaction() a folder that was first met inside one that was rolled back begins anew", (t) => {
  const { state } = memory(t);
  const boom = new Error("boom");
  const meet = () => state.folder("met").entries.put(entry("a"));
  assert.throws(
    () =>
      state.transaction(() => {
        meet();
        throw boom;
      }),
    boom,
  );
  state.transaction(() => state.folder("other").entries.put(entry("b")));
  state.transaction(meet);
  const folder = openState({ path: state.serialize(), now: () => 0 }).folder("met");
  assert.deepEqual([folder.entries.totals().files, [...folder.entries.all()]], [1, [entry("a")]]);
});

test("transaction() refuses asynchronous work, and a write outside of it is refused", (t) => {
  const { state, folder } = memory(t);
  assert.equal(
    faultOf(() =>
      state.transaction(async () => {
        folder.entries.put(entry("a"));
        await Promise.resolve();
      }),
    ),
    "other",
  );
  assert.equal(
    faultOf(() => folder.entries.put(entry("a"))),
    "other",
  );
  assert.equal(folder.entries.get("a"), undefined);
});

test("transaction() DB10 a statement that was refused inside it can't be committed around", (t) => {
  const { state, folder } = memory(t);
  const bad = entry("a", "a", { sha1: "not a hash" });
  assert.equal(
    faultOf(() =>
      state.transaction(() => {
        folder.entries.put(entry("b"));
        assert.throws(() => folder.entries.put(bad), StoreError);
      }),
    ),
    "other",
  );
  assert.equal(folder.entries.totals().files, 0);
  assert.equal(
    faultOf(() => state.transaction(() => folder.base.put("a", "00"))),
    "other",
  );
  assert.equal(folder.base.get("a"), undefined);
});

test("transaction() S20 what is committed soon is settled by the next commit that writes, and before a number of it is told", (t) => {
  const { state, folder } = memory(t);
  const soon = (name: string): void => {
    state.transaction(() => {
      folder.changes.append(changeOf(name, name));
      state.events.append("file/put", "f1", { path: name }, 1);
    }, "soon");
    assert.equal(state.settled, false, name);
  };
  assert.equal(state.settled, true);
  soon("a");
  state.transaction(() => folder.entries.get("a"));
  assert.equal(state.settled, false, "a commit that wrote nothing waits for no disk");
  state.transaction(() => folder.entries.put(entry("a")));
  assert.equal(state.settled, true);
  const tellers: readonly (readonly [what: string, ask: () => unknown])[] = [
    ["settle()", () => state.settle()],
    ["events.since()", () => state.events.since(0, 10)],
    ["events.lastSeq()", () => state.events.lastSeq()],
    ["changesSince()", () => state.changesSince(0, 10)],
    ["changesSince() of a folder", () => state.changesSince(0, 10, "f1")],
  ];
  for (const [what, ask] of tellers) {
    soon(what);
    ask();
    assert.equal(state.settled, true, what);
  }
  assert.throws(() => state.transaction(() => assert.fail("on purpose"), "soon"));
  assert.equal(state.settled, true, "nothing was committed");
});

test("serialize() gives the last commit, and openState() goes on from it", (t) => {
  const { state, folder } = memory(t);
  state.transaction(() => {
    folder.entries.put(entry("a"));
    folder.changes.append(changeOf("a", "a"));
    state.events.append("file/put", "f1", { path: "a" }, 1);
  });
  const image = state.serialize();
  state.transaction(() => folder.entries.put(entry("later")));
  for (let life = 0; life < 2; life++) {
    const other = openState({ path: image, now: () => 0 });
    assert.equal(other.fresh, false);
    const same = other.folder("f1");
    assert.deepEqual([...same.entries.all()], [entry("a")]);
    assert.deepEqual([same.entries.totals().files, same.pending.count(), other.events.lastSeq()], [1, 1, 1]);
    assert.equal(
      other.transaction(() => same.changes.append(changeOf("a", "b"))),
      2,
    );
    assert.equal(other.checkChangeLog(), null);
    other.close();
  }
  assert.equal(
    faultOf(() => state.transaction(() => state.serialize())),
    "other",
  );
});

test("dropFolder() forgets every row of that folder but its change log and events", (t) => {
  const { state, folder } = memory(t);
  const other = state.folder("f2");
  state.transaction(() => {
    for (const each of [folder, other]) {
      each.entries.put(entry("a"));
      each.remote.put(remoteRow("a"), 1);
      each.base.put("a", sha("a"));
      each.problems.put({ path: "b", side: "local", reason: "empty", detail: "", sinceMs: 1 });
      each.cursor.put({ serverId: "s", epoch: null, position: "5", generation: 1, full: false });
      each.changes.append(changeOf("a", "a"));
      each.uploadIntents.add("a", null, "r");
      state.events.append("x", each.id, null, 1);
    }
    state.dropFolder("f1");
  });
  assert.deepEqual(
    [folder.entries.totals(), folder.remote.liveCount(), folder.base.liveCount(), folder.pending.count(), folder.problems.count()],
    [{ files: 0, bytes: 0 }, 0, 0, 0, 0],
  );
  assert.deepEqual([folder.cursor.get(), folder.uploadIntents.all(), [...folder.remote.all()]], [undefined, [], []]);
  assert.equal(state.changesSince(0, 10).length, 2);
  assert.equal(folder.changes.knows("a", sha("a")), true);
  assert.equal(state.events.since(0, 10).events.length, 2);
  assert.deepEqual([other.entries.totals().files, other.pending.count(), other.cursor.get()?.position], [1, 2, "5"]);
});
