/** What the packs note beside the bytes: rows survive a kill, a power cut and the loss of the database. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cp, readdir, readFile, rm, truncate, writeFile, stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import Database from "better-sqlite3";

import { DiskError, type Disk } from "../service/core/ports.ts";
import { makeAdmin } from "../service/server/admin.ts";
import { StorageError } from "../service/server/storage.ts";
import { dropDatabase, failingAppends, look, nothing, packsOf, put, sha1, withAccount } from "./support/packed-account.ts";
import { failAt, openSyncHandle } from "./support/sync-handle.ts";

test("change() S18 S8 what was acknowledged is there after a kill and after a power cut, wherever the database stood", async () => {
  await withAccount(async ({ account, home, after }) => {
    const before = path.join(home, "..", "early");
    await put(account, { a: randomBytes(900) });
    await cp(home, before, { recursive: true });
    await put(account, { a: randomBytes(500), b: randomBytes(10) });
    await put(account, { b: null, c: randomBytes(77) });
    const expected = await look(account);
    assert.equal(expected.state.top, 5);
    await after(nothing, async (again) => assert.deepEqual(await look(again), expected));
    const older = async (copy: string): Promise<void> => {
      await dropDatabase(copy);
      for (const name of await readdir(before)) if (name.startsWith("rows.db")) await cp(path.join(before, name), path.join(copy, name));
    };
    await after(older, async (again) => {
      assert.deepEqual(await look(again), expected);
      assert.deepEqual((await again.check()).faults, []);
    });
    await rm(before, { recursive: true });
  });
});

test("change() S18 after an unclean end a new pack begins: the old one's last fsync may have failed, and later ones of it would keep nothing", async () => {
  await withAccount(async ({ account, home, after }) => {
    const before = path.join(home, "..", "early");
    await put(account, { a: randomBytes(900) });
    await cp(home, before, { recursive: true });
    await put(account, { b: randomBytes(500) });
    let copied = "";
    const asBefore = async (copy: string): Promise<void> => {
      copied = copy;
      await dropDatabase(copy);
      for (const name of await readdir(before)) if (name.startsWith("rows.db")) await cp(path.join(before, name), path.join(copy, name));
    };
    await after(asBefore, async (again) => {
      const sizes = async (): Promise<readonly number[]> =>
        await Promise.all((await packsOf(copied)).map(async (file) => (await stat(file)).size));
      await look(again);
      const [found, anew = 0] = await sizes();
      assert.ok(anew > 500, "what was replayed stands in the new one");
      await put(again, { c: randomBytes(100) });
      const [old, fresh = 0, ...more] = await sizes();
      assert.deepEqual([old, more], [found, []]);
      assert.ok(fresh > anew + 100);
    });
    await rm(before, { recursive: true });
  });
});

test("change() S12 S18 N6 an append that a power cut tore is as if it had never been asked for", async () => {
  await withAccount(async ({ account, after }) => {
    await put(account, { a: randomBytes(900) });
    const expected = await look(account);
    await put(account, { b: randomBytes(3000), c: randomBytes(3000) });
    const harms: readonly ((home: string) => Promise<void>)[] = [
      async (home) => {
        const [pack = ""] = await packsOf(home);
        await truncate(pack, (await readFile(pack)).length - 5);
      },
      // The note is whole, the bytes of the first file are not.
      async (home) => {
        const [pack = ""] = await packsOf(home);
        const bytes = await readFile(pack);
        bytes.fill(0, bytes.length - 5000, bytes.length - 4000);
        await writeFile(pack, bytes);
      },
    ];
    for (const harm of harms) {
      await after(harm, async (again, later) => {
        const { state, feed } = await look(again);
        assert.deepEqual([state, feed], [expected.state, expected.feed]);
        // The next note takes its place, even one that gives no number.
        await again.change({ durable: true, files: [] }, async (tx) => await tx.remember("d2", "{}"));
        await later(dropDatabase, async (made) => assert.deepEqual((await look(made)).feed, feed));
        await put(again, { d: Buffer.from("d") });
        const now = await look(again);
        assert.equal(now.state.top, 2);
        assert.deepEqual((await again.check()).faults, []);
        // The database is lost as well: what was torn does not come back with it, and not in the place of what came later.
        await later(dropDatabase, async (made) => {
          assert.deepEqual((await look(made)).feed, now.feed);
          assert.deepEqual((await made.check()).faults, []);
        });
      });
    }
  });
});

test("account() S1 N6 a lost database is made again from the packs, in a new epoch", async () => {
  await withAccount(async ({ account, after }) => {
    const [one, two] = [randomBytes(400), randomBytes(60)];
    await put(account, { a: one, b: one });
    await put(account, { a: two });
    await put(account, { b: null, c: randomBytes(1) });
    const expected = await look(account);
    await after(dropDatabase, async (again) => {
      const { state, feed, log, versions } = await look(again);
      assert.deepEqual({ feed, log, versions }, { feed: expected.feed, log: expected.log, versions: expected.versions });
      assert.deepEqual([state.top, state.live, state.liveBytes], [5, 2, 61]);
      assert.notEqual(state.epoch, expected.state.epoch);
      assert.equal(state.generation, expected.state.generation + 1, "devices compare all they have");
      assert.deepEqual(await again.read([sha1(one), sha1(two)]), [one, two]);
      assert.deepEqual((await again.check()).faults, []);
    });
    // One file's bytes are damaged as well: it alone is missing, and a device that has it sends it again.
    const harm = async (home: string): Promise<void> => {
      await dropDatabase(home);
      const [pack = ""] = await packsOf(home);
      const bytes = await readFile(pack);
      bytes.fill(0, bytes.indexOf(two), bytes.indexOf(two) + 9);
      await writeFile(pack, bytes);
    };
    await after(harm, async (again) => {
      const { feed, versions } = await look(again);
      assert.deepEqual(
        feed.map(({ name }) => name),
        ["b", "c"],
      );
      assert.deepEqual(
        versions.map(({ name, sha1: kept }) => [name, kept]),
        [
          ["b", sha1(one)],
          ["a", sha1(one)],
        ],
      );
      assert.deepEqual((await again.check()).faults, []);
    });
  });
});

test("change() S12 what failed after its append is not there later, and its numbers are given again", async () => {
  await withAccount(
    async ({ account, after }) => {
      await put(account, { a: Buffer.from("a") });
      await assert.rejects(put(account, { b: Buffer.from("b") }), /injected/);
      await put(account, { c: Buffer.from("c") });
      const expected = await look(account);
      assert.deepEqual(
        expected.feed.map(({ name, usn }) => [name, usn]),
        [
          ["a", 1],
          ["c", 2],
        ],
      );
      await after(nothing, async (again) => assert.deepEqual(await look(again), expected));
      await after(dropDatabase, async (again) => assert.deepEqual((await look(again)).feed, expected.feed));
    },
    { faults: failAt("server/afterBlobBeforeRow", 2) },
  );
});

test("replayNotes() S18 what the last process wrote before it died is written anew: an fsync that failed kept nothing of it", async () => {
  const appends = failingAppends();
  const [a, b] = [randomBytes(300), randomBytes(70_000)];
  await withAccount(
    async ({ account, home, directory, after }) => {
      await put(account, { a });
      await after(nothing, async () => await Promise.resolve());
      appends.fail = true;
      await assert.rejects(put(account, { b }), /the disk failed/);
      const suspects = (await packsOf(home)).map((file) => path.basename(file));
      let copy = 1;
      for (const lose of [nothing, dropDatabase]) {
        await after(lose, async (again) => {
          copy += 1;
          assert.deepEqual(
            (await look(again)).feed.map(({ name }) => name),
            ["a", "b"],
          );
          // A power cut now: the system never wrote what it showed.
          const there = path.join(directory, "..", `copy${String(copy)}`, "accounts", "a1");
          for (const name of suspects) {
            const file = path.join(there, "packs", name);
            await writeFile(file, Buffer.alloc((await stat(file)).size));
          }
          assert.deepEqual(
            (await again.read([sha1(a), sha1(b)])).map((bytes) => bytes?.length),
            [a.length, b.length],
          );
          assert.deepEqual((await again.check()).faults, []);
        });
      }
    },
    { disk: appends.disk },
  );
});

test("change() DK01 the disk refuses an append: all who shared it are told, and the next one works", async () => {
  let refusals = -1;
  const disk = (node: Disk): Disk => ({
    ...node,
    append: async (file, bytes) => {
      if (refusals-- === 0) throw new DiskError("noSpace", `Could not append to ${file}: the disk is full.`);
      await node.append(file, bytes);
    },
  });
  await withAccount(
    async ({ account }) => {
      await put(account, { first: Buffer.from("f") });
      refusals = 0;
      const tries = [0, 1, 2].map(async (at) => await put(account, { [`n${String(at)}`]: Buffer.from(String(at)) }));
      const ended = await Promise.allSettled(tries);
      assert.deepEqual(
        ended.map(({ status }) => status),
        ["rejected", "rejected", "rejected"],
      );
      await put(account, { after: Buffer.from("x") });
      const { feed } = await look(account);
      assert.deepEqual(
        feed.map(({ name, usn }) => [name, usn]),
        [
          ["first", 1],
          ["after", 2],
        ],
      );
      assert.deepEqual((await account.check()).faults, []);
    },
    { disk },
  );
});

test("change() NW08 changes that wait share one append, and each has its own outcome", async () => {
  let appends = 0;
  const disk = (node: Disk): Disk => ({
    ...node,
    append: async (file, bytes) => {
      appends += 1;
      await node.append(file, bytes);
    },
  });
  await withAccount(
    async ({ account }) => {
      const wrong = async (): Promise<void> =>
        await account.change({ durable: true, files: [] }, async () => await Promise.reject(new Error("mine alone")));
      const ended = await Promise.allSettled([
        put(account, { a: Buffer.from("a") }),
        put(account, { b: Buffer.from("b") }),
        wrong(),
        put(account, { c: Buffer.from("c") }),
      ]);
      assert.deepEqual(
        ended.map(({ status }) => status),
        ["fulfilled", "fulfilled", "rejected", "fulfilled"],
      );
      assert.equal(appends, 1);
      assert.equal((await look(account)).state.top, 3);
    },
    { disk },
  );
});

/** Overwrites the database from `from` on, as a bad disk would. */
async function scribble(home: string, from: number): Promise<void> {
  const file = path.join(home, "rows.db");
  const bytes = await readFile(file);
  bytes.fill(0xa5, from);
  await writeFile(file, bytes);
}

