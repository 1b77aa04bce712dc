import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { readdir, rm, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { buildSyncHeader } from "../protocol/anki/header.ts";
import { SATCHEL } from "../protocol/anki/messages.ts";
import { buildSatchelUpload, buildUploadZip, readDownloadZip, readSatchelDownload } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { compressSync } from "../protocol/anki/zstd.ts";
import { asked as askedOf, parseMemory } from "../service/server/echo.ts";
import { failAt, jsonOf, openSyncHandle, type HandleOptions, type SyncHandle } from "./support/sync-handle.ts";
import { SteppedClock } from "./support/stepped-clock.ts";

type Keyed = { readonly key: string; readonly session?: string };
const sha1 = (bytes: Uint8Array): string => hash("sha1", bytes);

function withServer(title: string, work: (server: SyncHandle, key: string) => Promise<void>, options: HandleOptions = {}): void {
  test(title, async () => {
    const server = await openSyncHandle(options);
    try {
      await work(server, await server.login());
    } finally {
      await server.close();
    }
  });
}

/** `null`: a deletion. */
async function upload(server: SyncHandle, asked: Keyed, files: Readonly<Record<string, Uint8Array | null>>): Promise<unknown> {
  const entries = Object.entries(files).map(([name, bytes]) => ({ name, bytes }));
  return await server.data("msync/uploadChanges", joinChunks(buildUploadZip(entries)), asked);
}
const changes = async (server: SyncHandle, asked: Keyed, lastUsn: number): Promise<unknown> =>
  await server.data("msync/mediaChanges", { lastUsn }, asked);
const sanity = async (server: SyncHandle, asked: Keyed, local: number): Promise<unknown> =>
  await server.data("msync/mediaSanity", { local }, asked);
const begin = async (server: SyncHandle, asked: Keyed): Promise<unknown> =>
  await server.data("msync/begin", { v: "anki,26.09.3 (x),linux" }, asked);
async function download(server: SyncHandle, asked: Keyed, files: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const reply = await server.ask("msync/downloadFiles", { files }, asked);
  assert.equal(reply.status, 200);
  return Object.fromEntries(readDownloadZip(reply.payload, files).map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]));
}

withServer(
  "handle() W8 PR03 gives every entry of a batch with a real change one usn, and none to a batch of no-ops",
  async (server, key) => {
    const asked = { key, session: "s1" };
    const [a, b] = [Buffer.from("a"), Buffer.from("b")];
    assert.deepEqual(await upload(server, asked, { a, b }), [2, 2]);
    assert.deepEqual(await upload(server, asked, { a, b, gone: null }), [3, 0]);
    assert.deepEqual(await upload(server, asked, { c: a, a, gone: null }), [3, 5]);
    // The real change carries the top usn, so no other client has to ask for a gap again and again.
    assert.deepEqual(await changes(server, { key: await server.login(), session: "x" }, 0), [
      ["a", 1, sha1(a)],
      ["b", 2, sha1(b)],
      ["c", 5, sha1(a)],
    ]);
  },
);

withServer("handle() W4 sends at most one tombstone a page to a client that may have rows", async (server, key) => {
  const bytes = Buffer.from("x");
  await upload(server, { key, session: "s1" }, { a: bytes, b: bytes, c: bytes });
  await sanity(server, { key, session: "s1" }, 3);
  const other = await server.login();
  await upload(server, { key: other, session: "o" }, { a: null, b: null, d: bytes, c: null });
  const asked = { key, session: "s2" };
  assert.deepEqual(await changes(server, asked, 3), [["a", 4, ""]]);
  assert.deepEqual(await changes(server, asked, 4), [
    ["b", 5, ""],
    ["d", 6, sha1(bytes)],
  ]);
  assert.deepEqual(await changes(server, asked, 6), [["c", 7, ""]]);
  assert.deepEqual(await changes(server, asked, 7), []);
});

withServer("handle() W4 a client that signs in again keeps its rows: one tombstone a page for its new key too", async (server, key) => {
  const bytes = Buffer.from("x");
  await upload(server, { key, session: "s1" }, { a: bytes, b: bytes, c: bytes });
  await upload(server, { key: await server.login(), session: "o" }, { a: null, b: null, c: null });
  const again = { key: await server.login(), session: "s2" };
  await begin(server, again);
  assert.deepEqual(await changes(server, again, 3), [["a", 4, ""]]);
  assert.deepEqual(await changes(server, again, 4), [["b", 5, ""]]);
  assert.deepEqual(await changes(server, again, 5), [["c", 6, ""]]);
});

