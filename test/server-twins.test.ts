/** W13: names that differ in case alone, and unmodified clients whose disks take them for one file. */
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { foldsNames } from "../service/server/media.ts";
import { FoldingFolder, StockClient } from "./support/stock-client.ts";
import { openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

const LINUX = "26.09.3,test,linux";
const WINDOWS = "26.09.3,test,windows";
const [UPPER, LOWER] = [Buffer.from("upper"), Buffer.from("lower")];

type Device = { readonly stock: StockClient; sync(): Promise<void> };
let sessions = 0;

async function device(server: SyncHandle, client: string, folder: Map<string, Buffer>): Promise<Device> {
  const key = await server.login();
  server.clock.nowMs += 1000;
  const ask = async (route: string, payload: unknown, session: string): Promise<Buffer> => {
    const reply = await server.ask(route, payload, { key, session, client });
    assert.equal(reply.status, 200, route);
    return reply.payload;
  };
  const stock = new StockClient(ask, { replaced: () => undefined, deleted: () => undefined }, folder);
  return { stock, sync: async () => await stock.sync(`s${String(++sessions)}`) };
}

const filesOf = ({ stock }: Device): Readonly<Record<string, string>> =>
  Object.fromEntries([...stock.folder].map(([name, bytes]) => [name, bytes.toString()]));

/** A device that keeps twins apart, and one that can't. */
async function withDevices(client: string, work: (keeps: Device, folds: Device, server: SyncHandle) => Promise<void>): Promise<void> {
  const server = await openSyncHandle();
  try {
    await work(await device(server, LINUX, new Map()), await device(server, client, new FoldingFolder()), server);
  } finally {
    await server.close();
  }
}

for (const [system, kept] of [
  [WINDOWS, true],
  [LINUX, false],
] as const)
  test(`handle() W13 twins on a disk that folds names, told of as ${system}: ${kept ? "both stay everywhere" : "one is lost everywhere, which shows the hazard"}`, async () => {
    await withDevices(system, async (keeps, folds) => {
      keeps.stock.folder.set("A.jpg", UPPER);
      await keeps.sync();
      await folds.sync();
      keeps.stock.folder.set("a.jpg", LOWER);
      for (let round = 0; round < 4; round++)
        for (const one of [keeps, folds]) {
          // A stock client looks at its folder only when something was added or removed.
          one.stock.folder.set(`${String(round)}.png`, Buffer.from(String(round)));
          await one.sync();
        }
      const [here, there] = [filesOf(keeps), filesOf(folds)];
      assert.equal(here["A.jpg"] === "upper" && here["a.jpg"] === "lower", kept);
      assert.equal(there["A.jpg"] === "upper", kept);
      assert.equal(folds.stock.wipes + keeps.stock.wipes, 0);
    });
  });

test("handle() W13 W31 a name that leaves a shadow is no change to who knows it: an edit that was not sent yet stays", async () => {
  await withDevices(WINDOWS, async (keeps, folds, server) => {
    const other = await device(server, LINUX, new Map());
    keeps.stock.folder.set("A.jpg", UPPER).set("a.jpg", LOWER);
    for (const one of [keeps, folds, other]) await one.sync();
    other.stock.folder.set("a.jpg", Buffer.from("edited here")).set("new.png", Buffer.from("new"));
    keeps.stock.folder.delete("A.jpg");
    for (const one of [keeps, other, keeps, folds]) await one.sync();
    for (const one of [keeps, other, folds]) assert.deepEqual(filesOf(one), { "a.jpg": "edited here", "new.png": "new" });
  });
});

test("handle() W13 a twin comes to the device that lacks it when the one before it goes, and not sooner", async () => {
  await withDevices(WINDOWS, async (keeps, folds) => {
    keeps.stock.folder.set("A.jpg", UPPER).set("a.jpg", LOWER);
    await keeps.sync();
    await folds.sync();
    keeps.stock.folder.set("a.jpg", Buffer.from("lower, edited"));
    await keeps.sync();
    await folds.sync();
    assert.deepEqual(filesOf(folds), { "A.jpg": "upper" });
    keeps.stock.folder.delete("A.jpg");
    await keeps.sync();
    await folds.sync();
    assert.deepEqual(filesOf(folds), { "a.jpg": "lower, edited" });
    await keeps.sync();
    assert.deepEqual(filesOf(keeps), { "a.jpg": "lower, edited" });
    // Now the other one is the later.
    keeps.stock.folder.set("A.jpg", UPPER);
    await keeps.sync();
    await folds.sync();
    assert.deepEqual(filesOf(folds), { "a.jpg": "lower, edited" });
    assert.equal(folds.stock.wipes + keeps.stock.wipes, 0);
  });
});

test("handle() W13 a file that its own device renames in case alone is one file everywhere", async () => {
  await withDevices(WINDOWS, async (keeps, folds) => {
    folds.stock.folder.set("A.jpg", UPPER);
    await folds.sync();
    await keeps.sync();
    folds.stock.folder.delete("A.jpg");
    folds.stock.folder.set("a.jpg", UPPER);
    for (let round = 0; round < 2; round++) {
      await folds.sync();
      await keeps.sync();
    }
    assert.deepEqual([filesOf(folds), filesOf(keeps)], [{ "a.jpg": "upper" }, { "a.jpg": "upper" }]);
    assert.equal(folds.stock.wipes + keeps.stock.wipes, 0);
  });
});

test("handle() W13 a device that sends both has a disk that keeps them apart: it is told of both", async () => {
  const server = await openSyncHandle();
  try {
    const [one, mac] = [await device(server, LINUX, new Map()), await device(server, "26.09.3,test,macos", new Map())];
    mac.stock.folder.set("A.jpg", UPPER).set("a.jpg", LOWER);
    await mac.sync();
    await one.sync();
    one.stock.folder.set("a.jpg", Buffer.from("edited")).set("A.jpg", Buffer.from("edited too"));
    await one.sync();
    await mac.sync();
    assert.deepEqual(filesOf(mac), { "A.jpg": "edited too", "a.jpg": "edited" });
    assert.ok(server.logs.some((line) => line.startsWith("warn names that differ in case alone")));
  } finally {
    await server.close();
  }
});

test("shadows() W13 N6 are the same after a restart, after an undone change, and after the database was lost", async () => {
  const server = await openSyncHandle();
  try {
    const one = await device(server, LINUX, new Map());
    one.stock.folder.set("x.png", UPPER).set("É.png", UPPER).set("A.jpg", UPPER).set("a.jpg", LOWER).set("é.png", LOWER);
    await one.sync();
    const [record] = await server.storage.accounts.list();
    const id = record?.id ?? "";
    const light = { durable: false, files: [] } as const;
    const shadows = async (): Promise<readonly string[]> =>
      await (await server.storage.account(id)).change(light, async (tx) => [...(await tx.shadows())].toSorted());
    assert.deepEqual(await shadows(), ["a.jpg", "é.png"]);
    const undone = (await server.storage.account(id)).change({ durable: true, files: [] }, async (tx) => {
      const { top } = await tx.state();
      await tx.write([{ usn: top + 1, name: "A.jpg", sha1: null, sizeBytes: 0, real: true }], { device: "d", session: "s" });
      assert.deepEqual([...(await tx.shadows())], ["é.png"], "a.jpg came out of its shadow");
      throw new Error("undone");
    });
    await assert.rejects(undone, /undone/);
    assert.deepEqual(await shadows(), ["a.jpg", "é.png"]);
    await server.restart();
    assert.deepEqual(await shadows(), ["a.jpg", "é.png"]);
    await server.storage.close();
    const home = path.join(server.directory, "accounts", id);
    for (const name of await readdir(home)) if (name.startsWith("rows.db")) await rm(path.join(home, name));
    await server.reopen();
    assert.deepEqual(await shadows(), ["a.jpg", "é.png"]);
  } finally {
    await server.close();
  }
});

test("foldsNames() W13 knows the systems whose disks fold names", () => {
  for (const client of [WINDOWS, "26.09.3,test,macos", "2.16,abc,android:33", "25.1,x,win:10"])
    assert.equal(foldsNames(client), true, client);
  for (const client of [LINUX, "26.09.3,test,ios", "windows", "win,linux", ""]) assert.equal(foldsNames(client), false, client);
});
