/** The setting `uploadsInFlightMax`, from the environment of a service to what its server is asked at once. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { startProxy } from "./support/proxy.ts";
import { makeSatchel } from "./support/satchel.ts";
import { startSyncServer } from "./support/sync-server.ts";

/** Two of these don't fit into one request. */
const FILE_BYTES = 5_000_000;
const FILES = 4;

for (const most of [1, 3])
  test(`uploadsInFlightMax ${String(most)}: so many uploads at once, and no more`, { timeout: 120_000 }, async (t) => {
    const server = await startSyncServer({ kind: "satchel" }, 1);
    t.after(async () => await server.close());
    const proxy = await startProxy(server.url);
    t.after(async () => await proxy.close());
    process.env["SATCHEL_UPLOADS_IN_FLIGHT_MAX"] = String(most);
    const device = await makeSatchel();
    delete process.env["SATCHEL_UPLOADS_IN_FLIGHT_MAX"];
    t.after(async () => await device.close());
    for (let file = 0; file < FILES; file += 1)
      await writeFile(path.join(device.root, `${String(file)}.bin`), Buffer.alloc(FILE_BYTES, `${String(file)} of these`));

    let waiting = 0;
    let peak = 0;
    const all = Promise.withResolvers<void>();
    for (let request = 0; request < FILES; request += 1)
      proxy.rule({
        paths: ["satchel/upload"],
        before: async () => {
          waiting += 1;
          peak = Math.max(peak, waiting);
          if (waiting === most) all.resolve();
          // As many as may be come while this one waits; one more would come while the service answers somebody else.
          await all.promise;
          await device.json(["status"]);
          waiting -= 1;
        },
      });
    await device.run();
    await device.join(proxy.url, "user1");
    const { run, said } = await device.sync();
    assert.equal(run?.result, "insync", said);
    assert.equal(peak, most);
    assert.ok(proxy.log.filter((url) => url.endsWith("satchel/upload")).length >= most);
  });