withServer("handle() W23 deletions from before a device's time are not told to it; those after are", async (server, key) => {
  const bytes = Buffer.from("x");
  const owner = { key, session: "s1" };
  await upload(server, owner, { a: bytes, b: bytes, c: bytes, stays: bytes });
  await sanity(server, owner, 4);
  await upload(server, { key, session: "s2" }, { a: null, b: null, c: null });
  await sanity(server, { key, session: "s2" }, 1);
  const device = { key: await server.login(), session: "d1" };
  await begin(server, device);
  assert.deepEqual(
    await changes(server, device, 0),
    [
      ["stays", 4, sha1(bytes)],
      [":usn", 7, ""],
    ],
    "nothing of a, b and c; the carrier has the top usn",
  );
  // In mid-session and later: what goes now is told, one a page.
  await upload(server, { key, session: "s3" }, { stays: null, a: bytes });
  await upload(server, { key, session: "s3" }, { a: null });
  assert.deepEqual(await changes(server, device, 7), [
    ["stays", 8, ""],
    ["a", 10, ""],
  ]);
  const later = { ...device, session: "d2" };
  assert.deepEqual(await changes(server, later, 7), [["stays", 8, ""]]);
  assert.deepEqual(await changes(server, later, 8), [["a", 10, ""]]);
  // It starts over (logged out of media, or was told to): all that it has waits to be sent, so no deletion can meet it.
  assert.deepEqual(await changes(server, { ...device, session: "d3" }, 0), [[":usn", 10, ""]]);
});

withServer("handle() W23 a device that may have rows at 0 is told of every deletion, under its new key too", async (server, key) => {
  const bytes = Buffer.from("x");
  const mine = { key, session: "s1" };
  const other = { key: await server.login(), session: "o1" };
  await begin(server, mine);
  await upload(server, other, { foreign: bytes });
  await sanity(server, other, 1);
  // The arithmetic fails: it stays at 0, with a row.
  assert.deepEqual(await upload(server, mine, { a: bytes }), [1, 2]);
  await sanity(server, mine, 1);
  await upload(server, { ...other, session: "o2" }, { a: null });
  const expected = [
    ["foreign", 1, sha1(bytes)],
    ["a", 3, ""],
  ];
  const again = { key: await server.login(), session: "s2" };
  await begin(server, again);
  assert.deepEqual(await changes(server, again, 0), expected);
  assert.deepEqual(await changes(server, { ...mine, session: "s3" }, 0), expected);
});

test("parseMemory() W4 a memory that can't be read belongs to a client that may have rows", () => {
  const line = { top: 9, generation: 0, restoredTop: 0 };
  for (const text of ["{", "{}", "null"]) assert.equal(askedOf(parseMemory(text, 0), "s", 0, line).bulk, false, text);
  assert.equal(askedOf(parseMemory(null, 0), "s", 0, line).bulk, true);
});

withServer("handle() W31 does not show a client its own upload again when its arithmetic failed", async (server, key) => {
  const [a, foreign] = [Buffer.from("mine"), Buffer.from("theirs")];
  const mine = { key, session: "s1" };
  await begin(server, mine);
  await upload(server, { key: await server.login(), session: "x" }, { foreign });
  assert.deepEqual(await upload(server, mine, { a }), [1, 2]);
  assert.equal(await sanity(server, mine, 1), "OK", "W32: the foreign file came after what this session was shown");
  const next = { key, session: "s2" };
  await begin(server, next);
  assert.deepEqual(await changes(server, next, 0), [
    ["foreign", 1, sha1(foreign)],
    [":usn", 2, ""],
  ]);
  assert.deepEqual(await changes(server, next, 2), []);
  // A client that lost its state asks from 0 in a later session, and needs everything.
  const wiped = { key, session: "s3" };
  assert.deepEqual(await changes(server, wiped, 0), [
    ["foreign", 1, sha1(foreign)],
    ["a", 2, sha1(a)],
  ]);
});

