/** The server as a process would run it: port, TLS rule, lock, the owner's link, connections that misbehave. */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import Database from "better-sqlite3";

import { buildSyncHeader } from "../protocol/anki/header.ts";
import { buildSatchelUpload, buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { compressSync, decompressSync } from "../protocol/anki/zstd.ts";
import { AdminError } from "../service/server/admin.ts";
import { ServerConfigError } from "../service/server/environment.ts";
import { openServerAdmin, runServer, type RunOptions, type RunningServer } from "../service/server/run.ts";
import { realClock } from "./support/real-clock.ts";

const PBKDF2 = "$pbkdf2-sha256$i=1000,l=32$c2F0Y2hlbHRlc3Q$";

async function withBase(work: (base: string, options: RunOptions) => Promise<void>): Promise<void> {
  const base = await mkdtemp(path.join(tmpdir(), "satchel-run-"));
  const { pbkdf2Sync } = await import("node:crypto");
  const derived = pbkdf2Sync("pass", Buffer.from("c2F0Y2hlbHRlc3Q", "base64"), 1000, 32, "sha256").toString("base64").replaceAll("=", "");
  const account = { name: "ada", secret: PBKDF2 + derived, hashed: true };
  const diskWorker = new URL("../service/files/disk-worker.ts", import.meta.url);
  const log = (): void => undefined;
  try {
    await work(base, {
      base,
      host: "127.0.0.1",
      port: 0,
      accounts: [account],
      payloadMegs: null,
      addressHeader: null,
      legacy: true,
      log,
      clock: realClock,
      diskWorker,
    });
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

async function withServer(
  work: (server: RunningServer, options: RunOptions, key: string) => Promise<void>,
  change: Partial<RunOptions> = {},
): Promise<void> {
  await withBase(async (_base, options) => {
    const server = await runServer({ ...options, ...change });
    try {
      await work(server, options, await login(server));
    } finally {
      await server.close();
    }
  });
}

type Got = { readonly status: number; readonly headers: IncomingMessage["headers"]; readonly body: Buffer };
async function send(
  url: string,
  method: string,
  key: string | null,
  body: Uint8Array | null,
  more: Readonly<Record<string, string>> = {},
): Promise<Got> {
  const headers = key === null ? more : { ...more, "anki-sync": buildSyncHeader({ version: 11, key, client: "c", session: "s" }) };
  const sent = request(url, { method, headers });
  sent.end(body ?? undefined);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.once("response", resolve);
  sent.once("error", reject);
  const reply = await promise;
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return { status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) };
}
const unwrap = (got: Got): Buffer => Buffer.from(decompressSync(got.body, 1 << 30));

async function login({ url }: RunningServer): Promise<string> {
  const got = await send(`${url}sync/hostKey`, "POST", "", compressSync(Buffer.from('{"u":"ada","p":"pass"}')));
  assert.equal(got.status, 200);
  return /"key":"([^"]+)"/.exec(unwrap(got).toString())?.[1] ?? "";
}

test("runServer() W26 says 403 to a client in mid-upload, and takes no more of it", async () => {
  await withServer(async ({ url }) => {
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    await once(socket, "connect");
    const header = buildSyncHeader({ version: 11, key: "0123456789ab_" + "A".repeat(43), client: "c", session: "s" });
    socket.write(`POST /msync/uploadChanges HTTP/1.1\r\nhost: x\r\nanki-sync: ${header}\r\ntransfer-encoding: chunked\r\n\r\n`);
    socket.write(`1000\r\n${"x".repeat(4096)}\r\n`);
    let text = "";
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.endsWith("403")) break;
    }
    assert.match(text, /^HTTP\/1\.1 403 /);
    assert.match(text, /connection: close/i);
    socket.destroy();
  });
});

test("runServer() NW01 a body in small chunks arrives whole; one that breaks off leaves nothing behind", async () => {
  await withServer(async (server) => {
    const [key, { port }] = [await login(server), new URL(server.url)];
    const content = randomBytes(600_000);
    const body = compressSync(joinChunks(buildUploadZip([{ name: "a", bytes: content }])));
    const start = async (): Promise<Socket> => {
      const socket = connect(Number(port), "127.0.0.1");
      await once(socket, "connect");
      const header = buildSyncHeader({ version: 11, key, client: "c", session: "s" });
      socket.write(`POST /msync/uploadChanges HTTP/1.1\r\nhost: x\r\nanki-sync: ${header}\r\ntransfer-encoding: chunked\r\n\r\n`);
      return socket;
    };
    const write = (socket: Socket, to: number): void => {
      for (let at = 0; at < to; at += 4096) {
        const piece = body.subarray(at, Math.min(to, at + 4096));
        socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]));
      }
    };
    const broken = await start();
    write(broken, 300_000);
    broken.end();
    await once(broken.resume(), "close");
    const whole = await start();
    write(whole, body.length);
    whole.write("0\r\n\r\n");
    const [reply] = await once(whole, "data");
    assert.match(String(reply), /^HTTP\/1\.1 200 /);
    whole.destroy();
    const page = unwrap(await send(`${server.url}msync/mediaChanges`, "POST", key, compressSync(Buffer.from('{"lastUsn":0}'))));
    assert.deepEqual(JSON.parse(page.toString()), { data: [["a", 1, hash("sha1", content)]], err: "" });
  });
});

