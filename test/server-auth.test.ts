import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { makeAdmin } from "../service/server/admin.ts";
import { serverEnvironment, ServerConfigError } from "../service/server/environment.ts";
import { openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";
import { startSyncServer } from "./support/sync-server.ts";

async function withServer(work: (server: SyncHandle, key: string) => Promise<void>): Promise<void> {
  const server = await openSyncHandle();
  try {
    await work(server, await server.login());
  } finally {
    await server.close();
  }
}
const begins = async (server: SyncHandle, key: string): Promise<number> => (await server.ask("msync/begin", { v: "x" }, { key })).status;

test("known() AU03 finds a key by its id and decides by the digest of its secret: whatever else is wrong is refused alike", async () => {
  await withServer(async (server, key) => {
    const other = await server.login();
    const [id, secret] = [key.slice(0, 12), key.slice(13)];
    const looked: string[] = [];
    const { accounts } = server.storage;
    const byId = accounts.key.bind(accounts);
    accounts.key = async (given) => {
      looked.push(given);
      return await byId(given);
    };
    const digest = createHash("sha256").update(secret).digest("hex");
    const flipped = `${secret.slice(0, -2)}${secret.at(-2) === "A" ? "B" : "A"}${secret.at(-1) ?? ""}`;
    const wrong = [
      `${id}_${flipped}`,
      `${id}_${other.slice(13)}`,
      `${"0".repeat(12)}_${secret}`,
      secret,
      digest,
      `${id}_${digest}`,
      `${id}_`,
      `${key}x`,
      key.toUpperCase(),
      "",
      "__proto__",
    ];
    const refused = await server.ask("msync/begin", { v: "x" }, { key: "unknown" });
    for (const given of wrong) {
      const reply = await server.ask("msync/begin", { v: "x" }, { key: given });
      assert.deepEqual([given, reply.status, reply.payload.toString()], [given, 403, refused.payload.toString()]);
    }
    assert.ok(
      looked.every((given) => given === "" || /^[0-9a-f]{12}$/.test(given)),
      "no secret is looked up",
    );
    assert.equal(await begins(server, key), 200);
  });
});

test("admin AU06 keys are listed with the device and the last use, without anything of the secret, and revoked one by one", async () => {
  await withServer(async (server, key) => {
    const other = await server.login();
    const admin = makeAdmin(server.storage, server.accounts, server.clock);
    server.clock.nowMs += 3_600_000;
    await begins(server, key);
    const listed = await admin.call("user/keys", { name: "user" });
    assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set([key.slice(0, 12), other.slice(0, 12)]));
    const [used, idle] = [listed.find(({ id }) => id === key.slice(0, 12)), listed.find(({ id }) => id === other.slice(0, 12))];
    assert.ok((used?.usedMs ?? 0) >= (idle?.usedMs ?? 0) + 3_600_000);
    const digest = createHash("sha256").update(key.slice(13)).digest("hex");
    assert.ok(!JSON.stringify(listed).includes(key.slice(13)) && !JSON.stringify(listed).includes(digest));
    await admin.call("user/revoke", { name: "user", key: key.slice(0, 12) });
    assert.deepEqual([await begins(server, key), await begins(server, other)], [403, 200]);
  });
});

test("handle() AU08 a key in the address opens nothing on today's routes, and no log repeats it", async () => {
  await withServer(async (server, key) => {
    for (const query of [`k=${key}`, `key=${key}`, `hkey=${key}&v=x`, `anki-sync=${key}`])
      for (const [route, method] of [
        ["msync/begin", "POST"],
        ["msync/mediaChanges", "POST"],
        ["satchel/events", "GET"],
        ["satchel/changes", "POST"],
      ] as const) {
        const { status } = await server.ask(route, {}, { headers: {}, query, method });
        assert.ok(status === 400 || status === 403, `${route}?${query.slice(0, 4)}: ${String(status)}`);
      }
    assert.ok(!server.logs.join().includes(key.slice(13)) && !server.audits.join().includes(key.slice(13)));
  });
});