withServer("handle() W31 a lost reply is answered without the upload's own rows, and the retry changes nothing", async (server, key) => {
  const a = Buffer.from("a");
  await begin(server, { key, session: "s1" });
  await upload(server, { key, session: "s1" }, { a });
  const next = { key, session: "s2" };
  await begin(server, next);
  assert.deepEqual(await changes(server, next, 0), [[":usn", 1, ""]]);
  assert.deepEqual(await upload(server, next, { a }), [1, 0]);
  assert.equal(await sanity(server, next, 1), "OK");
});

withServer("handle() W31 an upload that a proxy sends twice proves nothing of the first one's reply", async (server, key) => {
  const a = Buffer.from("a");
  await begin(server, { key, session: "s1" });
  await upload(server, { key, session: "s1" }, { a });
  await upload(server, { key, session: "s1" }, { a });
  assert.deepEqual(await changes(server, { key, session: "s2" }, 0), [[":usn", 1, ""]]);
});

withServer("handle() W31 never hides anything once two clients share a key", async (server, key) => {
  const a = Buffer.from("a");
  await begin(server, { key, session: "s1" });
  await upload(server, { key, session: "s1" }, { a });
  await upload(server, { key: await server.login(), session: "x" }, { b: a, c: a });
  // Nobody with this key ever stood at 2.
  assert.deepEqual(await changes(server, { key, session: "s2" }, 2), [["c", 3, sha1(a)]]);
  assert.deepEqual(await changes(server, { key, session: "s3" }, 0), [
    ["a", 1, sha1(a)],
    ["b", 2, sha1(a)],
    ["c", 3, sha1(a)],
  ]);
});

withServer("handle() W32 tells a real difference from a race", async (server, key) => {
  const a = Buffer.from("a");
  const asked = { key, session: "s1" };
  await upload(server, asked, { a, b: a });
  assert.equal(await sanity(server, asked, 2), "OK");
  assert.equal(await sanity(server, asked, 3), "mediaSanity");
  const other = { key: await server.login(), session: "x" };
  const reader = { key: await server.login(), session: "r" };
  await changes(server, reader, 0);
  await changes(server, reader, 2);
  await upload(server, other, { c: a, a: null });
  await upload(server, other, { d: a });
  assert.equal(await sanity(server, reader, 2), "OK", "what it was shown");
  assert.equal(await sanity(server, reader, 3), "OK", "what is there");
  assert.equal(await sanity(server, reader, 1), "mediaSanity");
});

withServer(
  "handle() W17 PR05 meets a client from after a lost backup gently: empty page, reset, empty page, all it has, OK",
  async (server, key) => {
    const a = Buffer.from("a");
    const asked = { key, session: "s1" };
    await begin(server, asked);
    await upload(server, asked, { a });
    await sanity(server, asked, 1);
    const before = jsonOf(await server.ask("health", {}, { key, method: "GET" }));
    assert.deepEqual(await changes(server, { key, session: "s2" }, 50), []);
    assert.equal(await sanity(server, { key, session: "s2" }, 1), "mediaSanity");
    assert.deepEqual(await changes(server, { key, session: "s3" }, 0), []);
    assert.deepEqual(await upload(server, { key, session: "s3" }, { a, newer: Buffer.from("n") }), [2, 3]);
    assert.equal(await sanity(server, { key, session: "s3" }, 7), "OK");
    // Its own upload is not shown again; then all is as ever.
    assert.deepEqual(await changes(server, { key, session: "s4" }, 0), [
      ["a", 1, sha1(a)],
      [":usn", 3, ""],
    ]);
    const after = jsonOf(await server.ask("health", {}, { key, method: "GET" }));
    assert.notDeepEqual(after["satchel"], before["satchel"], "L6: Satchel clients see a new epoch");
  },
);

withServer("handle() W11 counts a deletion of whatever name as done, and refuses a bad data entry with its batch", async (server, key) => {
  const asked = { key };
  for (const name of ["", "..", "a/b", "a\u0300".normalize("NFD"), "\ud800", "x".repeat(300), "\0"]) {
    assert.deepEqual(await upload(server, asked, { [name]: null }), [1, 0], JSON.stringify(name));
    const zip = joinChunks(
      buildUploadZip([
        { name: "good", bytes: Buffer.from("g") },
        { name, bytes: Buffer.from("x") },
      ]),
    );
    assert.equal((await server.ask("msync/uploadChanges", zip, asked)).status, 400, JSON.stringify(name));
  }
  assert.deepEqual(await changes(server, asked, 0), [], "nothing of a refused batch is applied");
});