test("runServer() PR15 refuses a header of 64 KB, and what is no HTTP, without falling over", async () => {
  await withServer(async ({ url }) => {
    const { port } = new URL(url);
    for (const text of [
      `POST /msync/begin HTTP/1.1\r\nhost: x\r\nanki-sync: ${"x".repeat(65_536)}\r\n\r\n`,
      "\0\0\0\0\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
    ]) {
      const socket = connect(Number(port), "127.0.0.1");
      const closed = Promise.withResolvers<void>();
      socket.on("error", () => undefined);
      socket.on("close", () => closed.resolve());
      socket.write(text);
      let reply = "";
      socket.setEncoding("utf8").on("data", (part: string) => (reply += part));
      await closed.promise;
      assert.match(reply, /^HTTP\/1\.1 4\d\d /);
    }
    assert.equal((await send(`${url}health`, "GET", null, null)).status, 200);
  });
});

test("runServer() keeps a whole collection and gives it back byte for byte; what is none is refused in words (15.1)", async () => {
  await withServer(async ({ url }, options, key) => {
    const meta = async (): Promise<Record<string, unknown>> => {
      const got = await send(`${url}sync/meta`, "POST", key, compressSync(Buffer.from('{"v":11,"cv":"x"}')));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked key by key below
      return JSON.parse(unwrap(got).toString()) as Record<string, unknown>;
    };
    assert.deepEqual([(await meta())["mod"], (await meta())["empty"]], [0, true]);
    const none = await send(`${url}sync/upload`, "POST", key, compressSync(Buffer.from("not a database")));
    assert.match(unwrap(none).toString(), /could not read this collection/);
    assert.equal((await send(`${url}sync/upload`, "POST", key, compressSync(Buffer.alloc(100)).subarray(0, 10))).status, 400);
    for (const mod of [1000, 2000]) {
      const file = path.join(options.base, "c.anki2");
      const db = new Database(file);
      db.pragma("journal_mode = WAL");
      db.exec("DROP TABLE IF EXISTS col; DROP TABLE IF EXISTS cards; DROP TABLE IF EXISTS notes");
      db.exec(`CREATE TABLE col (mod INTEGER, scm INTEGER, usn INTEGER, ver INTEGER); INSERT INTO col VALUES (${String(mod)}, 77, 5, 18)`);
      db.exec("CREATE TABLE cards (id INTEGER); INSERT INTO cards VALUES (1); CREATE TABLE notes (x BLOB)");
      db.exec("INSERT INTO notes SELECT randomblob(1000000) FROM cards");
      db.close();
      const image = await readFile(file);
      assert.equal(image[18], 2, "it says WAL, as Anki's does");
      assert.equal(unwrap(await send(`${url}sync/upload`, "POST", key, compressSync(image))).toString(), "OK");
      const told = await meta();
      assert.deepEqual([told["mod"], told["usn"], told["empty"]], [mod, 5, false]);
      assert.notEqual(told["scm"], 77);
      const back = await send(`${url}sync/download`, "POST", key, compressSync(Buffer.from("{}")));
      assert.deepEqual([back.headers["anki-original-size"], unwrap(back).equals(image)], [String(image.length), true]);
      await rm(file);
    }
  });
});

test("runServer() AU12 refuses clear text off loopback unless it is told so", async () => {
  await withBase(async (_base, options) => {
    await assert.rejects(
      runServer({ ...options, host: "0.0.0.0" }),
      (error) => error instanceof ServerConfigError && /--tls-cert/.test(error.message),
    );
    const server = await runServer({ ...options, host: "0.0.0.0", behindProxy: true });
    assert.match(server.url, /^http:\/\/0\.0\.0\.0:\d+\/$/);
    await server.close();
  });
});

test("runServer() PR20 one process per SYNC_BASE; the owner's commands reach the one that runs, or work on the files", async () => {
  await withBase(async (base, options) => {
    const server = await runServer(options);
    try {
      await whileItRuns(base, options);
    } finally {
      await server.close();
    }
    const direct = await openServerAdmin(options);
    assert.deepEqual(
      (await direct.call("check", { name: "bob" })).map(({ faults }) => faults),
      [[]],
    );
    await direct.close();
    assert.equal((await stat(path.join(base, "satchel"))).mode & 0o077, 0);
  });
});

