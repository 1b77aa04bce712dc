/** Who deleted a file or sent what stands, and when: told to those who ask (SPEC "Who deleted a file, and who sent it"). */
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";

import * as z from "zod";

import { SATCHEL } from "../protocol/anki/messages.ts";
import { buildSatchelUpload, buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { shortClientVersion } from "../service/remotes/anki/client.ts";
import { deviceNameOf } from "../service/server/satchel.ts";
import { jsonOf, openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

const LAPTOP = shortClientVersion({ version: "0.1.0", device: "laptop", platform: "linux" });
const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);
const DESKTOP = "26.09.3,29bb700b,windows:10";

async function keyOf(server: SyncHandle, client: string): Promise<string> {
  return String(jsonOf(await server.ask("sync/hostKey", { u: "user", p: "pass" }, { key: "", client }))["key"]);
}

test("satchel/changes tells who deleted a file and when, to those who ask and to nobody else", async () => {
  const server = await openSyncHandle();
  try {
    const [laptop, desktop] = [await keyOf(server, LAPTOP), await keyOf(server, DESKTOP)];
    const bytes = Buffer.from("bytes");
    const stock = async (...entries: readonly (readonly [string, Uint8Array | null])[]): Promise<unknown> => {
      const zip = joinChunks(buildUploadZip(entries.map(([name, content]) => ({ name, bytes: content }))));
      return await server.data("msync/uploadChanges", zip, { key: desktop, client: DESKTOP });
    };
    await stock(["a.png", bytes], ["b.png", bytes], ["c.png", bytes]);
    server.clock.nowMs += 1000;
    const aGone = server.clock.wallMs();
    const zip = joinChunks(buildSatchelUpload([{ name: "a.png", bytes: null, baseSha1: sha1(bytes) }]));
    await server.data("satchel/upload", zip, { key: laptop, client: LAPTOP });
    server.clock.nowMs += 1000;
    const bGone = server.clock.wallMs();
    await stock(["b.png", null]);
    const asked = async (request: object): Promise<unknown> => {
      // What every page says of the server is no matter here.
      const told = z
        .object({ satchel: z.object({}) })
        .loose()
        .parse(await server.data("satchel/changes", request, { key: laptop }));
      return Object.fromEntries(Object.entries(told).filter(([key]) => key !== "satchel"));
    };
    const live = ["c.png", 3, sha1(bytes), bytes.length];
    const told = [live, ["a.png", 4, "", 0, { by: "laptop", atMs: aGone }], ["b.png", 5, "", 0, { by: "Anki (windows)", atMs: bGone }]];
    assert.deepEqual(await asked({ lastUsn: 0, deletions: true }), { rows: told, more: false });
    const bare = [live, ["a.png", 4, "", 0], ["b.png", 5, "", 0]];
    assert.deepEqual(await asked({ lastUsn: 0 }), { rows: bare, more: false }, "a client from before does not know the fifth element");
    await server.restart();
    assert.deepEqual(await asked({ lastUsn: 0, deletions: true }), { rows: told, more: false });

    await server.accounts.revoke(desktop.slice(0, 12));
    const revoked = [live, told[1], ["b.png", 5, "", 0, { by: null, atMs: bGone }]];
    assert.deepEqual(await asked({ lastUsn: 0, deletions: true }), { rows: revoked, more: false });
  } finally {
    await server.close();
  }
});

test("satchel/changes tells who sent what stands, of a page of at most 500 rows, to those who ask and to nobody else", async () => {
  const server = await openSyncHandle();
  try {
    const [laptop, desktop] = [await keyOf(server, LAPTOP), await keyOf(server, DESKTOP)];
    const bytes = Buffer.from("bytes");
    const stock = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += 25) {
        const names = Array.from({ length: Math.min(25, to - at) }, (_, index) => `s${String(at + index)}.png`);
        const zip = joinChunks(buildUploadZip(names.map((name) => ({ name, bytes }))));
        await server.data("msync/uploadChanges", zip, { key: desktop, client: DESKTOP });
      }
    };
    const zip = joinChunks(buildSatchelUpload([{ name: "a.png", bytes, baseSha1: null }]));
    const aSent = server.clock.wallMs();
    await server.data("satchel/upload", zip, { key: laptop, client: LAPTOP });
    server.clock.nowMs += 1000;
    const sSent = server.clock.wallMs();
    await stock(1, 500);
    const rows = async (request: object): Promise<readonly unknown[]> =>
      z
        .object({ rows: z.array(z.unknown()) })
        .loose()
        .parse(await server.data("satchel/changes", request, { key: laptop })).rows;
    const asked = { lastUsn: 0, deletions: true, senders: true };
    const all = await rows(asked);
    assert.equal(all.length, 500);
    assert.deepEqual(all[0], ["a.png", 1, sha1(bytes), bytes.length, { by: "laptop", atMs: aSent }]);
    assert.deepEqual(all[499], ["s499.png", 500, sha1(bytes), bytes.length, { by: "Anki (windows)", atMs: sSent }]);
    const bare = (row: unknown): boolean => Array.isArray(row) && row.length === 4;
    assert.ok((await rows({ lastUsn: 0, deletions: true })).every(bare), "a client from before knows the fifth element of deletions alone");
    await stock(500, 501);
    const long = await rows(asked);
    assert.ok(long.length === 501 && long.every(bare), "a long page is not looked up row by row");
    assert.ok(!(await rows({ ...asked, lastUsn: 1 })).some(bare), "the rest of it is short");
  } finally {
    await server.close();
  }
});

test("SATCHEL.changes a client takes rows with and without it, and a name that is no name for people as null", () => {
  const reply = (...more: readonly unknown[]) => SATCHEL.changes.reply.parse({ rows: [["a", 1, "", 0, ...more]], more: false }).rows[0];
  assert.deepEqual(reply(), { name: "a", usn: 1, sha1: null, sizeBytes: 0 });
  assert.deepEqual(reply({ by: "laptop", atMs: 5 }), { name: "a", usn: 1, sha1: null, sizeBytes: 0, author: { by: "laptop", atMs: 5 } });
  for (const by of ["", "a\nb", "x".repeat(41), "\u202e", 7])
    assert.deepEqual(reply({ by, atMs: 5 })?.author, { by: null, atMs: 5 }, JSON.stringify(by));
});

test("deviceNameOf() is Satchel's own name for a device, and the system of others", () => {
  for (const [client, name] of [
    [LAPTOP, "laptop"],
    ["satchel-0.1.0,a\nb,linux", "Anki (linux)"],
    ["26.09.3,29bb700b,win:10", "Anki (win)"],
    ["anki-droid,2.17,android:14:Pixel 8", "Anki (android)"],
    ["legacy", "Anki"],
    ["", "Anki"],
  ] as const)
    assert.equal(deviceNameOf(client), name, client);
});
