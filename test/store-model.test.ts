import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import * as fc from "fast-check";

import type { PlanRow } from "../service/core/model.ts";
import type { FolderState } from "../service/core/state.ts";
import { openState, type StateStore } from "../service/store/open.ts";
import { entry, marked, pendingPaths, remoteRow, sha } from "./support/store-rows.ts";

test("State: after any sequence of transactions, thrown or not, counters equal the rows and pending misses no change", () => {
  const name = fc.constantFrom(...NAMES);
  const text = fc.option(fc.constantFrom("1", "22", "333"), { nil: null });
  const kinds = ["entry", "entry", "remote", "remote", "base", "problem", "older", "baseAll", "drop"];
  const step = fc.record({ kind: fc.constantFrom(...kinds), name, text });
  const transaction = fc.record({ steps: fc.array(step, { maxLength: 6 }), thrown: fc.boolean() });
  const property = fc.property(fc.array(transaction, { maxLength: 12 }), (transactions) => {
    let state = openState({ path: ":memory:", now: () => 0 });
    for (const { steps, thrown } of transactions) {
      marked(state, state.folder("f"), () => {});
      const before = snapshot(state.folder("f"));
      const rows = planRows(state.folder("f"));
      try {
        state.transaction(() => {
          for (const one of steps) act(state, state.folder("f"), one);
          if (thrown) throw new Error("thrown");
        });
      } catch (error) {
        if (!(error instanceof Error) || error.message !== "thrown") throw error;
        assert.deepEqual(snapshot(state.folder("f")), before);
      }
      const folder = state.folder("f");
      const after = snapshot(folder);
      assert.deepEqual(counters(folder), recount(folder));
      const moved = NAMES.filter((each, index) => !isDeepStrictEqual(folder.pending.row(each), rows[index]));
      const dropped = steps.some((each) => each.kind === "drop");
      if (!dropped) for (const each of moved) assert.ok(pendingPaths(folder).includes(each), each);
      const image = state.serialize();
      state.close();
      state = openState({ path: image, now: () => 0 });
      assert.deepEqual(snapshot(state.folder("f")), after);
      assert.deepEqual(counters(state.folder("f")), recount(state.folder("f")));
    }
    state.close();
  });
  fc.assert(property, { numRuns: 80 });
});

const NAMES = ["a", "\uFF21", "x\uD800"];

function planRows(folder: FolderState): readonly PlanRow[] {
  return NAMES.map((name) => folder.pending.row(name));
}

type Step = { readonly kind: string; readonly name: string; readonly text: string | null };
function act(state: StateStore, folder: FolderState, { kind, name, text }: Step): void {
  if (kind === "entry") {
    if (text === null) folder.entries.remove(name);
    else folder.entries.put(entry(name, text));
  } else if (kind === "remote") folder.remote.put(remoteRow(name, text), text?.length ?? 0);
  else if (kind === "base") folder.base.put(name, text === null ? null : sha(text));
  else if (kind === "problem") {
    if (text === null) folder.problems.clear(name, "local");
    else folder.problems.put({ path: name, side: "local", reason: "empty", detail: text, sinceMs: 1 });
  } else if (kind === "older") folder.remote.removeOlderThan(2);
  else if (kind === "drop") state.dropFolder("f");
  else folder.base.removeAll();
}

function snapshot(folder: FolderState): unknown {
  const rows = [
    [...folder.entries.all()],
    [...folder.remote.all()],
    [...folder.base.livePaths()],
    folder.problems.list(),
    pendingPaths(folder),
  ];
  return { rows, counters: counters(folder) };
}

function counters(folder: FolderState): unknown {
  const { files, bytes } = folder.entries.totals();
  return [files, bytes, folder.remote.liveCount(), folder.base.liveCount(), folder.problems.count(), folder.pending.count()];
}

function recount(folder: FolderState): unknown {
  const entries = [...folder.entries.all()];
  const live = [...folder.remote.all()].filter((row) => row.sha1 !== null).length;
  const bytes = entries.reduce((sum, each) => sum + each.sizeBytes, 0);
  const base = [...folder.base.livePaths()].length;
  return [entries.length, bytes, live, base, folder.problems.list().length, pendingPaths(folder).length];
}
