import { randomBytes, randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { makeSatchel, type Satchel } from "../support/satchel.ts";
import { startSyncServer } from "../support/sync-server.ts";
import { limitFigure, type Bench, type Figure, type Row } from "./bench.ts";
import { openLedger, type Ledger } from "./ledger.ts";

/** Files that only one device writes, and files that both do. */
const OWN_FILES = 30;
const SHARED_FILES = 6;
/** True deletions of all rounds together: under the guard's ten, which would rightly ask. */
const DELETIONS = 8;
const LARGEST_BYTES = 300_000;
/** Syncs in turn until both folders are alike. */
const ROUNDS_TO_AGREE = 20;

const namesIn = (folder: string): readonly string[] =>
  readdirSync(folder, "utf8")
    .filter((name) => !name.startsWith(".satchel"))
    .toSorted();

/** Edits at random until told to stop; a burst now and then. */
async function edit(ledger: Ledger, devices: readonly Satchel[], signal: AbortSignal): Promise<void> {
  let deletions = 0;
  for (const [at, { root }] of devices.entries())
    for (let file = 0; file < OWN_FILES; file++)
      ledger.save(root, `own-${String(at)}-${String(file)}.bin`, randomBytes(1 + randomInt(2000)));
  while (!signal.aborted) {
    const at = randomInt(devices.length);
    const root = devices[at]?.root ?? "";
    for (let burst = randomInt(10) === 0 ? 20 : 1; burst > 0; burst--) {
      const shared = randomInt(5) === 0;
      const name = shared ? `shared-${String(randomInt(SHARED_FILES))}.bin` : `own-${String(at)}-${String(randomInt(OWN_FILES))}.bin`;
      const there = namesIn(root).includes(name);
      if (!shared && there && deletions < DELETIONS && randomInt(60) === 0) {
        ledger.remove(root, name);
        deletions++;
      } else ledger.save(root, name, randomBytes(1 + randomInt(randomInt(4) === 0 ? LARGEST_BYTES : 3000)));
    }
    await sleep(randomInt(60));
  }
}

/** Both devices sync in turn until their folders hold the same names and nothing is pending. Returns what still differs. */
async function agree(devices: readonly Satchel[]): Promise<string | undefined> {
  let state = "";
  for (let round = 0; round < ROUNDS_TO_AGREE; round++) {
    const said = [];
    for (const device of devices) said.push(await device.sync());
    const lists = devices.map(({ root }) => JSON.stringify(namesIn(root)));
    if (
      said.every(({ code }) => code === 0) &&
      new Set(lists).size === 1 &&
      said.every(({ run }) => run?.uploadedFiles === 0 && run.downloadedFiles === 0)
    )
      return undefined;
    state = `${said.map(({ code, said: words }) => `${String(code)} ${words}`).join("; ")} ${lists.join(" <> ").slice(0, 2000)}`;
  }
  return state;
}

async function killRounds(bench: Bench, rounds: number): Promise<readonly Figure[]> {
  const server = await startSyncServer({ kind: "satchel" }, 1);
  const devices = [await makeSatchel(), await makeSatchel()];
  const ledger = openLedger(await bench.scratch());
  const stop = new AbortController();
  const killed = { service: 0, server: 0 };
  try {
    for (const device of devices) {
      await device.start();
      await device.join(server.url, "user1");
    }
    const editing = edit(ledger, devices, stop.signal);
    for (let round = 0; round < rounds; round++) {
      await sleep(100 + randomInt(1400));
      const victim = devices[randomInt(3)];
      if (victim === undefined) {
        await server.kill();
        await server.start();
        killed.server++;
      } else {
        await victim.kill();
        await victim.start();
        killed.service++;
      }
    }
    stop.abort();
    await editing;
    const disagreement = await agree(devices);
    const { wrong, onlyRecoverable } = ledger.judge(
      devices.map(({ root }) => root),
      [...devices.map(({ home }) => home), server.base],
    );
    if (disagreement !== undefined) throw new Error(`the devices don't agree: ${disagreement}`);
    if (wrong.length > 0) throw new Error(`${String(wrong.length)} wrong: ${wrong.slice(0, 10).join("; ")}`);
    const what = `kill -9: ${String(killed.service)} × service, ${String(killed.server)} × server, ${String(ledger.saves)} saves`;
    return [limitFigure(what, `nothing lost, no manual step (${String(onlyRecoverable)} in versions only)`, "0 lost", true)];
  } finally {
    stop.abort();
    await Promise.all(devices.map(async (device) => await device.close()));
    await server.close();
  }
}

/** kill -9 of services and server at random moments while users edit. `--rounds N` on the command line, else 50. */
export const KILL_ROW: Row = {
  id: "kill",
  async run(bench) {
    const at = process.argv.indexOf("--rounds");
    return await killRounds(bench, at === -1 ? 50 : Number(process.argv[at + 1]));
  },
};
