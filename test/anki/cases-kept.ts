import assert from "node:assert/strict";

import { asOwner } from "./owner.ts";
import { bytesOf, syncAll, UPLOAD, type Case, type World } from "./world.ts";

/** More than the server lets a device delete unasked within an hour. */
const FOLDER_FILES = 150;

/** What both devices have there after they have synced: `back` when it is what was lost. */
async function backOnBoth({ A, B }: World, name: string, bytes: Buffer): Promise<string> {
  await syncAll(A, B);
  const found = [await A.read(name), await B.read(name)];
  return found.every((one) => one?.equals(bytes) === true) ? "back" : "lost";
}

/** What the real client does away with, and a server of ours keeps for it. */
export const KEPT_CASES: readonly Case[] = [
  {
    id: "W3",
    title: "an emptied folder of 150 files deletes nothing unasked; what is meant is done",
    async run(world) {
      const { A, B } = world;
      const names = Array.from({ length: FOLDER_FILES }, (_, at) => `f${String(at).padStart(3, "0")}.png`);
      for (const name of names) await A.write(name, bytesOf(name));
      await syncAll(A, B);
      assert.equal((await B.list()).length, FOLDER_FILES);
      const empty = async (): Promise<void> => {
        for (const name of await A.list()) await A.remove(name);
        await A.sync();
      };
      await empty();
      await syncAll(B);
      const kept = (await B.list()).length === FOLDER_FILES ? "kept" : "lost";
      if (world.a === "satchel" || kept === "lost") return kept; // ours asks its own user, and its folder stays empty until then
      if (world.server === "official") return kept; // B's guard asks; the server has nothing that it could give back
      await syncAll(A);
      const back = (await A.list()).length === FOLDER_FILES ? "back" : "not back";
      await empty();
      await syncAll(B);
      return `${kept}, ${back}, then ${(await B.list()).length === 0 ? "gone" : "kept"}`;
    },
    expected({ server, a, b }) {
      if (a === "satchel") return "kept";
      if (server === "official") return b === "official" ? "lost" : "kept";
      return `kept, back, then ${b === "official" ? "gone" : "kept"}`;
    },
  },
  {
    id: "W2",
    title: "`server restore` brings back a file that the real client deleted everywhere because it became empty",
    for: ({ server, a }) => server === "satchel" && a === "official",
    async run(world) {
      const { A, B, host, user } = world;
      for (const name of ["x.png", "keep.png"]) await A.write(name, bytesOf(name));
      await syncAll(A, B);
      await A.write("x.png", new Uint8Array());
      await syncAll(A, B);
      assert.equal(await B.read("x.png"), null, "it is not gone: nothing to restore");
      await asOwner(host, "restore", user, "x.png");
      return await backOnBoth(world, "x.png", bytesOf("x.png"));
    },
    expected: () => "back",
  },
  {
    id: "W5",
    title: "`server restore` brings back a replaced and a deleted file",
    for: ({ server, a, b }) => server === "satchel" && (a === "official" || b === "official"),
    async run(world) {
      const { A, B, host, user } = world;
      for (const name of ["replaced.png", "deleted.png", "keep.png"]) await A.write(name, bytesOf(name));
      await syncAll(A, B);
      await B.write("replaced.png", bytesOf("by B"));
      await B.remove("deleted.png");
      await syncAll(B, A);
      assert.deepEqual([await A.read("replaced.png"), await A.read("deleted.png")], [bytesOf("by B"), null]);
      for (const name of ["replaced.png", "deleted.png"]) {
        assert.match(await asOwner(host, "versions", user, name), /^[0-9a-f]{40} /m);
        await asOwner(host, "restore", user, name);
      }
      const outcomes = [await backOnBoth(world, "replaced.png", bytesOf("replaced.png"))];
      outcomes.push(await backOnBoth(world, "deleted.png", bytesOf("deleted.png")));
      return outcomes.join(" ");
    },
    expected: () => "back back",
  },
  {
    id: "W1",
    title: "`server restore` brings back what the real client replaced unseen",
    for: ({ server, a }) => server === "satchel" && a === "official",
    async run(world) {
      const { A, B, wire, host, user } = world;
      await A.write("x.png", bytesOf("x.png"));
      await syncAll(A, B);
      await A.write("x.png", bytesOf("by A"));
      wire.rule({
        paths: UPLOAD,
        before: async () => {
          await B.write("x.png", bytesOf("by B"));
          await syncAll(B);
        },
      });
      await syncAll(A, B, A);
      assert.deepEqual(await A.read("x.png"), bytesOf("by A"), "what B had sent is not replaced: nothing to restore");
      await asOwner(host, "restore", user, "x.png");
      return await backOnBoth(world, "x.png", bytesOf("by B"));
    },
    expected: () => "back",
  },
];
