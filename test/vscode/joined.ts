/** The editor's home, set up by the command line: signed in, with the workspace's media folder. Windows then find a service that runs. */
import path from "node:path";

import { runToEnd } from "../support/children.ts";
import { PASSWORD } from "../support/sync-server.ts";
import type { Device, Scenario } from "./scenario.ts";

const MAIN = path.join(import.meta.dirname, "..", "..", "service", "main.ts");

export type Joined = {
  /** One command of the command line against the editor's service. @throws Error when its exit code is 2 or above */
  cli(args: readonly string[], stdin?: string): Promise<string>;
  /** Both sides change a file while the editor's folder is paused; resolves when the editor's service has made a conflict of it. */
  conflict(other: Device, file: string, mine: () => Promise<void>, theirs: () => Promise<void>): Promise<void>;
};

/** `folder`: the media folder, absolute. */
export async function join(world: Scenario, folder = world.media): Promise<Joined> {
  const env = { ...process.env, SATCHEL_HOME: world.home, NO_COLOR: "1" };
  const cli: Joined["cli"] = async (args, stdin) => {
    const ended = await runToEnd(process.execPath, [MAIN, ...args], { env, ...(stdin === undefined ? {} : { stdin }) });
    if (ended.code === null || ended.code >= 2)
      throw new Error(`satchel ${args.join(" ")} ended with ${String(ended.code)}: ${ended.stderr} ${ended.stdout}`);
    return ended.stdout;
  };
  await cli(["service", "start"]);
  await cli(["login", world.server.url, "--user", "user1", "--password-stdin"], PASSWORD);
  await cli(["add", folder]);
  await cli(["sync", "--wait"]);
  return {
    cli,
    conflict: async (other, file, mine, theirs) => {
      await cli(["pause", folder]);
      await Promise.all([mine(), theirs()]);
      const sent = await other.satchel.sync();
      if (sent.run?.result === "failed") throw new Error(`${file} could not be sent: ${sent.said}`);
      await cli(["resume", folder]);
      await cli(["sync", "--wait"]);
    },
  };
}
