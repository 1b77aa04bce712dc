/** Rows are written while their note is on its way to the disk: what becomes of either when the other fails. */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { DiskError, noFaults, type Disk } from "../service/core/ports.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openNodeDisk } from "../service/files/node-disk.ts";
import { openLocalAccount, type LocalAccount } from "../service/server/local-account.ts";
import { nothingAnew } from "../service/server/local-context.ts";
import type { Account } from "../service/server/storage.ts";
import { openDatabase } from "../service/store/database.ts";
import { StoreError } from "../service/store/errors.ts";
import { openServerAccount, type ServerAccountRows } from "../service/store/server-account.ts";
import { ACCOUNT_SCHEMA } from "../service/store/server-schema.ts";
import { openSession } from "../service/store/server-session.ts";
import { ManualClock } from "./support/memory-device.ts";

const DISK_WORKER = new URL("../service/files/disk-worker.ts", import.meta.url);
const sender = { device: "d1", session: "s1" };
const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);

type Given = {
  readonly disk?: (disk: Disk) => Disk;
  readonly rows?: (rows: ServerAccountRows) => ServerAccountRows;
};
type World = { readonly account: LocalAccount; readonly again: () => Promise<LocalAccount> };

/** `again`: the account as the next process finds it, after a stop. */
async function withAccount(given: Given, work: (world: World) => Promise<void>): Promise<void> {
  const home = await mkdtemp(path.join(tmpdir(), "satchel-writing-"));
  const node = openNodeDisk({ diskWorker: DISK_WORKER });
  const open = async (disk: Disk, wrap: (rows: ServerAccountRows) => ServerAccountRows): Promise<LocalAccount> =>
    await openLocalAccount({
      id: "a1",
      home,
      rows: wrap(openServerAccount({ source: path.join(home, "rows.db"), firstEpoch: "e1" })),
      disk,
      compute: nodeCompute,
      clock: new ManualClock(),
      secrets: (bytes) => randomBytes(bytes),
      faults: noFaults,
      changed: () => undefined,
      damaged: () => undefined,
      madeAgain: () => undefined,
      keepFreeBytes: 0,
      anew: nothingAnew(),
    });
  let account = await open(given.disk?.(node) ?? node, given.rows ?? ((rows) => rows));
  try {
    await work({
      account,
      again: async () => {
        await account.close();
        return (account = await open(node, (rows) => rows));
      },
    });
  } finally {
    await account.close();
    await node.close();
    await rm(home, { recursive: true, force: true });
  }
}

/** `looks`: at what it wrote. */
async function put(account: Account, name: string, bytes: Uint8Array, looks = false): Promise<void> {
  await account.change({ durable: true, files: [{ sha1: sha1(bytes), bytes }] }, async (tx) => {
    const { top } = await tx.state();
    await tx.write([{ usn: top + 1, name, sha1: sha1(bytes), sizeBytes: bytes.length, real: true }], sender);
    if (looks) assert.equal((await tx.state()).top, top + 1);
  });
}

const feedOf = async (account: Account): Promise<readonly (readonly [string, number])[]> =>
  await account.change({ durable: false, files: [] }, async (tx) => (await tx.feed(0, 100)).map(({ name, usn }) => [name, usn] as const));

test("change() writes its rows while the append is under way, and is told when both are done", async () => {
  const order: string[] = [];
  const disk = (node: Disk): Disk => ({
    ...node,
    append: async (file, content) => {
      order.push("append begins");
      await node.append(file, content);
      order.push("append ends");
    },
  });
  const rows = (real: ServerAccountRows): ServerAccountRows => ({
    ...real,
    write: (...args) => {
      order.push("rows");
      real.write(...args);
    },
  });
  await withAccount({ disk, rows }, async ({ account }) => {
    await put(account, "a.jpg", Buffer.from("bytes"));
    order.push("told");
    assert.deepEqual(order, ["append begins", "rows", "append ends", "told"]);
  });
});

test("change() S12 reads within a change what it wrote, row by row as after it", async () => {
  await withAccount({}, async ({ account, again }) => {
    const [one, two] = [Buffer.from("one"), Buffer.from("two")];
    const files = [one, two].map((bytes) => ({ sha1: sha1(bytes), bytes }));
    await account.change({ durable: true, files }, async (tx) => {
      await tx.write([{ usn: 1, name: "a", sha1: sha1(one), sizeBytes: 3, real: true }], sender);
      assert.deepEqual([...(await tx.rows(["a"])).values()], [{ name: "a", usn: 1, sha1: sha1(one), sizeBytes: 3 }]);
      await tx.write([{ usn: 2, name: "a", sha1: sha1(two), sizeBytes: 3, real: true }], sender);
      assert.equal((await tx.state()).top, 2);
      assert.deepEqual(
        (await tx.versions("a")).map((version) => version.sha1),
        [sha1(one)],
      );
      // Twins: what comes second stands in the first one's shadow at once.
      await tx.write([{ usn: 3, name: "A", sha1: sha1(two), sizeBytes: 3, real: true }], sender);
      assert.deepEqual([...(await tx.shadows())], ["A"]);
      await tx.write([{ usn: 4, name: "b", sha1: sha1(one), sizeBytes: 3, real: true }], sender);
    });
    const expected = await feedOf(account);
    assert.deepEqual(expected, [
      ["a", 2],
      ["A", 3],
      ["b", 4],
    ]);
    assert.deepEqual((await account.check()).faults, []);
    assert.deepEqual(await feedOf(await again()), expected);
  });
});

