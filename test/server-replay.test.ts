/** What a start makes of packs that appends failed in, and what it costs to try again. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { DiskError, type Disk } from "../service/core/ports.ts";
import { PackBatch } from "../service/files/pack-batch.ts";
import { rising, writeNote, type Note } from "../service/server/journal.ts";
import { StorageError } from "../service/server/storage.ts";
import { StoreError } from "../service/store/errors.ts";
import { dropDatabase, failingAppends, look, packsOf, put, sha1, withAccount } from "./support/packed-account.ts";

const sender = { device: "d1", session: "s1" };
const full = (error: unknown): boolean => error instanceof StorageError && error.fault === "full";

async function bytesIn(home: string): Promise<number> {
  const sizes = await Promise.all((await packsOf(home)).map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, one) => sum + one, 0);
}

type Flushes = { flush: (durable: boolean) => void };

/** Of the databases of a storage those of accounts alone commit by themselves. */
function isRows(database: object): database is Flushes {
  return "flush" in database;
}

/** The database as it was at `before`: all that was noted since is to be done again. */
function asAt(before: string): (home: string) => Promise<void> {
  return async (home) => {
    await dropDatabase(home);
    for (const name of await readdir(before)) if (name.startsWith("rows.db")) await cp(path.join(before, name), path.join(home, name));
  };
}

test("rising() N6 of two notes that give the same numbers the later one holds", () => {
  const write = (count: number, ...usns: readonly number[]): Note => ({
    count,
    snapshot: false,
    steps: usns.map((usn) => ({ kind: "write", entries: [{ usn, name: "n", sha1: null, sizeBytes: 0, real: true }], sender, atMs: 1 })),
  });
  const other: Note = { count: 9, snapshot: false, steps: [{ kind: "epoch", epoch: "e" }] };
  const countsOf = (notes: readonly Note[]): readonly number[] => rising(notes).map(({ count }) => count);
  assert.deepEqual(countsOf([]), []);
  assert.deepEqual(countsOf([write(1, 1), write(2, 2, 3), write(3, 4)]), [1, 2, 3]);
  assert.deepEqual(countsOf([write(1, 1), write(2, 2, 3), other, write(3, 2), write(4, 3)]), [1, 9, 3, 4]);
  assert.deepEqual(countsOf([write(1, 1), write(2, 2), write(3, 2), write(4, 1)]), [4]);
});

test("account() N6 S18 packs in which the note after a torn one took the next number: a lost database is made again", async () => {
  await withAccount(async ({ account, after }) => {
    await put(account, { a: randomBytes(900) });
    const { feed } = await look(account);
    await put(account, { b: randomBytes(3000), c: randomBytes(3000) });
    const d = Buffer.from("d");
    const harm = async (home: string): Promise<void> => {
      await dropDatabase(home);
      const [pack = ""] = await packsOf(home);
      const bytes = await readFile(pack);
      bytes.fill(0, bytes.length - 5000, bytes.length - 4000);
      await writeFile(pack, bytes);
      // As it was written until this was mended: number 3 with the usn that number 2 had.
      const batch = new PackBatch({ pack: 2, at: 0 });
      batch.blob(sha1(d), d);
      const entries = [{ usn: 2, name: "d", sha1: sha1(d), sizeBytes: 1, real: true }];
      const note = writeNote({ count: 3, snapshot: false, steps: [{ kind: "write", entries, sender, atMs: 1 }] });
      batch.note(sha1(note), note);
      await writeFile(path.join(path.dirname(pack), "00000002.pack"), Buffer.concat(batch.chunks));
    };
    await after(harm, async (again) => {
      const made = await look(again);
      assert.deepEqual(made.feed, [...feed, { name: "d", usn: 2, sha1: sha1(d), sizeBytes: 1 }]);
      assert.equal(made.state.top, 2);
      assert.deepEqual((await again.check()).faults, []);
    });
  });
});

