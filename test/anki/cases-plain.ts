import assert from "node:assert/strict";

import { bytesOf, converge, holds, sha1, syncAll, tree, type Case, type World } from "./world.ts";

const done = (): string => "in step";

/** Files on A, then on B through the server. */
async function share(world: World, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) await world.A.write(name, bytes);
  await syncAll(world.A, world.B);
  const wanted = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha1(bytes)]));
  assert.deepEqual(await tree(world.B), Object.fromEntries(Object.entries(wanted).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

async function many(world: World, count: number, size: number): Promise<string> {
  await share(
    world,
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${String(at).padStart(4, "0")}.bin`, bytesOf(`f${String(at)}`, size)])),
  );
  return "in step";
}

/** Names that every client takes as they are (Anki's rules leave them unchanged). */
const PLAIN_NAMES = [
  "plain.png",
  "ümlaut é.png",
  "日本語 名前.jpg",
  "UPPER.PNG",
  "_underscore.css",
  "sp ace.gif",
  "😀.png",
  "a~b.png",
  "x'quote&amp.png",
  "percent%20.png",
  "_meta",
  `${"n".repeat(116)}.png`,
];

/** What our client does with names that Anki can't have: path on disk, wire name, path on another device of ours. */
const ENCODED: readonly (readonly [disk: string, wire: string, path: string])[] = [
  ["e\u0301tude.png", "\u00e9tude.png", "\u00e9tude.png"],
  ["sub/a[1].png", "sub~2f_a~5b_1~5d_.png", "sub/a[1].png"],
  ["deep/er/x.png", "deep~2f_er~2f_x.png", "deep/er/x.png"],
  ["con.png", "co~6e_.png", "con.png"],
  ["🥰.png", "~1f970_.png", "🥰.png"],
  ["colon:.png", "colon~3a_.png", "colon:.png"],
  ["nb\u00a0sp.png", "nb~a0_sp.png", "nb\u00a0sp.png"],
  ["end.", "end~2e_", "end."],
];

/** What any two clients on any server must manage. */
export const PLAIN_CASES: readonly Case[] = [
  {
    id: "N7",
    title: "add, replace, delete, both ways",
    async run(world) {
      const { A, B } = world;
      await share(world, { "a.png": bytesOf("a"), "b.png": bytesOf("b"), "keep.png": bytesOf("keep") });
      await B.write("a.png", bytesOf("a2"));
      await B.write("c.png", bytesOf("c"));
      await B.remove("b.png");
      await syncAll(B, A);
      assert.deepEqual(await tree(A), {
        "a.png": sha1(bytesOf("a2")),
        "c.png": sha1(bytesOf("c")),
        "keep.png": sha1(bytesOf("keep")),
      });
      assert.deepEqual(await tree(B), await tree(A));
      return "in step";
    },
    expected: done,
  },
  {
    id: "§10",
    title: "names that every client can have",
    async run(world) {
      await share(world, Object.fromEntries(PLAIN_NAMES.map((name) => [name, bytesOf(name)])));
      return "in step";
    },
    expected: done,
  },
  {
    id: "§11",
    title: "sub-folders, NFD, reserved, forbidden and newer characters from our client, and back",
    for: ({ a }) => a === "satchel",
    async run({ A, B, b }) {
      for (const [disk] of ENCODED) await A.write(disk, bytesOf(disk));
      await syncAll(A, B);
      const wanted = ENCODED.map(([disk, wire, path]) => [b === "official" ? wire : path, sha1(bytesOf(disk))] as const);
      assert.deepEqual(await tree(B), Object.fromEntries(wanted.toSorted(([x], [y]) => (x < y ? -1 : 1))));
      const [folder, reserved] = b === "official" ? ["sub~2f_a~5b_1~5d_.png", "co~6e_.png"] : ["sub/a[1].png", "con.png"];
      await B.write(folder, bytesOf("new"));
      await B.remove(reserved);
      await syncAll(B, A);
      assert.deepEqual(await A.read("sub/a[1].png"), bytesOf("new"));
      assert.equal(await A.read("con.png"), null);
      return "in step";
    },
    expected: done,
  },
  ...[25, 26, 51].map((count): Case => ({
    id: "§5.4",
    title: `batch border: ${String(count)} files`,
    run: async (world) => await many(world, count, 200),
    expected: done,
  })),
  ...[1000, 1001].map((count): Case => ({
    id: "§5.2",
    title: `page border: ${String(count)} files`,
    run: async (world) => await many(world, count, 40),
    expected: done,
  })),
  {
    id: "§2.10",
    title: "size border: 30 files of 200 KiB, cut at 2.5 MiB",
    run: async (world) => await many(world, 30, 200 * 1024),
    expected: done,
  },
  {
    id: "N7",
    title: "the same file added on both sides is one file",
    async run({ A, B }) {
      await A.write("same.png", bytesOf("same"));
      await B.write("same.png", bytesOf("same"));
      assert.deepEqual(await converge([A, B]), { "same.png": sha1(bytesOf("same")) });
      return "in step";
    },
    expected: done,
  },
  {
    id: "N3",
    title: "an edit here and a deletion there: the edit stays",
    async run(world) {
      const { A, B } = world;
      await share(world, { "x.png": bytesOf("x"), "y.png": bytesOf("y"), "keep.png": bytesOf("keep") });
      await A.write("x.png", bytesOf("x2"));
      await B.remove("x.png");
      await A.remove("y.png");
      await B.write("y.png", bytesOf("y2"));
      const files = await converge([A, B]);
      return ["x2", "y2"].filter((edit) => holds(files, bytesOf(edit))).join(" ");
    },
    expected: () => "x2 y2",
  },
  {
    id: "N6",
    title: "a client that lost its database adopts what is equal and deletes nothing",
    async run(world) {
      const { A, B, wire } = world;
      await share(world, { "x.png": bytesOf("x"), "y.png": bytesOf("y") });
      await A.forget();
      const before = wire.log.length;
      assert.equal(Object.keys(await converge([A, B])).length, 2);
      const sent = wire.log.slice(before).filter((path) => path.endsWith("downloadFiles") || path.endsWith("satchel/download"));
      return `${String(sent.length)} fetched`;
    },
    expected: () => "0 fetched",
  },
];
