/** What every storage of the sync server must do. A storage's own test calls this with a way to open an empty one. */
import type { Entry } from "../service/core/server-rows.ts";
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { StorageError, type Account, type Storage } from "../service/server/storage.ts";

export type OpenStorage = () => Promise<{
  readonly storage: Storage;
  /** Another look at the same data, as after a restart. */
  readonly reopen: () => Promise<Storage>;
  readonly close: () => Promise<void>;
}>;

const sender = { device: "d1", session: "s1" };
const durable = { durable: true, files: [] } as const;
const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);
const fileOf = (bytes: Uint8Array) => ({ sha1: sha1(bytes), bytes });

async function withAccount(
  open: OpenStorage,
  work: (account: Account, world: Awaited<ReturnType<OpenStorage>>) => Promise<void>,
): Promise<void> {
  const world = await open();
  try {
    const record = { id: "a1", name: "ada", origin: "command", credential: null, disabled: false, createdMs: 1 } as const;
    await world.storage.accounts.put(record);
    await work(await world.storage.account("a1"), world);
  } finally {
    await world.close();
  }
}

async function put(account: Account, usn: number, name: string, bytes: Uint8Array | null): Promise<void> {
  const entry: Entry = { usn, name, sha1: bytes === null ? null : sha1(bytes), sizeBytes: bytes?.length ?? 0, real: true };
  const files = bytes === null ? [] : [fileOf(bytes)];
  await account.change({ durable: true, files }, async (tx) => await tx.write([entry], sender));
}