test("change() S12 rows that fail while their append is under way: told, gone, and the numbers are given again", async () => {
  let failing = -1;
  const rows = (real: ServerAccountRows): ServerAccountRows => ({
    ...real,
    write: (...args) => {
      if (failing-- === 0) throw new StoreError("full", "Could not write rows: the disk is full.");
      real.write(...args);
    },
  });
  await withAccount({ rows }, async ({ account, again }) => {
    await put(account, "a", Buffer.from("a"));
    failing = 0;
    await assert.rejects(put(account, "b", Buffer.from("b")), { fault: "full" });
    await put(account, "c", Buffer.from("c"));
    const expected = [
      ["a", 1],
      ["c", 2],
    ];
    assert.deepEqual(await feedOf(account), expected);
    const after = await again();
    assert.deepEqual(await feedOf(after), expected);
    assert.deepEqual((await after.check()).faults, []);
  });
});

test("change() S8 where the database gives up a whole group's rows, nobody of it is noted, and what was acknowledged before comes back", async () => {
  let failing = -1;
  let broken = false;
  const rows = (real: ServerAccountRows): ServerAccountRows => ({
    ...real,
    write: (...args) => {
      if (failing-- === 0) {
        broken = true;
        throw new StoreError("full", "Could not write rows: the disk is full.");
      }
      real.write(...args);
    },
    intact: () => !broken && real.intact(),
    rollback: () => {
      broken = false;
      real.rollback();
    },
  });
  await withAccount({ rows }, async ({ account, again }) => {
    await put(account, "a", Buffer.from("a"));
    failing = 1;
    // Asked for at once they share an append; the second one's own look at what it wrote is what fails.
    const ended = await Promise.allSettled(["b", "c", "d"].map(async (name) => await put(account, name, Buffer.from(name), true)));
    assert.deepEqual(
      ended.map(({ status }) => status),
      ["rejected", "rejected", "rejected"],
    );
    await put(account, "e", Buffer.from("e"));
    const expected = [
      ["a", 1],
      ["e", 2],
    ];
    assert.deepEqual(await feedOf(account), expected);
    const after = await again();
    assert.deepEqual(await feedOf(after), expected);
    assert.deepEqual((await after.check()).faults, []);
  });
});

test("change() DK01 an append that fails takes the rows back that were written meanwhile", async () => {
  let failing = -1;
  const disk = (node: Disk): Disk => ({
    ...node,
    append: async (file, bytes) => {
      await node.append(file, bytes);
      if (failing-- === 0) throw new DiskError("noSpace", `Could not append to ${file}: the disk is full.`);
    },
  });
  await withAccount({ disk }, async ({ account }) => {
    await put(account, "a", Buffer.from("a"));
    failing = 0;
    await assert.rejects(put(account, "b", Buffer.from("b")), { fault: "full" });
    assert.deepEqual(await feedOf(account), [["a", 1]]);
    assert.deepEqual(await account.read([sha1(Buffer.from("b"))]), [null]);
  });
});

test("undo() S8 where the database took everything back by itself, what was kept before is known to be lost", () => {
  const { db } = openDatabase(":memory:", ACCOUNT_SCHEMA);
  try {
    db.prepare("INSERT INTO state VALUES (1, 0, 0, 0, 'e1', 1, 0, 0, 0, 0)").run();
    const { session, counters } = openSession(db, () => undefined);
    const remember = db.prepare<[string, string]>("INSERT INTO device VALUES (?, ?)");
    session.open();
    remember.run("kept", "{}");
    counters.wrote(1);
    session.keep();
    assert.equal(session.intact(), true);
    session.open();
    db.pragma("max_page_count = 1");
    assert.throws(() => remember.run("large", "x".repeat(1_000_000)), { code: "SQLITE_FULL" });
    assert.equal(db.inTransaction, false, "SQLite gave up the whole transaction");
    session.undo();
    assert.equal(session.intact(), false, "else the next note would take the place of one that was acknowledged");
    session.rollback();
    assert.equal(session.intact(), true);
  } finally {
    db.close();
  }
});
