/** What service, server and command line share of this process: its clock, its chance, its places. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import type { Places } from "../../protocol/places.ts";
import { Exit } from "../cli/exit-codes.ts";
import { CliError } from "../cli/host.ts";
import { callersDirectory } from "../cli/machine.ts";
import type { Clock, Random } from "../core/ports.ts";
import { currentPlaces } from "../files/places.ts";

/** Hashing, zstd and file calls share libuv's pool; its default of 4 threads would make them wait for one another. */
export const POOL_THREADS = "16";

export const clock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep: async (ms, signal) => await sleep(Math.min(ms, 2 ** 31 - 1), undefined, signal === undefined ? {} : { signal }),
};
/** Drawn by the page: names of temporary files come by the thousand, and each draw is a call into the system. */
const RANDOM_PAGE_BYTES = 4096;
let page = Buffer.alloc(0);
let drawn = 0;
export const random: Random = {
  u32: () => {
    if (drawn >= page.length) {
      page = randomBytes(RANDOM_PAGE_BYTES);
      drawn = 0;
    }
    drawn += 4;
    return page.readUInt32LE(drawn - 4);
  },
};

export function placesNow(): Places {
  return currentPlaces(process.env, callersDirectory());
}

/** The child runs elsewhere: a relative home means the caller's. */
export function absoluteHome(places: Places): NodeJS.ProcessEnv {
  const home = process.env["SATCHEL_HOME"];
  return home === undefined || home === "" ? {} : { SATCHEL_HOME: places.config };
}

/** null: something else is wrong. */
export function portTaken(error: unknown, port: number | null, next: string): CliError | null {
  if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) return null;
  return new CliError(Exit.Usage, `The port ${port} is taken by another program. ${next}`, { cause: error });
}
