import assert from "node:assert/strict";

import { bytesOf, converge, holds, syncAll, type Case, type World } from "./world.ts";

/** More requests than a sync of two files has. */
const REQUESTS_MAX = 20;
/** Any request. */
const ANY = [""] as const;

/** What happens to one request of A's sync. `between`: B syncs after A has looked and before A has sent. */
type Mishap = { readonly what: string; readonly between: boolean; readonly arm: (world: World) => Promise<void> };
const MISHAPS: readonly Mishap[] = [
  {
    what: "is refused",
    between: false,
    arm: async ({ wire }) => await wire.once({ paths: ANY, answer: { status: 503, body: Buffer.from("503") } }),
  },
  { what: "gets no reply", between: false, arm: async ({ wire }) => await wire.once({ paths: ANY, dropReply: true }) },
  {
    what: "waits until B has synced",
    between: true,
    arm: async ({ wire, B }) => await wire.once({ paths: ANY, before: async () => void (await B.sync()) }),
  },
  {
    what: "arrives after A has given up and B has synced",
    between: true,
    async arm({ wire, A, B }) {
      await wire.once({
        paths: ANY,
        async before() {
          await A.cancel();
          await B.sync();
        },
      });
    },
  },
];

/** A edits one file and deletes another, B does the opposite; the mishap comes at A's request number `at`. False: A had fewer. */
async function meet(world: World, { arm, between }: Mishap, at: number): Promise<boolean> {
  const { A, B, wire } = world;
  const [x, y] = [`x${String(at)}.png`, `y${String(at)}.png`];
  for (const name of [x, y]) await A.write(name, bytesOf(name));
  await syncAll(A, B);
  await A.write(x, bytesOf(`${x} edited`));
  await B.remove(x);
  await A.remove(y);
  await B.write(y, bytesOf(`${y} edited`));
  for (let before = 1; before < at; before++) wire.rule({ paths: ANY });
  let met = false;
  const armed = arm(world).then(() => (met = true));
  await A.sync();
  wire.clear();
  if (met) await armed;
  const files = await converge([A, B]);
  // What one sends between the other's look and its upload is overwritten unseen on a server that asks for no base.
  if (!between || world.server === "satchel")
    for (const name of [x, y]) assert.ok(holds(files, bytesOf(`${name} edited`)), `the edit of ${name} is lost`);
  return met;
}

/** An edit here and a deletion there (N3), with a mishap at each request of the sync in turn. */
export const BETWEEN_CASES: readonly Case[] = MISHAPS.map((mishap) => ({
  id: "N3",
  title: `an edit against a deletion, where each request of the sync in turn ${mishap.what}`,
  // Towards our server, where nothing is overwritten unseen, the simulator asks the same of both kinds, and far more often.
  for: ({ server, a, b }) => server === "official" && a !== b,
  async run(world) {
    await world.A.write("keep.png", bytesOf("keep"));
    for (let at = 1; at < REQUESTS_MAX; at++) if (!(await meet(world, mishap, at))) return "agreed";
    return "a sync without end";
  },
  expected: () => "agreed",
}));
