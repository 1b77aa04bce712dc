/** An account in a directory of its own, and copies of it as the next process finds them. */
import { hash, randomBytes } from "node:crypto";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { DiskError, noFaults, type Disk, type Faults } from "../../service/core/ports.ts";
import { nodeCompute } from "../../service/files/compute.ts";
import { openNodeDisk } from "../../service/files/node-disk.ts";
import { openLocalStorage, type LocalStorageOptions } from "../../service/server/local-storage.ts";
import type { Account, Storage } from "../../service/server/storage.ts";
import { ManualClock } from "./memory-device.ts";

const DISK_WORKER = new URL("../../service/files/disk-worker.ts", import.meta.url);
const sender = { device: "d1", session: "s1" };
export const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);

/** Works on a copy of an account's directory before it is opened. */
type Harm = (home: string) => Promise<void>;
/** Opens a copy of the directory as it is now, as the next process finds it; `later` does the same with the copy. */
export type After = (harm: Harm, look: (account: Account, later: After) => Promise<void>) => Promise<void>;
export type Given = {
  readonly faults?: Faults;
  readonly disk?: (disk: Disk) => Disk;
  readonly packBytes?: number;
  readonly keepFreeBytes?: number;
  readonly onOpen?: Exclude<LocalStorageOptions["onOpen"], undefined>;
};
export type PackedWorld = {
  readonly directory: string;
  readonly home: string;
  readonly account: Account;
  readonly after: After;
  /** As `after`, with the storage itself and whatever else is given to it. */
  readonly reopened: (given: Given, harm: Harm, work: (storage: Storage, home: string) => Promise<void>) => Promise<void>;
};

export async function withAccount(work: (world: PackedWorld) => Promise<void>, given: Given = {}): Promise<void> {
  const top = await mkdtemp(path.join(tmpdir(), "satchel-journal-"));
  const node = openNodeDisk({ diskWorker: DISK_WORKER });
  const open = async (directory: string, { disk = (one) => one, ...more }: Given): Promise<Storage> =>
    await openLocalStorage({
      directory,
      compute: nodeCompute,
      clock: new ManualClock(),
      secrets: (bytes) => randomBytes(bytes),
      faults: noFaults,
      keepFreeBytes: 0,
      ...more,
      disk: disk(node),
    });
  const homeIn = (directory: string): string => path.join(directory, "accounts", "a1");
  const size = given.packBytes === undefined ? {} : { packBytes: given.packBytes };
  let copies = 0;
  const copied = async (from: string, more: Given, harm: Harm, use: (storage: Storage, copy: string) => Promise<void>): Promise<void> => {
    const copy = path.join(top, `copy${String(++copies)}`);
    await cp(from, copy, { recursive: true });
    await harm(homeIn(copy));
    const again = await open(copy, { ...size, ...more });
    try {
      await use(again, copy);
    } finally {
      await again.close();
    }
  };
  const afterOf =
    (from: string): After =>
    async (harm, see) =>
      await copied(from, {}, harm, async (storage, copy) => await see(await storage.account("a1"), afterOf(copy)));
  const directory = path.join(top, "first");
  const storage = await open(directory, given);
  try {
    await storage.accounts.put({ id: "a1", name: "ada", origin: "command", credential: null, disabled: false, createdMs: 1 });
    await work({
      directory,
      home: homeIn(directory),
      account: await storage.account("a1"),
      after: afterOf(directory),
      reopened: async (other, harm, use) => await copied(directory, other, harm, async (again, copy) => await use(again, homeIn(copy))),
    });
  } finally {
    await storage.close();
    await node.close();
    await rm(top, { recursive: true, force: true });
  }
}

export const nothing = async (): Promise<void> => await Promise.resolve();

export async function put(account: Account, files: Readonly<Record<string, Uint8Array | null>>): Promise<void> {
  const given = Object.values(files).flatMap((bytes) => (bytes === null ? [] : [{ sha1: sha1(bytes), bytes }]));
  await account.change({ durable: true, files: given }, async (tx) => {
    const { top } = await tx.state();
    const entries = Object.entries(files).map(([name, bytes], index) => ({
      usn: top + 1 + index,
      name,
      sha1: bytes === null ? null : sha1(bytes),
      sizeBytes: bytes?.length ?? 0,
      real: true,
    }));
    await tx.write(entries, sender);
    await tx.remember("d1", JSON.stringify({ top }));
  });
}

export const look = async (account: Account) =>
  await account.change({ durable: false, files: [] }, async (tx) => ({
    state: await tx.state(),
    feed: await tx.feed(0, 100),
    log: await tx.log(0),
    versions: await tx.versions(null),
    memory: await tx.memory("d1"),
  }));

export async function packsOf(home: string): Promise<readonly string[]> {
  return (await readdir(path.join(home, "packs"))).toSorted().map((name) => path.join(home, "packs", name));
}

export async function dropDatabase(home: string): Promise<void> {
  for (const name of await readdir(home)) if (name.startsWith("rows.db")) await rm(path.join(home, name));
}

/** A disk whose appends, while `fail` is set, keep their bytes and say that they failed: as with an fsync that did. */
export function failingAppends() {
  const appends = {
    fail: false,
    disk: (node: Disk): Disk => ({
      ...node,
      append: async (file, bytes) => {
        await node.append(file, bytes);
        if (appends.fail) throw new DiskError("io", `Could not append to ${file}: the disk failed.`);
      },
    }),
  };
  return appends;
}
