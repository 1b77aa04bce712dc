/** The log of a process that runs on: JSON lines, one file kept small, or stderr. */
import { mkdirSync, renameSync, statSync } from "node:fs";
import path from "node:path";

import pino, { type Logger } from "pino";

import { Exit } from "./exit-codes.ts";

const LOG_MAX_BYTES = 5 * 1024 * 1024;

/** `directory`: of the log file (0700, file 0600), for a process without a terminal; null: to stderr. Written at once, so that a crash loses no line. */
export function openLog(directory: string | null, level: string): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  if (directory === null) return pino(options, pino.destination({ fd: 2, sync: true }));
  const file = path.join(directory, "service.log");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
  const log = pino(options, pino.destination({ dest: file, mode: 0o600, sync: true }));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the service ends: a fault of ours");
    process.exit(Exit.Fatal);
  });
  return log;
}
