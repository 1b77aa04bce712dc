/** The service as a process: its lock, its parts, its doors, from the first step to the last. */
import { randomBytes, randomUUID } from "node:crypto";
import { flushCompileCache } from "node:module";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { settingsInForce, type Settings as SettingsInForce } from "../../protocol/config.ts";
import type { Places } from "../../protocol/places.ts";
import { SERVICE_PROCESS } from "../../protocol/service-process.ts";
import { PROTOCOL_VERSION, VERSION } from "../../protocol/version.ts";
import { Exit } from "../cli/exit-codes.ts";
import { CliError, type ServiceOptions } from "../cli/host.ts";
import { openLogs, type Logs } from "../cli/log.ts";
import { onStopSignal } from "../cli/machine.ts";
import { endsWhenIdle } from "../core/idle-exit.ts";
import type { Disk, Transport } from "../core/ports.ts";
import { createEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/facade.ts";
import { makePlaces } from "../files/places.ts";
import { loadConfig, loadServiceFile, loadTokens, removeServiceFile, saveServiceFile, saveTokens } from "../files/settings.ts";
import { KnownNotes } from "../lsp/known-notes.ts";
import type { NotesSource } from "../notes/finder.ts";
import { startRpc, type RpcOptions, type RpcServer } from "../rpc/server.ts";
import { newTally } from "../rpc/tally.ts";
import { setAside } from "../store/health.ts";
import { lockHolder, takeLock } from "../store/lock.ts";
import { placesNow, portTaken } from "./machine.ts";
import { openParts, type Parts } from "./parts.ts";

/** A service that is just stopping frees its lock within this. */
const LOCK_WAIT_MS = 5000;
const LOCK_LOOK_MS = 20;

/** Until it is stopped. @throws CliError 4 where another one holds the state and does not answer */
export async function runService(options: ServiceOptions, diskWorker: URL): Promise<Exit> {
  process.env["UV_THREADPOOL_SIZE"] ??= SERVICE_PROCESS.UV_THREADPOOL_SIZE;
  const places = placesNow();
  makePlaces(places);
  const file = path.join(places.state, "service.lock");
  const end = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    const lock = takeLock(file);
    if (lock !== null) {
      try {
        return await serveUntilStopped(places, options, diskWorker);
      } finally {
        lock.release();
      }
    }
    if (await answers(places)) {
      process.stderr.write(`The service runs already (process ${lockHolder(file) ?? "unknown"}).\n`);
      return Exit.InSync;
    }
    if (performance.now() > end)
      throw new CliError(
        Exit.Fatal,
        `Another service (process ${lockHolder(file) ?? "unknown"}) holds ${places.state} and does not answer. End that process, then start again.`,
      );
    await sleep(LOCK_LOOK_MS);
  }
}

async function answers(places: Places): Promise<boolean> {
  const service = loadServiceFile(places.run);
  if (service === null) return false;
  const { Client } = await import("../cli/client.ts");
  const client = await Client.open(service);
  await client?.close();
  return client !== null;
}

/** Once, or again when the database turned out to be damaged: it is set aside then and built anew (N6). */
async function serveUntilStopped(places: Places, options: ServiceOptions, diskWorker: URL): Promise<Exit> {
  const { logLevel, logLevels } = settingsInForce(loadConfig(places.config).settings, process.env);
  const logs = openLogs(options.background ? path.join(places.state, "log") : null, logLevel, logLevels);
  for (;;) {
    const why = await serve(places, options, { logs, diskWorker });
    if (why === "stopped") return Exit.InSync;
    logs.service.error({ movedTo: setAside(path.join(places.state, "state.db"), Date.now()) }, "the database is damaged; it is built anew");
  }
}

type Stop = "stopped" | "damaged";
type Around = { readonly logs: Logs; readonly diskWorker: URL };

