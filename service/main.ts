/**
 * Where everything is put together: the command line, the service, the server. Each command loads only what it needs.
 * Nothing else constructs; everything else is handed what it uses.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync, renameSync, statSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Logger } from "pino";

import { settingsInForce, type Config, type Settings as SettingsInForce } from "../protocol/config.ts";
import type { Places } from "../protocol/places.ts";
import { PROTOCOL_VERSION, VERSION } from "../protocol/version.ts";
import { Exit } from "./cli/exit-codes.ts";
import { CliError, type Host, type ServerCommand, type ServerIo, type ServiceOptions, type Starting } from "./cli/host.ts";
import { callersDirectory, interrupted, onStopSignal, processLives, realPathOf, startDetached } from "./cli/machine.ts";
import { runCli } from "./cli/program.ts";
import type { Clock, Compute, Random, Transport } from "./core/ports.ts";
import type { State } from "./core/state.ts";
import type { EngineDeps, Settings } from "./engine/deps.ts";
import type { RootOptions } from "./files/open-root.ts";
import { currentPlaces, makePlaces } from "./files/places.ts";
import {
  loadConfig,
  loadDevice,
  loadSecrets,
  loadServiceFile,
  removeServiceFile,
  saveConfig,
  saveSecrets,
  saveServiceFile,
} from "./files/settings.ts";

/** Hashing, zstd and file calls share libuv's pool; its default of 4 threads would make them wait for one another. */
const POOL_THREADS = "16";
/** A service that is just stopping frees its lock within this. */
const LOCK_WAIT_MS = 5000;
const LOCK_LOOK_MS = 20;
const LOG_MAX_BYTES = 5 * 1024 * 1024;
/** Locks in a shared /tmp are touched this often, so that its cleaner leaves them. */
const LOCK_TOUCH_MS = 6 * 3_600_000;

const hashWorker = new URL(import.meta.url.endsWith(".ts") ? "./files/hash-worker.ts" : "./hash-worker.mjs", import.meta.url);

const clock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep: async (ms, signal) => await sleep(Math.min(ms, 2 ** 31 - 1), undefined, signal === undefined ? {} : { signal }),
};
const random: Random = { u32: () => randomBytes(4).readUInt32LE() };

function placesNow(): Places {
  return currentPlaces(process.env, callersDirectory());
}

