/** What a run asks of a remote that is far away, and in how large parts: round trips are its time. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { openDevice } from "./support/memory-device.ts";
import { pair } from "./support/memory-pair.ts";
import { MemoryAccount, memoryRemote } from "./support/memory-remote.ts";

test("runFolder() a first sync down is one look, one list and the files: what was only fetched is not looked at again", async () => {
  const { account, b, remoteB } = pair();
  account.put("p", Buffer.from("p"));
  const { summary } = await b.sync();
  assert.deepEqual([summary.result, summary.downloadedFiles], ["insync", 1]);
  assert.deepEqual(remoteB.calls, ["state", "feed", "download", "verify"]);
});

test("push() where batches may have any size they are sixteen of a transfer, and none is smaller than is worth a request", async () => {
  for (const [least, sent] of [
    [10, 16],
    [800, 4],
  ] as const) {
    const remote = memoryRemote(new MemoryAccount());
    Object.assign(remote.limits, { lineBytes: least });
    const device = openDevice("laptop", remote);
    for (let index = 0; index < 32; index += 1) device.folder.write(`f${index}`, "x".repeat(100));
    assert.equal((await device.sync()).summary.uploadedFiles, 32);
    assert.equal(remote.calls.filter((call) => call === "upload").length, sent);
  }
});
