/** Unmodified Anki clients against our server, many short lives with foreign writes in every gap (specification §15.2). */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";

import { StockClient, type StockHooks } from "./support/stock-client.ts";
import { openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

/** Small, seeded, the same everywhere. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}

const NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"];
const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);

type Device = {
  readonly client: StockClient;
  /** What this device's user wrote at each name, newest last, and has not seen the fate of. */
  readonly wrote: Map<string, string[]>;
};

/** One account, three devices, `steps` random steps. Returns what went wrong. */
async function life(
  seed: number,
  steps: number,
): Promise<{ readonly syncs: number; readonly echoes: readonly string[]; readonly diverged: boolean; readonly wipes: number }> {
  const server = await openSyncHandle();
  const random = randomOf(seed);
  const echoes: string[] = [];
  let syncs = 0;
  let session = 0;
  let depth = 0;
  const devices: Device[] = [];
  try {
    const syncNow = async (device: Device): Promise<void> => {
      syncs += 1;
      session += 1;
      depth += 1;
      await device.client.sync(`s${String(session)}`).catch(() => undefined);
      depth -= 1;
    };
    const edit = (device: Device, mayDelete: boolean): void => {
      const name = NAMES[random(NAMES.length)] ?? "a.png";
      if (mayDelete && random(4) === 0) device.client.folder.delete(name);
      else {
        const bytes = Buffer.from(`v${String(random(1_000_000))}`);
        device.client.folder.set(name, bytes);
        device.wrote.set(name, [...(device.wrote.get(name) ?? []), sha1(bytes)]);
      }
    };
    for (let at = 0; at < 3; at++)
      devices.push(
        await openDevice(
          server,
          echoes,
          async (device) => {
            // In a gap between two requests another device comes, or the user edits.
            if (depth > 1 || random(5) > 0) return;
            const other = devices[random(devices.length)];
            if (other === undefined) return;
            // A deletion between scan and upload makes a stock client miscount by itself (W15): no server can tell.
            edit(other, other !== device);
            if (other !== device) await syncNow(other);
          },
          random,
        ),
      );
    for (let step = 0; step < steps; step++) {
      const device = devices[random(devices.length)];
      if (device === undefined) continue;
      if (random(2) === 0) edit(device, true);
      else await syncNow(device);
    }
    gaps = false;
    for (let round = 0; round < 6; round++) for (const device of devices) await syncNow(device);
    const trees = devices.map(({ client }) =>
      JSON.stringify([...client.folder].map(([name, bytes]) => `${name} ${sha1(bytes)}`).toSorted((a, b) => a.localeCompare(b))),
    );
    return { syncs, echoes, diverged: new Set(trees).size > 1, wipes: devices.reduce((sum, { client }) => sum + client.wipes, 0) };
  } finally {
    gaps = true;
    await server.close();
  }
}

/** Whether others write between two requests. */
let gaps = true;

async function openDevice(
  server: SyncHandle,
  echoes: string[],
  gap: (device: Device) => Promise<void>,
  random: (below: number) => number,
): Promise<Device> {
  const key = await server.login();
  server.clock.nowMs += 1000;
  const wrote = new Map<string, string[]>();
  const hooks: StockHooks = {
    // The user's newer bytes give way to older ones of the same user: nobody else was involved.
    replaced: (name, was, by) => {
      const own = wrote.get(name) ?? [];
      if (own.includes(by) && own.indexOf(by) < own.lastIndexOf(was)) echoes.push(`${name}: ${was} <- ${by}`);
    },
    deleted: () => undefined,
  };
  const device: Device = {
    wrote,
    client: new StockClient(async (route, payload, session) => {
      if (gaps && route !== "msync/begin") await gap(device);
      const reply = await server.ask(route, payload, { key, session });
      if (reply.status !== 200) throw new Error(`${route}: ${String(reply.status)}`);
      // Now and then the reply is lost.
      if (gaps && random(25) === 0) throw new Error("the connection broke");
      return reply.payload;
    }, hooks),
  };
  return device;
}

test("handle() W4 W8 W31 W32 unmodified clients converge, and no upload's echo overwrites a newer edit", async () => {
  let syncs = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const result = await life(seed, 60);
    syncs += result.syncs;
    assert.deepEqual(result.echoes, [], `seed ${String(seed)}`);
    assert.equal(result.diverged, false, `seed ${String(seed)}`);
    assert.equal(result.wipes, 0, `W32: nobody was told to start over (seed ${String(seed)})`);
  }
  assert.ok(syncs > 500, String(syncs));
});
