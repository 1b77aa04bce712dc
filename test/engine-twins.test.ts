/** Twins on a disk that folds names, as the engine deals with them: over a real folder that behaves as one. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import { runFolder } from "../service/engine/run.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openRootParts } from "../service/files/open-root.ts";
import { foldingDisk } from "./support/folding-disk.ts";
import { openFolderOnDisk } from "./support/folder-on-disk.ts";
import { openDevice } from "./support/memory-device.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";

test("runFolder() FN10 when one of two twins goes, here or there, the other gets its own name back as soon as an editor can no longer be at work", async () => {
  for (const where of ["here", "there"] as const) {
    const given = await openFolderOnDisk();
    try {
      const account = new MemoryAccount();
      const device = openDevice("laptop", memoryRemote(account));
      const { rows } = device.parts;
      const root = await openRootParts({
        disk: foldingDisk(given.disk),
        clock: given.clock,
        random: device.parts.random,
        compute: nodeCompute,
        versions: given.versions,
        root: given.root,
        rows,
        naming: "posix",
        fileMaxBytes: 1 << 20,
      });
      const parts = { ...device.parts, ...root, root: given.root, clock: given.clock, versions: given.versions };
      const sync = async (addMs: number): Promise<void> => {
        given.clock.addedMs += addMs;
        const how = { scan: true, rehash: false, waitSettle: false, ask: true, origin: "user" } as const;
        assert.equal((await runFolder(parts, how, AbortSignal.any([]))).summary.error, null);
      };
      account.put("A.png", Buffer.from("capital"));
      account.put("a.png", Buffer.from("small"));
      await sync(5_000);
      const names = (): readonly string[] => fs.readdirSync(given.root).filter((name) => name !== ".satchel");
      assert.equal(names().length, 2);
      const [second = ""] = names().filter((name) => name.includes(".twin-"));
      const [first = ""] = names().filter((name) => name !== second);
      const other = first === "A.png" ? "a.png" : "A.png";
      if (where === "there") account.put(first, null);
      else fs.rmSync(`${given.root}/${first}`);
      for (let round = 0; round < 3; round += 1) await sync(5_000);
      assert.deepEqual(names(), [other], where);
      assert.equal(rows.entries.get(other)?.diskPath, null);
      assert.deepEqual([account.text(first), account.text(other)], [null, other === "a.png" ? "small" : "capital"]);
    } finally {
      await given.close();
    }
  }
});
