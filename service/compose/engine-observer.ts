/** What the process makes of what the engine tells: log lines, and two things that only a process can do. */
import type { Logs } from "../cli/log.ts";
import type { Observer } from "../core/ports.ts";
import type { Tally } from "../rpc/tally.ts";

/** `onDamage`: the database can't be read any more. `idle`: told when a run has ended. */
export function observerOf(
  { logs: { engine: log }, tally, onDamage }: { readonly logs: Pick<Logs, "engine">; readonly tally: Tally; readonly onDamage: () => void },
  idle: { readonly busy: () => void },
): Observer {
  return {
    trouble: (folder, file, error) => {
      log.warn({ folder, file, err: error }, "trouble");
      if (isDamage(error)) onDamage();
    },
    runEnded: (folder, run, result) => {
      log.debug({ folder, run, result }, "run ended");
      tally.runEnded(result);
      idle.busy();
    },
    progress: (_folder, run, progress) => tally.progress(run, progress),
  };
}

/** The state can't be read as a database any more: told by whoever met it first. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && error.name === "StoreError" && "fault" in error && error.fault === "corrupt";
}
