/** What service, server and command line share of this process: its clock, its chance, its places. */
import { randomBytes } from "node:crypto";

import type { Places } from "../../protocol/places.ts";
import { Exit } from "../cli/exit-codes.ts";
import { CliError } from "../cli/host.ts";
import { callersDirectory } from "../cli/machine.ts";
import type { Clock, Random } from "../core/ports.ts";
import { currentPlaces } from "../files/places.ts";

export const clock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep,
};

/** Node's own makes an error with a stack at each abort, and a folder's loop is woken so for every request. */
async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason instanceof Error ? signal.reason : new Error("The wait was ended.", { cause: signal?.reason }));
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      },
      Math.min(ms, 2 ** 31 - 1),
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

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
