import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startDriver } from "../anki/official-client.ts";
import { endChild, runToEnd } from "../support/children.ts";
import { startDelay } from "../support/delay.ts";
import { connectRpc } from "../support/rpc.ts";
import { makeSatchel } from "../support/satchel.ts";
import { PASSWORD, startSyncServer, type SyncServer } from "../support/sync-server.ts";
import { checkFolder, flushDisk, type Bench } from "./bench.ts";
import { usageOf } from "./measure.ts";
import { makeWorkload, type Workload } from "./workload.ts";

/** One first sync up, one down to a second device, and a sync with nothing to do. Times are milliseconds. */
export type Transfer = {
  readonly upMs: number;
  readonly downMs: number;
  readonly idleMs: number;
  readonly clientPeakBytes: number;
  readonly serverPeakBytes: number;
  readonly clientCpuSeconds: number;
  readonly serverCpuSeconds: number;
};
type Kind = "official" | "satchel";

/** Files just written may still be written to: ours waits for them to settle, which is no part of a transfer. */
const SETTLED_MS = 3000;
const PROTOTYPE = path.join(import.meta.dirname, "prototype.ts");

/** A device for one measurement: its folder, one sync, and what its process used. */
type Runner = {
  readonly folder: string;
  sync(): Promise<number>;
  /** A sync with nothing to do, as cheap as this client can. */
  idle(): Promise<number>;
  usage(): Promise<{ readonly peakBytes: number; readonly cpuSeconds: number }>;
  close(): Promise<void>;
};

async function officialRunner(python: string, url: string, scratch: string): Promise<Runner> {
  const driver = startDriver(python);
  const folder = String(await driver.ask("d", "open", { home: scratch, endpoint: url }));
  await driver.ask("d", "login", { user: "user1", password: PASSWORD });
  const sync = async (): Promise<number> => Number(await driver.ask("d", "sync_media"));
  return {
    folder,
    sync,
    idle: sync,
    usage: async () => await usageOf(driver.pid),
    close: async () => await driver.close(),
  };
}

async function satchelRunner(url: string, scratch: string): Promise<Runner> {
  const root = path.join(scratch, "media");
  await mkdir(root, { recursive: true });
  const satchel = await makeSatchel(root);
  await satchel.run();
  const rpc = await connectRpc(satchel.home);
  const timed = async (scan: boolean): Promise<number> => {
    const begun = performance.now();
    const { runs } = await rpc.call("sync/run", { scan });
    const took = performance.now() - begun;
    if (runs.length !== 1 || runs[0]?.result !== "insync") throw new Error(`the sync did not work: ${JSON.stringify(runs)}`);
    return took;
  };
  let joined = false;
  return {
    folder: root,
    async sync() {
      if (joined) return await timed(true);
      joined = true;
      const { remote } = await rpc.call("remotes/login", { url, user: "user1", password: PASSWORD });
      const begun = performance.now();
      await rpc.call("folders/add", { root, remote }); // its first run looks at every file
      await timed(false);
      return performance.now() - begun;
    },
    idle: async () => await timed(false),
    usage: async () => await usageOf(await satchel.pid()),
    async close() {
      await rpc.close();
      await satchel.close();
    },
  };
}

async function openRunner(kind: Kind, python: string, url: string, scratch: string): Promise<Runner> {
  return kind === "official" ? await officialRunner(python, url, scratch) : await satchelRunner(url, scratch);
}

async function measure(client: Kind, server: SyncServer, url: string, python: string, workload: Workload, bench: Bench): Promise<Transfer> {
  const one = await openRunner(client, python, url, await bench.scratch());
  try {
    makeWorkload(one.folder, workload);
    flushDisk();
    await sleep(SETTLED_MS);
    const upMs = await one.sync();
    const idle = [];
    for (let round = 0; round < 5; round++) idle.push(await one.idle());
    const two = await openRunner(client, python, url, await bench.scratch());
    try {
      flushDisk();
      const downMs = await two.sync();
      await checkFolder(two.folder, workload);
      const [here, there, host] = [await one.usage(), await two.usage(), await usageOf(server.pid())];
      return {
        upMs,
        downMs,
        idleMs: Math.min(...idle),
        clientPeakBytes: Math.max(here.peakBytes, there.peakBytes),
        serverPeakBytes: host.peakBytes,
        clientCpuSeconds: here.cpuSeconds + there.cpuSeconds,
        serverCpuSeconds: host.cpuSeconds,
      };
    } finally {
      await two.close();
    }
  } finally {
    await one.close();
  }
}

/** One client kind on one server kind, once per run of the bench. `roundTripMs` 0: plain loopback. */
export async function transfer(bench: Bench, client: Kind, server: Kind, workload: Workload, roundTripMs = 0): Promise<Transfer> {
  const python = "python" in bench.anki ? bench.anki.python : "";
  return await bench.once(`${client} ${server} ${workload} ${String(roundTripMs)}`, async () => {
    const host = await startSyncServer(server === "official" ? { kind: server, python } : { kind: server }, 1);
    const far = roundTripMs > 0 ? await startDelay(host.port, roundTripMs) : undefined;
    try {
      const url = far === undefined ? host.url : `http://127.0.0.1:${String(far.port)}/`;
      return await measure(client, host, url, python, workload, bench);
    } finally {
      await far?.close();
      await host.close();
    }
  });
}

/** Milliseconds that the bare prototype takes for the upload. */
export async function prototypeUpload(bench: Bench, workload: Workload): Promise<number> {
  return await bench.once(`prototype ${workload}`, async () => {
    const [folder, store] = [await bench.scratch(), await bench.scratch()];
    makeWorkload(folder, workload);
    flushDisk();
    const server = spawn(process.execPath, [PROTOTYPE, "serve", store], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const port = await new Promise<string>((resolve, reject) => {
        server.once("error", reject);
        server.stdout.setEncoding("utf8").once("data", (text: string) => resolve(text.trim()));
      });
      const ended = await runToEnd(process.execPath, [PROTOTYPE, "upload", folder, port, path.join(store, "client.db")]);
      if (ended.code !== 0) throw new Error(`the prototype failed: ${ended.stderr}`);
      return Number(ended.stdout);
    } finally {
      await endChild(server);
    }
  });
}
