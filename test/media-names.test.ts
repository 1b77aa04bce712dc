import assert from "node:assert/strict";
import { test } from "node:test";

import type { Entry } from "../service/core/model.ts";
import { MediaNames } from "../service/engine/media-names.ts";
import { openState } from "../service/store/open.ts";

const SHA = "ab".repeat(20);
const entry = (path: string): Entry => ({ path, sizeBytes: 7, mtimeNs: 1, ctimeNs: 1, fileId: 1, sha1: SHA, diskPath: null, racy: false });

function folder() {
  const state = openState({ path: ":memory:", now: () => 0 });
  const rows = state.folder("m");
  const log = (path: string, kind: "put" | "remove"): number =>
    rows.changes.append({ path, kind, sha1: kind === "put" ? SHA : null, sizeBytes: 7, origin: "user", atMs: 0 });
  const put = (...paths: readonly string[]): void =>
    state.transaction(() => {
      for (const path of paths) {
        rows.entries.put(entry(path));
        log(path, "put");
      }
    });
  const remove = (path: string): void =>
    state.transaction(() => {
      rows.entries.remove(path);
      log(path, "remove");
    });
  const names = new MediaNames(rows);
  const told = async (last: string): Promise<readonly string[]> => (await names.named(last)).map(({ path, where }) => `${path} ${where}`);
  return { state, rows, put, remove, names, told };
}

test("MediaNames.named() by the last part, in every directory; follows what is made and removed", async () => {
  const { put, remove, told } = folder();
  put("a.png", "x/a.png", "x/b.png");
  assert.deepEqual(await told("a.png"), ["a.png here", "x/a.png here"]);
  remove("a.png");
  put("y/z/a.png");
  assert.deepEqual(await told("a.png"), ["x/a.png here", "y/z/a.png here", "a.png gone"]);
  put("a.png");
  assert.deepEqual(await told("a.png"), ["x/a.png here", "y/z/a.png here", "a.png here"]);
  assert.deepEqual(await told("none.png"), []);
});

test("MediaNames.named() what only the remote has, until it is here", async () => {
  const { state, rows, put, told } = folder();
  state.transaction(() => rows.remote.put({ path: "far.png", wireName: "far.png", sha1: SHA, usn: 1, sizeBytes: 9 }, 0));
  assert.deepEqual(await told("far.png"), ["far.png remote"]);
  put("far.png");
  assert.deepEqual(await told("far.png"), ["far.png here"]);
});

test("MediaNames.all() a tree that changed without the log (a recovered rename) is listed anew", async () => {
  const { state, rows, put, names } = folder();
  put("a.png");
  assert.equal((await names.all()).length, 1);
  state.transaction(() => rows.entries.put(entry("b.png")));
  assert.deepEqual(
    (await names.all()).map(({ path }) => path),
    ["a.png", "b.png"],
  );
});

test("MediaNames.all() changes made while the list is built are in it; several ask at once", async () => {
  const { put, remove, names } = folder();
  put(...Array.from({ length: 3500 }, (_, at) => `f${String(at).padStart(5, "0")}.png`));
  const asked = [names.all(), names.all()];
  put("f00000a.png");
  remove("f03000.png");
  for (const list of await Promise.all(asked)) {
    const here = new Set(list.filter(({ where }) => where === "here").map(({ path }) => path));
    assert.deepEqual([here.size, here.has("f00000a.png"), here.has("f03000.png")], [3500, true, false]);
  }
});
