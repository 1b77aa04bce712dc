import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { renamesSince } from "../service/engine/renames.ts";
import { changeOf, entry, memory } from "./support/store-rows.ts";

type Step = readonly ["put" | "remove", path: string, text: string, atMs: number] | "look";

const MINUTE = 60_000;

/** Told by each look, in order; `old.png` stands there with the bytes "pet" before the first. */
const TABLE: readonly { readonly what: string; readonly steps: readonly Step[]; readonly told: readonly (readonly string[])[] }[] = [
  {
    what: "both halves before the look",
    steps: [["put", "new.png", "pet", 5], ["remove", "old.png", "pet", 6], "look", "look"],
    told: [["old.png > new.png"], []],
  },
  {
    what: "the old name goes first",
    steps: [["remove", "old.png", "pet", 5], ["put", "new.png", "pet", 6], "look", "look"],
    told: [["old.png > new.png"], []],
  },
  {
    what: "a look between the removal and the new name",
    steps: [["remove", "old.png", "pet", 5], "look", ["put", "new.png", "pet", 6], "look", "look"],
    told: [[], ["old.png > new.png"], []],
  },
  {
    what: "a look between the new name and the removal",
    steps: [["put", "new.png", "pet", 5], "look", ["remove", "old.png", "pet", 6], "look", "look"],
    told: [[], ["old.png > new.png"], []],
  },
  {
    what: "the new name is written again with the same bytes",
    steps: [["remove", "old.png", "pet", 5], ["put", "new.png", "pet", 6], "look", ["put", "new.png", "pet", 7], "look"],
    told: [["old.png > new.png"], []],
  },
  {
    what: "other bytes come up",
    steps: [["remove", "old.png", "pet", 5], "look", ["put", "new.png", "dog", 6], "look"],
    told: [[], []],
  },
  {
    what: "a copy made much later",
    steps: [["remove", "old.png", "pet", 5], "look", ["put", "new.png", "pet", 6 + MINUTE], "look"],
    told: [[], []],
  },
  {
    what: "it comes back under its own name",
    steps: [["remove", "old.png", "pet", 5], "look", ["put", "old.png", "pet", 6], "look"],
    told: [[], []],
  },
];

suite("renamesSince() each rename is told once, wherever the looks fall", () => {
  for (const { what, steps, told } of TABLE)
    test(what, (t) => {
      const { state, folder } = memory(t);
      state.transaction(() => {
        folder.changes.append(changeOf("old.png", "pet", 1));
        folder.entries.put(entry("old.png", "pet"));
      });
      let since: number | null = renamesSince(folder, null).through;
      const found: string[][] = [];
      for (const step of steps) {
        if (step === "look") {
          const looked = renamesSince(folder, since);
          since = looked.through;
          found.push(looked.renames.map(({ from, to }) => `${from} > ${to}`));
          continue;
        }
        const [kind, name, text, atMs] = step;
        state.transaction(() => {
          folder.changes.append(changeOf(name, kind === "put" ? text : null, atMs));
          if (kind === "put") folder.entries.put(entry(name, text));
          else folder.entries.remove(name);
        });
      }
      assert.deepEqual(found, told);
    });
});
