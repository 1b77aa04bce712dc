/** The log of a process that runs on: JSON lines, one file kept small, or stderr. */
import { mkdirSync, renameSync, statSync } from "node:fs";
import path from "node:path";

import pino, { type DestinationStream, type Logger } from "pino";

import { Exit } from "./exit-codes.ts";

const LOG_MAX_BYTES = 5 * 1024 * 1024;
/** What could not be written waits in memory for the next line; beyond this, lines are dropped. */
const UNWRITTEN_MAX_BYTES = 1024 * 1024;

/** `directory`: of the log file (0700, file 0600), for a process without a terminal; null: to stderr. Written at once, so that a crash loses no line. */
export function openLog(directory: string | null, level: string): Logger {
  const options = { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  if (directory === null) return pino(options, destination({ fd: 2 }));
  const file = path.join(directory, "service.log");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
  const log = pino(options, destination({ dest: file, mode: 0o600 }));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the service ends: a fault of ours");
    process.exit(Exit.Fatal);
  });
  return log;
}

/** A log that can't be written (the disk is full, nobody reads our stderr any more) must not end the process that writes it. */
function destination(target: { readonly fd: number } | { readonly dest: string; readonly mode: number }): DestinationStream {
  const stream = pino.destination({ ...target, sync: true, maxLength: UNWRITTEN_MAX_BYTES });
  // Nowhere to tell it but the log itself: the lines come with the next one that can be written, and status and doctor tell of the disk.
  stream.on("error", () => undefined);
  return stream;
}
