/** The service's figures as Prometheus reads them. Folders go by their id: no path, no name of a person stands in it. */
import { Counter, Gauge, Registry } from "prom-client";

import type { FolderStatus } from "../engine/facade.ts";
import type { Tally } from "./tally.ts";

export type MetricsInput = {
  readonly folders: readonly FolderStatus[];
  readonly tally: Tally;
  readonly uptimeMs: number;
  readonly connections: number;
  readonly residentBytes: number;
};

const STATES = ["insync", "pending", "syncing", "offline", "held", "paused", "error"] as const satisfies readonly FolderStatus["state"][];

/** Text exposition format. A registry is made for each question: the numbers are kept elsewhere, so this costs nothing unasked. */
export async function metricsText({ folders, tally, uptimeMs, connections, residentBytes }: MetricsInput): Promise<string> {
  const registers = [new Registry()];
  const [registry = new Registry()] = registers;
  const gauge = (name: string, help: string, labelNames: readonly string[] = []): Gauge =>
    new Gauge({ name: `satchel_${name}`, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: readonly string[] = []): Counter =>
    new Counter({ name: `satchel_${name}`, help, labelNames, registers });
  gauge("uptime_seconds", "Since the service was started.").set(uptimeMs / 1000);
  gauge("resident_bytes", "Resident memory of the process.").set(residentBytes);
  gauge("connections", "Front ends that are connected.").set(connections);
  const runs = counter("runs_total", "Runs that have ended, by result.", ["result"]);
  for (const [result, count] of tally.runs) runs.inc({ result }, count);
  const files = counter("files_moved_total", "Files sent and fetched.", ["direction"]);
  const bytes = counter("bytes_moved_total", "Bytes of file content sent and fetched.", ["direction"]);
  files.inc({ direction: "up" }, tally.moved.filesUp);
  files.inc({ direction: "down" }, tally.moved.filesDown);
  bytes.inc({ direction: "up" }, tally.moved.bytesUp);
  bytes.inc({ direction: "down" }, tally.moved.bytesDown);
  const state = gauge("folder_state", "1 for the state that the folder is in.", ["folder", "state"]);
  for (const folder of folders) for (const one of STATES) state.set({ folder: folder.folder, state: one }, folder.state === one ? 1 : 0);
  for (const [name, help] of PER_FOLDER) {
    const each = gauge(`folder_${name}`, help, ["folder"]);
    for (const folder of folders) each.set({ folder: folder.folder }, folder[name]);
  }
  const last = gauge("folder_last_run_timestamp_seconds", "End of the last run; absent: none yet.", ["folder"]);
  for (const { folder, lastRunAt } of folders) if (lastRunAt !== null) last.set({ folder }, lastRunAt / 1000);
  return await registry.metrics();
}

const PER_FOLDER = [
  ["files", "Files in the folder."],
  ["bytes", "Their content."],
  ["pending", "Paths that the next run looks at."],
  ["conflicts", "Unresolved conflicts."],
  ["problems", "Paths that can't be synced now."],
  ["held", "Questions that wait for an answer."],
] as const;