withServer("handle() W10 W19 PR09 withdraws all unreadable rows at once, without tombstones", async (server, key) => {
  const asked = { key };
  const files = Object.fromEntries(Array.from({ length: 25 }, (_, at) => [`f${String(at).padStart(2, "0")}`, randomBytes(1000)]));
  await upload(server, asked, files);
  const [account = ""] = await readdir(path.join(server.directory, "accounts"));
  const packs = path.join(server.directory, "accounts", account, "packs");
  const [pack = ""] = await readdir(packs);
  const bytes = await readFile(path.join(packs, pack));
  // Two records of the pack are damaged.
  bytes.fill(0, 100, 200);
  bytes.fill(0, 5000, 5100);
  await writeFile(path.join(packs, pack), bytes);
  assert.equal((await server.ask("msync/downloadFiles", { files: ["f00"] }, asked)).status, 409);
  const left = await changes(server, asked, 0);
  assert.ok(Array.isArray(left));
  assert.equal(left.length, 23, "one request found both");
  assert.equal((await server.ask("msync/downloadFiles", { files: ["f01"] }, asked)).status, 200);
  assert.equal(await sanity(server, asked, 25), "mediaSanity", "a client that has all is told to send them again");
  await upload(server, asked, files);
  assert.deepEqual(await download(server, asked, ["f00"]), { f00: files["f00"]?.toString() });
  await rm(path.join(packs, pack));
  assert.equal((await server.ask("msync/downloadFiles", { files: ["f02"] }, asked)).status, 409);
  const account2 = await server.storage.account(account);
  assert.deepEqual((await account2.check()).faults, []);
});

withServer("handle() W21 answers downloads with a non-empty prefix of at most 8 MiB, in the order asked", async (server, key) => {
  const big = randomBytes(5 * 1024 * 1024);
  await upload(server, { key }, { big });
  await upload(server, { key }, { small: Buffer.from("s"), big2: randomBytes(4 * 1024 * 1024) });
  const names = ["small", "big", "big2"];
  const reply = await server.ask("msync/downloadFiles", { files: names }, { key });
  assert.deepEqual(
    readDownloadZip(reply.payload, names).map(({ name }) => name),
    ["small", "big"],
  );
  const only = await server.ask("msync/downloadFiles", { files: ["big", "big2"] }, { key });
  assert.deepEqual(
    readDownloadZip(only.payload, ["big", "big2"]).map(({ bytes }) => sha1(bytes)),
    [sha1(big)],
  );
});

withServer("handle() S10 pages of one row yield every row once, in order", async (server, key) => {
  await upload(server, { key }, Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`n${String(at)}`, randomBytes(3)])));
  server.faults = (point) => point === "server/feedOf1";
  const seen: unknown[] = [];
  for (let last = 0; ;) {
    const page = await changes(server, { key, session: "r" }, last);
    assert.ok(Array.isArray(page) && page.length <= 1);
    const row: unknown = page[0];
    if (!Array.isArray(row)) break;
    seen.push(row[0]);
    last = Number(row[1]);
  }
  assert.equal(new Set(seen).size, 12);
});

withServer("handle() PR07 S10 ends a page at 1000 rows", async (server, key) => {
  const many = Array.from({ length: 1001 }, (_, at) => ({ name: `n${String(at)}`, bytes: Buffer.from(String(at)), baseSha1: null }));
  for (let at = 0; at < many.length; at += 1000)
    await server.data("satchel/upload", joinChunks(buildSatchelUpload(many.slice(at, at + 1000))), { key });
  const [first, second] = [await changes(server, { key }, 0), await changes(server, { key }, 1000)];
  assert.ok(Array.isArray(first) && Array.isArray(second));
  assert.deepEqual([first.length, second.length], [1000, 1]);
});