test("serverEnvironment() AU13 there is no account and no password that nobody chose", async () => {
  assert.deepEqual(serverEnvironment({ SYNC_BASE: "/b" }).accounts, []);
  for (const bad of ["ada", "ada:", ":secret", ":"])
    assert.throws(() => serverEnvironment({ SYNC_BASE: "/b", SYNC_USER1: bad }), ServerConfigError, bad);
  await withServer(async (server) => {
    for (const [u, p] of [
      ["admin", "admin"],
      ["user", "user"],
      ["user", ""],
      ["user", "password"],
      ["", ""],
      ["anki", "anki"],
    ]) {
      server.clock.nowMs += 3_600_000;
      assert.equal((await server.ask("sync/hostKey", { u, p })).status, 403, `${String(u)}:${String(p)}`);
    }
  });
});

test(
  "runServer() AU13 what the server keeps is its user's alone",
  { skip: process.platform === "win32" ? "no modes here" : false },
  async () => {
    const server = await startSyncServer({ kind: "satchel" }, 1);
    try {
      const entries = await readdir(server.base, { recursive: true, withFileTypes: true });
      assert.ok(entries.some((entry) => entry.isFile()));
      for (const entry of entries.filter((one) => one.isFile())) {
        const file = path.join(entry.parentPath, entry.name);
        // Either the file itself or a directory that leads to it, below SYNC_BASE, keeps others out.
        const modes = await Promise.all([file, ...between(server.base, file)].map(async (one) => (await stat(one)).mode & 0o077));
        assert.ok(modes.includes(0), file);
      }
    } finally {
      await server.close();
    }
  },
);

function between(top: string, file: string): readonly string[] {
  const found: string[] = [];
  for (let at = path.dirname(file); at !== top; at = path.dirname(at)) found.push(at);
  return found;
}

const form = Buffer.from('--B\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n\r\n{"u":"user","p":"pass"}\r\n--B--\r\n');
const pages: readonly (readonly [what: string, headers: Readonly<Record<string, string>>, body: Buffer])[] = [
  ["a form of another site", { "content-type": "multipart/form-data; boundary=B", origin: "https://evil.example" }, form],
  ["a form of a sandboxed page", { "content-type": "multipart/form-data; boundary=B", origin: "null" }, form],
  [
    "a form of a browser that keeps its origin to itself",
    { "content-type": "multipart/form-data; boundary=B", "sec-fetch-site": "cross-site" },
    form,
  ],
  ["JSON as text/plain", { "content-type": "text/plain" }, Buffer.from('{"u":"user","p":"pass"}')],
  ["a form without a file", { "content-type": "application/x-www-form-urlencoded" }, Buffer.from("u=user&p=pass")],
  ["JSON", { "content-type": "application/json" }, Buffer.from('{"u":"user","p":"pass"}')],
];
for (const [what, headers, raw] of pages)
  test(`handle() AU16 no login from a page: ${what}`, async () => {
    await withServer(async (server) => {
      const tried = server.audits.length;
      const reply = await server.ask("sync/hostKey", {}, { headers, raw });
      assert.ok(reply.status === 400 || reply.status === 403, String(reply.status));
      assert.equal(
        Object.keys(reply.headers).some((name) => name.toLowerCase().startsWith("access-control")),
        false,
      );
      assert.equal(server.audits.length, tried, "not even tried: a page can't guess passwords from its visitor's address");
    });
  });

test("handle() AU16 the same form from an old client, which names no page, still logs in", async () => {
  await withServer(async (server) => {
    const before = server.audits.length;
    const reply = await server.ask("sync/hostKey", {}, { headers: { "content-type": "multipart/form-data; boundary=B" }, raw: form });
    assert.equal(reply.status, 200, reply.payload.toString());
    assert.equal(server.audits.length, before + 1);
  });
});
