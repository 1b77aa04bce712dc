/** Getting a service to run, and to end. */
import { setTimeout as sleep } from "node:timers/promises";

import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { reachService, type Tools } from "./tools.ts";

/** A service that stops ends its runs between two steps first. */
const STOP_MS = 30_000;
const LOOK_EVERY_MS = 10;
/** A start that lost the race against another one waits for that one to answer. */
const OTHER_START_MS = 5000;
/** Where even the reason could not be written down. */
const NOTHING_SAID =
  "It gave no reason: perhaps the disk of its state is full. `satchel service run` starts it here and shows what it says.";

/** Starts the service where none runs. Returns its process id, and whether it was us who started it. @throws CliError 4 */
export async function ensureService(tools: Tools, tcp: boolean): Promise<{ readonly pid: number; readonly started: boolean }> {
  const running = await answeringPid(tools);
  if (running !== null) return { pid: running, started: false };
  const outcome = await tools.host.spawnService({ tcp }).outcome;
  if (outcome.kind === "ended" && outcome.code !== 0) {
    // What a person wrote and can correct ends the service with 2, and us too.
    const exit = outcome.code === Exit.Usage ? Exit.Usage : Exit.Fatal;
    throw new CliError(exit, `The service did not start.\n${outcome.said.trimEnd() || NOTHING_SAID}`);
  }
  // Ended with 0: another one was being started at the same moment and holds the lock; it will answer in a moment.
  const end = performance.now() + OTHER_START_MS;
  for (;;) {
    const pid = await answeringPid(tools);
    if (pid !== null) return { pid, started: outcome.kind === "ready" };
    if (performance.now() > end)
      throw new CliError(Exit.Fatal, `The service was started but does not answer.\n${outcome.kind === "ended" ? outcome.said : ""}`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** Asks the service to stop and waits for the end of its process. `only`: none but this one. false: none ran. @throws CliError 4 when it does not end */
export async function stopService(tools: Tools, only: number | null = null): Promise<boolean> {
  const client = await reachService(tools.host);
  if (client === null) return false;
  const { service } = await client.call("service/status", {});
  if (only !== null && service.pid !== only) {
    await client.close();
    return false;
  }
  await client.call("service/shutdown", {});
  await client.closed;
  const end = performance.now() + STOP_MS;
  while (tools.host.processLives(service.pid)) {
    if (performance.now() > end)
      throw new CliError(
        Exit.Fatal,
        `The service (process ${service.pid}) was told to stop and has not ended. End it by hand: kill ${service.pid}`,
      );
    await sleep(LOOK_EVERY_MS);
  }
  return true;
}

async function answeringPid(tools: Tools): Promise<number | null> {
  const client = await reachService(tools.host);
  if (client === null) return null;
  const { service } = await client.call("service/status", {});
  await client.close();
  return service.pid;
}
