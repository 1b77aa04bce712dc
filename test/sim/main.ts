/** Plays sessions and tells what broke: `node test/sim/main.ts --seed 1 --sessions 1000`. One seed with its story: `--seed N --sessions 1 --trace`. */
import { parseArgs } from "node:util";

import { playSession, type Report } from "./session.ts";
import { FAULT_CLASSES, type FaultClass, type SessionOptions } from "./swarm.ts";

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seed: { type: "string", default: "1" },
    sessions: { type: "string", default: "1" },
    steps: { type: "string" },
    clients: { type: "string" },
    cloud: { type: "string" },
    quiet: { type: "string" },
    without: { type: "string", default: "" },
    skip: { type: "string", default: "" },
    canary: { type: "string" },
    about: { type: "string" },
    trace: { type: "boolean", default: false },
    twins: { type: "boolean" },
    stock: { type: "string" },
    habit: { type: "string" },
    twice: { type: "boolean", default: false },
    keepGoing: { type: "boolean", default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.sessions);
const without = new Set(FAULT_CLASSES.filter((one) => values.without.split(",").includes(one)));
const skip = new Set(values.skip === "" ? [] : values.skip.split(",").map(Number));

function optionsFor(seed: number): SessionOptions {
  return {
    seed,
    without,
    skip,
    trace: values.trace,
    ...(values.steps === undefined ? {} : { ops: Number(values.steps) }),
    ...(values.clients === undefined ? {} : { clients: Number(values.clients) }),
    ...(values.cloud === "model" || values.cloud === "server" || values.cloud === "official" ? { cloud: values.cloud } : {}),
    ...(values.quiet === undefined ? {} : { quietRounds: Number(values.quiet) }),
    ...(values.about === undefined ? {} : { about: values.about }),
    ...(values.habit === "sweeping" || values.habit === "unlinkCreate" ? { habit: values.habit } : {}),
    ...(values.stock === undefined ? {} : { stock: Number(values.stock) }),
    ...(values.twins === undefined ? {} : { twins: values.twins }),
    ...(values.canary === undefined ? {} : { canary: values.canary }),
  };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function tell(report: Report): void {
  if (report.trace !== null) for (const line of report.trace) say(line);
  const { violation, swarm } = report;
  if (violation === null) return;
  const faults: readonly FaultClass[] = [...swarm.faults];
  say(`seed ${report.seed}: ${violation.id} ${violation.text}`);
  const rules = swarm.profiles.slice(0, swarm.clients).map(({ names }) => names);
  say(
    `  ${swarm.cloud}, ${rules.join(" ")}, ${swarm.clients} clients, ${swarm.stock} stock, ${swarm.ops} operations, faults: ${faults.join(" ") || "none"}`,
  );
  say(`  again: node test/sim/main.ts --seed ${report.seed} --trace`);
}

const beganMs = Date.now();
const seen = new Map<string, number>();
const failures = new Map<string, number[]>();
let steps = 0;
let simulatedMs = 0;
let played = 0;
for (let seed = first; seed < first + count; seed += 1) {
  const report = await playSession(optionsFor(seed));
  played += 1;
  steps += report.steps;
  simulatedMs += report.simulatedMs;
  for (const [what, times] of report.seen) seen.set(what, (seen.get(what) ?? 0) + times);
  tell(report);
  if (report.violation !== null) {
    const seeds = failures.get(report.violation.id) ?? [];
    failures.set(report.violation.id, [...seeds, seed]);
    process.exitCode = 1;
  }
  if (values.twice) {
    const again = await playSession(optionsFor(seed));
    if (again.traceHash !== report.traceHash) {
      say(`seed ${seed}: not the same trace twice`);
      process.exitCode = 1;
    }
  }
}
const seconds = (Date.now() - beganMs) / 1000;
for (const [what, times] of [...seen].toSorted(([a], [b]) => (a < b ? -1 : 1))) say(`  ${what}: ${times}`);
for (const [id, seeds] of failures) say(`${id}: ${seeds.length} sessions, first ${seeds.slice(0, 12).join(" ")}`);
say(
  `${played} sessions, ${(played / seconds).toFixed(1)} a second; ${steps} steps, ${(steps / seconds / 1000).toFixed(0)} 000 a second; ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours`,
);
