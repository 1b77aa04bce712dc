import { Counter, Gauge, Histogram, Registry } from "prom-client";

import type { Exchange } from "./handle.ts";

/** Figures for Prometheus. Routes and statuses only: no account, no name. */
export function makeMetrics(): { readonly observe: (exchange: Exchange) => void; readonly text: () => Promise<string> } {
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
  return {
    observe: ({ route, status, durationMs }) => {
      requests.inc({ route, status: String(status) });
      durations.observe({ route }, durationMs / 1000);
    },
    text: async () => await registry.metrics(),
  };
}
