import assert from "node:assert/strict";

import { playSession, type Report } from "./session.ts";
import type { SessionOptions } from "./swarm.ts";

/** Plays a session in which nothing may break. `extra`: how its line to play it again differs from the seed alone. @throws AssertionError with that line */
export async function mustHold(options: SessionOptions, extra = ""): Promise<Report> {
  const report = await playSession(options);
  const { violation } = report;
  const again = `node test/sim/main.ts --seed ${options.seed} ${extra}--trace`;
  assert.equal(violation, null, `seed ${options.seed}: ${violation?.id ?? ""} ${violation?.text ?? ""}\n  again: ${again}`);
  return report;
}
