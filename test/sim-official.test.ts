import { test } from "node:test";

import { mustHold } from "./sim/must-hold.ts";

const SESSIONS = 40;
const OPS = 8;

// That server replaces unseen and keeps no version: only whether all come to rest and agree is judged, and what the devices of ours do.
test(`playSession() L1 L2 N1 N4 N9 S5 S6 S14 a stock client and ours on the official server, seeds 1 to ${SESSIONS}`, async () => {
  for (let seed = 1; seed <= SESSIONS; seed += 1) {
    const options = { seed, ops: OPS, quietRounds: 1, cloud: "official", stock: 1 } as const;
    await mustHold(options, `--steps ${OPS} --quiet 1 --cloud official --stock 1 `);
  }
});
