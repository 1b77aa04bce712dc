import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { CANARIES } from "./sim/canaries.ts";
import { STORED_SEEDS } from "./sim/seeds.ts";
import { playSession, type Report } from "./sim/session.ts";
import type { SessionOptions } from "./sim/swarm.ts";

/** Short sessions, many of them; long ones run in `.ci/run` and by hand. */
const SESSIONS = 500;
const CHUNK = 50;
const OPS = 8;
/** One in a hundred is played twice and must leave the same trace. */
const TWICE_EVERY = 100;

/** What the whole batch must have met at least once, or it tests less than it says. */
const MUST_BE_SEEN = [
  "run conflicts",
  "run insync",
  "process killed",
  "power cut",
  "server killed",
  "net dropReply",
  "killed at a commit",
  "disk that folds names",
  "stock client",
  "held manyDeletions",
  "held allDeleted",
] as const;

function replay({ seed }: SessionOptions, extra = ""): string {
  return `node test/sim/main.ts --seed ${seed} ${extra}--trace`;
}

async function mustHold(options: SessionOptions, extra = ""): Promise<Report> {
  const report = await playSession(options);
  const { violation } = report;
  assert.equal(
    violation,
    null,
    `seed ${options.seed}: ${violation?.id ?? ""} ${violation?.text ?? ""}\n  again: ${replay(options, extra)}`,
  );
  return report;
}

describe("simulator", () => {
  const seen = new Set<string>();

  for (let from = 1; from <= SESSIONS; from += CHUNK) {
    test(`playSession() S1–S6 S1′ S11 S14 S15 S20 N1 N4 N9 N11 L1 L2 seeds ${from} to ${from + CHUNK - 1}`, async () => {
      for (let seed = from; seed < from + CHUNK; seed += 1) {
        const options = { seed, ops: OPS, quietRounds: 1 };
        const report = await mustHold(options, `--steps ${OPS} --quiet 1 `);
        for (const what of report.seen.keys()) seen.add(what);
        if (seed % TWICE_EVERY !== 0) continue;
        const again = await playSession(options);
        assert.equal(again.traceHash, report.traceHash, `seed ${seed} does not leave the same trace twice: something is not simulated`);
      }
    });
  }

  test("playSession() the sessions met what they are there for", () => {
    assert.deepEqual(
      MUST_BE_SEEN.filter((what) => !seen.has(what)),
      [],
    );
  });

  for (const seed of STORED_SEEDS) test(`playSession() stored seed ${seed}`, async () => void (await mustHold({ seed })));
});

describe("canaries", () => {
  const SESSIONS_MAX = 20;
  for (const { name, bug, from } of CANARIES) {
    test(`playSession() catches: ${bug}`, async () => {
      for (let seed = from; seed < from + SESSIONS_MAX; seed += 1) {
        const { violation } = await playSession({ seed, canary: name });
        if (violation === null) continue;
        assert.notEqual(violation.id, "sim", `the canary itself broke: ${violation.text}`);
        return;
      }
      assert.fail(
        `no oracle saw it within ${SESSIONS_MAX} sessions: node test/sim/main.ts --canary ${name} --seed ${from} --sessions ${SESSIONS_MAX}`,
      );
    });
  }
});
