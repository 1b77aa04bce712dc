/** Two devices and the account they share, in memory. */
import assert from "node:assert/strict";

import { openDevice, type Device } from "./memory-device.ts";
import { MemoryAccount, memoryRemote } from "./memory-remote.ts";

export function pair(options: { readonly stock?: boolean } = {}) {
  const account = new MemoryAccount();
  const a = memoryRemote(account, options);
  const b = memoryRemote(account, options);
  return { account, a: openDevice("laptop", a), b: openDevice("desktop", b), remoteA: a, remoteB: b };
}

/** Both folders and the account hold the same paths and bytes (L1). */
export function assertConverged(account: MemoryAccount, ...devices: Device[]): void {
  const there = [...account.rows].filter(([, row]) => row.bytes !== null).map(([name]) => `${name}=${account.text(name) ?? ""}`);
  for (const { folder } of devices) {
    const here = [...folder.files.keys()].map((path) => `${path}=${folder.text(path) ?? ""}`);
    assert.deepEqual(here.toSorted(), there.toSorted());
  }
}
