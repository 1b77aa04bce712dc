import { readFile } from "node:fs/promises";
import path from "node:path";

import type { ServiceFile } from "../../protocol/config.ts";
import { Client } from "../../service/cli/client.ts";

/** What `service.json` tells (DESIGN §7); undefined when no service of this home runs or ever ran. */
export async function readServiceFile(home: string): Promise<ServiceFile | undefined> {
  const text = await readFile(path.join(home, "state", "run", "service.json"), "utf8").catch(() => undefined);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a key that is missing makes the connection fail, which is what a test wants
  return text === undefined ? undefined : (JSON.parse(text) as ServiceFile);
}

/** A front end of the service that runs in `home`. @throws Error when none answers. */
export async function connectRpc(home: string): Promise<Client> {
  const told = await readServiceFile(home);
  const client = told === undefined ? null : await Client.open(told);
  if (client === null) throw new Error(`no service answers for ${home}`);
  return client;
}