async function runService(options: ServiceOptions): Promise<Exit> {
  process.env["UV_THREADPOOL_SIZE"] ??= POOL_THREADS;
  const places = placesNow();
  makePlaces(places);
  const { takeLock, lockHolder } = await import("./store/lock.ts");
  const file = path.join(places.state, "service.lock");
  const end = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    const lock = takeLock(file);
    if (lock !== null) {
      try {
        return await serveUntilStopped(places, options);
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
  const { Client } = await import("./cli/client.ts");
  const client = await Client.open(service);
  await client?.close();
  return client !== null;
}

/** Once, or again when the database turned out to be damaged: it is set aside then and built anew (N6). */
async function serveUntilStopped(places: Places, options: ServiceOptions): Promise<Exit> {
  const log = await openLog(places, options);
  for (;;) {
    const why = await serve(places, options, log);
    if (why === "stopped") return Exit.InSync;
    const { setAside } = await import("./store/health.ts");
    log.error({ movedTo: setAside(path.join(places.state, "state.db"), Date.now()) }, "the database is damaged; it is built anew");
  }
}

type Stop = "stopped" | "damaged";

async function serve(places: Places, options: ServiceOptions, log: Logger): Promise<Stop> {
  const parts = await openParts(places, log);
  const { state, disk, transport, lost, config, device } = parts;
  const stop = Promise.withResolvers<Stop>();
  const onStop = () => stop.resolve("stopped");
  const unlisten = onStopSignal(onStop);
  const [{ createEngine }, { startRpc }, { examine }] = await Promise.all([
    import("./engine/engine.ts"),
    import("./rpc/server.ts"),
    import("./rpc/doctor.ts"),
  ]);
  const engine = await createEngine(parts.deps);
  const token = randomBytes(32).toString("base64url");
  const serviceKey = randomBytes(32).toString("base64url");
  const startedAtMs = Date.now();
  const began = performance.now();
  const rpc = await startRpc({
    socket: places.socket,
    tcpPort: options.tcp && config.tcp ? config.tcpPort : null,
    allowedOrigins: config.allowedOrigins,
    token,
    engine,
    self: {
      pid: process.pid,
      device: device.name,
      session: randomUUID(),
      serviceKey,
      uptimeMs: () => Math.round(performance.now() - began),
      stop: onStop,
      doctor: async () => await examine({ engine, disk, state: places.state, sqliteVersion: state.sqliteVersion }),
    },
    log: (error, id) => log.error({ err: error, id }, "a request met a fault of ours"),
  });
  saveServiceFile(places.run, {
    protocolVersion: PROTOCOL_VERSION,
    version: VERSION,
    pid: process.pid,
    socket: places.socket,
    port: rpc.port,
    token,
    serviceKey,
    startedAtMs,
  });
  log.info({ pid: process.pid, port: rpc.port, version: VERSION, rebuilt: lost }, "the service answers");
  process.send?.("ready");
  void checkDatabase(parts, log).then((damaged) => (damaged ? stop.resolve("damaged") : undefined));
  const why = await stop.promise;
  log.info({ why }, "the service stops");
  removeServiceFile(places.run);
  await engine.close();
  await rpc.close();
  transport.close();
  await disk.close();
  state.close();
  unlisten();
  return why;
}

/** SQLite's own check, after an unclean stop and weekly, while the service answers already. true: damaged. */
async function checkDatabase({ state }: Parts, log: Logger): Promise<boolean> {
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

type Parts = Awaited<ReturnType<typeof openParts>>;

/** Everything the engine is made of, over the real disk, network and clock. */
async function openParts(places: Places, log: Logger) {
  const [{ rebuildIfCorrupt }, { openNodeDisk }, { openVersionStore }, { openNodeTransport }, { nodeCompute: compute }, { machineHash }] =
    await Promise.all([
      import("./store/health.ts"),
      import("./files/node-disk.ts"),
      import("./files/versions.ts"),
      import("./remotes/node-transport.ts"),
      import("./files/compute.ts"),
      import("./files/machine.ts"),
    ]);
  const stored = loadConfig(places.config);
  const config = settingsInForce(stored.settings, process.env);
  const { device, origin } = loadDevice(places.config, { hostName: hostname(), machine: machineHash(process.platform), newId: randomUUID });
  const { state, lost } = rebuildIfCorrupt({ path: path.join(places.state, "state.db"), now: () => Date.now() });
  if (lost !== null) log.error({ lost }, "the database was damaged; it is built anew");
  // A cloned disk: what we knew of the feed was another device's knowledge.
  if (origin === "cloned") state.transaction(() => stored.folders.forEach(({ id }) => state.folder(id).cursor.clear()));
  const disk = openNodeDisk({ hashWorker });
  const versions = await openVersionStore({ disk, clock, random, directory: path.join(places.state, "versions") });
  const transport = openNodeTransport({ clock });
  const remotes = await openRemotes({ transport, compute, device: device.name, stored });
  const deps: EngineDeps = {
    state,
    settings: settingsOf(places, stored),
    versions,
    clock,
    random,
    compute,
    device: device.name,
    faults: () => false,
    observer: {
      trouble: (folder, file, error) => log.warn({ folder, file, err: error }, "trouble"),
      runEnded: (folder, run, result) => log.debug({ folder, run, result }, "run ended"),
    },
    rebuilt: lost !== null || (state.fresh && stored.folders.length > 0),
    realRoot,
    openRoot: await rootOpener({ disk, compute, versions, state, config, log }),
    ...remotes,
  };
  return { state, lost, disk, transport, config, device, deps };
}

/** Settings live in files; the copy in memory is what was last saved. */
function settingsOf(places: Places, loaded: Config): Settings {
  let config = loaded;
  let secrets = loadSecrets(places.config);
  const save = async (change: Partial<Config>): Promise<void> => {
    const next = { ...config, ...change };
    await Promise.resolve();
    saveConfig(places.config, next);
    config = next;
  };
  return {
    folders: () => config.folders,
    remotes: () => config.remotes,
    saveFolders: async (folders) => await save({ folders: [...folders] }),
    saveRemotes: async (remotes) => await save({ remotes: [...remotes] }),
    key: (remote) => secrets.remotes[remote]?.key ?? null,
    saveKey: async (remote, key) => {
      const { [remote]: _old, ...others } = secrets.remotes;
      const next = { ...secrets, remotes: key === null ? others : { ...others, [remote]: { key } } };
      await Promise.resolve();
      saveSecrets(places.config, next);
      secrets = next;
    },
  };
}

async function realRoot(wanted: string): Promise<string | null> {
  try {
    const real = await realpath(wanted);
    return (await stat(real)).isDirectory() ? real : null;
  } catch {
    // Not there or not to be entered: not a directory that can be looked after, and the caller says so.
    return null;
  }
}

async function openRemotes(given: {
  readonly transport: Transport;
  readonly compute: Compute;
  readonly device: string;
  readonly stored: Config;
}): Promise<Pick<EngineDeps, "openRemote" | "remoteIdOf" | "login">> {
  const [{ openRemote }, { login }, { parseEndpoint, remoteIdOf }, { EngineError }] = await Promise.all([
    import("./remotes/open.ts"),
    import("./remotes/anki/login.ts"),
    import("./remotes/endpoint.ts"),
    import("./engine/facade.ts"),
  ]);
  const { transport, compute, device, stored } = given;
  const client = { version: VERSION, device, platform: process.platform };
  const inFlight = stored.settings.uploadsInFlightMax;
  return {
    openRemote: ({ url }, key) => {
      const chosen = inFlight === undefined || parseEndpoint(url).ankiWeb ? {} : { requestsInFlight: inFlight };
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

type RootGiven = Pick<RootOptions, "disk" | "compute" | "versions"> & {
  readonly state: State;
  readonly config: SettingsInForce;
  readonly log: Logger;
};

/** Opens one folder's disk side: locked for us alone (two homes can't share a root), with its own tree, applier and watcher. */
async function rootOpener(given: RootGiven): Promise<EngineDeps["openRoot"]> {
  const [{ EngineError }, { openRootParts }, { parcelWatcher }, { rootLockPath, takeLock }] = await Promise.all([
    import("./engine/facade.ts"),
    import("./files/open-root.ts"),
    import("./files/watch.ts"),
    import("./store/lock.ts"),
  ]);
  const { disk, compute, versions, state, config, log } = given;
  const watcher = parcelWatcher();
  return async ({ id, root }) => {
    const found = await disk.lstat(root);
    if (found?.kind !== "directory")
      throw new EngineError(
        "notADirectory",
        `${root} is not there (moved, deleted, or on a disk that is not mounted). Nothing is synced until it is back.`,
      );
    const lock = takeLock(rootLockPath({ tmpDir: tmpdir(), dev: found.dev, ino: found.fileId }));
    if (lock === null)
      throw new EngineError(
        "rootLocked",
        `Another Satchel service looks after ${root} already. Stop that one, or remove the folder there.`,
      );
    const touch = setInterval(() => {
      if (!lock.stillHeld()) log.error({ root, lock: lock.path }, "somebody deleted the lock of this folder; restart the service");
    }, LOCK_TOUCH_MS);
    touch.unref();
    const close = async (): Promise<void> => {
      clearInterval(touch);
      lock.release();
      await Promise.resolve();
    };
    try {
      const naming = process.platform === "win32" ? "windows" : "posix";
      const limits = { fileMaxBytes: config.fileMaxBytes, freeMinBytes: config.freeMinBytes };
      const parts = await openRootParts({ disk, clock, random, compute, versions, root, rows: state.folder(id), naming, ...limits });
      return { ...parts, watch: async (onHint) => await watcher.watch(root, onHint), close };
    } catch (error) {
      await close();
      throw error;
    }
  };
}

/** In the background to a file, kept small; in the foreground to stderr. */
async function openLog(places: Places, options: ServiceOptions): Promise<Logger> {
  const { default: pino } = await import("pino");
  const level = settingsInForce(loadConfig(places.config).settings, process.env).logLevel;
  const fields = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  if (!options.background) return pino(fields, pino.destination({ fd: 2, sync: true }));
  const file = path.join(places.state, "log", "service.log");
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
  const log = pino(fields, pino.destination({ dest: file, mode: 0o600, sync: true }));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the service ends: a fault of ours");
    process.exit(Exit.Fatal);
  });
  return log;
}

function spawnService(options: { readonly tcp: boolean }): Starting {
  const places = placesNow();
  makePlaces(places);
  const env = { UV_THREADPOOL_SIZE: process.env["UV_THREADPOOL_SIZE"] ?? POOL_THREADS, ...absoluteHome(places) };
  const args = ["service", "run", "--background", ...(options.tcp ? [] : ["--no-tcp"])];
  return startDetached(args, { said: path.join(places.run, "start.log"), cwd: places.state, env });
}

/** The child runs elsewhere: a relative home means the caller's. */
function absoluteHome(places: Places): NodeJS.ProcessEnv {
  const home = process.env["SATCHEL_HOME"];
  return home === undefined || home === "" ? {} : { SATCHEL_HOME: places.config };
}

async function runServerCommand(command: ServerCommand, io: ServerIo): Promise<Exit> {
  process.env["UV_THREADPOOL_SIZE"] ??= POOL_THREADS;
  if (command.verb !== "run") throw new CliError(Exit.Fatal, `server ${command.verb} is not built yet.`);
  const { runServer } = await import("./server/run.ts");
  const { env } = process;
  const base = command.options["base"] ?? env["SYNC_BASE"];
  if (typeof base !== "string" || base === "")
    throw new CliError(Exit.Usage, "Say where the server keeps everything: --base DIR, or SYNC_BASE=DIR.");
  const accounts = Object.entries(env)
    .filter(([name, value]) => /^SYNC_USER\d+$/.test(name) && value?.includes(":"))
    .map(([, value = ""]) => {
      const at = value.indexOf(":");
      return { name: value.slice(0, at), secret: value.slice(at + 1), hashed: env["PASSWORDS_HASHED"] !== undefined };
    });
  const running = await runServer({
    base: path.resolve(callersDirectory(), base),
    host: String(command.options["host"] ?? env["SYNC_HOST"] ?? "127.0.0.1"),
    port: Number(command.options["port"] ?? env["SYNC_PORT"] ?? 8080),
    accounts,
    payloadMegs: env["MAX_SYNC_PAYLOAD_MEGS"] === undefined ? null : Number(env["MAX_SYNC_PAYLOAD_MEGS"]),
    addressHeader: env["SYNC_IP_HEADER"]?.toLowerCase() ?? null,
    legacy: command.options["legacy"] !== false,
    log: (level, event, fields) => level === "info" || io.note(JSON.stringify({ level, event, ...fields })),
    clock,
    hashWorker,
  });
  io.result(running.url);
  io.data({ url: running.url });
  await interrupted();
  await running.close();
  return Exit.InSync;
}

const host: Host = {
  env: process.env,
  cwd: callersDirectory(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  serviceFile: async () => await Promise.resolve(loadServiceFile(placesNow().run)),
  realPath: realPathOf,
  runService,
  spawnService,
  processLives,
  server: runServerCommand,
  ownServer: async () => {
    await Promise.resolve();
    throw new CliError(Exit.Fatal, "not yet");
  },
  ownServerUrl: async () => await Promise.resolve(null),
  interrupted,
};

process.exitCode = await runCli(process.argv.slice(2), host);
