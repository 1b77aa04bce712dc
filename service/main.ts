/** The one entry. What the command line needs of this machine is put together here, service and server in `compose/`; nothing else constructs. */
import { homedir, hostname, userInfo } from "node:os";
import path from "node:path";

import { SERVICE_PROCESS, serviceProcessOf } from "../protocol/service-process.ts";
import type { Host, ServiceOptions, Starting } from "./cli/host.ts";
import {
  callersDirectory,
  interrupted,
  ownCommand,
  processLives,
  realDirectory,
  realPathOf,
  runCommand,
  startDetached,
} from "./cli/machine.ts";
import { ownServerUrl, startOwnServer } from "./cli/own-server.ts";
import { absoluteHome, placesNow } from "./compose/machine.ts";
import { makePlaces } from "./files/places.ts";
import { deviceName, loadServiceFile } from "./files/settings.ts";

const diskWorker = new URL(import.meta.url.endsWith(".ts") ? "./files/disk-worker.ts" : "./disk-worker.cjs", import.meta.url);

function spawnService(options: { readonly tcp: boolean }): Starting {
  const places = placesNow();
  makePlaces(places);
  const env = { ...serviceProcessOf(process.env), ...absoluteHome(places) };
  const args = ["service", "run", "--background", ...(options.tcp ? [] : ["--no-tcp"])];
  return startDetached(args, { said: path.join(places.run, "start.log"), cwd: places.state, env });
}

const autostart: Host["autostart"] = async () => {
  const { autostartOf, removeAutostart, writeAutostart } = await import("./files/autostart.ts");
  const places = placesNow();
  makePlaces(places);
  const { env, platform } = process;
  // What tells where everything is must be told again: a session that a service manager begins has no shell's variables.
  const told = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"].flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  const unit = autostartOf({
    platform,
    command: ownCommand(["service", "run", "--background"]),
    env: { ...SERVICE_PROCESS, ...Object.fromEntries(told), ...absoluteHome(places) },
    homeDir: homedir(),
    configHome: env["XDG_CONFIG_HOME"] || null,
    stateDir: places.state,
    uid: process.getuid?.() ?? null,
    user: platform === "win32" ? `${env["USERDOMAIN"] ?? "."}\\${userInfo().username}` : userInfo().username,
  });
  return { unit, write: writeAutostart, remove: removeAutostart, run: runCommand };
};

const support: Host["support"] = async () => {
  const { readSupportFacts, writeSupportBundle } = await import("./files/support.ts");
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

const host: Host = {
  env: process.env,
  cwd: callersDirectory(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  serviceFile: async () => await Promise.resolve(loadServiceFile(placesNow().run)),
  realPath: realPathOf,
  realDirectory,
  secret: async (name) => {
    const { withSecretFiles } = await import("./files/secret-files.ts");
    return withSecretFiles(process.env)[name];
  },
  runService: async (options) => {
    const { runService } = await import("./compose/service.ts");
    return await runService(options, diskWorker);
  },
  spawnService,
  processLives,
  autostart,
  examine: async (why) => {
    const { doctorWithoutService } = await import("./compose/doctor.ts");
    return await doctorWithoutService(placesNow(), why);
  },
  support,
  serverRun: async (options, listening) => {
    const { serverRun } = await import("./compose/server.ts");
    await serverRun(options, listening, diskWorker);
  },
  serverCall: async (base, call) => {
    const { serverCall } = await import("./compose/server.ts");
    return await serverCall(base, call, diskWorker);
  },
  ownServer: async () => await startOwnServer(placesNow()),
  ownServerUrl: () => ownServerUrl(placesNow()),
  interrupted,
};

/** `service run` as it is started everywhere, without what reads all the other commands: a tenth of a start. null: something else. */
function plainService(argv: readonly string[]): ServiceOptions | null {
  const [group, verb, ...flags] = argv;
  if (group !== "service" || verb !== "run" || flags.some((flag) => flag !== "--background" && flag !== "--no-tcp")) return null;
  return { tcp: !flags.includes("--no-tcp"), background: flags.includes("--background") };
}

async function main(argv: readonly string[]): Promise<void> {
  const plain = plainService(argv);
  try {
    process.exitCode = plain === null ? await (await import("./cli/program.ts")).runCli(argv, host) : await host.runService(plain);
  } catch (error) {
    const { reportTo } = await import("./cli/program.ts");
    process.exitCode = reportTo(error, host);
  }
}

void main(process.argv.slice(2));
