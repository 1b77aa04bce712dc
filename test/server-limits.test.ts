/** What holds when too many come at once, or somebody takes his time: memory stays bounded, and nothing acknowledged is lost. */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import Database from "better-sqlite3";

import { buildSyncHeader } from "../protocol/anki/header.ts";
import { buildSatchelUpload, buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { compressSync } from "../protocol/anki/zstd.ts";
import { Buffers, NoRoomError } from "../service/server/buffers.ts";
import { createHttpServer } from "../service/server/http.ts";
import { readCollection } from "../service/store/server-collection.ts";
import { openSyncHandle } from "./support/sync-handle.ts";

test("Buffers S17 gives out as much as it may and not a byte more, and takes back once", () => {
  const buffers = new Buffers(1_000_000);
  const one = buffers.take(400_000);
  const two = buffers.reserve(600_000);
  assert.throws(() => buffers.take(1), NoRoomError);
  two();
  two();
  one.release();
  one.release();
  assert.ok(buffers.take(1_000_000).bytes.length >= 1_000_000);
  assert.throws(() => buffers.reserve(1), NoRoomError);
});

test("handle() S17 bodies of all accounts together have a limit: 503 with Retry-After, and room again when they end", async () => {
  const server = await openSyncHandle({ users: ["other"], options: { bodyMemoryBytes: 3_500_000 } });
  try {
    const [key, other] = [await server.login(), await server.login("other")];
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const content = randomBytes(700_000);
    const frame = compressSync(joinChunks(buildUploadZip([{ name: "a", bytes: content }])));
    const slow = (async function* () {
      yield frame.subarray(0, 650_000);
      begun.resolve();
      await gate.promise;
      yield frame.subarray(650_000);
    })();
    const first = server.ask("msync/uploadChanges", {}, { key, raw: slow });
    await begun.promise;
    const zip = joinChunks(buildUploadZip([{ name: "b", bytes: randomBytes(1_200_000) }]));
    const refused = await server.ask("msync/uploadChanges", zip, { key: other });
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [503, "5"]);
    assert.equal((await server.ask("msync/begin", { v: "x" }, { key: other })).status, 200, "small things go on");
    gate.resolve();
    assert.equal((await first).status, 200);
    assert.equal((await server.ask("msync/uploadChanges", zip, { key: other })).status, 200);
    // A bomb asks for the room that it might take.
    assert.equal((await server.ask("msync/uploadChanges", {}, { key, raw: compressSync(Buffer.alloc(3_000_000)) })).status, 503);
  } finally {
    await server.close();
  }
});

test("handle() X5 S17 of one account two bodies are read at once, and four beside them that say they are small", async () => {
  const server = await openSyncHandle();
  try {
    const key = await server.login();
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    const send = async (name: string, announces: boolean): Promise<number> => {
      const bytes = joinChunks(buildSatchelUpload([{ name, bytes: Buffer.from(name), baseSha1: null }]));
      const slow = (async function* () {
        begun += 1;
        await gate.promise;
        yield bytes;
      })();
      const header = buildSyncHeader({ version: 11, key, client: "satchel-0.1.0,laptop,linux", session: "s1" });
      const length = announces ? { "content-length": String(bytes.length) } : {};
      return (await server.ask("satchel/upload", {}, { key, raw: slow, headers: { "anki-sync": header, ...length } })).status;
    };
    const names = ["a", "b", "c", "d", "e", "f"];
    const all = [...names.map(async (name) => await send(name, true)), ...names.map(async (name) => await send(`${name}2`, false))];
    await new Promise((resolve) => setImmediate(resolve));
    await server.ask("msync/begin", { v: "x" }, { key });
    assert.equal(begun, 6);
    gate.resolve();
    assert.deepEqual(
      await Promise.all(all),
      Array.from({ length: 12 }, () => 200),
    );
  } finally {
    await server.close();
  }
});