test("replayNotes() S17 DK01 what can't be committed is written anew once, not with every attempt", async () => {
  await withAccount(async ({ account, home, reopened }) => {
    const before = path.join(home, "..", "early");
    await put(account, { a: randomBytes(900) });
    await cp(home, before, { recursive: true });
    await put(account, { b: randomBytes(50_000), c: randomBytes(60_000) });
    await put(account, { d: randomBytes(70_000) });
    const expected = await look(account);
    for (const harm of [asAt(before), dropDatabase]) {
      let refused = true;
      const onOpen = (_file: string, database: { serialize(): Buffer }): void => {
        if (!isRows(database)) return;
        const { flush } = database;
        database.flush = (durable: boolean): void => {
          if (refused) throw new StoreError("full", "Could not commit changes: the disk is full.");
          flush(durable);
        };
      };
      await reopened({ onOpen }, harm, async (storage, copy) => {
        const found = await bytesIn(copy);
        await assert.rejects(storage.account("a1"), full);
        const anew = await bytesIn(copy);
        assert.ok(anew > found + 180_000, "what may be lost is written once more");
        for (let attempt = 0; attempt < 3; attempt += 1) {
          await assert.rejects(storage.account("a1"), full);
          assert.equal(await bytesIn(copy), anew);
        }
        refused = false;
        const again = await storage.account("a1");
        assert.deepEqual((await look(again)).feed, expected.feed);
        // A power cut now takes what the first process left without an fsync.
        for (const file of (await packsOf(copy)).slice(0, 1)) await writeFile(file, Buffer.alloc((await stat(file)).size));
        const fresh = expected.feed.flatMap((row) => (row.name === "a" || row.sha1 === null ? [] : [row.sha1]));
        assert.ok((await again.read(fresh)).every((bytes) => bytes !== null));
      });
    }
    await rm(before, { recursive: true });
  });
});

test("replayNotes() S17 S18 what an attempt did not write anew any more, the next one does", async () => {
  await withAccount(async ({ account, home, reopened }) => {
    const [b, c] = [randomBytes(17 * 1024 * 1024), randomBytes(9000)];
    await put(account, { b });
    await put(account, { c });
    const expected = await look(account);
    let appends = 0;
    const disk = (node: Disk): Disk => ({
      ...node,
      append: async (file, bytes) => {
        await node.append(file, bytes);
        // The pieces of `b` come through, what comes after them is shown and not kept.
        if (++appends === 3) throw new DiskError("io", `Could not append to ${file}: the disk failed.`);
      },
    });
    const old = (await packsOf(home)).length;
    await reopened({ disk }, dropDatabase, async (storage, copy) => {
      await assert.rejects(storage.account("a1"), /the disk failed/);
      const torn = (await packsOf(copy)).slice(old);
      assert.equal(torn.length, 1);
      const sure = (await readFile(torn[0] ?? "")).indexOf(b) + b.length;
      const again = await storage.account("a1");
      for (const [at, file] of (await packsOf(copy)).entries()) {
        const bytes = await readFile(file);
        if (at < old) await writeFile(file, Buffer.alloc(bytes.length));
        else if (file === torn[0]) await writeFile(file, bytes.fill(0, sure));
      }
      assert.deepEqual((await look(again)).feed, expected.feed);
      const read = await again.read([sha1(b), sha1(c)]);
      assert.deepEqual(
        read.map((bytes) => bytes?.length),
        [b.length, c.length],
      );
      assert.ok((await bytesIn(copy)) < 2.5 * b.length, "and no more than that");
    });
  });
});

test("replayNotes() S17 too little free space: nothing is written anew, and with more of it all is there", async () => {
  await withAccount(async ({ account, home, reopened }) => {
    const before = path.join(home, "..", "early");
    await put(account, { a: randomBytes(900) });
    await cp(home, before, { recursive: true });
    await put(account, { b: randomBytes(50_000) });
    const expected = await look(account);
    let freeBytes = 10_040_000;
    const disk = (node: Disk): Disk => ({ ...node, space: async () => await Promise.resolve({ freeBytes, totalBytes: 1e9 }) });
    await reopened({ disk, keepFreeBytes: 10_000_000 }, asAt(before), async (storage, copy) => {
      const found = await bytesIn(copy);
      await assert.rejects(storage.account("a1"), full);
      assert.equal(await bytesIn(copy), found);
      freeBytes = 20_000_000;
      assert.deepEqual(await look(await storage.account("a1")), expected);
    });
    await rm(before, { recursive: true });
  });
});

test("account() N6 S18 a lost database: of bytes that were sent again after a failed append the later ones hold", async () => {
  const appends = failingAppends();
  const [a, b, c] = [randomBytes(300), randomBytes(7000), randomBytes(500)];
  await withAccount(
    async ({ account, home, reopened }) => {
      await put(account, { a });
      appends.fail = true;
      await assert.rejects(put(account, { b }), /the disk failed/);
      appends.fail = false;
      await put(account, { b });
      await put(account, { c });
      assert.equal((await packsOf(home)).length, 2);
      await reopened({}, dropDatabase, async (storage, copy) => {
        const again = await storage.account("a1");
        await look(again);
        // A power cut now: what the failed append left was never written.
        const [old = ""] = await packsOf(copy);
        const bytes = await readFile(old);
        const at = bytes.indexOf(b);
        assert.ok(at > 0);
        await writeFile(old, bytes.fill(0, at));
        assert.deepEqual(
          (await again.read([a, b, c].map((one) => sha1(one)))).map((one) => one?.length),
          [a.length, b.length, c.length],
        );
        assert.deepEqual((await again.check()).faults, []);
      });
    },
    { disk: appends.disk },
  );
});
