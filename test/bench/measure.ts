import { readFile } from "node:fs/promises";
import { cpus, release, totalmem, type } from "node:os";

/** Clock ticks per second of /proc (fixed on Linux). */
const TICKS = 100;

/** What a process has used so far. Linux only. */
export async function usageOf(
  pid: number,
): Promise<{ readonly rssBytes: number; readonly peakBytes: number; readonly cpuSeconds: number }> {
  const status = await readFile(`/proc/${String(pid)}/status`, "utf8");
  const stat = await readFile(`/proc/${String(pid)}/stat`, "utf8");
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    rssBytes: kilobytes("VmRSS") * 1024,
    peakBytes: kilobytes("VmHWM") * 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS,
  };
}

/** The value below which `share` (0–1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** One line about the machine that a figure comes from. */
export function machine(): string {
  const [first] = cpus();
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return `${String(cpus().length)} × ${first?.model ?? "unknown processor"}, ${memory}, ${type()} ${release()}, Node ${process.versions.node}`;
}

/** `12.3 s`, `45 ms`, `0.31 ms`. */
export function inTime(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(2)} ms`;
}

export const inMegabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
