/** What the devices sync with: the real server over the simulated network, or a model with its semantics and none of its code. */
import type { Remote } from "../../service/core/ports.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { openRemote } from "../../service/remotes/open.ts";
import { login } from "../../service/remotes/anki/login.ts";
import type { Storage } from "../../service/server/storage.ts";
import { MemoryAccount } from "../support/memory-remote.ts";
import { sha1Of } from "./ledger.ts";
import { modelRemote } from "./model-server.ts";
import { simTransport } from "./net.ts";
import type { Rng } from "./rng.ts";
import { Life, type Scheduler } from "./scheduler.ts";
import { PASSWORD, SimServer, USER } from "./server.ts";
import type { StockLine } from "./stock-device.ts";
import type { VolumeProfile } from "./volume.ts";
import type { Weather } from "./weather.ts";

/** Everything that an oracle asks of it; answers may take simulated time. */
export interface Cloud {
  /** What is overwritten unseen stays visible or restorable. False: of that nothing is judged, only that all agree at rest. */
  readonly keepsAll: boolean;
  /** Signs the device in. */
  admit(device: string): Promise<void>;
  openRemote(device: string, life: Life, random: Rng): Remote;
  /** A line for a client that is not ours; null: this one speaks no Anki. */
  stockLine(device: string): StockLine | null;
  /** Wire name → SHA-1 of what is current. */
  files(): Promise<ReadonlyMap<string, string>>;
  /** Where the feed ends. */
  position(): Promise<string>;
  /** Those of these hashes whose bytes it can give back. */
  holds(sha1s: readonly string[]): Promise<ReadonlySet<string>>;
  /** What its own check finds wrong. */
  faults(): Promise<readonly string[]>;
  start(): void;
  kill(kind: "process" | "power", downMs: number): void;
  /** Copies everything as it is now; the returned function puts that copy back, as from a backup. null: it is down. */
  backup(): (() => void) | null;
}

type Given = { readonly scheduler: Scheduler; readonly weather: Weather; readonly stream: (name: string) => Rng };

export function modelCloud({ scheduler, weather, stream }: Given): Cloud {
  const account = new MemoryAccount();
  const everHeld = new Set<string>();
  const remember = (): void => {
    for (const { bytes } of account.rows.values()) if (bytes !== null) everHeld.add(sha1Of(bytes));
  };
  return {
    keepsAll: true,
    admit: async () => await Promise.resolve(),
    openRemote: (_device, life) => {
      const given = {
        scheduler,
        rng: stream("net"),
        account,
        fault: (fault: "dropRequest" | "dropReply" | "duplicate") => weather.net(fault),
      };
      const remote = modelRemote(given, life);
      const upload = remote.upload.bind(remote);
      remote.upload = async (batch, signal) => {
        const results = await upload(batch, signal);
        remember();
        return results;
      };
      return remote;
    },
    stockLine: () => null,
    files: async () =>
      await Promise.resolve(new Map([...account.rows].flatMap(([name, { sha1 }]) => (sha1 === null ? [] : [[name, sha1] as const])))),
    position: async () => await Promise.resolve(String(account.usn)),
    // It keeps all versions, as ours does.
    holds: async (sha1s) => await Promise.resolve(new Set(sha1s.filter((sha1) => everHeld.has(sha1)))),
    faults: async () => await Promise.resolve([]),
    start: () => undefined,
    kill: () => undefined,
    backup: () => {
      const copy = account.backup();
      return () => {
        account.restore(copy);
        account.epoch = `epoch after ${account.epoch ?? ""}`;
      };
    },
  };
}

const URL = "http://server.example:8080/";

export function serverCloud(
  { scheduler, weather, stream }: Given,
  options: {
    readonly profile: VolumeProfile;
    readonly skewMs: number;
    readonly onTrouble: (text: string) => void;
    readonly mutate: ((storage: Storage) => Storage) | undefined;
  },
): Cloud {
  const server = new SimServer({
    scheduler,
    profile: options.profile,
    skew: { ms: options.skewMs },
    rng: { disk: stream("disk server"), product: stream("product server") },
    diskFault: weather.disk("server"),
    faults: weather.points("server"),
    onTrouble: options.onTrouble,
    ...(options.mutate === undefined ? {} : { mutate: options.mutate }),
  });
  const keys = new Map<string, string>();
  const net = { scheduler, rng: stream("net"), server, fault: (fault: Parameters<Weather["net"]>[0]) => weather.net(fault) };
  const clientOf = (device: string) => ({ version: "0.1.0", device, platform: "linux" });
  return {
    keepsAll: true,
    admit: async (device) => {
      const transport = simTransport(net, new Life(`${device} login`), "192.0.2.1");
      const asked = { url: URL, user: USER, password: PASSWORD, client: clientOf(device) };
      const { key } = await login(asked, transport, syncCompute, new AbortController().signal);
      keys.set(device, key);
    },
    openRemote: (device, life, random) =>
      openRemote(
        { kind: "anki", url: URL, key: keys.get(device) ?? "", client: clientOf(device) },
        { transport: simTransport(net, life, "192.0.2.1"), compute: syncCompute, random },
      ),
    stockLine: (device) => ({
      url: URL,
      key: () => keys.get(device) ?? "",
      transport: simTransport(net, new Life(device), "192.0.2.7"),
    }),
    files: async () => {
      const account = await server.account();
      const rows = await account.change({ durable: false, files: [] }, async (tx) => await tx.feed(0, Number.MAX_SAFE_INTEGER));
      return new Map(rows.flatMap(({ name, sha1 }) => (sha1 === null ? [] : [[name, sha1] as const])));
    },
    position: async () => {
      const account = await server.account();
      const state = await account.change({ durable: false, files: [] }, async (tx) => await tx.state());
      return `${state.epoch} ${state.top}`;
    },
    holds: async (sha1s) => {
      const account = await server.account();
      const found = await account.read(sha1s);
      return new Set(sha1s.filter((_, index) => found[index] != null));
    },
    faults: async () => (await (await server.account()).check()).faults,
    start: () => server.start(),
    kill: (kind, downMs) => {
      if (!server.up) return;
      server.kill(kind);
      server.startLater(downMs);
    },
    backup: () => (server.up ? server.backup() : null),
  };
}
