/** The log of a process that runs on: JSON lines, files kept small, or stderr; a level of its own for each component. */
import { mkdirSync } from "node:fs";
import path from "node:path";

import pino, { type DestinationStream, type Logger } from "pino";

import { Exit } from "./exit-codes.ts";
import { openRotatingFile } from "./rotating-file.ts";

const LOG_MAX_BYTES = 5 * 1024 * 1024;
/** Beside the one that is written. */
const LOGS_KEPT = 3;
/** What could not be written waits in memory for the next line; beyond this, lines are dropped. */
const UNWRITTEN_MAX_BYTES = 1024 * 1024;

/** Who speaks: the process itself, the folders' runs, the API. */
const COMPONENTS = ["service", "engine", "rpc"] as const;
export type Logs = Readonly<Record<(typeof COMPONENTS)[number], Logger>>;

/** `logLevels` as the settings have it: `engine=debug,rpc=warn`. A component that is not named has `level`. */
export function openLogs(directory: string | null, level: string, levels: string): Logs {
  const log = openLog(directory, level);
  const own = new Map(levels.split(",").map((part) => [part.split("=")[0]?.trim(), part.split("=")[1]?.trim()] as const));
  const child = (component: keyof Logs): Logger => log.child({ component }, { level: own.get(component) ?? level });
  return { service: child("service"), engine: child("engine"), rpc: child("rpc") };
}

/** `directory`: of the log file (0700, file 0600), for a process without a terminal; null: to stderr. Written at once, so that a crash loses no line. */
export function openLog(directory: string | null, level: string): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  if (directory === null) return pino(options, toStderr());
  const file = path.join(directory, "service.log");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const log = pino(options, openRotatingFile({ file, maxBytes: LOG_MAX_BYTES, keep: LOGS_KEPT, unwrittenMaxBytes: UNWRITTEN_MAX_BYTES }));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the service ends: a fault of ours");
    process.exit(Exit.Fatal);
  });
  return log;
}

/** Nobody may read our stderr any more: that must not end the process. */
function toStderr(): DestinationStream {
  const stream = pino.destination({ fd: 2, sync: true, maxLength: UNWRITTEN_MAX_BYTES });
  stream.on("error", () => undefined);
  return stream;
}