for (const point of ["server/afterBlobBeforeRow", "server/afterRowBeforeReply"] as const)
  withServer(
    `handle() S8 S11 S12 a failure at ${point} leaves no half batch, and the repeat has the effect of once`,
    async (server, key) => {
      const files = { a: randomBytes(500), b: randomBytes(500) };
      server.faults = failAt(point, 1);
      const zip = joinChunks(buildUploadZip(Object.entries(files).map(([name, bytes]) => ({ name, bytes }))));
      assert.equal((await server.ask("msync/uploadChanges", zip, { key, session: "s1" })).status, 500);
      await server.restart();
      await upload(server, { key, session: "s2" }, files);
      const page = await changes(server, { key: await server.login(), session: "r" }, 0);
      assert.deepEqual(page, [
        ["a", 1, sha1(files.a)],
        ["b", 2, sha1(files.b)],
      ]);
      const [account = ""] = await readdir(path.join(server.directory, "accounts"));
      assert.deepEqual((await (await server.storage.account(account)).check()).faults, []);
    },
  );

withServer("handle() PR12 S12 ten equal uploads at once have the effect of one", async (server, key) => {
  const a = randomBytes(100);
  const replies = await Promise.all(Array.from({ length: 10 }, async () => await upload(server, { key }, { a })));
  assert.deepEqual(replies.map((reply) => JSON.stringify(reply)).toSorted(), [...Array.from({ length: 9 }, () => "[1,0]"), "[1,1]"]);
});

withServer("handle() W24 X5 one account's unfinished body does not hold up another's requests", async (server, key) => {
  await server.accounts.add("other", "pass");
  const other = await server.login("other");
  const never = Promise.withResolvers<void>();
  const body = (async function* () {
    yield compressSync(Buffer.from("{}")).subarray(0, 4);
    await never.promise;
  })();
  const slow = [1, 2, 3].map(async () => await server.ask("msync/uploadChanges", {}, { key, raw: body }));
  assert.deepEqual(await upload(server, { key: other }, { a: Buffer.from("a") }), [1, 1]);
  assert.deepEqual(await changes(server, { key }, 0), [], "nor its own small ones");
  never.resolve();
  assert.deepEqual(
    (await Promise.all(slow)).map(({ status }) => status),
    [400, 400, 400],
  );
});

withServer(
  "handle() S17 takes nothing more when the disk is nearly full, says so in words, and loses nothing",
  async (server, key) => {
    const reply = jsonOf(
      await server.ask("msync/uploadChanges", joinChunks(buildUploadZip([{ name: "a", bytes: Buffer.from("a") }])), { key }),
    );
    assert.equal(reply["data"], null);
    assert.match(String(reply["err"]), /disk is full/);
    const ours = await server.ask(
      "satchel/upload",
      joinChunks(buildSatchelUpload([{ name: "a", bytes: Buffer.from("a"), baseSha1: null }])),
      { key },
    );
    assert.equal(ours.status, 507);
    assert.deepEqual(await changes(server, { key }, 0), []);
  },
  { keepFreeBytes: Number.MAX_SAFE_INTEGER },
);

withServer(
  "housekeep() S21 gives back the room of what is no longer kept, and moves what is needed",
  async (server, key) => {
    const files = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`f${String(at)}`, randomBytes(3000)]));
    for (const [name, bytes] of Object.entries(files)) await upload(server, { key }, { [name]: bytes });
    const gone = Object.keys(files).filter((_, at) => at % 4 !== 0);
    await upload(server, { key }, Object.fromEntries(gone.map((name) => [name, null])));
    const [id = ""] = await readdir(path.join(server.directory, "accounts"));
    const packs = async (): Promise<number> => (await readdir(path.join(server.directory, "accounts", id, "packs"))).length;
    const account = await server.storage.account(id);
    const before = await packs();
    await account.housekeep({ keepMs: 30 * 86_400_000, capBytes: 0 });
    assert.equal(await packs(), before, "nothing younger than 30 days goes");
    // The files' own times are the machine's; "later" must be later than those.
    await account.housekeep({ keepMs: -20 * 365 * 86_400_000, capBytes: 0 });
    assert.ok((await packs()) < before);
    assert.deepEqual((await account.check()).faults, []);
    await server.restart();
    const left = ["f0", "f4", "f8"];
    const reply = await server.ask("msync/downloadFiles", { files: left }, { key });
    assert.deepEqual(
      readDownloadZip(reply.payload, left).map(({ bytes }) => sha1(bytes)),
      left.map((name) => sha1(files[name] ?? Buffer.alloc(0))),
    );
  },
  { packBytes: 8000 },
);

