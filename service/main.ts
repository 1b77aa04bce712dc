/** Where everything is put together: command line, service, server; nothing else constructs. Each command loads only what it needs. */
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir, hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Logger } from "pino";

import { settingsInForce, type Settings as SettingsInForce } from "../protocol/config.ts";
import type { Places } from "../protocol/places.ts";
import { PROTOCOL_VERSION, VERSION } from "../protocol/version.ts";
import { Exit } from "./cli/exit-codes.ts";
import { CliError, type Host, type ServiceOptions, type Starting } from "./cli/host.ts";
import {
  callersDirectory,
  interrupted,
  onStopSignal,
  ownCommand,
  processLives,
  realDirectory,
  realPathOf,
  runCommand,
  startDetached,
} from "./cli/machine.ts";
import { ownServerUrl, startOwnServer } from "./cli/own-server.ts";
import { runCli } from "./cli/program.ts";
import type { Clock, Compute, Disk, Random, Transport } from "./core/ports.ts";
import type { EngineDeps } from "./engine/deps.ts";
import type { Engine } from "./engine/facade.ts";
import { autostartOf, removeAutostart, writeAutostart } from "./files/autostart.ts";
import { currentPlaces, makePlaces } from "./files/places.ts";
import { readSupportFacts, writeSupportBundle } from "./files/support.ts";
import {
  deviceName,
  loadConfig,
  loadDevice,
  loadServiceFile,
  loadTokens,
  removeServiceFile,
  saveServiceFile,
  saveTokens,
} from "./files/settings.ts";
import type { NotesDisk } from "./notes/note-files.ts";
import type { RpcOptions, RpcServer } from "./rpc/server.ts";
import type { ServerLog } from "./server/handle.ts";

/** Hashing, zstd and file calls share libuv's pool; its default of 4 threads would make them wait for one another. */
const POOL_THREADS = "16";
/** A service that is just stopping frees its lock within this. */
const LOCK_WAIT_MS = 5000;
const LOCK_LOOK_MS = 20;

const diskWorker = new URL(import.meta.url.endsWith(".ts") ? "./files/disk-worker.ts" : "./disk-worker.mjs", import.meta.url);

const clock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  sleep: async (ms, signal) => await sleep(Math.min(ms, 2 ** 31 - 1), undefined, signal === undefined ? {} : { signal }),
};
/** Drawn by the page: names of temporary files come by the thousand, and each draw is a call into the system. */
const RANDOM_PAGE_BYTES = 4096;
let page = Buffer.alloc(0);
let drawn = 0;
const random: Random = {
  u32: () => {
    if (drawn >= page.length) {
      page = randomBytes(RANDOM_PAGE_BYTES);
      drawn = 0;
    }
    drawn += 4;
    return page.readUInt32LE(drawn - 4);
  },
};

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
  const { openLog } = await import("./cli/log.ts");
  const { logLevel } = settingsInForce(loadConfig(places.config).settings, process.env);
  const log = openLog(options.background ? path.join(places.state, "log") : null, logLevel);
  for (;;) {
    const why = await serve(places, options, log);
    if (why === "stopped") return Exit.InSync;
    const { setAside } = await import("./store/health.ts");
    log.error({ movedTo: setAside(path.join(places.state, "state.db"), Date.now()) }, "the database is damaged; it is built anew");
  }
}

type Stop = "stopped" | "damaged";

