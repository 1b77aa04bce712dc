/** Whoever reaches the port without a key, or with one and bad intentions: places, memory and the directory stay ours. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { test } from "node:test";

import { buildSatchelUpload, buildUploadZip, readSatchelDownload } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import type { ServerHandle } from "../service/core/ports.ts";
import { createHttpServer, type HttpOptions } from "../service/server/http.ts";
import { jsonOf, openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";

const OK: ServerHandle = async () => await Promise.resolve({ status: 200, headers: {}, body: Buffer.from("fine") });

async function withHttp(
  limits: NonNullable<HttpOptions["limits"]>,
  handle: ServerHandle,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const quiet = { tls: null, metrics: null, mayMeasure: () => false, onError: () => undefined };
  const http = createHttpServer({ handle, ...quiet, limits });
  const port = await http.listen("127.0.0.1", 0);
  try {
    await work(port);
  } finally {
    await http.close(0);
  }
}

/** A socket, and what was said on it by the time it closed. */
async function open(port: number): Promise<{ readonly socket: Socket; readonly end: Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  socket.setEncoding("utf8").on("data", (part: string) => (said += part));
  socket.on("error", () => undefined);
  const end = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(said));
  });
  await once(socket, "connect");
  return { socket, end };
}

const asks = async (port: number): Promise<number> => (await fetch(`http://127.0.0.1:${String(port)}/health`)).status;

test("createHttpServer() NW06 headers that never end are cut, however many begin them, and others are served meanwhile", async () => {
  await withHttp({ headersMs: 300, checkMs: 50 }, OK, async (port) => {
    const slow = await Promise.all(Array.from({ length: 100 }, async () => await open(port)));
    // Each line of a header comes alone: the whole counts, not the silence between two.
    for (const { socket } of slow) socket.write("POST /msync/begin HTTP/1.1\r\nhost: x\r\n");
    const drip = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write("x-a: b\r\n");
    }, 20);
    try {
      assert.equal(await asks(port), 200);
      for (const said of await Promise.all(slow.map(async ({ end }) => await end))) assert.match(said, /^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
    assert.equal(await asks(port), 200);
  });
});

