/** The log's disk is full: the service goes on. */
import assert from "node:assert/strict";
import { existsSync, readlinkSync } from "node:fs";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { makeSatchel } from "./support/satchel.ts";
import { startSyncServer } from "./support/sync-server.ts";

const FULL = "/dev/full";

test("openLog() DK01 no line of the log can be written: the service starts, syncs, answers and stops as ever", async (t) => {
  if (!existsSync(FULL)) return t.skip(`this system has no ${FULL}`);
  const server = await startSyncServer({ kind: "satchel" }, 1);
  const satchel = await makeSatchel();
  try {
    const log = path.join(satchel.home, "state", "log", "service.log");
    await mkdir(path.dirname(log), { recursive: true, mode: 0o700 });
    await symlink(FULL, log);
    await satchel.start();
    await satchel.join(server.url, "user1");
    await writeFile(path.join(satchel.root, "p.png"), "p");
    const { code, run } = await satchel.sync();
    assert.deepEqual([code, run?.result], [0, "insync"]);
    const explained = await satchel.cli(["explain", path.join(satchel.root, "p.png")]);
    assert.match(explained.stdout, /state +in sync/, explained.stderr);
    assert.equal(readlinkSync(log), FULL, "it was the log that was written to");
    const stopped = await satchel.cli(["service", "stop"]);
    assert.equal(stopped.code, 0, stopped.stderr);
  } finally {
    await satchel.close();
    await server.close();
  }
});
