import assert from "node:assert/strict";
import { createCipheriv, hash } from "node:crypto";

import { startProxy, type Proxy } from "../support/proxy.ts";
import type { SyncServer } from "../support/sync-server.ts";
import { officialDevice, satchelDevice, type Device, type Kind, type OfficialDevice } from "./device.ts";
import type { Driver } from "./official-client.ts";

/** Who plays: the server, the device that a case calls A, and its B. */
export type Cast = { readonly server: Kind; readonly a: Kind; readonly b: Kind };

/** Where a case stands: a server, an account of its own, and two devices on it, A behind a proxy. */
export type World = Cast & {
  readonly A: Device;
  readonly B: Device;
  /** Stands between A and the server. */
  readonly wire: Proxy;
  readonly host: SyncServer;
  readonly user: string;
  /** Another device of the account. */
  device(kind: Kind): Promise<Device>;
  /** A real Anki client on the account, for what only it can be asked. */
  official(): Promise<OfficialDevice>;
};

/** One thing that must hold (or, where the real Anki is known to fail, is seen to fail). */
export type Case = {
  /** Ids of the spec: W31, N3 … */
  readonly id: string;
  readonly title: string;
  /** Casts it makes sense for; all eight where left out. */
  readonly for?: (cast: Cast) => boolean;
  /** Needs a server of its own (it is stopped, copied, damaged). */
  readonly ownServer?: boolean;
  /** The outcome in one word or two. */
  run(world: World): Promise<string>;
  /** What that outcome must be. */
  expected(cast: Cast): string;
};

/** Requests that send changes: of Anki's routes and of our own. */
export const UPLOAD = ["msync/uploadChanges", "satchel/upload"] as const;
/** The last request of a sync. */
export const SANITY = ["msync/mediaSanity"] as const;

/** All casts: the real pair on the real server is the reference that shows that a case can fail. */
export const CASTS: readonly Cast[] = (["official", "satchel"] as const).flatMap((server) =>
  (["official", "satchel"] as const).flatMap((a) => (["official", "satchel"] as const).map((b) => ({ server, a, b }))),
);

/** `size` bytes that only this seed has: incompressible, the same in every run. */
export function bytesOf(seed: string, size = 300): Buffer {
  const key = hash("sha256", seed, "buffer").subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);

/** Opens the world; `close` ends both devices and the proxy. */
export async function openWorld(
  cast: Cast,
  host: SyncServer,
  user: string,
  driver: Driver,
): Promise<World & { readonly close: () => Promise<void> }> {
  const wire = await startProxy(host.url);
  const opened: Device[] = [];
  const open = async (kind: Kind, url: string): Promise<Device> => {
    const device = kind === "official" ? await officialDevice(driver, url, user) : await satchelDevice(url, user);
    opened.push(device);
    return device;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map(async (device) => await device.close()));
    await wire.close();
  };
  try {
    const [A, B] = await Promise.all([open(cast.a, wire.url), open(cast.b, host.url)]);
    return {
      ...cast,
      A,
      B,
      wire,
      host,
      user,
      device: async (kind) => await open(kind, host.url),
      async official() {
        const device = await officialDevice(driver, host.url, user);
        opened.push(device);
        return device;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Every file with its SHA-1, for comparing whole folders. */
export async function tree(device: Device): Promise<Readonly<Record<string, string>>> {
  const names = await device.list();
  const files = await Promise.all(names.map(async (name) => [name, sha1((await device.read(name)) ?? Buffer.alloc(0))] as const));
  return Object.fromEntries(files);
}

/** Syncs that must go well, one after another. */
export async function syncAll(...devices: readonly Device[]): Promise<void> {
  for (const device of devices) {
    const result = await device.sync();
    assert.ok(result.ok, `${device.kind} device: ${result.detail}`);
  }
}

/** Syncs in turn until nothing moves any more and all folders are alike. Errors are tried again, as a user would. @throws Error after `rounds`. */
export async function converge(devices: readonly Device[], rounds = 8): Promise<Readonly<Record<string, string>>> {
  let last = "";
  const story: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const results = [];
    for (const device of devices) results.push(await device.sync());
    const trees = await Promise.all(devices.map(async (device) => JSON.stringify(await tree(device))));
    const now = JSON.stringify(trees);
    story.push(`round ${String(round)}: ${results.map(({ detail }) => detail || "well").join(" | ")}: ${trees.join(" <> ")}`);
    if (results.every(({ ok }) => ok) && now === last && new Set(trees).size === 1)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written two lines above
      return JSON.parse(trees[0] ?? "{}") as Record<string, string>;
    last = now;
    if (round === rounds - 1) throw new Error(`no agreement after ${String(rounds)} rounds:\n${story.join("\n")}`);
  }
  throw new Error("no rounds");
}

/** `yes` when some file of the folder has these bytes, under whatever name. */
export function holds(files: Readonly<Record<string, string>>, bytes: Uint8Array): boolean {
  return Object.values(files).includes(sha1(bytes));
}