for (const [what, from] of [
  ["from its first byte", 0],
  ["behind its first page", 4096],
  ["behind its second page", 8192],
] as const)
  test(`account() X5 N6 a database damaged ${what} is put aside and made again; collections are found, other accounts go on`, async () => {
    const server = await openSyncHandle({ users: ["other"] });
    try {
      const [record, other] = ["user", "other"].map(async (name) => await server.storage.accounts.byName(name));
      const [id, otherId] = [(await record)?.id ?? "", (await other)?.id ?? ""];
      const before = await server.storage.account(id);
      const [one, two] = [randomBytes(400), randomBytes(500)];
      await put(before, { a: one, b: two });
      await put(before, { b: null, c: two });
      await put(await server.storage.account(otherId), { mine: one });
      const db = new Database(path.join(server.directory, "c.anki2"));
      db.exec(
        "CREATE TABLE col (mod INTEGER, scm INTEGER, usn INTEGER, ver INTEGER); INSERT INTO col VALUES (5, 6, 7, 18); CREATE TABLE cards (id)",
      );
      db.close();
      const image = await readFile(path.join(server.directory, "c.anki2"));
      const pieces = async function* () {
        yield await Promise.resolve(image);
      };
      assert.notEqual(await before.collection.store(pieces()), null);
      const expected = await look(before);
      await server.storage.close();
      await scribble(path.join(server.directory, "accounts", id), from);
      await server.reopen();
      // Damage that shows at once is mended at once; what shows later fails one request.
      await Promise.allSettled([look(await server.storage.account(id))]);
      assert.equal((await look(await server.storage.account(otherId))).feed.length, 1);
      const again = await server.storage.account(id);
      const { feed, versions, state } = await look(again);
      assert.deepEqual([feed, versions.length, state.top], [expected.feed, expected.versions.length, expected.state.top]);
      assert.notEqual(state.epoch, expected.state.epoch);
      assert.deepEqual((await again.check()).faults, []);
      assert.deepEqual((await again.collection.current())?.mod, 5);
      const names = await readdir(path.join(server.directory, "accounts", id));
      assert.equal(names.filter((name) => /^damaged-\d+-rows\.db$/.test(name)).length, 1, "kept for whoever wants to look");
    } finally {
      await server.close();
    }
  });

