/** The whole way of a device's name: the key that sent the bytes, our server, its feed, the engine, the conflict. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { Transport } from "../service/core/ports.ts";
import { viewConflict } from "../service/engine/conflict-view.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { openAnkiRemote, shortClientVersion } from "../service/remotes/anki/client.ts";
import { openDevice, type Device } from "./support/memory-device.ts";
import { sha1 } from "./support/memory-folder.ts";
import { jsonOf, openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

/** Requests of a client, answered by the server in this process. */
function transportTo(server: SyncHandle): Transport {
  return {
    send: async ({ method, url, headers, body }, signal) => {
      const { pathname, search } = new URL(url);
      const asked = { method, headers, query: search.slice(1), raw: body ?? new Uint8Array(0), signal };
      const { status, headers: replied, body: bytes } = await server.ask(pathname.slice(1), {}, asked);
      return { status, headers: replied, body: bytes };
    },
    stream: async () => await Promise.reject(new Error("this test follows no stream")),
  };
}

async function join(server: SyncHandle, name: string): Promise<Device> {
  const client = { version: "0.1.0", device: name, platform: "linux" };
  const login = await server.ask("sync/hostKey", { u: "user", p: "pass" }, { key: "", client: shortClientVersion(client) });
  const key = String(jsonOf(login)["key"]);
  const random = { u32: () => 1 };
  return openDevice(
    name,
    openAnkiRemote({ url: "http://127.0.0.1/", key, client, transport: transportTo(server), compute: nodeCompute, random }),
  );
}

function sidesOf({ parts }: Device): unknown {
  const [conflict] = parts.rows.conflicts.list({ open: true });
  assert.ok(conflict !== undefined, "a conflict");
  const { mine, theirs } = viewConflict(parts, conflict);
  return { mine: mine.device, theirs: [theirs.device, theirs.atMs, theirs.sha1] };
}

test("viewConflict() names the device whose key sent the other bytes to our server, and when they came there", async () => {
  const server = await openSyncHandle();
  try {
    const [laptop, desktop] = [await join(server, "laptop"), await join(server, "desktop")];
    laptop.folder.write("p.png", "before");
    await laptop.sync();
    await desktop.sync();
    assert.equal(desktop.folder.text("p.png"), "before");
    laptop.folder.write("p.png", "laptop's");
    desktop.folder.write("p.png", "desktop's own");
    server.clock.nowMs += 60_000;
    const cameMs = server.clock.wallMs();
    await laptop.sync();
    server.clock.nowMs += 60_000;
    await desktop.sync();
    assert.deepEqual(sidesOf(desktop), { mine: "desktop", theirs: ["laptop", cameMs, sha1("laptop's")] });
  } finally {
    await server.close();
  }
});

test("viewConflict() names it at a first sync with files that stood here before, too", async () => {
  const server = await openSyncHandle();
  try {
    const laptop = await join(server, "laptop");
    laptop.folder.write("p.png", "laptop's");
    await laptop.sync();
    const phone = await join(server, "phone");
    phone.folder.write("p.png", "phone's own");
    const cameMs = server.clock.wallMs();
    server.clock.nowMs += 60_000;
    await phone.sync();
    assert.deepEqual(sidesOf(phone), { mine: "phone", theirs: ["laptop", cameMs, sha1("laptop's")] });
  } finally {
    await server.close();
  }
});
