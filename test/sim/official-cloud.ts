/** A model of the official server (specs §5) over the simulated network: it asks for no base, keeps no version, and cures nobody. */
import type { ServerHandle } from "../../service/core/ports.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { openRemote } from "../../service/remotes/open.ts";
import { StockServer } from "../support/stock-server.ts";
import type { Cloud } from "./cloud.ts";
import { sha1Of } from "./ledger.ts";
import { simTransport, type NetServer } from "./net.ts";
import type { Rng } from "./rng.ts";
import { Life, type Scheduler } from "./scheduler.ts";
import type { Weather } from "./weather.ts";

const URL = "http://server.example:8080/";
const HTTP = { stallMs: 0, maxResponseBytes: Number.MAX_SAFE_INTEGER } as const;

type Given = { readonly scheduler: Scheduler; readonly weather: Weather; readonly stream: (name: string) => Rng };

/**
 * Whoever sends last wins there, so of what is lost between a device's last page and its upload nothing is judged (`keepsAll` false): only that
 * all come to rest and agree.
 */
export function officialCloud({ scheduler, weather, stream }: Given): Cloud {
  const server = new StockServer();
  const life = new Life("official server");
  const handle: ServerHandle = async ({ method, path, query, headers, body }) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const url = new globalThis.URL(`${path}${query === "" ? "" : `?${query}`}`, URL).href;
    const whole = new Uint8Array(Buffer.concat(chunks));
    // Half a body and a vanished client change nothing; a whole body is processed even if the client is gone (specs §8).
    const asked = { method: method === "GET" ? "GET" : "POST", url, headers, body: whole.length === 0 ? null : whole, ...HTTP } as const;
    return await server.transport.send(asked, AbortSignal.any([]));
  };
  const up: NetServer = { current: () => ({ handle, life }), onDeath: () => () => undefined };
  const net = { scheduler, rng: stream("net"), server: up, fault: (fault: Parameters<Weather["net"]>[0]) => weather.net(fault) };
  return {
    keepsAll: false,
    admit: async () => await Promise.resolve(),
    openRemote: (device, ours, random) =>
      openRemote(
        { kind: "anki", url: URL, key: server.key, client: { version: "0.1.0", device, platform: "linux" } },
        { transport: simTransport(net, ours, "192.0.2.1"), compute: syncCompute, random },
      ),
    stockLine: (device) => ({ url: URL, key: () => server.key, transport: simTransport(net, new Life(device), "192.0.2.7") }),
    files: async () => await Promise.resolve(new Map([...server.live()].map(([name, bytes]) => [name, sha1Of(bytes)]))),
    position: async () => await Promise.resolve(String(server.top)),
    holds: async (sha1s) => await Promise.resolve(new Set(sha1s)),
    faults: async () => await Promise.resolve([]),
    start: () => undefined,
    kill: () => undefined,
    backup: () => null,
  };
}