withServer("handle() satchel/upload takes an entry only where what stands there is its base", async (server, key) => {
  const [one, two, three] = [Buffer.from("1"), Buffer.from("2"), Buffer.from("3")];
  const send = async (...entries: readonly (readonly [name: string, bytes: Uint8Array | null, base: string | null])[]): Promise<unknown> =>
    await server.data(
      "satchel/upload",
      joinChunks(buildSatchelUpload(entries.map(([name, bytes, baseSha1]) => ({ name, bytes, baseSha1 })))),
      { key },
    );
  assert.deepEqual(await send(["a", one, null], ["b", two, null]), { usn: 2, results: ["done", "done"] });
  assert.deepEqual(await send(["a", two, sha1(three)], ["b", two, null], ["c", null, null], ["a/b", one, null]), {
    usn: 2,
    results: [
      { changed: sha1(one) },
      "same",
      "same",
      { refused: "the server does not take this name: it holds a character that no file name may hold" },
    ],
  });
  assert.deepEqual(await send(["a", two, sha1(one)], ["b", null, sha1(two)], ["d", three, sha1(one)]), {
    usn: 4,
    results: ["done", "done", { changed: "" }],
  });
  const { satchel } = SATCHEL.health.reply.parse(jsonOf(await server.ask("health", {}, { key, method: "GET" })));
  assert.deepEqual(await server.data("satchel/changes", { lastUsn: 0 }, { key }), {
    rows: [
      ["a", 3, sha1(two), 1],
      ["b", 4, "", 0],
    ],
    more: false,
    // Who answers, and how many rows are live, as of the same moment (L6).
    satchel: { ...satchel, usn: 4, live: 1 },
  });
  assert.deepEqual(await server.data("satchel/versions", { name: "a" }, { key }), [
    { sha1: sha1(one), size: 1, atMs: server.clock.wallMs(), why: "replaced" },
  ]);
  assert.deepEqual((await server.ask("satchel/version", { name: "a", sha1: sha1(one) }, { key })).payload, one);
  assert.equal(
    (await server.ask("satchel/version", { name: "b", sha1: sha1(one) }, { key })).status,
    404,
    "AU10: bytes of another name are not told",
  );
  const names = ["b", "a", "never"];
  const reply = await server.ask("satchel/download", { files: names }, { key });
  assert.deepEqual(
    readSatchelDownload(reply.payload, names).map(({ bytes }) => bytes?.toString() ?? null),
    [null, "2", null],
  );
});

test("handle() AU15 satchel/events tells of changes at once, and ends with its key", async () => {
  const server = await openSyncHandle({ options: { clock: new SteppedClock() } });
  try {
    const [key, other] = [await server.login(), { key: await server.login() }];
    const seen: string[] = [];
    await upload(server, other, { a: Buffer.from("a") });
    for await (const chunk of await openEvents(server, key, new AbortController().signal)) {
      seen.push(Buffer.from(chunk).toString());
      if (seen.length === 2) setImmediate(() => void upload(server, other, { b: Buffer.from("b") }));
      if (seen.length === 3) {
        await server.accounts.revoke(key.split("_")[0] ?? "");
        setImmediate(() => void upload(server, other, { c: Buffer.from("c") }));
      }
    }
    assert.deepEqual(seen, [": satchel\n\n", 'data: {"usn":1}\n\n', 'data: {"usn":2}\n\n']);
  } finally {
    await server.close();
  }
});

async function openEvents(server: SyncHandle, key: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const headers = { "anki-sync": buildSyncHeader({ version: 11, key, client: "c", session: "e" }) };
  const nothing = (async function* (): AsyncGenerator<Uint8Array> {})();
  const response = await server.handle(
    { method: "GET", path: "/satchel/events", query: "since=0", headers, body: nothing, peer: { address: "" } },
    signal,
  );
  assert.equal(response.headers["content-type"], "text/event-stream");
  assert.ok(!(response.body instanceof Uint8Array));
  return response.body;
}