test("createHttpServer() NW06 a body that stops coming ends its connection, and whoever waits for it is told", async () => {
  const gone = Promise.withResolvers<string>();
  const reads: ServerHandle = async (request) => {
    if (request.path === "/health") return await OK(request, new AbortController().signal);
    await request.body.each?.(() => undefined).catch((error: unknown) => gone.resolve(String(error)));
    return await OK(request, new AbortController().signal);
  };
  await withHttp({ stallMs: 200 }, reads, async (port) => {
    const { socket, end } = await open(port);
    socket.write("POST /msync/uploadChanges HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert.equal(await end, "");
    assert.match(await gone.promise, /went away|aborted/);
    assert.equal(await asks(port), 200);
  });
});

test("createHttpServer() S17 no more sockets than there is room for: the next one is closed at once, and served when another has left", async () => {
  await withHttp({ socketsMax: 3 }, OK, async (port) => {
    const held = [await open(port), await open(port), await open(port)];
    for (const { socket } of held) {
      // Answered, so that the server has surely counted it.
      socket.write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
    }
    assert.equal(await (await open(port)).end, "");
    held[0]?.socket.end();
    await held[0]?.end;
    assert.equal(await asks(port), 200);
    for (const { socket } of held) socket.destroy();
  });
});

test(
  "handle() X1 AU01 a hundred thousand wrong keys open nothing, are not remembered, and the right one works",
  { timeout: 300_000 },
  async () => {
    const server = await openSyncHandle();
    try {
      const key = await server.login();
      const [id = ""] = key.split("_");
      for (let at = 0; at < 100_000; at++) {
        // Every second one names a key that there is.
        const secret = randomBytes(32).toString("base64url");
        const wrong = at % 2 === 0 ? `${id}_${secret}` : `${randomBytes(6).toString("hex")}_${secret}`;
        if ((await server.accounts.known(wrong)) !== null) assert.fail(`the key ${wrong} opened an account`);
      }
      for (let at = 0; at < 500; at++) {
        const wrong = `${id}_${randomBytes(32).toString("base64url")}`;
        assert.equal((await server.ask("msync/begin", { v: "x" }, { key: wrong })).status, 403);
      }
      assert.equal((await server.ask("msync/begin", { v: "x" }, { key })).status, 200);
      assert.equal((await server.storage.accounts.keys((await server.accounts.known(key))?.account ?? "")).length, 1);
    } finally {
      await server.close();
    }
  },
);

/** Names that would lead elsewhere, or nowhere. */
const TRICKS = [
  "../x",
  "../../../../etc/passwd",
  "/etc/passwd",
  "a/b",
  "a/../../b",
  "..",
  ".",
  "",
  "a\0.png",
  "\ud800.png",
  "x".repeat(256),
  ":usn",
];

async function everything(directory: string): Promise<readonly string[]> {
  return (await readdir(directory, { recursive: true })).toSorted((a, b) => (a < b ? -1 : 1));
}

async function tricks(server: SyncHandle, key: string): Promise<void> {
  const bytes = Buffer.from("owned");
  for (const name of TRICKS) {
    const shown = JSON.stringify(name);
    const plain = joinChunks(buildUploadZip([{ name, bytes }]));
    assert.equal((await server.ask("msync/uploadChanges", plain, { key })).status, 400, shown);
    const based = joinChunks(buildSatchelUpload([{ name, bytes, baseSha1: null }]));
    const answer = await server.ask("satchel/upload", based, { key, raw: based });
    const told = JSON.stringify(jsonOf(answer)["data"] ?? null);
    assert.ok(answer.status === 400 || told.includes('"refused"'), `${shown}: ${String(answer.status)} ${told}`);
    assert.equal((await server.ask("msync/downloadFiles", { files: [name] }, { key })).status, 409, shown);
    const served = await server.ask("satchel/download", { files: [name] }, { key });
    assert.deepEqual(
      readSatchelDownload(served.payload, [name]).map(({ bytes: got }) => got),
      [null],
      shown,
    );
    assert.deepEqual(jsonOf(await server.ask("satchel/versions", { name }, { key }))["data"], [], shown);
    assert.equal((await server.ask("satchel/version", { name, sha1: "0".repeat(40) }, { key })).status, 404, shown);
  }
}

test("handle() FN01 FN02 FN03 FN04 FN17 FN19 X5 no name leads out of an account: refused in every route, and no file is named by one", async () => {
  const server = await openSyncHandle({ users: ["../../ada"] });
  try {
    const key = await server.login();
    assert.equal(
      (await server.ask("msync/uploadChanges", joinChunks(buildUploadZip([{ name: "con.png", bytes: Buffer.from("x") }])), { key })).status,
      200,
    );
    const before = await everything(server.directory);
    await tricks(server, key);
    assert.deepEqual(await everything(server.directory), before);
    await server.login("../../ada");
    const named = (await everything(server.directory)).filter((file) => /ada|con|passwd/.test(file));
    assert.deepEqual(named, []);
    for (const path of ["satchel/../accounts.db", "..%2f..%2faccounts.db", "//etc/passwd", "sync/../../x", "msync/begin/../../health/x"])
      assert.ok([400, 404, 405].includes((await server.ask(path, {}, { key })).status), path);
  } finally {
    await server.close();
  }
});

test("handle() S17 hundreds of sessions of a key leave a memory of the same size", async () => {
  const server = await openSyncHandle();
  try {
    const key = await server.login();
    const { account: id = "", key: device = "" } = (await server.accounts.known(key)) ?? {};
    const memory = async (): Promise<number> => {
      const account = await server.storage.account(id);
      return await account.change({ durable: false, files: [] }, async (tx) => (await tx.memory(device))?.length ?? 0);
    };
    const play = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at++) {
        const asked = { key, session: `session ${String(at)}` };
        await server.data("msync/begin", { v: "x" }, asked);
        await server.data("msync/mediaChanges", { lastUsn: 0 }, asked);
        // Only no-ops: each is remembered for its session.
        await server.data("msync/uploadChanges", joinChunks(buildUploadZip([{ name: `n${String(at)}.png`, bytes: null }])), asked);
      }
    };
    await play(0, 10);
    const few = await memory();
    await play(10, 300);
    assert.ok((await memory()) < few * 2, `${String(await memory())} after ${String(few)}`);
  } finally {
    await server.close();
  }
});