test("handle() NW08 hundreds at once: some are told to come later, and whatever was acknowledged is there after a crash", async () => {
  const server = await openSyncHandle({ options: { bodyMemoryBytes: 3_000_000 } });
  try {
    const keys = [await server.login(), await server.login(), await server.login()];
    const files = Array.from({ length: 300 }, (_, at) => ({ name: `n${String(at)}`, bytes: randomBytes(20_000) }));
    const replies = await Promise.all(
      files.map(async (file, at) => {
        const key = keys[at % keys.length] ?? "";
        return await server.ask("msync/uploadChanges", joinChunks(buildUploadZip([file])), { key, session: `s${String(at)}` });
      }),
    );
    const taken = files.filter((_, at) => replies[at]?.status === 200);
    assert.ok(replies.every(({ status }) => status === 200 || status === 503));
    assert.ok(
      replies.some(({ status }) => status === 503),
      "64 wait, the others are told so",
    );
    assert.ok(taken.length >= 60);
    await server.restart();
    const [record] = await server.storage.accounts.list();
    const account = await server.storage.account(record?.id ?? "");
    const kept = await account.read(taken.map(({ bytes }) => hash("sha1", bytes)));
    assert.ok(kept.every((bytes) => bytes !== null));
    const { live } = await account.change({ durable: false, files: [] }, async (tx) => await tx.state());
    assert.equal(live, taken.length);
    // Those that were told to come later come later.
    for (const [at, file] of files.entries()) {
      if (replies[at]?.status === 503)
        assert.equal((await server.ask("msync/uploadChanges", joinChunks(buildUploadZip([file])), { key: keys[0] ?? "" })).status, 200);
    }
  } finally {
    await server.close();
  }
});

test("createHttpServer() NW06 cuts who does not take his reply, and gives its memory back", async () => {
  const freed = Promise.withResolvers<void>();
  const body = (async function* () {
    try {
      for (;;) yield await Promise.resolve(Buffer.alloc(1024 * 1024));
    } finally {
      freed.resolve();
    }
  })();
  const http = createHttpServer({
    handle: async () => await Promise.resolve({ status: 200, headers: {}, body }),
    tls: null,
    metrics: null,
    mayMeasure: () => false,
    onError: () => undefined,
    // Less than a mebibyte needs at the least rate: cut at once.
    slackMs: -1024 * 1000,
  });
  const port = await http.listen("127.0.0.1", 0);
  try {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await freed.promise;
    socket.destroy();
  } finally {
    await http.close(0);
  }
});

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "satchel-collection-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const CARDS = "CREATE TABLE cards (id INTEGER); INSERT INTO cards VALUES (1);";
const COL = "CREATE TABLE col (mod INTEGER, scm INTEGER, usn INTEGER, ver INTEGER); INSERT INTO col VALUES (5, 6, 7, 18);";
const collections: readonly (readonly [what: string, sql: string, facts: ReturnType<typeof readCollection>])[] = [
  ["a whole one", COL + CARDS, { mod: 5, scm: 6, usn: 7, empty: false }],
  ["one without cards", `${COL}CREATE TABLE cards (id INTEGER)`, { mod: 5, scm: 6, usn: 7, empty: true }],
  ["no col", CARDS, null],
  ["another age", COL.replace("18)", "9)") + CARDS, null],
  [
    "a view that never ends",
    `CREATE VIEW col AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS mod, x AS scm, x AS usn, x AS ver FROM n WHERE x < 0; ${CARDS}`,
    null,
  ],
  [
    "a computed column",
    `CREATE TABLE col (mod INTEGER AS (length(zeroblob(9000))), scm INTEGER, usn INTEGER, ver INTEGER); INSERT INTO col (scm, usn, ver) VALUES (6, 7, 18); ${CARDS}`,
    null,
  ],
  ["a virtual table", `CREATE VIRTUAL TABLE col USING fts5(mod, scm, usn, ver); ${CARDS}`, null],
];
for (const [what, sql, facts] of collections)
  for (const mode of ["DELETE", "WAL"])
    test(`readCollection() 15.1 ${what} (${mode}): ${facts === null ? "refused" : "read"}, and the file is as it was`, async () => {
      await inFolder(async (folder) => {
        const file = path.join(folder, "c.anki2");
        const db = new Database(file);
        db.pragma(`journal_mode = ${mode}`);
        db.exec(sql);
        db.close();
        const before = await readFile(file);
        assert.deepEqual(readCollection(file), facts);
        assert.ok((await readFile(file)).equals(before));
      });
    });
