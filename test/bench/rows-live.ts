import { spawn } from "node:child_process";
import { existsSync, renameSync, watch, writeFileSync } from "node:fs";
import { get } from "node:http";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { endChild, until } from "../support/children.ts";
import { satchelEntry } from "../support/entry.ts";
import { connectRpc, readServiceFile } from "../support/rpc.ts";
import { makeSatchel, type Satchel } from "../support/satchel.ts";
import { loginKey, startSyncServer, type SyncServer } from "../support/sync-server.ts";
import { flushDisk, limitFigure, type Bench, type Figure, type Row } from "./bench.ts";
import { inMegabytes, inTime, quantile, usageOf } from "./measure.ts";
import { contentOf, makeWorkload, type Workload } from "./workload.ts";

const SAVES = 100;
const SAVE_BYTES = 20_480;
/** DESIGN §5: a changed path is read when it has stood still this long. */
const SETTLE_MS = 200;
const IDLE_MS = 60_000;
/** A service writes down what was compiled 2 s after it answers. */
const COMPILED_MS = 3000;

type Pair = { readonly server: SyncServer; readonly from: Satchel; readonly to: Satchel; close(): Promise<void> };

/** Two services on one account of our server; the first one's folder holds the workload already. */
async function openPair(bench: Bench, workload: Workload | null): Promise<Pair> {
  const server = await startSyncServer({ kind: "satchel" }, 1);
  const root = path.join(await bench.scratch(), "media");
  await mkdir(root);
  if (workload !== null) makeWorkload(root, workload);
  flushDisk();
  const [from, to] = [await makeSatchel(root), await makeSatchel()];
  const close = async (): Promise<void> => {
    await from.close();
    await to.close();
    await server.close();
  };
  try {
    for (const device of [from, to]) {
      await device.start();
      await device.join(server.url, "user1");
      const { code, said } = await device.sync();
      if (code !== 0) throw new Error(`the first sync ended with ${String(code)}: ${said}`);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { server, from, to, close };
}

/** Resolves with the moment at which the server told of the next change (rows are durable before it tells). */
function listen(server: SyncServer, key: string): { next(): Promise<number>; close(): void } {
  let told: (at: number) => void = () => undefined;
  const header = JSON.stringify({ v: 11, k: key, c: "bench", s: "bench" });
  const asked = get(new URL("satchel/events?since=0", server.url), { headers: { "anki-sync": header } }, (reply) => {
    reply.setEncoding("utf8").on("data", (text: string) => {
      if (text.includes("data:")) told(performance.now());
    });
    reply.on("error", () => undefined);
  });
  asked.on("error", () => undefined); // a listener that is gone makes `next` wait, and the row fails by its time limit
  return {
    next: async () =>
      await new Promise((resolve) => {
        told = resolve;
      }),
    close: () => asked.destroy(),
  };
}

/** Milliseconds of each save until the server had it, and until it stood on the other device's disk. */
async function timeSaves({ server, from, to }: Pair): Promise<{ readonly server: readonly number[]; readonly device: readonly number[] }> {
  const ear = listen(server, await loginKey(server.url, "user1"));
  const times = { server: [] as number[], device: [] as number[] };
  let arrived: (name: string) => void = () => undefined;
  const watcher = watch(to.root, (_event, name) => {
    if (name !== null && existsSync(path.join(to.root, name))) arrived(name);
  });
  await sleep(500); // the first event tells of what is there already
  try {
    for (let save = 0; save < SAVES; save++) {
      const name = `save-${String(save)}.png`;
      const temp = path.join(from.home, "saving");
      writeFileSync(temp, contentOf(save, SAVE_BYTES, 7));
      const heard = ear.next();
      const landed = new Promise<number>((resolve) => {
        arrived = (found) => {
          if (found === name) resolve(performance.now());
        };
      });
      const begun = performance.now();
      renameSync(temp, path.join(from.root, name));
      const [atServer, atDevice] = await Promise.race([Promise.all([heard, landed]), sleep(30_000, [], { ref: false })]);
      if (atServer === undefined || atDevice === undefined) throw new Error(`save ${String(save)} did not arrive within 30 s`);
      times.server.push(atServer - begun);
      times.device.push(atDevice - begun);
      await sleep(50);
    }
  } finally {
    watcher.close();
    ear.close();
  }
  return times;
}

async function saveFigures(where: string, pair: Pair): Promise<readonly Figure[]> {
  const { server, device } = await timeSaves(pair);
  const figure = (what: string, times: readonly number[], share: number, over: number): Figure => {
    const ms = quantile(times, share);
    return limitFigure(
      `${where}: save → ${what}, ${share === 0.5 ? "p50" : "p99"} of ${String(SAVES)}`,
      inTime(ms),
      `≤ settle (${String(SETTLE_MS)} ms) + ${String(over)} ms`,
      ms <= SETTLE_MS + over,
    );
  };
  return [
    figure("durable on our server", server, 0.5, 5),
    figure("durable on our server", server, 0.99, 15),
    figure("on the other device's disk", device, 0.5, 25),
    { ...figure("on the other device's disk", device, 0.99, 25), target: "", met: null },
  ];
}

/** Milliseconds of one request that finds nothing to do, with a live watcher. */
async function nothingToDo(device: Satchel): Promise<number> {
  const rpc = await connectRpc(device.home);
  const times = [];
  for (let round = 0; round < 30; round++) {
    const begun = performance.now();
    await rpc.call("sync/run", { scan: false });
    times.push(performance.now() - begun);
  }
  await rpc.close();
  return quantile(times, 0.5);
}

async function largeFolder(bench: Bench): Promise<readonly Figure[]> {
  const pair = await openPair(bench, "W2");
  try {
    const figures = [...(await saveFigures("100 000 files", pair))];
    const quiet = await nothingToDo(pair.from);
    figures.push(limitFigure("100 000 files: nothing to do, without scan", inTime(quiet), "≤ 1 ms", quiet <= 1));
    await pair.from.stop();
    const begun = performance.now();
    await pair.from.start();
    const { code, run } = await pair.from.sync();
    if (code !== 0 || run === undefined) throw new Error(`the sync after the restart ended with ${String(code)}`);
    figures.push(
      limitFigure(
        "100 000 files: start, scan, sync",
        `${inTime(performance.now() - begun)} by the command line, run ${inTime(run.durationMs)}`,
        "",
        null,
      ),
    );
    await sleep(5000);
    const before = await usageOf(await pair.from.pid());
    await sleep(IDLE_MS);
    const after = await usageOf(await pair.from.pid());
    const cpuMs = (after.cpuSeconds - before.cpuSeconds) * 1000;
    figures.push(
      limitFigure("100 000 files: idle memory after a restart", inMegabytes(after.rssBytes), "≤ 90 MB", after.rssBytes <= 90e6),
      limitFigure(
        `100 000 files: idle CPU in ${String(IDLE_MS / 1000)} s`,
        inTime(cpuMs),
        "< 1 ms per 5 s (ticks of 10 ms)",
        cpuMs <= IDLE_MS / 5000 + 10,
      ),
    );
    return figures;
  } finally {
    await pair.close();
  }
}

/** Milliseconds until a service with this home answers. `keepMs`: it lives so much longer, and writes down what was compiled. */
async function startOnce(home: string, keepMs: number): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, [satchelEntry(), "service", "run"], {
    env: { ...process.env, SATCHEL_HOME: home },
    stdio: "ignore",
  });
  try {
    await until("the service listens", async () => (await readServiceFile(home)) !== undefined);
    const client = await connectRpc(home);
    const ms = performance.now() - begun;
    await client.close();
    await sleep(keepMs);
    return ms;
  } finally {
    await endChild(child);
  }
}

