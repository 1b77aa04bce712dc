/** Twins on a disk that folds names, as the engine deals with them: over a real folder that behaves as one. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import type { Disk, DiskFault } from "../service/core/ports.ts";
import type { FolderParts } from "../service/engine/parts.ts";
import { runFolder } from "../service/engine/run.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openRootParts } from "../service/files/open-root.ts";
import { refusingDisk } from "./support/failing-disk.ts";
import { foldingDisk } from "./support/folding-disk.ts";
import { openFolderOnDisk } from "./support/folder-on-disk.ts";
import { openDevice } from "./support/memory-device.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";

type World = {
  readonly account: MemoryAccount;
  readonly rows: FolderParts["rows"];
  /** What the user sees. */
  readonly names: () => readonly string[];
  readonly text: (name: string) => string;
  readonly remove: (name: string) => void;
  /** Of `A.png` and `a.png`: the one under its own name, the other, and the name where that stands. */
  readonly twins: () => { readonly first: string; readonly other: string; readonly standIn: string };
  /** One run, with a full scan where nothing else is said, so many milliseconds later. */
  readonly sync: (addMs: number, scan?: boolean) => Promise<void>;
};

/** A device on a disk that folds names, where `A.png` and `a.png` have come from the remote. `refuse`: calls that its disk refuses. */
async function withTwins(
  refuse: (method: keyof Disk, path: string) => DiskFault | null,
  play: (world: World) => Promise<void>,
): Promise<void> {
  const given = await openFolderOnDisk();
  try {
    const account = new MemoryAccount();
    const device = openDevice("laptop", memoryRemote(account));
    const { rows } = device.parts;
    const root = await openRootParts({
      disk: refusingDisk(foldingDisk(given.disk), refuse),
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
    const sync = async (addMs: number, scan = true): Promise<void> => {
      given.clock.addedMs += addMs;
      const how = { scan, rehash: false, waitSettle: false, ask: true, origin: "user" } as const;
      assert.equal((await runFolder(parts, how, AbortSignal.any([]))).summary.error, null);
    };
    const names = (): readonly string[] => fs.readdirSync(given.root).filter((name) => /^a\./i.test(name));
    // Else the last deletion would be one of all there is, and wait for an answer (S14).
    account.put("rest.bin", Buffer.from("rest"));
    account.put("A.png", Buffer.from("capital"));
    account.put("a.png", Buffer.from("small"));
    await sync(5_000);
    assert.equal(names().length, 2, "both stand");
    const twins = (): ReturnType<World["twins"]> => {
      const [standIn = ""] = names().filter((name) => name.includes(".twin-"));
      const [first = ""] = names().filter((name) => name !== standIn);
      return { first, other: first === "A.png" ? "a.png" : "A.png", standIn };
    };
    const text = (name: string): string => fs.readFileSync(`${given.root}/${name}`, "utf8");
    await play({ account, rows, names, text, twins, sync, remove: (name) => fs.rmSync(`${given.root}/${name}`) });
  } finally {
    await given.close();
  }
}

test("runFolder() FN10 when one of two twins goes, here or there, the other gets its own name back as soon as an editor can no longer be at work", async () => {
  for (const where of ["here", "there"] as const) {
    await withTwins(
      () => null,
      async ({ account, rows, names, twins, remove, sync }) => {
        const { first, other } = twins();
        if (where === "there") account.put(first, null);
        else remove(first);
        for (let round = 0; round < 3; round += 1) await sync(5_000);
        assert.deepEqual(names(), [other], where);
        assert.equal(rows.entries.get(other)?.diskPath, null);
        assert.deepEqual([account.text(first), account.text(other)], [null, other === "a.png" ? "small" : "capital"]);
      },
    );
  }
});

test("runFolder() FN10 a made-up name that the disk refused to take away goes with the next run", async () => {
  const refusals: string[] = [];
  const refuse = (method: keyof Disk, path: string): DiskFault | null =>
    method === "unlink" && path.includes(".twin-") && refusals.push(path) === 1 ? "busy" : null;
  await withTwins(refuse, async ({ rows, names, twins, remove, sync }) => {
    const { first, other } = twins();
    remove(first);
    for (let round = 0; round < 4 && refusals.length === 0; round += 1) await sync(5_000);
    assert.notEqual(refusals.length, 0, "the disk refused");
    await sync(5_000, false);
    assert.deepEqual(names(), [other]);
    assert.equal(rows.entries.get(other)?.diskPath, null);
  });
});

test("runFolder() FN10 N3 a twin that has its own name by half, as the disk failed there, leaves no old bytes at either when it is replaced or deleted (simulator seed 902376)", async () => {
  for (const comes of ["new bytes", null]) {
    let linked = false;
    let broken = false;
    const refuse = (method: keyof Disk, path: string): DiskFault | null => {
      const fails = broken && linked && method === "fsyncDir";
      if (method !== "lstat") linked = method === "link" && /\/a\.png$/i.test(path);
      return fails ? "io" : null;
    };
    await withTwins(refuse, async ({ account, names, text, twins, remove, sync }) => {
      const { first, other, standIn } = twins();
      remove(first);
      broken = true;
      for (let round = 0; round < 2; round += 1) await sync(5_000);
      assert.deepEqual(names().toSorted(), [other, standIn].toSorted(), "one file under two names");
      account.put(other, comes === null ? null : Buffer.from(comes));
      for (let round = 0; round < 2; round += 1) await sync(5_000);
      broken = false;
      for (let round = 0; round < 3; round += 1) await sync(5_000);
      assert.deepEqual(names(), comes === null ? [] : [other]);
      if (comes !== null) assert.equal(text(other), comes);
      assert.deepEqual([account.text(other), account.text(first), account.text(standIn)], [comes, null, null]);
    });
  }
});