const isRoot = process.geteuid?.() === 0;
test("openServerAdmin() by root makes what belongs to the directory's owner", { skip: isRoot ? false : "only root can try" }, async () => {
  const owner = 54_321;
  await withBase(async (base, options) => {
    await chmod(base, 0o755);
    const own = path.join(base, "satchel");
    await mkdir(own, { mode: 0o700 });
    await chown(own, owner, owner);
    const admin = await openServerAdmin(options);
    await admin.call("user/add", { name: "bob", password: "secret" });
    assert.deepEqual(
      (await admin.call("check", { name: "bob" })).map(({ faults }) => faults),
      [[]],
    );
    await admin.close();
    assert.equal(process.geteuid?.(), 0, "what comes after is root's again");
    const made = await readdir(own, { recursive: true });
    assert.ok(
      made.some((name) => name.endsWith("rows.db")),
      made.join(" "),
    );
    const owners = await Promise.all(made.map(async (name) => [name, (await stat(path.join(own, name))).uid]));
    assert.deepEqual(
      owners,
      made.map((name) => [name, owner]),
    );
  });
});

async function whileItRuns(base: string, options: RunOptions): Promise<void> {
  await assert.rejects(runServer(options), (error) => error instanceof ServerConfigError && error.message.includes(String(process.pid)));
  const linked = await openServerAdmin(options);
  await linked.call("user/add", { name: "bob", password: "secret" });
  await assert.rejects(linked.call("user/keys", { name: "nobody" }), AdminError);
  await assert.rejects(linked.call("user/password", { name: "ada", password: "x" }), /SYNC_USERn/);
  assert.deepEqual(
    (await linked.call("user/list", {})).map(({ name }) => name),
    ["ada", "bob"],
  );
  await linked.close();
  const link = path.join(base, "satchel", "admin.json");
  assert.equal((await stat(link)).mode & 0o777, 0o600);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
  const { port } = JSON.parse(await readFile(link, "utf8")) as { port: number };
  assert.equal(
    (await send(`http://127.0.0.1:${String(port)}/`, "POST", null, Buffer.from("{}"))).status,
    404,
    "without its token the link is nobody's",
  );
}

test("runServer() /metrics opens to loopback, or behind a proxy to its token alone", async () => {
  await withServer(async ({ url }) => {
    const got = await send(`${url}metrics`, "GET", null, null);
    assert.equal(got.status, 200);
    assert.match(got.body.toString(), /satchel_server_requests_total\{route="sync\/hostKey",status="200"\} 1/);
    assert.ok(!got.body.toString().includes("ada"));
  });
  await withServer(async ({ url }) => assert.equal((await send(`${url}metrics`, "GET", null, null)).status, 404), {
    behindProxy: true,
    metricsToken: "m",
  });
});

test("runServer() AU11 takes the client's address from the header it is told of, and wants it there", async () => {
  await withBase(async (_base, options) => {
    const server = await runServer({ ...options, addressHeader: "x-real-ip" });
    try {
      const body = compressSync(Buffer.from('{"u":"ada","p":"pass"}'));
      assert.equal((await send(`${server.url}sync/hostKey`, "POST", "", body)).status, 500);
      assert.equal((await send(`${server.url}sync/hostKey`, "POST", "", body, { "x-real-ip": "198.51.100.7" })).status, 200);
      assert.equal((await send(`${server.url}health`, "GET", null, null)).status, 200);
    } finally {
      await server.close();
    }
  });
});

test("close() ends event streams and leaves what was acknowledged (S18)", async () => {
  await withBase(async (_base, options) => {
    const first = await runServer(options);
    const key = await login(first);
    const zip = Buffer.concat(buildSatchelUpload([{ name: "a", bytes: Buffer.from("a"), baseSha1: null }]));
    const header = { "anki-sync": buildSyncHeader({ version: 11, key, client: "c", session: "s" }) };
    const stream = request(`${first.url}satchel/events?since=0`, { headers: header }).end();
    const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
    stream.once("response", resolve);
    const reply = await promise;
    let seen = "";
    const ended = (async () => {
      for await (const chunk of reply) {
        seen += String(chunk);
        if (seen.includes("usn")) await first.close();
      }
    })();
    await send(`${first.url}satchel/upload`, "POST", key, zip);
    await ended.catch(() => undefined);
    assert.match(seen, /data: \{"usn":1\}/);
    await first.close().catch(() => undefined);
    const second = await runServer(options);
    const got = await send(`${second.url}satchel/changes`, "POST", key, Buffer.from('{"lastUsn":0}'));
    assert.match(got.body.toString(), /"rows":\[\["a",1,/);
    await second.close();
  });
});