test("account() X5 a database that can't be made again refuses that account alone, in words", async () => {
  const server = await openSyncHandle({ users: ["other"] });
  try {
    const id = (await server.storage.accounts.byName("user"))?.id ?? "";
    await put(await server.storage.account(id), { a: randomBytes(300) });
    await server.storage.close();
    const home = path.join(server.directory, "accounts", id);
    const [pack = ""] = await packsOf(home);
    const bytes = await readFile(pack);
    // Only the blob is left: nothing tells its name.
    await writeFile(pack, bytes.subarray(0, 328));
    await scribble(home, 0);
    await server.reopen();
    const damaged = (error: unknown): boolean => error instanceof StorageError && error.fault === "damaged" && /backup/.test(error.message);
    await assert.rejects(server.storage.account(id), damaged);
    await assert.rejects(server.storage.account(id), damaged);
    const admin = makeAdmin(server.storage, server.accounts, server.clock);
    const [other, user] = await admin.call("check", { name: null });
    assert.deepEqual([other?.name, other?.faults], ["other", []]);
    assert.match(String(user?.faults), /backup/);
    assert.deepEqual(
      (await admin.call("user/list", {})).map(({ fault }) => fault === null),
      [true, false],
    );
    await server.restart();
    await assert.rejects(server.storage.account(id), damaged, "nor is it taken for an empty one later");
  } finally {
    await server.close();
  }
});

