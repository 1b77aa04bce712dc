/** The sync server as a process, and its owner's commands. */
import { existsSync } from "node:fs";
import path from "node:path";

import { SERVICE_PROCESS } from "../../protocol/service-process.ts";
import { Exit } from "../cli/exit-codes.ts";
import { CliError, type ServerCall, type ServerRunOptions } from "../cli/host.ts";
import { callersDirectory, interrupted } from "../cli/machine.ts";
import { withSecretFiles } from "../files/secret-files.ts";
import type { ServerLog } from "../server/handle.ts";
import { clock, portTaken } from "./machine.ts";

/** Flags over environment; a relative path is the caller's. @throws Error with a message for people */
async function serverSettings(base: string | null, logLevel: string, diskWorker: URL) {
  process.env["UV_THREADPOOL_SIZE"] ??= SERVICE_PROCESS.UV_THREADPOOL_SIZE;
  const [{ serverEnvironment }, { openLog }] = await Promise.all([import("../server/environment.ts"), import("../cli/log.ts")]);
  const told = serverEnvironment(withSecretFiles(process.env));
  const wanted = base ?? told.base;
  if (wanted === null) throw new CliError(Exit.Usage, "Say where the server keeps everything: --base DIR, or SYNC_BASE=DIR.");
  const logger = openLog(null, process.env["SATCHEL_LOG_LEVEL"] ?? logLevel);
  const log: ServerLog = (level, event, fields) => logger[level](fields, event);
  return { told, options: { base: path.resolve(callersDirectory(), wanted), log, clock, diskWorker } };
}

/** Serves until SIGINT or SIGTERM. @throws Error with a message for people */
export async function serverRun(asked: ServerRunOptions, listening: (url: string) => void, diskWorker: URL): Promise<void> {
  const [{ told, options }, { runServer }] = await Promise.all([
    serverSettings(asked.base, "info", diskWorker),
    import("../server/run.ts"),
  ]);
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
}

/** By the server that runs in `base`, or on its files where none does. @throws CliError 2 where there is no server */
export async function serverCall(base: string | null, call: ServerCall, diskWorker: URL): Promise<unknown> {
  const [{ options }, { openServerAdmin }] = await Promise.all([serverSettings(base, "warn", diskWorker), import("../server/run.ts")]);
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
}
