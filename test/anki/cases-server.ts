import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

import { loginKey } from "../support/sync-server.ts";
import { bytesOf, converge, holds, sha1, syncAll, type Case } from "./world.ts";

/** A server's disk lost these contents: a file that is one of them goes, a larger file that holds one (a pack) gets zeros there. Returns how many. */
async function loseContents(base: string, contents: readonly Buffer[]): Promise<number> {
  let lost = 0;
  for (const entry of await readdir(base, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    for (const content of contents) {
      const at = bytes.indexOf(content);
      if (at === -1) continue;
      lost++;
      if (bytes.length === content.length) await rm(file);
      else await writeFile(file, bytes.fill(0, at, at + content.length));
    }
  }
  return lost;
}

/** Deletions that a device is told of which signs in for the first time; the carrier of the usn is none. */
async function deletionsTold(url: string, user: string): Promise<number> {
  const header = JSON.stringify({ v: 11, k: await loginKey(url, user), c: "test", s: "new" });
  let told = 0;
  for (let lastUsn = 0; ;) {
    const body = zstdCompressSync(JSON.stringify({ lastUsn }));
    const reply = await fetch(new URL("msync/mediaChanges", url), { method: "POST", headers: { "anki-sync": header }, body });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a wrong shape fails the case
    const { data } = JSON.parse(zstdDecompressSync(Buffer.from(await reply.arrayBuffer())).toString()) as {
      readonly data: readonly [string, number, string][];
    };
    const last = data.at(-1);
    if (last === undefined) return told;
    told += data.filter(([name, , hash]) => hash === "" && !name.startsWith(":")).length;
    [, lastUsn] = last;
  }
}

/** What happens to a server: restored from a copy, damaged, restarted; and the desktop's own button. */
export const SERVER_CASES: readonly Case[] = [
  {
    id: "W17",
    title: "a server restored from an older copy overwrites no newer file",
    ownServer: true,
    async run({ A, B, host }) {
      await A.write("x.png", bytesOf("old"));
      await A.write("y.png", bytesOf("y"));
      await syncAll(A, B);
      const restore = await host.backup();
      await A.write("x.png", bytesOf("newer"));
      await A.write("later.png", bytesOf("later"));
      await syncAll(A, B);
      await restore();
      const files = await converge([A, B]);
      assert.ok(holds(files, bytesOf("later")), "a file made after the copy is lost");
      return holds(files, bytesOf("newer")) ? "kept" : "lost";
    },
    expected: ({ server, a, b }) => (server === "official" && a === "official" && b === "official" ? "lost" : "kept"),
  },
  {
    id: "W10",
    title: "files missing on the server's disk don't keep the others from a new device",
    ownServer: true,
    for: ({ a, b }) => a === "official" || b === "satchel",
    async run({ A, B, host }) {
      for (const name of ["a", "b", "c", "d", "e"]) await A.write(`${name}.png`, bytesOf(name));
      await syncAll(A);
      const gone = ["b", "c", "d"].map((name) => bytesOf(name));
      assert.equal(await loseContents(host.base, gone), 3, "the server's files were not found");
      await B.sync();
      await B.sync(); // all that is lost is withdrawn at the first; the real server withdraws one file per sync
      return `${String((await B.list()).length)} of 2 after two syncs`;
    },
    expected: ({ server, b }) => (server === "official" && b === "official" ? "0 of 2 after two syncs" : "2 of 2 after two syncs"),
  },
  {
    id: "W23",
    title: "a new device is not told of the deletions before its time, and of each one after",
    for: ({ a, b }) => a === "official" && b === "official",
    async run({ A, B, host, user }) {
      const doomed = Array.from({ length: 30 }, (_, at) => `d${String(at)}.png`);
      for (const name of [...doomed, "keep.png", "late.png"]) await B.write(name, bytesOf(name));
      await syncAll(B);
      for (const name of doomed) await B.remove(name);
      await syncAll(B);
      const told = await deletionsTold(host.url, user);
      await syncAll(A);
      assert.deepEqual(await A.list(), ["keep.png", "late.png"]);
      await B.remove("late.png");
      await syncAll(B, A);
      assert.deepEqual(await A.list(), ["keep.png"], "a deletion after its first sync");
      // Logged out of media and in again: it has one of the files once more, which waits to be sent.
      await A.write("d0.png", bytesOf("d0.png"));
      await A.forget();
      const files = await converge([A, B]);
      assert.deepEqual(Object.keys(files), ["d0.png", "keep.png"]);
      return `${String(told)} told`;
    },
    expected: ({ server }) => (server === "official" ? "30 told" : "0 told"),
  },
  {
    id: "S18",
    title: "a restart of the server changes nothing",
    ownServer: true,
    async run({ A, B, host }) {
      await A.write("x.png", bytesOf("x"));
      await syncAll(A);
      await host.kill();
      await host.start();
      await A.write("y.png", bytesOf("y"));
      assert.deepEqual(await converge([A, B]), { "x.png": sha1(bytesOf("x")), "y.png": sha1(bytesOf("y")) });
      return "in step";
    },
    expected: () => "in step",
  },
  {
    id: "§15.1",
    title: "the desktop's sync button: collection up, down, question, then media each time",
    for: ({ a, b }) => a === "official" && b === "official",
    async run(world) {
      const [first, second] = [await world.official(), await world.official()];
      const press = async (device: typeof first, choose: string): Promise<string> => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own driver's reply
        const told = (await device.ask("button", { choose })) as { readonly required: string };
        return told.required;
      };
      await first.ask("note", { text: "one" });
      await first.write("one.png", bytesOf("one"));
      const steps = [await press(first, "upload"), await press(second, "download")];
      assert.deepEqual(await second.ask("notes"), ["one"]);
      assert.deepEqual(await second.read("one.png"), bytesOf("one"));
      await second.write("two.png", bytesOf("two"));
      steps.push(await press(second, "upload"), await press(first, "upload"));
      assert.deepEqual(await first.read("two.png"), bytesOf("two"));
      await first.ask("note", { text: "two" });
      await first.write("three.png", bytesOf("three"));
      steps.push(await press(first, "upload"), await press(second, "download"));
      assert.deepEqual(await second.ask("notes"), ["one", "two"]);
      assert.deepEqual(await second.read("three.png"), bytesOf("three"));
      return steps.join(" ");
    },
    expected: ({ server }) =>
      server === "official" ? "upload download nothing nothing nothing nothing" : "upload download nothing nothing full full",
  },
];
