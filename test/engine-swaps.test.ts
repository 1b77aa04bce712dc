/** A file and a folder that want one name, as the engine deals with them: over a real folder. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";

import { runFolder } from "../service/engine/run.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openRootParts } from "../service/files/open-root.ts";
import { openFolderOnDisk } from "./support/folder-on-disk.ts";
import { openDevice } from "./support/memory-device.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";

async function openSynced() {
  const given = await openFolderOnDisk();
  const account = new MemoryAccount();
  const { parts: memory } = openDevice("laptop", memoryRemote(account));
  const { disk, clock, versions, root } = given;
  const rest = { rows: memory.rows, random: memory.random, compute: nodeCompute, naming: "posix", fileMaxBytes: 1 << 20 } as const;
  const parts = { ...memory, ...(await openRootParts({ disk, clock, versions, root, ...rest })), root, clock, versions };
  const sync = async () => {
    clock.addedMs += 5_000;
    return await runFolder(parts, { scan: true, rehash: false, waitSettle: false, ask: true, origin: "user" }, AbortSignal.any([]));
  };
  const problems = () => parts.rows.problems.list().map(({ path, side, reason }) => `${path} ${side} ${reason}`);
  return { given, account, root, parts, sync, problems };
}

test("runFolder() N9 a folder stands where the remote has a file: said once, and over when the folder has gone", async () => {
  const { given, account, root, parts, sync, problems } = await openSynced();
  try {
    fs.mkdirSync(`${root}/name`);
    fs.writeFileSync(`${root}/name/x.png`, "x");
    for (let file = 0; file < 4; file += 1) fs.writeFileSync(`${root}/${String(file)}.png`, String(file));
    await sync();
    account.put("name", Buffer.from("a file"));
    await sync();
    assert.deepEqual(problems(), ["name remote applyFailed"]);
    const again = await sync();
    assert.equal(again.summary.result, "problems");
    assert.equal(parts.rows.pending.count(), 0, "a problem, not something that is tried every second");
    fs.rmSync(`${root}/name`, { recursive: true });
    for (let round = 0; round < 2; round += 1) await sync();
    assert.equal(fs.readFileSync(`${root}/name`, "utf8"), "a file");
    assert.deepEqual(problems(), []);
  } finally {
    await given.close();
  }
});

test("runFolder() N9 L1 a file became a folder there, and a folder a file: one run follows both", async () => {
  const { given, account, root, sync, problems } = await openSynced();
  try {
    account.put("was-file", Buffer.from("file"));
    account.put("was-folder~2f_in.png", Buffer.from("in"));
    for (let file = 0; file < 4; file += 1) account.put(`${String(file)}.png`, Buffer.from(String(file)));
    await sync();
    account.put("was-file", null);
    account.put("was-file~2f_in.png", Buffer.from("inside"));
    account.put("was-folder~2f_in.png", null);
    account.put("was-folder", Buffer.from("a file now"));
    const { summary } = await sync();
    assert.equal(summary.result, "insync");
    assert.deepEqual([summary.downloadedFiles, summary.deletedLocal], [2, 2]);
    assert.equal(fs.readFileSync(`${root}/was-file/in.png`, "utf8"), "inside");
    assert.equal(fs.readFileSync(`${root}/was-folder`, "utf8"), "a file now");
    assert.deepEqual(problems(), []);
  } finally {
    await given.close();
  }
});

test("runFolder() N9 L1 a file became a folder here: its deletion and what is in the folder are sent", async () => {
  const { given, account, root, sync, problems } = await openSynced();
  try {
    for (const name of ["swap", "1.png", "2.png", "3.png"]) fs.writeFileSync(`${root}/${name}`, name);
    await sync();
    fs.rmSync(`${root}/swap`);
    fs.mkdirSync(`${root}/swap`);
    fs.writeFileSync(`${root}/swap/y.png`, "y");
    for (let round = 0; round < 3; round += 1) await sync();
    assert.deepEqual([account.text("swap"), account.text("swap~2f_y.png")], [null, "y"]);
    assert.deepEqual(problems(), []);
  } finally {
    await given.close();
  }
});

test("runFolder() N9 a file that stood where the remote has a folder is renamed: what waited comes with the next run", async () => {
  const { given, account, root, sync, problems } = await openSynced();
  try {
    for (const name of ["swap", "1.png", "2.png", "3.png"]) fs.writeFileSync(`${root}/${name}`, name);
    await sync();
    account.put("swap~2f_y.png", Buffer.from("y"));
    await sync();
    assert.deepEqual(problems(), ["swap/y.png remote applyFailed"]);
    account.put("swap", null);
    await sync();
    assert.deepEqual(problems(), []);
    await sync();
    assert.equal(fs.readFileSync(`${root}/swap/y.png`, "utf8"), "y");
  } finally {
    await given.close();
  }
});