/** From the first step to the last: whatever was opened is closed again, in the reverse order. */
async function serve(places: Places, options: ServiceOptions, log: Logger): Promise<Stop> {
  const stop = Promise.withResolvers<Stop>();
  const parts = await openParts(places, log, () => stop.resolve("damaged"));
  const { state, disk, transport, config, device } = parts;
  const closers: (() => unknown)[] = [
    () => state.close(),
    () => parts.idle.close(),
    async () => await disk.close(),
    () => transport.close(),
  ];
  const onStop = () => stop.resolve("stopped");
  closers.push(onStopSignal(onStop));
  try {
    const { createEngine } = await import("./engine/engine.ts");
    const engine = await createEngine(parts.deps);
    closers.push(async () => await engine.close());
    const began = performance.now();
    const self = {
      pid: process.pid,
      device: device.name,
      session: randomUUID(),
      uptimeMs: () => Math.round(performance.now() - began),
      stop: onStop,
      doctor: async () => await doctor({ engine, disk, transport, places, sqliteVersion: state.sqliteVersion }),
    };
    const rpc = await openDoors(places, { engine, self, config, tcp: options.tcp, log, disk });
    // The doors close last: who waits for a run is answered before.
    closers.splice(-1, 0, async () => await rpc.close());
    closers.push(() => removeServiceFile(places.run));
    log.info({ pid: process.pid, port: rpc.port, version: VERSION, rebuilt: parts.lost }, "the service answers");
    // Whoever started us may be gone, and was told before where this is a second beginning.
    if (process.connected) process.send?.("ready", undefined, undefined, () => undefined);
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
  const [{ examine }, { looseOnes, probeRoot }, { probeHealth, refusesBody }] = await Promise.all([
    import("./rpc/doctor.ts"),
    import("./files/probe.ts"),
    import("./remotes/probe.ts"),
  ]);
  const { places, transport, ...rest } = given;
  const { config, state, run } = places;
  const files = ["secrets.json", "tokens.json"].map((name) => path.join(config, name));
  return await examine({
    ...rest,
    state,
    probeRoot,
    looseOnes: () => looseOnes([config, state, run, path.join(run, "service.json"), ...files]),
    remote: {
      health: async (base) => await probeHealth(base, transport, AbortSignal.any([])),
      refusesBody,
      nowMs: () => Date.now(),
      proxyVariables: ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"].filter((name) => process.env[name]),
    },
  });
}

type Doors = {
  readonly engine: Engine;
  readonly self: Omit<RpcOptions["self"], "serviceKey">;
  readonly config: SettingsInForce;
  readonly tcp: boolean;
  readonly log: Logger;
  readonly disk: NotesDisk;
};

/** Opens the API and writes service.json, new secrets at every start. @throws CliError 2 where the chosen port is taken */
async function openDoors(places: Places, { engine, self, config, tcp, log, disk }: Doors): Promise<RpcServer> {
  const { startRpc } = await import("./rpc/server.ts");
  const [token, serviceKey] = [randomBytes(32).toString("base64url"), randomBytes(32).toString("base64url")];
  const { socket } = places;
  const tcpPort = tcp && config.tcp ? config.tcpPort : null;
  try {
    const rpc = await startRpc({
      socket,
      tcpPort,
      allowedOrigins: config.allowedOrigins,
      token,
      tokenFile: { load: () => loadTokens(places.config), save: (tokens) => saveTokens(places.config, tokens) },
      engine,
      self: { ...self, serviceKey },
      log: (error, id) => log.error({ err: error, id }, "a request met a fault of ours"),
      language: async (peer) => {
        const { openLanguageSession } = await import("./lsp/session.ts");
        return openLanguageSession(
          { engine, disk, report: (error) => log.error({ err: error }, "the language server met a fault of ours") },
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
async function openParts(places: Places, log: Logger, onDamage: () => void) {
  const [
    { rebuildIfCorrupt },
    { openNodeDisk },
    { openVersionStore, retentionOf },
    { openNodeTransport },
    { nodeCompute: compute },
    { machineHash },
    { fileSettings },
    { lockedRootOpener },
    { startOver },
    { openIdleMemory },
    { observerOf },
  ] = await Promise.all([
    import("./store/health.ts"),
    import("./files/node-disk.ts"),
    import("./files/versions.ts"),
    import("./remotes/node-transport.ts"),
    import("./files/compute.ts"),
    import("./files/machine.ts"),
    import("./engine/file-settings.ts"),
    import("./engine/locked-root.ts"),
    import("./engine/fetch.ts"),
    import("./cli/idle-memory.ts"),
    import("./cli/engine-observer.ts"),
  ]);
  const stored = loadConfig(places.config);
  const config = settingsInForce(stored.settings, process.env);
  const { device, origin } = loadDevice(places.config, { hostName: hostname(), machine: machineHash(process.platform), newId: randomUUID });
  const { state, lost } = rebuildIfCorrupt({ path: path.join(places.state, "state.db"), now: () => Date.now() });
  if (lost !== null) log.error({ lost }, "the database was damaged; it is built anew");
  const idle = openIdleMemory(() => state.shrink());
  // A cloned disk: what we knew of the feed was another device's knowledge.
  if (origin === "cloned") stored.folders.forEach(({ id }) => startOver({ state, rows: state.folder(id) }));
  const disk = openNodeDisk({ diskWorker });
  const versions = await openVersionStore({ disk, clock, random, directory: path.join(places.state, "versions") });
  const transport = openNodeTransport({ clock });
  const remotes = await openRemotes({ transport, compute, device: device.name, config });
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
    observer: observerOf(log, onDamage, idle),
    rebuilt: lost !== null || (state.fresh && stored.folders.length > 0),
    realRoot: realDirectory,
    disk,
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
  return { state, lost, disk, transport, config, device, deps, idle };
}

async function openRemotes(given: {
  readonly transport: Transport;
  readonly compute: Compute;
  readonly device: string;
  readonly config: Pick<SettingsInForce, "uploadsInFlightMax">;
}): Promise<Pick<EngineDeps, "openRemote" | "remoteIdOf" | "login">> {
  const [{ openRemote }, { login }, { parseEndpoint, remoteIdOf }, { EngineError }] = await Promise.all([
    import("./remotes/open.ts"),
    import("./remotes/anki/login.ts"),
    import("./remotes/endpoint.ts"),
    import("./engine/facade.ts"),
  ]);
  const { transport, compute, device, config } = given;
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

const autostart: Host["autostart"] = () => {
  const places = placesNow();
  makePlaces(places);
  const { env, platform } = process;
  // What tells where everything is must be told again: a session that a service manager begins has no shell's variables.
  const told = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"].flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  const unit = autostartOf({
    platform,
    command: ownCommand(["service", "run", "--background"]),
    env: { UV_THREADPOOL_SIZE: POOL_THREADS, ...Object.fromEntries(told), ...absoluteHome(places) },
    homeDir: homedir(),
    configHome: env["XDG_CONFIG_HOME"] || null,
    stateDir: places.state,
    uid: process.getuid?.() ?? null,
    user: platform === "win32" ? `${env["USERDOMAIN"] ?? "."}\\${userInfo().username}` : userInfo().username,
  });
  return { unit, write: writeAutostart, remove: removeAutostart, run: runCommand };
};

const support: Host["support"] = () => {
  const places = placesNow();
  const facts = readSupportFacts(places);
  return {
    facts,
    known: { folders: facts.config?.folders.map(({ root }) => root) ?? [], remotes: facts.config?.remotes ?? [] },
    homeDir: homedir(),
    userName: userInfo().username,
    hostName: hostname(),
    device: deviceName(hostname()),
    write: writeSupportBundle,
  };
};

/** null: something else is wrong. */
function portTaken(error: unknown, port: number | null, next: string): CliError | null {
  if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) return null;
  return new CliError(Exit.Usage, `The port ${port} is taken by another program. ${next}`, { cause: error });
}

/** Flags over environment; a relative path is the caller's. @throws Error with a message for people */
async function serverSettings(base: string | null, logLevel: string) {
  process.env["UV_THREADPOOL_SIZE"] ??= POOL_THREADS;
  const [{ serverEnvironment }, { openLog }] = await Promise.all([import("./server/environment.ts"), import("./cli/log.ts")]);
  const told = serverEnvironment(process.env);
  const wanted = base ?? told.base;
  if (wanted === null) throw new CliError(Exit.Usage, "Say where the server keeps everything: --base DIR, or SYNC_BASE=DIR.");
  const logger = openLog(null, process.env["SATCHEL_LOG_LEVEL"] ?? logLevel);
  const log: ServerLog = (level, event, fields) => logger[level](fields, event);
  return { told, options: { base: path.resolve(callersDirectory(), wanted), log, clock, diskWorker } };
}

const serverRun: Host["serverRun"] = async (asked, listening) => {
  const [{ told, options }, { runServer }] = await Promise.all([serverSettings(asked.base, "info"), import("./server/run.ts")]);
  const { tls } = asked;
  const file = (name: string): string => path.resolve(callersDirectory(), name);
  const stopped = interrupted();
  const settings = {
    ...told,
    ...options,
    host: asked.host ?? told.host,
    port: asked.port ?? told.port,
    legacy: asked.legacy,
    behindProxy: asked.behindProxy,
    insecureHttp: asked.insecureHttp,
    ...(tls === null ? {} : { tls: { certFile: file(tls.certFile), keyFile: file(tls.keyFile) } }),
  };
  const server = await runServer(settings).catch((error: unknown) => {
    throw portTaken(error, settings.port, "Choose another one with --port.") ?? error;
  });
  listening(server.url);
  await stopped;
  await server.close();
};

const serverCall: Host["serverCall"] = async (base, call) => {
  const [{ options }, { openServerAdmin }] = await Promise.all([serverSettings(base, "warn"), import("./server/run.ts")]);
  // A mistyped directory must not become a server of nobody; only the first account may begin one.
  if (call.name !== "user/add" && !existsSync(path.join(options.base, "satchel")))
    throw new CliError(
      Exit.Usage,
      `There is no Satchel server in ${options.base}. Check --base (or SYNC_BASE). To begin a new one there: satchel server user add NAME --base DIR`,
    );
  const admin = await openServerAdmin(options);
  try {
    return await admin.call(call.name, call.params);
  } finally {
    await admin.close();
  }
};

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
  autostart,
  support,
  serverRun,
  serverCall,
  ownServer: async () => await startOwnServer(placesNow()),
  ownServerUrl: () => ownServerUrl(placesNow()),
  interrupted,
};

process.exitCode = await runCli(process.argv.slice(2), host);
