/** What the process makes of what the engine tells: log lines, and two things that only a process can do. */
import type { Logger } from "pino";

import type { Observer } from "../core/ports.ts";

/** `onDamage`: the database can't be read any more. `idle`: told when a run has ended. */
export function observerOf(log: Logger, onDamage: () => void, idle: { readonly busy: () => void }): Observer {
  return {
    trouble: (folder, file, error) => {
      log.warn({ folder, file, err: error }, "trouble");
      if (isDamage(error)) onDamage();
    },
    runEnded: (folder, run, result) => {
      log.debug({ folder, run, result }, "run ended");
      idle.busy();
    },
  };
}

/** The state can't be read as a database any more: told by whoever met it first. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && error.name === "StoreError" && "fault" in error && error.fault === "corrupt";
}
