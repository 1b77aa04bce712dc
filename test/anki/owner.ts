/** The owner of a Satchel server at the command line. */
import { runToEnd } from "../support/children.ts";
import { satchelEntry } from "../support/entry.ts";
import type { SyncServer } from "../support/sync-server.ts";

/** `satchel server WORDS…` beside the running server. @throws Error with what it said when it failed. */
export async function asOwner(host: SyncServer, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(process.execPath, [satchelEntry(), "server", ...words, "--base", host.base]);
  if (code !== 0) throw new Error(`satchel server ${words.join(" ")} ended with ${String(code)}: ${stderr}`);
  return stdout;
}
