/** A service that is told to stop while the server keeps it waiting. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { endChild, tie } from "./support/children.ts";
import { satchelEntry } from "./support/entry.ts";
import { startProxy } from "./support/proxy.ts";
import { readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer } from "./support/sync-server.ts";

/** A stop that takes longer than this is none: whoever supervises services kills them then. */
const STOP_MS = 30_000;
const MINE = Buffer.alloc(40_000, "mine");
const THEIRS = Buffer.alloc(40_000, "theirs");

/** `service run` as a child whose end the test sees. Resolves when it answers. */
async function runService(device: Satchel): Promise<ChildProcess> {
  const env = { ...process.env, SATCHEL_HOME: device.home };
  const child = tie(spawn(process.execPath, [satchelEntry(), "service", "run"], { env, stdio: ["ignore", "ignore", "pipe"] }));
  await once(child.stderr, "data"); // the first line of the log: it answers
  child.stderr.resume();
  return child;
}

/** All files below the folder, Satchel's own among them. */
async function filesOf({ root }: Satchel): Promise<readonly string[]> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => !one.isDirectory())
    .map((one) => path.relative(root, path.join(one.parentPath, one.name)))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

async function synced(device: Satchel): Promise<void> {
  const { code, said } = await device.sync();
  assert.equal(code, 0, said);
}

for (const [what, route] of [
  ["an upload", "satchel/upload"],
  ["a download", "satchel/download"],
] as const)
  test(`service run N5 SIGTERM while ${what} hangs: it ends cleanly, leaves nothing half-done, and the next start gets in sync`, async (t) => {
    const server = await startSyncServer({ kind: "satchel" }, 1);
    t.after(async () => await server.close());
    const proxy = await startProxy(server.url);
    t.after(async () => await proxy.close());
    const [other, device] = [await makeSatchel(), await makeSatchel()];
    for (const one of [other, device]) t.after(async () => await one.close());
    await other.run();
    await writeFile(path.join(other.root, "theirs.png"), THEIRS);
    await other.join(server.url, "user1");
    await synced(other);

    const asked = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    proxy.rule({
      paths: [route],
      before: async () => {
        asked.resolve();
        await open.promise;
      },
    });
    await writeFile(path.join(device.root, "mine.png"), MINE);
    const child = await runService(device);
    await device.join(proxy.url, "user1");
    await asked.promise;
    await endChild(child, STOP_MS);
    assert.deepEqual([child.exitCode, child.signalCode], [0, null]);
    assert.equal(await readServiceFile(device.home), undefined, "nobody looks for it there");
    const left = await filesOf(device);
    assert.deepEqual(
      left.filter((name) => name !== "theirs.png"),
      ["mine.png"],
      "no file of Satchel's own",
    );

    open.resolve();
    await device.run();
    await synced(device);
    await synced(other);
    for (const one of [device, other]) {
      assert.deepEqual(await filesOf(one), ["mine.png", "theirs.png"]);
      assert.ok((await readFile(path.join(one.root, "mine.png"))).equals(MINE));
      assert.ok((await readFile(path.join(one.root, "theirs.png"))).equals(THEIRS));
    }
  });
