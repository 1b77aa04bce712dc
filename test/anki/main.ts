/** `npm run test:anki`: every case with the real Anki on at least one side, or with it as the reference. `-- WORD …` picks cases whose titles have them all, `@contract`, `@names`, `@corpus`, `@storm` the other parts. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { startSyncServer, type SyncServer } from "../support/sync-server.ts";
import { BETWEEN_CASES } from "./cases-between.ts";
import { KEPT_CASES } from "./cases-kept.ts";
import { PLAIN_CASES } from "./cases-plain.ts";
import { SERVER_CASES } from "./cases-server.ts";
import { WEAK_CASES } from "./cases-weak.ts";
import { serverContract } from "./contract.ts";
import { carryCorpus, CORPUS } from "./corpus.ts";
import { officialDevice, type Kind } from "./device.ts";
import { legalEncoding, sameJudgement } from "./names.ts";
import { startDriver, type Driver } from "./official-client.ts";
import { storm, type StormPlan } from "./storm.ts";
import { findAnki } from "./venv.ts";
import { CASTS, openWorld, type Case, type Cast } from "./world.ts";

/** Worlds open at once; most of their time is waiting for files to settle. */
const CONCURRENCY = 10;
/** More than any case takes, on a busy machine too: a hang is a failure. */
const CASE_MS = 300_000;

const seed = Number(process.env["SATCHEL_SEED"] ?? 31);
/** The first is the reference: long enough for the real server to show its weaknesses many times. */
const STORMS: readonly (readonly [server: Kind, plan: StormPlan])[] = [
  ["official", { kinds: ["official", "official", "official"], syncsMin: 500, oneDeletionIn: 6, seed, conditional: false }],
  ["satchel", { kinds: ["official", "official", "official"], syncsMin: 500, oneDeletionIn: 6, seed, conditional: false }],
  ["satchel", { kinds: ["official", "satchel", "satchel"], syncsMin: 60, oneDeletionIn: 20, seed, conditional: false }],
  ["satchel", { kinds: ["satchel", "satchel", "satchel"], syncsMin: 60, oneDeletionIn: 20, seed, conditional: true }],
  ["official", { kinds: ["satchel", "satchel", "satchel"], syncsMin: 60, oneDeletionIn: 20, seed, conditional: false }],
];

const words = process.argv.slice(2);
const cases = [...PLAIN_CASES, ...BETWEEN_CASES, ...WEAK_CASES, ...KEPT_CASES, ...SERVER_CASES];
const title = (found: Case, { server, a, b }: Cast): string => `${found.id} ${found.title} [${a} + ${b} on ${server} server]`;
const played = cases
  .flatMap((found) => CASTS.filter((cast) => found.for?.(cast) ?? true).map((cast) => ({ found, cast, title: title(found, cast) })))
  .filter((play) => words.every((word) => play.title.includes(word)));

const withContract = words.length === 0 || words.includes("@contract");
const withStorm = words.length === 0 || words.includes("@storm");
const withNames = words.length === 0 || words.includes("@names");
const withCorpus = words.length === 0 || words.includes("@corpus");

