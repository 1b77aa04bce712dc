import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { zstdCompressSync } from "node:zlib";

import { zipSync } from "fflate";

import { loginKey, patiently, startSyncServer } from "../support/sync-server.ts";
import { ratioFigure, type Row } from "./bench.ts";
import { inTime, quantile } from "./measure.ts";
import { contentOf } from "./workload.ts";

const ACCOUNTS = 50;
/** Uploads of each account, and how long it rests between two: a hundred requests a second in all. */
const UPLOADS = 20;
const REST_MS = 500;
/** One account alone: as many samples at a tenth of that pace. */
const ALONE_UPLOADS = 300;
const ALONE_REST_MS = 30;
const FILES = 5;
const FILE_BYTES = 4096;

/** One `uploadChanges` of new files as a stock client sends it. Milliseconds until the reply has come. */
async function upload(agent: Agent, url: string, key: string, seed: number): Promise<number> {
  const names = Array.from({ length: FILES }, (_, at) => `f${String(seed)}-${String(at)}.png`);
  const members = Object.fromEntries(names.map((_, at) => [String(at), contentOf(seed * FILES + at, FILE_BYTES, 3)]));
  const list = Buffer.from(JSON.stringify(names.map((name, at) => [name, String(at)])));
  const body = zstdCompressSync(zipSync({ ...members, _meta: list }, { level: 0 }));
  const header = JSON.stringify({ v: 11, k: key, c: "bench", s: String(seed) });
  const begun = performance.now();
  await new Promise<void>((resolve, reject) => {
    const sent = request(new URL("msync/uploadChanges", url), { agent, method: "POST", headers: { "anki-sync": header } }, (reply) => {
      reply.resume().on("end", () => (reply.statusCode === 200 ? resolve() : reject(new Error(`status ${String(reply.statusCode)}`))));
    });
    sent.on("error", reject).end(body);
  });
  return performance.now() - begun;
}

/** One account's load tells nobody else. */
export const ACCOUNTS_ROW: Row = {
  id: "accounts",
  async run() {
    const server = await startSyncServer({ kind: "satchel" }, ACCOUNTS + 1);
    const agent = new Agent({ keepAlive: true });
    try {
      const keys: string[] = [];
      for (let at = 1; at <= ACCOUNTS + 1; at++) keys.push(await patiently(async () => await loginKey(server.url, `user${String(at)}`)));
      const load = async (key: string, uploads: number, restMs: number, first: number): Promise<readonly number[]> => {
        const times = [];
        await sleep((first * restMs) / ACCOUNTS); // spread over the period, as people are
        for (let one = 0; one < uploads; one++) {
          times.push(await upload(agent, server.url, key, first * 1000 + one));
          await sleep(restMs);
        }
        return times;
      };
      const alone = quantile(await load(keys[0] ?? "", ALONE_UPLOADS, ALONE_REST_MS, 0), 0.99);
      const crowd = await Promise.all(keys.slice(1).map(async (key, at) => await load(key, UPLOADS, REST_MS, at + 1)));
      const together = quantile(crowd.flat(), 0.99);
      return [
        ratioFigure(
          `${String(ACCOUNTS)} accounts at once, upload of 5 × 4 KB, p99`,
          inTime(together),
          `alone ${inTime(alone)}`,
          together / alone,
          2,
        ),
      ];
    } finally {
      agent.destroy();
      await server.close();
    }
  },
};