export function storageContract(kind: string, open: OpenStorage): void {
  const contract = (title: string, work: Parameters<typeof withAccount>[1]): void => {
    test(`${kind} storage ${title}`, async () => await withAccount(open, work));
  };

  contract(
    "W13 a name that differs in case alone from one that stands is in its shadow until that one goes, then it gets the next usn",
    async (account) => {
      const bytes = randomBytes(10);
      await put(account, 1, "a.jpg", bytes);
      await put(account, 2, "A.jpg", bytes);
      const shadows = async () => await account.change(durable, async (tx) => [...(await tx.shadows())]);
      assert.deepEqual(await shadows(), ["A.jpg"]);
      await put(account, 3, "a.jpg", null);
      assert.deepEqual(await shadows(), []);
      const told = await account.change(durable, async (tx) => await tx.feed(2, 10));
      assert.deepEqual(
        told.map(({ name, usn }) => [name, usn]),
        [
          ["a.jpg", 3],
          ["A.jpg", 4],
        ],
      );
      assert.deepEqual((await account.check()).faults, []);
    },
  );

  contract("S10 gives rows in the order of their usns, each name once with its latest", async (account) => {
    const [one, two] = [randomBytes(10), randomBytes(20)];
    await put(account, 1, "a", one);
    await put(account, 2, "b", one);
    await put(account, 3, "a", two);
    await put(account, 4, "b", null);
    const feed = await account.change(durable, async (tx) => await tx.feed(0, 10));
    assert.deepEqual(feed, [
      { name: "a", usn: 3, sha1: sha1(two), sizeBytes: 20 },
      { name: "b", usn: 4, sha1: null, sizeBytes: 0 },
    ]);
    const state = await account.change(durable, async (tx) => await tx.state());
    assert.deepEqual([state.top, state.live, state.liveBytes], [4, 1, 20]);
    assert.deepEqual(await account.change(durable, async (tx) => await tx.feed(3, 10)), feed.slice(1));
    const withoutOld = async (bornAt: number) => await account.change(durable, async (tx) => await tx.feed(0, 10, bornAt));
    assert.deepEqual(
      await withoutOld(999),
      feed.filter((row) => row.sha1 !== null),
    );
    assert.deepEqual(await withoutOld(0), feed);
  });

  contract("S10 glance() tells what change() does, and nothing while a change is under way", async (account) => {
    const told = async () => await account.change(durable, async (tx) => await tx.state());
    assert.deepEqual(account.glance(), await told());
    const during = account.change({ durable: true, files: [fileOf(Buffer.from("x"))] }, async (tx) => {
      await tx.write([{ usn: 1, name: "a", sha1: sha1(Buffer.from("x")), sizeBytes: 1, real: true }], sender);
      return account.glance();
    });
    assert.equal(account.glance(), null);
    assert.equal(await during, null);
    assert.equal(account.glance()?.top, 1);
    assert.deepEqual(account.glance(), await told());
    await account.change(durable, async (tx) => await tx.newEpoch());
    assert.deepEqual(account.glance(), await told());
  });

  contract("S12 applies all of a change or nothing", async (account) => {
    await put(account, 1, "a", randomBytes(5));
    const attempt = account.change({ durable: true, files: [fileOf(Buffer.from("x"))] }, async (tx) => {
      await tx.write([{ usn: 2, name: "b", sha1: sha1(Buffer.from("x")), sizeBytes: 1, real: true }], sender);
      await tx.remember("d1", "{}");
      throw new Error("in the middle");
    });
    await assert.rejects(attempt, /in the middle/);
    const after = await account.change(durable, async (tx) => ({
      state: await tx.state(),
      row: await tx.rows(["b"]),
      memory: await tx.memory("d1"),
    }));
    assert.deepEqual([after.state.top, after.state.live, after.row.size, after.memory], [1, 1, 0, null]);
  });

  contract("S11 refuses a row whose bytes are not stored", async (account) => {
    const attempt = account.change(
      durable,
      async (tx) => await tx.write([{ usn: 1, name: "a", sha1: sha1(Buffer.from("nowhere")), sizeBytes: 7, real: true }], sender),
    );
    await assert.rejects(attempt, StorageError);
    assert.equal((await account.change(durable, async (tx) => await tx.state())).top, 0);
  });

  contract("S18 has everything again after a restart", async (account, world) => {
    const bytes = randomBytes(3000);
    await put(account, 1, "a", bytes);
    await account.change(durable, async (tx) => await tx.remember("d1", '{"x":1}'));
    const again = await (await world.reopen()).account("a1");
    assert.deepEqual((await again.read([sha1(bytes)]))[0], bytes);
    const kept = await again.change(durable, async (tx) => ({ feed: await tx.feed(0, 9), memory: await tx.memory("d1") }));
    assert.deepEqual([kept.feed.length, kept.memory], [1, '{"x":1}']);
    assert.deepEqual(await again.change(durable, async (tx) => await tx.memories()), [["d1", '{"x":1}']]);
  });

  contract("S1 keeps what was replaced or deleted, and gives equal bytes one place", async (account) => {
    const [one, two] = [randomBytes(100), randomBytes(50)];
    await put(account, 1, "a", one);
    await put(account, 2, "a", two);
    await put(account, 3, "a", null);
    const versions = await account.change(durable, async (tx) => await tx.versions("a"));
    assert.deepEqual(
      versions.map(({ sha1: hash1, why }) => [hash1, why]),
      [
        [sha1(two), "deleted"],
        [sha1(one), "replaced"],
      ],
    );
    assert.deepEqual(await account.read([sha1(one), sha1(two), sha1(Buffer.from("never"))]), [one, two, null]);
    // Bytes that are stored already need not be sent again to be named.
    await account.change(
      durable,
      async (tx) => await tx.write([{ usn: 4, name: "b", sha1: sha1(one), sizeBytes: 100, real: true }], sender),
    );
    assert.deepEqual((await account.check()).faults, []);
  });

  contract("W32 logs what stood before and after, by sender", async (account) => {
    await put(account, 1, "a", randomBytes(5));
    await account.change(
      durable,
      async (tx) => await tx.write([{ usn: 2, name: "a", sha1: null, sizeBytes: 0, real: true }], { device: "d2", session: "s2" }),
    );
    const log = await account.change(durable, async (tx) => await tx.log(0));
    assert.deepEqual(log, [
      { usn: 1, name: "a", live: true, wasLive: false, ...sender },
      { usn: 2, name: "a", live: false, wasLive: true, device: "d2", session: "s2" },
    ]);
  });

  contract("L6 begins a new epoch when told so", async (account) => {
    await put(account, 1, "a", randomBytes(5));
    const before = await account.change(durable, async (tx) => await tx.state());
    await account.change(durable, async (tx) => await tx.newEpoch());
    const after = await account.change(durable, async (tx) => await tx.state());
    assert.notEqual(after.epoch, before.epoch);
    assert.deepEqual([after.generation, after.restoredTop], [before.generation + 1, 1]);
  });

  contract("one change at a time, in the order of asking", async (account) => {
    const order: number[] = [];
    await Promise.all(
      [1, 2, 3].map(
        async (usn) =>
          await account.change(durable, async (tx) => {
            await Promise.resolve();
            assert.equal((await tx.state()).top, usn - 1);
            await tx.write([{ usn, name: `n${String(usn)}`, sha1: null, sizeBytes: 0, real: true }], sender);
            order.push(usn);
          }),
      ),
    );
    assert.deepEqual(order, [1, 2, 3]);
  });

  contract("S12 of changes asked for at once each has its own outcome", async (account, world) => {
    const failing = async (): Promise<void> =>
      await account.change(durable, async (tx) => {
        await tx.remember("d2", "lost");
        throw new Error("mine alone");
      });
    const nowhere = account.change(
      durable,
      async (tx) => await tx.write([{ usn: 9, name: "x", sha1: sha1(Buffer.from("nowhere")), sizeBytes: 7, real: true }], sender),
    );
    const ended = await Promise.allSettled([
      put(account, 1, "a", randomBytes(5)),
      failing(),
      nowhere,
      put(account, 2, "b", randomBytes(5)),
    ]);
    assert.deepEqual(
      ended.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "fulfilled"],
    );
    const again = await (await world.reopen()).account("a1");
    const { feed, memory } = await again.change(durable, async (tx) => ({ feed: await tx.feed(0, 9), memory: await tx.memory("d2") }));
    assert.deepEqual([feed.map(({ name }) => name), memory], [["a", "b"], null]);
  });

  contract("tells of changes of rows, and of nothing else", async (account, world) => {
    const told: number[] = [];
    const stop = world.storage.onChange("a1", (top) => told.push(top));
    await put(account, 1, "a", randomBytes(5));
    await account.change(durable, async (tx) => await tx.remember("d1", "{}"));
    stop();
    await put(account, 2, "b", randomBytes(5));
    assert.deepEqual(told, [1]);
  });

  contract("knows keys and forgets them when they are removed", async (_account, { storage }) => {
    const key = { id: "k1", account: "a1", digest: "00", client: "c", createdMs: 1, usedMs: 1 };
    await storage.accounts.addKey(key);
    await storage.accounts.touchKey("k1", 5);
    assert.deepEqual(await storage.accounts.key("k1"), { ...key, usedMs: 5 });
    assert.equal(await storage.accounts.removeKey("k1"), true);
    assert.equal(await storage.accounts.removeKey("k1"), false);
    assert.equal(await storage.accounts.key("k1"), null);
    await assert.rejects(storage.account("nobody"), (error) => error instanceof StorageError && error.fault === "gone");
  });

  contract("S21 lets a version go only when it is old enough and there are too many", async (account) => {
    const [one, two] = [randomBytes(100), randomBytes(100)];
    await put(account, 1, "a", one);
    await put(account, 2, "a", two);
    await put(account, 3, "a", null);
    await account.housekeep({ keepMs: 30 * 86_400_000, capBytes: 0 });
    assert.deepEqual(await account.read([sha1(one), sha1(two)]), [one, two]);
    await account.housekeep({ keepMs: -1, capBytes: 100 });
    assert.deepEqual(
      (await account.change(durable, async (tx) => await tx.versions("a"))).map((version) => version.sha1),
      [sha1(two)],
    );
    assert.deepEqual((await account.check()).faults, []);
  });
}
