/** `satchel server check` finds what a disk has lost below the rows. */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { runToEnd } from "./support/children.ts";
import { satchelEntry } from "./support/entry.ts";
import { openSyncHandle } from "./support/sync-handle.ts";

const FILES = { "a.png": randomBytes(6000), "b.png": randomBytes(6000), "c.png": randomBytes(6000) };
const sha1Of = (bytes: Uint8Array): string => hash("sha1", bytes);

/** A pack file and the stored files whose bytes stand in it. */
type Pack = { readonly file: string; readonly bytes: Buffer; readonly holds: readonly Buffer[] };

/** Lays out a server's directory in `base`: accounts `user` and `other` with the three files each, every file in a pack of its own. */
async function layOut(base: string): Promise<readonly Pack[]> {
  const server = await openSyncHandle({ users: ["other"], packBytes: 4000, keepFreeBytes: 0 });
  try {
    for (const user of ["user", "other"]) {
      const key = await server.login(user);
      for (const [name, bytes] of Object.entries(FILES))
        await server.data("msync/uploadChanges", Buffer.concat(buildUploadZip([{ name, bytes }])), { key });
    }
    const id = (await server.storage.accounts.byName("user"))?.id ?? "";
    await server.storage.close();
    await cp(server.directory, path.join(base, "satchel"), { recursive: true });
    await server.reopen();
    const directory = path.join(base, "satchel", "accounts", id, "packs");
    const packs: Pack[] = [];
    for (const name of (await readdir(directory)).toSorted()) {
      const bytes = await readFile(path.join(directory, name));
      packs.push({ file: path.join(directory, name), bytes, holds: Object.values(FILES).filter((one) => bytes.includes(one)) });
    }
    assert.equal(packs.flatMap(({ holds }) => holds).length, 3, "the bytes stand in the packs as they are");
    return packs;
  } finally {
    await server.close();
  }
}

/** What the command says after `harm`. It finds nothing before it, so what it tells afterwards is the harm. */
async function checkedAfter(harm: (packs: readonly Pack[]) => Promise<void>): ReturnType<typeof runToEnd> {
  const base = await mkdtemp(path.join(tmpdir(), "satchel-check-"));
  const check = async (): ReturnType<typeof runToEnd> =>
    await runToEnd(process.execPath, [satchelEntry(), "server", "check", "--base", base], {
      env: { ...process.env, SATCHEL_HOME: path.join(base, "home"), NO_COLOR: "1" },
    });
  try {
    const packs = await layOut(base);
    const sound = await check();
    assert.equal(sound.code, 0, `${sound.stdout}${sound.stderr}`);
    assert.match(sound.stdout, /^user: 3 rows, 3 stored files, .*, 0 faults$/m);
    await harm(packs);
    return await check();
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

test("server check N6 a stored file whose bytes changed on the disk is named, and the command fails", async () => {
  const ended = await checkedAfter(async (packs) => {
    const pack = packs.find(({ holds }) => holds.includes(FILES["b.png"]));
    assert.ok(pack !== undefined);
    const at = pack.bytes.indexOf(FILES["b.png"]) + 3000;
    pack.bytes.writeUInt8(pack.bytes.readUInt8(at) ^ 1, at);
    await writeFile(pack.file, pack.bytes);
  });
  assert.equal(ended.code, 4, `${ended.stdout}${ended.stderr}`);
  assert.match(ended.stdout, /^user: 3 rows, 3 stored files, .*, 1 fault$/m);
  assert.match(ended.stdout, new RegExp(`^ {2}Blob ${sha1Of(FILES["b.png"])} in pack \\d+ is damaged\\.$`, "m"));
  assert.match(ended.stdout, /^other: .*, 0 faults$/m);
});

test("server check N6 a pack that is gone from the disk is named with how much stood in it, and the command fails", async () => {
  const ended = await checkedAfter(async (packs) => {
    const pack = packs.find(({ holds }) => holds.includes(FILES["a.png"]));
    assert.ok(pack !== undefined && pack.holds.length === 1 && pack !== packs.at(-1));
    await rm(pack.file);
  });
  assert.equal(ended.code, 4, `${ended.stdout}${ended.stderr}`);
  assert.match(ended.stdout, /^user: .*, 1 fault$/m);
  assert.match(ended.stdout, /^ {2}Pack \d+ is gone from the disk: 1 blob stood in it\.$/m);
  assert.match(ended.stdout, /^other: .*, 0 faults$/m);
});