test("housekeep() N6 S21 what compaction took away is still told by the packs: a lost database is made again whole", async () => {
  await withAccount(
    async ({ account, home, after }) => {
      const files = Array.from({ length: 12 }, () => randomBytes(3000));
      for (const [at, bytes] of files.entries()) await put(account, { [`f${String(at)}`]: bytes });
      for (let at = 0; at < 12; at += 3) await put(account, { [`f${String(at)}`]: null, [`f${String(at + 1)}`]: randomBytes(50) });
      const before = (await packsOf(home)).length;
      await account.housekeep({ keepMs: -20 * 365 * 86_400_000, capBytes: 6500 });
      assert.ok((await packsOf(home)).length < before);
      await put(account, { late: randomBytes(5) });
      const expected = await look(account);
      assert.ok(expected.versions.length > 0);
      await after(nothing, async (again) => assert.deepEqual(await look(again), expected));
      await after(dropDatabase, async (again) => {
        const { feed, versions, memory, state } = await look(again);
        assert.deepEqual({ feed, versions, memory }, { feed: expected.feed, versions: expected.versions, memory: expected.memory });
        assert.deepEqual([state.top, state.live, state.liveBytes], [expected.state.top, expected.state.live, expected.state.liveBytes]);
        assert.deepEqual((await again.check()).faults, []);
        assert.ok((await again.read(feed.flatMap(({ sha1: one }) => one ?? []))).every((bytes) => bytes !== null));
      });
    },
    { packBytes: 8000 },
  );
});
