/** A file that is told of while its writer is still at it: `files/add` is only a hint, the bytes that come after it count. */
import assert from "node:assert/strict";
import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { until } from "./support/children.ts";
import { Peer } from "./support/rpc-peer.ts";
import { readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";

const HALF = Buffer.alloc(60_000, "first half, ");
const REST = Buffer.alloc(60_000, "and the rest. ");

suite("files/add of a file that is being written", () => {
  let server: SyncServer;
  let here: Satchel;
  let there: Satchel;
  let peer: Peer;
  let folder: string;
  before(async () => {
    [server, here, there] = await Promise.all([startSyncServer({ kind: "satchel" }, 1), makeSatchel(), makeSatchel()]);
    await Promise.all([here.run(), there.run()]);
    await Promise.all([here.join(server.url, "user1"), there.join(server.url, "user1")]);
    const file = await readServiceFile(here.home);
    assert.ok(file !== undefined, "the service runs");
    peer = await Peer.unix(file.socket, file.token);
    const [added] = (await peer.ask("folders/list", {})).folders;
    assert.ok(added !== undefined, "the folder is looked after");
    ({ folder } = added);
  });
  after(async () => {
    await peer.close();
    await Promise.all([here.close(), there.close()]);
    await server.close();
  });
  const arrives = async (name: string, bytes: Buffer): Promise<void> =>
    await until(`${name} is whole on the other device`, async () => {
      const got = await readFile(path.join(there.root, name)).catch(() => null);
      return got?.equals(bytes) ?? false;
    });

  for (const [when, first] of [
    ["empty", Buffer.alloc(0)],
    ["half there", HALF],
  ] as const)
    test(`N4 told while it is ${when}, written to its end without another word: the final bytes are on the other device`, async () => {
      const name = `${when.replace(" ", "-")}.bin`;
      const file = await open(path.join(here.root, name), "w");
      try {
        await file.write(first);
        // The answer is of no matter: an empty file may be refused, a half one taken for what it is, and neither may end there.
        await peer.call("files/add", { folder, path: name });
        await file.write(REST);
      } finally {
        await file.close();
      }
      await arrives(name, Buffer.concat([first, REST]));
    });

  test("N4 told, then emptied and written again by another open file, as editors save: the final bytes are on the other device", async () => {
    const name = "saved.bin";
    const first = await open(path.join(here.root, name), "w");
    await first.write(HALF);
    await first.close();
    await peer.call("files/add", { folder, path: name });
    const second = await open(path.join(here.root, name), "w");
    await peer.call("files/add", { folder, path: name });
    await second.write(REST);
    await second.close();
    await arrives(name, REST);
  });
});
