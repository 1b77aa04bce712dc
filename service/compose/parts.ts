/** Everything the engine is made of, over the real disk, network and clock. */
import { randomUUID } from "node:crypto";
import { hostname, tmpdir } from "node:os";
import path from "node:path";

import { settingsInForce, type Settings as SettingsInForce } from "../../protocol/config.ts";
import type { Places } from "../../protocol/places.ts";
import { VERSION } from "../../protocol/version.ts";
import type { Logs } from "../cli/log.ts";
import { realDirectory } from "../cli/machine.ts";
import type { Transport } from "../core/ports.ts";
import type { EngineDeps } from "../engine/deps.ts";
import { loadConfig, loadDevice } from "../files/settings.ts";
import type { Finder } from "../notes/finder.ts";
import type { Tally } from "../rpc/tally.ts";
import { rebuildIfCorrupt } from "../store/health.ts";
import { openNodeDisk } from "../files/node-disk.ts";
import { openVersionStore, retentionOf } from "../files/versions.ts";
import { openNodeTransport } from "../remotes/node-transport.ts";
import { nodeCompute as compute } from "../files/compute.ts";
import { machineHash } from "../files/machine.ts";
import { fileSettings } from "../engine/file-settings.ts";
import { lockedRootOpener } from "../engine/locked-root.ts";
import { startOver } from "../engine/fetch.ts";
import { openIdleMemory } from "./idle-memory.ts";
import { observerOf } from "./engine-observer.ts";
import { openRemote } from "../remotes/open.ts";
import { login } from "../remotes/anki/login.ts";
import { parseEndpoint, remoteIdOf } from "../remotes/endpoint.ts";
import { EngineError } from "../engine/errors.ts";
import { clock, random } from "./machine.ts";

/** `onDamage`: the state turned out not to be a database any more. */
export type PartsInput = { readonly logs: Logs; readonly diskWorker: URL; readonly tally: Tally; readonly onDamage: () => void };
export type Parts = Awaited<ReturnType<typeof openParts>>;

export async function openParts(places: Places, given: PartsInput) {
  const { logs, diskWorker } = given;
  const log = logs.engine;
  const stored = loadConfig(places.config);
  const config = settingsInForce(stored.settings, process.env);
  const { device, origin } = loadDevice(places.config, { hostName: hostname(), machine: machineHash(process.platform), newId: randomUUID });
  const { state, lost } = rebuildIfCorrupt({ path: path.join(places.state, "state.db"), now: () => Date.now() });
  if (lost !== null) log.error({ lost }, "the database was damaged; it is built anew");
  const idle = openIdleMemory(() => state.shrink());
  // A cloned disk: what we knew of the feed was another device's knowledge.
  if (origin === "cloned") stored.folders.forEach(({ id }) => startOver({ state, rows: state.folder(id) }));
  const disk = openNodeDisk({ diskWorker });
  const notes = { disk, ...lazyFinder(diskWorker) };
  const versions = await openVersionStore({ disk, clock, random, directory: path.join(places.state, "versions") });
  const transport = openNodeTransport({ clock });
  const remotes = await openRemotes({ transport, device: device.name, config });
  const deps: EngineDeps = {
    state,
    settings: fileSettings(places.config, stored),
    versions,
    retention: retentionOf(config),
    clock,
    random,
    compute,
    device: device.name,
    faults: () => false,
    observer: observerOf(given, idle),
    rebuilt: lost !== null || (state.fresh && stored.folders.length > 0),
    realRoot: realDirectory,
    ownDirectories: await Promise.all([places.config, places.state, places.run].map(realOrSame)),
    notes,
    openRoot: lockedRootOpener({
      disk,
      clock,
      random,
      compute,
      versions,
      state,
      limits: config,
      platform: process.platform,
      tmpDir: tmpdir(),
      lockLost: (root) => log.error({ root }, "somebody deleted the lock of this folder; restart the service"),
    }),
    ...remotes,
  };
  return { state, lost, disk, notes, transport, config, device, deps, idle };
}

/** They were made before; one that somebody took away since is known by its name at least. */
async function realOrSame(directory: string): Promise<string> {
  return (await realDirectory(directory)) ?? directory;
}

async function openRemotes(given: {
  readonly transport: Transport;
  readonly device: string;
  readonly config: Pick<SettingsInForce, "uploadsInFlightMax">;
}): Promise<Pick<EngineDeps, "openRemote" | "remoteIdOf" | "login">> {
  const { transport, device, config } = given;
  const client = { version: VERSION, device, platform: process.platform };
  const requestsInFlight = config.uploadsInFlightMax;
  return {
    openRemote: ({ url }, key) => {
      const chosen = parseEndpoint(url).ankiWeb ? {} : { requestsInFlight };
      return openRemote({ kind: "anki", url, key, client, ...chosen }, { transport, compute, random });
    },
    remoteIdOf: (url, user) => {
      try {
        const endpoint = parseEndpoint(url);
        return { id: remoteIdOf(endpoint, user), url: endpoint.base };
      } catch (error) {
        throw new EngineError("badPath", error instanceof Error ? error.message : String(error), { cause: error });
      }
    },
    login: async (who) => await login({ ...who, client }, transport, compute, new AbortController().signal),
  };
}

/** Loaded with the first note that is looked at: most services never look at one. Its worker stands beside the disk's. */
function lazyFinder(diskWorker: URL): Finder {
  const worker = new URL(diskWorker.href.endsWith(".ts") ? "../notes/note-worker.ts" : "./note-worker.cjs", diskWorker);
  let opened: Promise<Finder> | null = null;
  const open = async (): Promise<Finder> => (await import("../notes/finder.ts")).openFinder(worker);
  return {
    find: async (text) => await (await (opened ??= open())).find(text),
    findAmongMany: async (text) => await (await (opened ??= open())).findAmongMany(text),
    close: async () => await (await opened)?.close(),
  };
}
