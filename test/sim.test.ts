import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { CANARIES } from "./sim/canaries.ts";
import { mustHold } from "./sim/must-hold.ts";
import { STORED_SEEDS } from "./sim/seeds.ts";
import { playSession } from "./sim/session.ts";

describe("simulator: sessions that once broke", () => {
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
