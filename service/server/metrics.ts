import { Counter, Gauge, Histogram, Registry } from "prom-client";

import type { Burst } from "./brake.ts";
import type { Exchange } from "./handle.ts";

export type Metrics = {
  readonly observe: (exchange: Exchange) => void;
  readonly observeBurst: (burst: Burst) => void;
  readonly text: () => Promise<string>;
};

/** Figures for Prometheus. Routes and statuses only: no account, no name. */
export function makeMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry = new Registry()] = registers;
  const requests = new Counter({
    name: "satchel_server_requests_total",
    help: "Requests answered, by route and status.",
    labelNames: ["route", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "satchel_server_request_seconds",
    help: "Time from the header to the reply, by route.",
    labelNames: ["route"],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers,
  });
  const memory = new Gauge({
    name: "satchel_server_resident_bytes",
    help: "Resident memory of the process.",
    registers,
    collect() {
      memory.set(process.memoryUsage.rss());
    },
  });
  const bursts = new Counter({
    name: "satchel_server_deletion_bursts_total",
    help: "Times that a device deleted very much within an hour, by whether it was brought back.",
    labelNames: ["back"],
    registers,
  });
  return {
    observeBurst: ({ back }) => bursts.inc({ back: String(back) }),
    observe: ({ route, status, durationMs }) => {
      requests.inc({ route, status: String(status) });
      durations.observe({ route }, durationMs / 1000);
    },
    text: async () => await registry.metrics(),
  };
}
