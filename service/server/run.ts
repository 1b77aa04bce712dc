/** A sync server process: its directory, its lock, its accounts, its port. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

import { readCollection } from "../store/server-collection.ts";
import { takeLock, lockHolder } from "../store/lock.ts";
import { noFaults, type Clock } from "../core/ports.ts";
import { nodeCompute } from "../files/compute.ts";
import { openNodeDisk } from "../files/node-disk.ts";
import { makeAccounts, type EnvironmentAccount } from "./accounts.ts";
import { createHandle, type ServerLog } from "./handle.ts";
import { createHttpServer } from "./http.ts";
import { inflateStream } from "./inflate-stream.ts";
import { openLocalStorage } from "./local-storage.ts";
import { makeMetrics } from "./metrics.ts";
import { slowPasswords } from "./passwords.ts";

void readCollection;
void readFileSync;
void rmSync;
export type RunOptions = {
  /** `SYNC_BASE`. */
  readonly base: string;
  readonly host: string;
  readonly port: number;
  readonly accounts: readonly EnvironmentAccount[];
  readonly payloadMegs: number | null;
  readonly addressHeader: string | null;
  readonly legacy: boolean;
  readonly log: ServerLog;
  readonly clock: Clock;
  readonly hashWorker: URL;
};

export async function runServer(options: RunOptions): Promise<{ readonly url: string; close(): Promise<void> }> {
  const directory = path.join(options.base, "satchel");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = takeLock(path.join(directory, "server.lock"));
  if (lock === null) throw new Error(`held by ${String(lockHolder(path.join(directory, "server.lock")))}`);
  const disk = openNodeDisk({ hashWorker: options.hashWorker });
  const secrets = (bytes: number): Uint8Array => randomBytes(bytes);
  const storage = await openLocalStorage({ directory, disk, compute: nodeCompute, clock: options.clock, secrets, faults: noFaults });
  const accounts = makeAccounts({ storage, clock: options.clock, secrets, passwords: slowPasswords(secrets), audit: () => undefined });
  await accounts.adopt(options.accounts);
  const metrics = makeMetrics();
  const handle = createHandle({
    ...options,
    storage,
    accounts,
    compute: nodeCompute,
    faults: noFaults,
    inflateStream,
    observe: metrics.observe,
  });
  const http = createHttpServer({ handle, tls: null, metrics: metrics.text, mayMeasure: () => true, onError: () => undefined });
  const port = await http.listen(options.host, options.port);
  return {
    url: `http://${options.host}:${String(port)}/`,
    close: async () => {
      await http.close(5000);
      await storage.close();
      await disk.close();
      lock.release();
    },
  };
}
