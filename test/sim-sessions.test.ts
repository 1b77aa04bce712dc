import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { mustHold } from "./sim/must-hold.ts";
import { playSession } from "./sim/session.ts";

/** Short sessions, many of them, in a file of their own: the runner gives each file one core. Long ones run in `.ci/run` and by hand. */
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

describe("simulator: short sessions", () => {
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
});
