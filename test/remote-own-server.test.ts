/** The remote contract against our own server, as a process: conditional upload, change stream and kept versions are only there. */
import { after, before } from "node:test";

import { serverContract } from "./anki/contract.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";

let server: SyncServer;
before(async () => (server = await startSyncServer({ kind: "satchel" }, 1)));
after(async () => await server.close());

serverContract("Anki remote, our own server", () => ({ server, user: "user1" }));
