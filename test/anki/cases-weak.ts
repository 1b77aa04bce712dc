import assert from "node:assert/strict";

import { PASSWORD } from "../support/sync-server.ts";
import { asOwner } from "./owner.ts";
import { bytesOf, converge, holds, SANITY, sha1, syncAll, tree, UPLOAD, type Case, type Cast, type World } from "./world.ts";

const realClient = (kind: "a" | "b", server?: Cast["server"]) => (cast: Cast) =>
  cast[kind] === "official" && (server === undefined || cast.server === server);

async function shared(world: World, ...names: readonly string[]): Promise<void> {
  for (const name of names) await world.A.write(name, bytesOf(name));
  await syncAll(world.A, world.B);
  await syncAll(world.A, world.B);
}

/** B saves `name` and syncs while A's request waits. */
function meanwhile(world: World, paths: readonly string[], name: string, bytes: Uint8Array): Promise<void> {
  return world.wire.once({
    paths,
    before: async () => {
      await world.B.write(name, bytes);
      await syncAll(world.B);
    },
  });
}

const survives = (lost: (cast: Cast) => boolean) => (cast: Cast) => (lost(cast) ? "lost" : "kept");

/** The weaknesses of the spec (§14), with what the real Anki does about them as the reference. */
export const WEAK_CASES: readonly Case[] = [
  {
    id: "W1",
    title: "both sides changed a file: both byte strings stay visible",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png");
      await A.write("x.png", bytesOf("by A"));
      await B.write("x.png", bytesOf("by B"));
      await syncAll(A);
      const files = await converge([B, A]);
      assert.ok(holds(files, bytesOf("by A")), "what was synced first is lost");
      return holds(files, bytesOf("by B")) ? "kept" : "lost";
    },
    expected: survives(realClient("b")),
  },
  {
    id: "W2",
    title: "a file that becomes empty is not deleted on the other device",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png", "keep.png");
      await A.write("x.png", new Uint8Array());
      await syncAll(A, B);
      return (await B.read("x.png"))?.equals(bytesOf("x.png")) === true ? "kept" : "lost";
    },
    expected: survives(realClient("a")),
  },
  {
    id: "W3",
    title: "an emptied folder deletes nothing unasked",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png", "y.png", "z.png");
      for (const name of ["x.png", "y.png", "z.png"]) await A.remove(name);
      await A.sync();
      await syncAll(B);
      return (await B.list()).length === 3 ? "kept" : "lost";
    },
    expected: survives(({ a, b }) => a === "official" && b === "official"), // our guard asks on either side
  },
  {
    id: "W4",
    title: "deletions of which one is already done stay done",
    for: ({ server, a, b }) => server === "satchel" || a === "official" || b === "satchel", // else it hangs on the order of our upload
    async run(world) {
      const { A, B } = world;
      const doomed = ["d1.png", "d2.png", "d3.png", "d4.png", "d5.png"];
      await shared(world, ...doomed, "keep1.png", "keep2.png");
      for (const name of doomed) await A.remove(name);
      for (const name of doomed.slice(0, 2)) await B.remove(name);
      await syncAll(A, B);
      await B.write("new.png", bytesOf("new")); // a stock client looks at its folder only when something was added or removed
      await syncAll(B, A);
      const files = await tree(A);
      assert.ok("new.png" in files && "keep1.png" in files && "keep2.png" in files);
      return doomed.some((name) => name in files) ? "came back" : "gone";
    },
    expected: (cast) => (realClient("b", "official")(cast) ? "came back" : "gone"),
  },
  {
    id: "W4",
    title: "deletions of which one is already done stay done when the real client has signed in again",
    for: ({ a, b }) => a === "official" && b === "official",
    async run(world) {
      const { A } = world;
      const again = await world.official();
      const doomed = ["d1.png", "d2.png", "d3.png", "d4.png", "d5.png"];
      for (const name of [...doomed, "keep.png"]) await A.write(name, bytesOf(name));
      await syncAll(A, again, A, again);
      for (const name of doomed) await A.remove(name);
      for (const name of doomed.slice(0, 2)) await again.remove(name);
      await syncAll(A);
      await again.ask("login", { user: world.user, password: PASSWORD });
      await syncAll(again);
      await again.write("new.png", bytesOf("new"));
      await syncAll(again, A);
      const files = await tree(A);
      assert.ok("new.png" in files && "keep.png" in files);
      return doomed.some((name) => name in files) ? "came back" : "gone";
    },
    expected: ({ server }) => (server === "official" ? "came back" : "gone"),
  },
  {
    id: "W7",
    title: "an edit in place is seen",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png");
      await A.writeInPlace("x.png", bytesOf("in place"));
      await syncAll(A, B);
      return (await B.read("x.png"))?.equals(bytesOf("in place")) === true ? "seen" : "unseen";
    },
    expected: (cast) => (realClient("a")(cast) ? "unseen" : "seen"),
  },
  {
    id: "W8",
    title: "a no-op of ours beside a change of theirs hides nothing",
    async run(world) {
      const { A, B, wire } = world;
      await shared(world, "shared.png", "back.png");
      await A.write("back.png", bytesOf("for a moment"));
      wire.refuse(true);
      await A.sync();
      wire.refuse(false);
      await A.write("back.png", bytesOf("back.png"));
      await A.write("new.png", bytesOf("new"));
      const met = meanwhile(world, UPLOAD, "shared.png", bytesOf("by B"));
      await syncAll(A);
      await met;
      for (let round = 0; round < 3; round++) await syncAll(A, B);
      return (await A.read("shared.png"))?.equals(bytesOf("by B")) === true ? "in step" : "skipped";
    },
    expected: (cast) => (realClient("a", "official")(cast) ? "skipped" : "in step"),
  },
  {
    id: "W11",
    title: "one odd deletion of a stock client does not block the rest",
    for: ({ a }) => a === "official",
    async run(world) {
      const device = await world.official();
      await device.sync();
      await device.ask("plant_deletion", { name: "sub/n.png" });
      await device.write("new.png", bytesOf("new"));
      await device.sync();
      await syncAll(world.B);
      return (await world.B.read("new.png")) === null ? "blocked" : "sent";
    },
    expected: ({ server }) => (server === "official" ? "blocked" : "sent"),
  },
  {
    id: "W13",
    title: "a real client on Windows is not told of the second of two names that its disk takes for one, until the first goes",
    for: ({ a, b }) => a === "official" && b === "official",
    async run(world) {
      const { A, B, wire } = world;
      wire.pretend("windows");
      // Adding by way of Anki would spell it in lower case.
      await B.write("a.jpg", bytesOf("lower"));
      await syncAll(B, A);
      await B.writeInPlace("A.jpg", bytesOf("upper"));
      await B.write("other.png", bytesOf("other"));
      await syncAll(B, A);
      const seen = (await A.list()).join(" ");
      // It has something to say itself, and is asked to count; then the first of the two goes.
      await A.write("mine.png", bytesOf("mine"));
      await syncAll(A, B);
      assert.deepEqual(await B.list(), ["A.jpg", "a.jpg", "mine.png", "other.png"]);
      await B.remove("a.jpg");
      await syncAll(B, A);
      assert.deepEqual(await A.read("A.jpg"), bytesOf("upper"));
      assert.deepEqual(Object.keys(await converge([A, B])), ["A.jpg", "mine.png", "other.png"]);
      return seen;
    },
    expected: ({ server }) => (server === "official" ? "A.jpg a.jpg other.png" : "a.jpg other.png"),
  },
  {
    id: "W31",
    title: "an edit right after an upload, another device wrote meanwhile",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png", "other.png");
      await A.write("x.png", bytesOf("first"));
      const met = meanwhile(world, UPLOAD, "other.png", bytesOf("other"));
      await syncAll(A);
      await met;
      await A.write("x.png", bytesOf("second"));
      await syncAll(A);
      return holds(await converge([A, B]), bytesOf("second")) ? "kept" : "lost";
    },
    expected: survives(realClient("a", "official")),
  },
  {
    id: "W31",
    title: "a deletion right after an upload, another device wrote meanwhile",
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png", "other.png");
      await A.write("x.png", bytesOf("first"));
      const met = meanwhile(world, UPLOAD, "other.png", bytesOf("other"));
      await syncAll(A);
      await met;
      await A.remove("x.png");
      await syncAll(A);
      return "x.png" in (await converge([A, B])) ? "came back" : "gone";
    },
    expected: (cast) => (realClient("a", "official")(cast) ? "came back" : "gone"),
  },
  {
    id: "W31",
    title: "an edit after an upload whose reply was lost",
    async run(world) {
      const { A, B, wire } = world;
      await shared(world, "x.png");
      await A.write("x.png", bytesOf("first"));
      const met = wire.once({ paths: UPLOAD, dropReply: true });
      await A.sync();
      await met;
      await A.write("x.png", bytesOf("second"));
      return holds(await converge([A, B]), bytesOf("second")) ? "kept" : "lost";
    },
    expected: survives(realClient("a", "official")),
  },
  {
    id: "W32",
    title: "a write between the last page and the sanity check costs no edit",
    for: ({ server, a }) => a === "official" || server === "official", // ours on ours is told the count with the last page
    async run(world) {
      const { A, B } = world;
      await shared(world, "x.png");
      await A.write("new.png", bytesOf("new"));
      const met = meanwhile(world, SANITY, "other.png", bytesOf("other"));
      const { ok } = await A.sync();
      await met;
      await A.write("x.png", bytesOf("edit"));
      return `${ok ? "quiet" : "error"}, ${holds(await converge([A, B]), bytesOf("edit")) ? "kept" : "lost"}`;
    },
    expected: (cast) => (realClient("a", "official")(cast) ? "error, lost" : "quiet, kept"),
  },
  {
    id: "§7.7",
    title: "a forced resync costs no edit and no transfer",
    async run(world) {
      const { A, B, wire, host, user } = world;
      await shared(world, "x.png", "y.png");
      await A.write("new.png", bytesOf("new"));
      const before = wire.log.length;
      if (world.a === "satchel" && world.server === "satchel") {
        // Ours on ours is told the count with the last page; what makes it start over is the server's word that it began anew.
        await asOwner(host, "renew", user);
        await syncAll(A, B);
      } else {
        // Ours looks again before it believes it.
        const times = world.a === "satchel" ? 2 : 1;
        const met = Array.from({ length: times }, async () => await wire.once({ paths: SANITY, answer: SAYS_RESET }));
        await A.sync();
        await Promise.all(met);
      }
      await A.write("x.png", bytesOf("edit"));
      const kept = holds(await converge([A, B]), bytesOf("edit")) ? "kept" : "lost";
      const fetches = wire.log.slice(before).filter((path) => path.endsWith("/downloadFiles") || path.endsWith("/download"));
      const again = wire.log.slice(before).filter((path) => path.endsWith("hanges"));
      assert.ok(again.length > 0, "nothing was read again");
      return `${kept}, ${String(fetches.length)} fetched`;
    },
    expected: (cast) => (realClient("a")(cast) ? "lost, 1 fetched" : "kept, 0 fetched"),
  },
  {
    id: "N7",
    title: "three devices of both kinds in one account agree",
    for: ({ a, b }) => a !== b,
    async run(world) {
      const third = await world.device(world.a);
      await shared(world, "x.png", "y.png");
      await third.write("z.png", bytesOf("z"));
      await world.B.write("x.png", bytesOf("x2"));
      await world.A.remove("y.png");
      const files = await converge([world.A, third, world.B]);
      assert.deepEqual(files, { "x.png": sha1(bytesOf("x2")), "z.png": sha1(bytesOf("z")) });
      assert.deepEqual(await tree(third), files);
      return "in step";
    },
    expected: () => "in step",
  },
];

/** The server wants the client to start over. */
const RESET = Buffer.from('{"data":"mediaSanity","err":""}');
const SAYS_RESET = { status: 200, headers: { "anki-original-size": String(RESET.length) }, body: frame(RESET) };

/** One zstd frame with a raw block, as the real Anki writes short ones. */
function frame(payload: Uint8Array): Uint8Array {
  const head = (payload.length << 3) | 1;
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, head & 255, (head >> 8) & 255, head >> 16]), payload]);
}
