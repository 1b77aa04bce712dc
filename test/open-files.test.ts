import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";

import { DiskError } from "../service/core/ports.ts";
import { openTurns } from "../service/files/open-turns.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer } from "./support/sync-server.ts";

/** A process that may have so many files open: each piece of work holds one until it is told to end. */
function narrow(max: number): { readonly work: () => Promise<number>; readonly endOne: () => void; readonly open: () => number } {
  const held: (() => void)[] = [];
  return {
    open: () => held.length,
    endOne: () => held.shift()?.(),
    work: async () => {
      if (held.length >= max) throw new DiskError("tooManyOpen", "refused");
      const { promise, resolve } = Promise.withResolvers<number>();
      held.push(() => resolve(max));
      return await promise;
    },
  };
}

test("openTurns() DK02 of more work than the process may open files for, all of it ends, in turns", async () => {
  const files = narrow(3);
  const inTurn = openTurns(async () => await Promise.resolve(files.endOne()));
  const all = await Promise.all(Array.from({ length: 50 }, async () => await inTurn(files.work)).concat(ending(files)));
  assert.deepEqual(
    all.slice(0, 50),
    all.slice(0, 50).map(() => 3),
  );
  assert.equal(files.open(), 0);
});

/** Ends what is open for as long as anything is. */
async function ending({ open, endOne }: { readonly open: () => number; readonly endOne: () => void }): Promise<number> {
  for (let idle = 0; idle < 100; idle += 1) {
    if (open() > 0) idle = 0;
    endOne();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return 0;
}

test("openTurns() DK02 what stays refused is told in the end; any other trouble at once", async () => {
  let pauses = 0;
  const inTurn = openTurns(async () => await Promise.resolve((pauses += 1)));
  await assert.rejects(inTurn(narrow(0).work), /refused/);
  assert.ok(pauses > 100, `${pauses} pauses`);
  pauses = 0;
  await assert.rejects(
    inTurn(async () => await Promise.reject(new DiskError("io", "broken"))),
    /broken/,
  );
  assert.equal(pauses, 0);
});

test("openTurns() DK02 a thousand that stay refused wait no longer than one, and the next that finds room begins the patience anew", async () => {
  let pauses = 0;
  let room = false;
  const inTurn = openTurns(async () => await Promise.resolve((pauses += 1)));
  const work = async (): Promise<string> => {
    if (room) return await Promise.resolve("done");
    throw new DiskError("tooManyOpen", "refused");
  };
  await assert.rejects(inTurn(work), /refused/);
  const alone = pauses;
  room = true;
  assert.equal(await inTurn(work), "done");
  [room, pauses] = [false, 0];
  const many = await Promise.allSettled(Array.from({ length: 1000 }, async () => await inTurn(work)));
  assert.ok(many.every(({ status }) => status === "rejected"));
  assert.ok(pauses >= alone && pauses < alone + 10, `${pauses} pauses of all, ${alone} of one`);
});

const FILES = 400;

async function texts(root: string): Promise<string[]> {
  const names = (await readdir(root)).filter((name) => name.endsWith(".png"));
  return await Promise.all(names.toSorted().map(async (name) => await readFile(path.join(root, name), "utf8")));
}

async function fill(root: string, text: string): Promise<void> {
  for (let at = 0; at < FILES; at += 1) await writeFile(path.join(root, `${at}.png`), `${text} ${at}`);
}

suite("a service that may open 56 files", { skip: process.platform === "linux" ? false : "prlimit is Linux's" }, () => {
  const narrowed = async (device: Satchel): Promise<void> => {
    await device.run();
    execFileSync("prlimit", ["--pid", String(await device.pid()), "--nofile=56"]);
  };

  test("DK02 takes in, replaces and sends hundreds of files in one sync each: fewer at a time, no failed run", async () => {
    const server = await startSyncServer({ kind: "satchel" }, 1);
    const [near, far] = [await makeSatchel(), await makeSatchel()];
    try {
      await fill(near.root, "first");
      await narrowed(near);
      await near.join(server.url, "user1");
      assert.equal((await near.sync()).run?.result, "insync");
      await narrowed(far);
      await far.join(server.url, "user1");
      assert.equal((await far.sync()).run?.result, "insync");
      assert.deepEqual(await texts(far.root), await texts(near.root));
      await fill(near.root, "second");
      for (const device of [near, far]) assert.equal((await device.sync()).run?.result, "insync");
      assert.deepEqual(await texts(far.root), await texts(near.root));
      assert.ok((await texts(far.root)).every((text) => text.startsWith("second")));
      const kept = await far.json(["versions", "7.png"]);
      assert.match(JSON.stringify(kept), /sha1/);
    } finally {
      await near.close();
      await far.close();
      await server.close();
    }
  });
});