/** From the first step to the last: whatever was opened is closed again, in the reverse order. */
async function serve(places: Places, options: ServiceOptions, { logs, diskWorker }: Around): Promise<Stop> {
  const log = logs.service;
  const tally = newTally();
  const stop = Promise.withResolvers<Stop>();
  const parts = await openParts(places, { logs, diskWorker, tally, onDamage: () => stop.resolve("damaged") });
  const { state, disk, notes, transport, config, device } = parts;
  const closers: (() => unknown)[] = [
    () => state.close(),
    () => parts.idle.close(),
    async () => await disk.close(),
    async () => await notes.close(),
    () => transport.close(),
  ];
  const onStop = () => stop.resolve("stopped");
  closers.push(onStopSignal(onStop));
  try {
    const engine = await createEngine(parts.deps);
    closers.push(async () => await engine.close());
    const began = performance.now();
    const self = {
      pid: process.pid,
      device: device.name,
      session: randomUUID(),
      uptimeMs: () => Math.round(performance.now() - began),
      stop: onStop,
      metrics: async (connections: number) => {
        const { metricsText } = await import("../rpc/metrics.ts");
        const uptimeMs = performance.now() - began;
        return await metricsText({
          folders: engine.folders.list(),
          tally,
          uptimeMs,
          connections,
          residentBytes: process.memoryUsage.rss(),
        });
      },
      doctor: async () => await doctor({ engine, disk, transport, places, sqliteVersion: state.sqliteVersion }),
    };
    const rpc = await openDoors(places, { engine, self, config, tcp: options.tcp, log: logs.rpc, notes });
    // The doors close last: who waits for a run is answered before.
    closers.splice(-1, 0, async () => await rpc.close());
    closers.push(() => removeServiceFile(places.run));
    log.info({ pid: process.pid, port: rpc.port, version: VERSION, rebuilt: parts.lost }, "the service answers");
    // Whoever started us may be gone, and was told before where this is a second beginning.
    if (process.connected) process.send?.("ready", undefined, undefined, () => undefined);
    // Now, not at the end: a service runs for weeks, and may be killed.
    closers.push(keepCompiled());
    closers.push(endWhenIdle(engine, rpc, onStop));
    void checkDatabase(parts, log).then((damaged) => (damaged ? stop.resolve("damaged") : undefined));
    const why = await stop.promise;
    log.info({ why }, "the service stops");
    return why;
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

async function doctor(given: {
  readonly engine: Engine;
  readonly disk: Pick<Disk, "space">;
  readonly transport: Transport;
  readonly places: Places;
  readonly sqliteVersion: string;
}): ReturnType<RpcOptions["self"]["doctor"]> {
  const [{ examine }, { probeRoot }, { looseFiles, remoteProbes }] = await Promise.all([
    import("../rpc/doctor.ts"),
    import("../files/probe.ts"),
    import("./doctor.ts"),
  ]);
  const { places, transport, ...rest } = given;
  return await examine({
    ...rest,
    state: places.state,
    probeRoot,
    looseOnes: () => looseFiles(places),
    remote: remoteProbes(transport),
  });
}

type Doors = {
  readonly engine: Engine;
  readonly self: Omit<RpcOptions["self"], "serviceKey">;
  readonly config: SettingsInForce;
  readonly tcp: boolean;
  readonly log: Logs["rpc"];
  readonly notes: NotesSource;
};

/** Opens the API and writes service.json, new secrets at every start. @throws CliError 2 where the chosen port is taken */
async function openDoors(places: Places, { engine, self, config, tcp, log, notes }: Doors): Promise<RpcServer> {
  const [token, serviceKey] = [randomBytes(32).toString("base64url"), randomBytes(32).toString("base64url")];
  const { socket } = places;
  const tcpPort = tcp && config.tcp ? config.tcpPort : null;
  const known = new KnownNotes();
  try {
    const rpc = await startRpc({
      socket,
      tcpPort,
      allowedOrigins: config.allowedOrigins,
      token,
      tokenFile: { load: () => loadTokens(places.config), save: (tokens) => saveTokens(places.config, tokens) },
      engine,
      self: { ...self, serviceKey, met: (client, scope) => log.debug({ client, scope }, "a front end says hello") },
      log: (error, id) => log.error({ err: error, id }, "a request met a fault of ours"),
      language: async (peer) => {
        const { openLanguageSession } = await import("../lsp/session.ts");
        return openLanguageSession(
          { engine, notes, known, report: (error) => log.error({ err: error }, "the language server met a fault of ours") },
          peer,
        );
      },
    });
    const { port } = rpc;
    const startedAtMs = Date.now();
    saveServiceFile(places.run, {
      protocolVersion: PROTOCOL_VERSION,
      version: VERSION,
      pid: process.pid,
      socket,
      port,
      token,
      serviceKey,
      startedAtMs,
    });
    return rpc;
  } catch (error) {
    throw portTaken(error, tcpPort, "Choose another `tcpPort` in config.json, or 0 for any free one.") ?? error;
  }
}

/** What is loaded right after the start counts too. */
const KEEP_COMPILED_MS = 2000;

/** Writes down what was compiled, for the next start (`service/cli/code-cache.mjs`). Returns the way to forget it. */
function keepCompiled(): () => void {
  const timer = setTimeout(() => flushCompileCache(), KEEP_COMPILED_MS);
  timer.unref();
  return () => clearTimeout(timer);
}

const IDLE_LOOK_MS = 5000;

/** Windows, inside the editor: see `endsWhenIdle`. Returns the way to stop looking. */
function endWhenIdle(engine: Engine, rpc: RpcServer, stop: () => void): () => void {
  const { platform, env } = process;
  const insideEditor = env["ELECTRON_RUN_AS_NODE"] !== undefined || "electron" in process.versions;
  if (platform !== "win32" || !insideEditor) return () => undefined;
  let idleSinceMs = performance.now();
  const look = setInterval(() => {
    const clients = rpc.clients();
    const running = engine.folders.list().some(({ state }) => state === "syncing");
    if (clients > 0) idleSinceMs = performance.now();
    if (endsWhenIdle({ platform, insideEditor, clients, running, idleMs: performance.now() - idleSinceMs })) stop();
  }, IDLE_LOOK_MS);
  look.unref();
  return () => clearInterval(look);
}

/** SQLite's own check, after an unclean stop and weekly, while the service answers already. true: damaged. */
async function checkDatabase({ state }: Parts, log: Logs["service"]): Promise<boolean> {
  if (!state.checkDue()) return false;
  try {
    const damage = await state.quickCheck(async () => await sleep(1));
    if (damage !== null) log.error({ damage }, "the database is damaged");
    return damage !== null;
  } catch (error) {
    // Closed under the check by a stop, or the disk refuses: no verdict, the next start looks again.
    log.warn({ err: error }, "the database could not be checked");
    return false;
  }
}
