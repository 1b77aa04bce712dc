import { nodeCompute } from "../../service/files/compute.ts";
import { login } from "../../service/remotes/anki/login.ts";
import { openNodeTransport } from "../../service/remotes/node-transport.ts";
import { openRemote } from "../../service/remotes/open.ts";
import { remoteContract } from "../remote-contract.ts";
import { PASSWORD, patiently, type SyncServer } from "../support/sync-server.ts";
import { realClock } from "../support/real-clock.ts";

const CLIENT = { version: "0.1.0", device: "test", platform: "linux" } as const;

/** Runs the suite that every remote must pass against a server process, under an empty account of its own. */
export function serverContract(label: string, place: () => { readonly server: SyncServer; readonly user: string }): void {
  remoteContract(label, async () => {
    const { server, user } = place();
    const transport = openNodeTransport({ clock: realClock });
    const open = (key: string) =>
      openRemote({ kind: "anki", url: server.url, key, client: CLIENT }, { transport, compute: nodeCompute, random: { u32: () => 7 } });
    const never = new AbortController().signal;
    return {
      device: async () =>
        open(
          (
            await patiently(
              async () => await login({ url: server.url, user, password: PASSWORD, client: CLIENT }, transport, nodeCompute, never),
            )
          ).key,
        ),
      stranger: () => Promise.resolve(open("0".repeat(40))),
      close: () => {
        transport.close();
        return Promise.resolve();
      },
    };
  });
}