const anki = await findAnki();
if ("missing" in anki) {
  process.stdout.write(`${anki.missing}\n`);
  if (process.env["CI"] === "true") process.exit(1);
  test("the real Anki", { skip: anki.missing });
} else {
  const { python } = anki;
  const shared = new Map<Kind, SyncServer>();
  const accounts = new Map<Kind, number>();
  const outcomes: string[] = [];
  let driver: Driver | undefined;

  const startServer = async (kind: Kind, count: number): Promise<SyncServer> =>
    await startSyncServer(kind === "official" ? { kind, python } : { kind }, count);

  function nextUser(kind: Kind): string {
    const account = (accounts.get(kind) ?? 0) + 1;
    accounts.set(kind, account);
    return `user${String(account)}`;
  }

  async function play({ found, cast }: (typeof played)[number]): Promise<string> {
    assert.ok(driver !== undefined);
    const own = found.ownServer === true ? await startServer(cast.server, 1) : undefined;
    const host = own ?? shared.get(cast.server);
    assert.ok(host !== undefined);
    try {
      const world = await openWorld(cast, host, own === undefined ? nextUser(cast.server) : "user1", driver);
      try {
        return await found.run(world);
      } finally {
        await world.close();
      }
    } finally {
      await own?.close();
    }
  }

  before(async () => {
    driver = startDriver(python);
    for (const kind of ["official", "satchel"] as const) {
      const needed = played.filter(({ cast }) => cast.server === kind).length;
      if (needed > 0 || withContract || withNames || withCorpus || withStorm) shared.set(kind, await startServer(kind, needed + 6));
    }
  });
  after(async () => {
    await driver?.close();
    for (const server of shared.values()) await server.close();
    process.stdout.write(`\n${outcomes.toSorted().join("\n")}\n\n`);
  });
  if (withContract)
    describe("remote contract", { concurrency: 1 }, () => {
      for (const kind of ["official", "satchel"] as const)
        serverContract(`our client on the ${kind} server`, () => {
          const server = shared.get(kind);
          assert.ok(server !== undefined);
          return { server, user: nextUser(kind) };
        });
    });
  if (withNames)
    for (const [what, judge] of [
      ["isNormalised() §10 says what the real client says of random names", sameJudgement],
      ["toWire() §11 random paths become names that the real client takes", legalEncoding],
    ] as const)
      test(what, async () => {
        const server = shared.get("official");
        assert.ok(driver !== undefined && server !== undefined);
        const device = await officialDevice(driver, server.url, nextUser("official"));
        try {
          await judge(device);
        } finally {
          await device.close();
        }
      });
  if (withCorpus)
    for (const kind of ["official", "satchel"] as const)
      test(`S1 the media of real notes reach another device through the ${kind} server`, async (context) => {
        if (!existsSync(CORPUS)) return context.skip("no notes beside the project (../shared/corpus)");
        const server = shared.get(kind);
        assert.ok(server !== undefined);
        const files = await carryCorpus(server, nextUser(kind));
        outcomes.push(`corpus  ${String(files)} files through the ${kind} server: in sync on both, nothing pending, no difference`);
      });
  describe("real Anki", { concurrency: CONCURRENCY }, () => {
    if (withStorm)
      for (const [kind, plan] of STORMS)
        test(`W8 W31 W32 N3 a storm of ${plan.kinds.join(", ")} on the ${kind} server`, async () => {
          const server = shared.get(kind);
          assert.ok(driver !== undefined && server !== undefined);
          const { syncs, regressions, agreed } = await storm(driver, server.url, nextUser(kind), plan);
          const outcome = `${String(regressions.length)} regressions in ${String(syncs)} syncs, ${agreed ? "agreed" : "NOT agreed"}`;
          outcomes.push(`storm   ${plan.kinds.join(", ")} on the ${kind} server, SATCHEL_SEED=${String(plan.seed)}: ${outcome}`);
          if (kind === "official" && !plan.kinds.includes("satchel"))
            assert.ok(regressions.length > 0, `${outcome}: the storm is too mild to judge anybody`);
          else assert.deepEqual({ regressions, agreed }, { regressions: [], agreed: true }, `SATCHEL_SEED=${String(plan.seed)}`);
        });
    for (const one of played)
      test(one.title, { timeout: CASE_MS }, async () => {
        const wanted = one.found.expected(one.cast);
        const begun = performance.now();
        const outcome = await play(one).catch((error: unknown) => {
          outcomes.push(`FAILED  ${one.title}`);
          throw error;
        });
        const took = `${((performance.now() - begun) / 1000).toFixed(1)} s`;
        outcomes.push(`${outcome === wanted ? "ok    " : "WRONG "}  ${one.title}: ${outcome} (${took})`);
        assert.equal(outcome, wanted);
      });
  });
}