async function startTimes(bench: Bench): Promise<readonly Figure[]> {
  const [first, later]: [number[], number[]] = [[], []];
  const home = await bench.scratch();
  await startOnce(home, COMPILED_MS);
  for (let round = 0; round < 7; round++) {
    later.push(await startOnce(home, 0));
    first.push(await startOnce(await bench.scratch(), 0));
  }
  const ms = quantile(later, 0.5);
  return [
    limitFigure("service: start to answering (bundle), p50 of 7, polled each 10 ms", inTime(ms), "≤ 100 ms", ms <= 100),
    limitFigure(
      "the same at the very first start (nothing compiled yet, database and settings made), p50 of 7",
      inTime(quantile(first, 0.5)),
      "",
      null,
    ),
  ];
}

/** What a user waits for or pays while nothing much happens. */
export const LIVE_ROWS: readonly Row[] = [
  { id: "start", run: startTimes },
  {
    id: "save",
    async run(bench) {
      const pair = await openPair(bench, null);
      try {
        const figures = [...(await saveFigures("small folder", pair))];
        const quiet = await nothingToDo(pair.from);
        figures.push(limitFigure("small folder: nothing to do, without scan", inTime(quiet), "≤ 1 ms", quiet <= 1));
        return figures;
      } finally {
        await pair.close();
      }
    },
  },
  { id: "large", run: largeFolder },
];
