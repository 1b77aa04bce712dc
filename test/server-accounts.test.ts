import assert from "node:assert/strict";
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { joinChunks } from "../protocol/anki/zip.ts";
import { serverEnvironment, ServerConfigError } from "../service/server/environment.ts";
import { AccountError, makeAccounts } from "../service/server/accounts.ts";
import { AdminError, makeAdmin } from "../service/server/admin.ts";
import { isCredential, slowPasswords, type Passwords } from "../service/server/passwords.ts";
import { ManualClock } from "./support/memory-device.ts";
import { openSyncHandle, type SyncHandle } from "./support/sync-handle.ts";
import { storageContract } from "./storage-contract.ts";

storageContract("local", async () => {
  const server = await openSyncHandle();
  return {
    storage: server.storage,
    reopen: async () => {
      await server.restart();
      return server.storage;
    },
    close: async () => await server.close(),
  };
});

async function withServer(work: (server: SyncHandle) => Promise<void>): Promise<void> {
  const server = await openSyncHandle();
  try {
    await work(server);
  } finally {
    await server.close();
  }
}
const guess = async (server: SyncHandle, u: string, p: string): Promise<number> => (await server.ask("sync/hostKey", { u, p })).status;
const begins = async (server: SyncHandle, key: string): Promise<number> => (await server.ask("msync/begin", { v: "x" }, { key })).status;

test("login() AU06 AU07 gives each login a key of its own, which stands nowhere on the disk", async () => {
  await withServer(async (server) => {
    const [one, two] = [await server.login(), await server.login()];
    assert.match(one, /^[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    assert.notEqual(one, two);
    assert.deepEqual([await begins(server, one), await begins(server, two)], [200, 200]);
    const secret = one.slice(13);
    await server.storage.close();
    for (const name of await readdir(server.directory, { recursive: true })) {
      const text = await readFile(path.join(server.directory, name), "latin1").catch(() => "");
      assert.ok(!text.includes(secret), name);
    }
    assert.ok(!server.audits.join().includes(secret) && !server.logs.join().includes(secret), "AU08");
    await server.restart();
  });
});

test("login() 14 refuses a wrong name and a wrong password alike, and hashes for both", async () => {
  await withServer(async (server) => {
    const hashed: string[] = [];
    const counting: Passwords = {
      hash: async (password) => await slowPasswords((bytes) => randomBytes(bytes), 4).hash(password),
      verify: async (_password, credential) => {
        hashed.push(credential.slice(0, 8));
        return await Promise.resolve(false);
      },
    };
    const accounts = makeAccounts({ ...server, secrets: (bytes) => randomBytes(bytes), passwords: counting, audit: () => undefined });
    const login = { password: "x", client: "c", address: "a" };
    assert.deepEqual(await accounts.login({ ...login, user: "user" }), { kind: "refused" });
    assert.deepEqual(await accounts.login({ ...login, user: "nobody" }), { kind: "refused" });
    assert.deepEqual(await accounts.login({ ...login, user: "user", password: "" }), { kind: "refused" });
    assert.deepEqual(hashed, ["$scrypt$", "$scrypt$", "$scrypt$"]);
    assert.deepEqual([await guess(server, "user", "wrong"), await guess(server, "nobody", "pass")], [403, 403]);
  });
});

test("login() AU01 X6 makes guessing slow, and leaves a valid key alone", async () => {
  await withServer(async (server) => {
    const key = await server.login();
    const statuses: number[] = [];
    for (let at = 0; at < 8; at++) {
      server.clock.nowMs += 250;
      statuses.push(await guess(server, "user", `wrong${String(at)}`));
    }
    assert.deepEqual(statuses, [403, 403, 403, 403, 403, 429, 429, 429]);
    assert.equal(await begins(server, key), 200);
    const later = await server.ask("sync/hostKey", { u: "user", p: "pass" });
    assert.deepEqual([later.status, later.headers["retry-after"]], [429, "1"]);
    server.clock.nowMs += 1000;
    assert.equal(await guess(server, "user", "pass"), 200);
    // Half a day of guesses, one every 10 s: at most 100 an hour are heard.
    let heard = 0;
    for (let at = 0; at < 12 * 360; at++) {
      server.clock.nowMs += 10_000;
      if ((await guess(server, "user", "wrong")) === 403) heard += 1;
    }
    assert.ok(heard <= 1200, String(heard));
    assert.equal(await begins(server, key), 200);
  });
});

test("login() AU01 counts an address over all names, and an IPv6 /64 as one", async () => {
  await withServer(async (server) => {
    const from = async (address: string, user: string): Promise<string> => {
      server.clock.nowMs += 250;
      return (await server.accounts.login({ user, password: "x", client: "c", address })).kind;
    };
    for (let at = 0; at < 20; at++) assert.equal(await from(`2001:db8:1:2::${String(at)}`, `n${String(at)}`), "refused");
    assert.equal(await from("2001:db8:1:2:ffff::1", "n21"), "later");
    assert.equal(await from("2001:db8:1:3::1", "n22"), "refused");
    assert.equal(await from("203.0.113.5", "n23"), "refused");
  });
});

test("login() AU05 hashes at most two at once, lets eight wait, and turns the rest away", async () => {
  await withServer(async (server) => {
    let running = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const passwords: Passwords = {
      hash: async () => await Promise.resolve(""),
      verify: async () => {
        running += 1;
        most = Math.max(most, running);
        await gate.promise;
        running -= 1;
        return false;
      },
    };
    const accounts = makeAccounts({
      ...server,
      clock: new ManualClock(),
      secrets: (n) => randomBytes(n),
      passwords,
      audit: () => undefined,
    });
    const clock = server.clock;
    const kinds = Array.from({ length: 12 }, async (_, at) => {
      clock.nowMs += 1000;
      return (await accounts.login({ user: `n${String(at)}`, password: "x", client: "c", address: `192.0.2.${String(at)}` })).kind;
    });
    gate.resolve();
    const counted = await Promise.all(kinds);
    assert.equal(most, 2);
    assert.ok(counted.filter((kind) => kind === "later").length >= 2, counted.join());
  });
});

test("login() AU04 takes a password in any normal form, none that is empty, and a body of at most 1 KiB", async () => {
  await withServer(async (server) => {
    await server.accounts.add("é".normalize("NFD"), "pässword".normalize("NFD"));
    assert.equal(await guess(server, "é".normalize("NFC"), "pässword".normalize("NFC")), 200);
    assert.equal(await guess(server, "user", ""), 403);
    assert.equal(await guess(server, "user", "pass\0"), 403);
    assert.equal(await guess(server, "user", "x".repeat(1 << 20)), 413);
    await assert.rejects(server.accounts.add("empty", ""), AccountError);
  });
});

test("add() AU09 a name is never a path, and twins are different accounts", async () => {
  await withServer(async (server) => {
    for (const name of ["../x", "a/b", "CON", "User", "%2e", "x".repeat(255)]) {
      await server.accounts.add(name, "pass");
      server.clock.nowMs += 1000;
      await begins(server, await server.login(name));
    }
    for (const name of ["", "x".repeat(256), "a\nb", "\ud800", "user"])
      await assert.rejects(server.accounts.add(name, "pass"), AccountError, name);
    for (const directory of await readdir(path.join(server.directory, "accounts"))) assert.match(directory, /^[0-9a-f]{16}$/);
  });
});

test("AU15 PR19 a revoked key and every key of a changed password or disabled account get 403 at once", async () => {
  await withServer(async (server) => {
    const [one, two] = [await server.login(), await server.login()];
    await server.accounts.revoke(one.slice(0, 12));
    assert.deepEqual([await begins(server, one), await begins(server, two)], [403, 200]);
    await server.accounts.setPassword("user", "new");
    assert.equal(await begins(server, two), 403);
    assert.deepEqual([await guess(server, "user", "pass"), await guess(server, "user", "new")], [403, 200]);
    await server.accounts.disable("user");
    server.clock.nowMs += 1000;
    assert.equal(await guess(server, "user", "new"), 403);
  });
});

test("AU10 one account sees nothing of another's files, whatever it asks", async () => {
  await withServer(async (server) => {
    await server.accounts.add("other", "pass");
    const [key, other] = [await server.login(), await server.login("other")];
    const zip = (name: string) => Buffer.concat(buildUploadZip([{ name, bytes: Buffer.from("secret") }]));
    await server.data("msync/uploadChanges", zip("mine"), { key });
    assert.deepEqual(await server.data("msync/mediaChanges", { lastUsn: 0 }, { key: other }), []);
    assert.equal((await server.ask("msync/downloadFiles", { files: ["mine"] }, { key: other })).status, 409);
    assert.deepEqual(await server.data("msync/uploadChanges", zip("theirs"), { key: other }), [1, 1], "equal bytes are not told");
  });
});

test("adopt() makes the environment's accounts, revokes on a changed password, disables what it names no more; data stays", async () => {
  await withServer(async (server) => {
    const ada = { name: "ada", secret: "pass", hashed: false };
    await server.accounts.adopt([ada]);
    const key = await server.login("ada");
    await server.accounts.adopt([ada]);
    assert.equal(await begins(server, key), 200, "unchanged: keys stay");
    await server.accounts.adopt([{ ...ada, secret: "other" }]);
    assert.deepEqual([await begins(server, key), await guess(server, "ada", "pass"), await guess(server, "ada", "other")], [403, 403, 200]);
    await server.accounts.adopt([]);
    assert.equal(await guess(server, "ada", "other"), 403);
    await server.accounts.adopt([{ ...ada, secret: "other" }]);
    server.clock.nowMs += 1000;
    assert.equal(await guess(server, "ada", "other"), 200);
    assert.equal((await server.storage.accounts.list()).filter(({ name }) => name === "ada").length, 1);
    server.clock.nowMs += 1000;
    assert.equal(await guess(server, "user", "pass"), 200, "accounts made by command are not touched");
  });
});

test("adopt() takes PBKDF2 strings as Anki's own server does", async () => {
  await withServer(async (server) => {
    const salt = randomBytes(16);
    const text = (bytes: Buffer): string => bytes.toString("base64").replaceAll("=", "");
    const phc = `$pbkdf2-sha256$i=1000,l=32$${text(salt)}$${text(pbkdf2Sync("pass", salt, 1000, 32, "sha256"))}`;
    const { accounts } = serverEnvironment({ SYNC_USER1: `bob:${phc}`, PASSWORDS_HASHED: "1", SYNC_BASE: "/b" });
    await server.accounts.adopt(accounts);
    assert.deepEqual([await guess(server, "bob", "pass"), await guess(server, "bob", phc)], [200, 403]);
  });
});

test("serverEnvironment() reads Anki's variables and says what is wrong with one", () => {
  const env = {
    SYNC_USER1: "ada:a:b",
    SYNC_USER2: "bob:c",
    SYNC_USER4: "late:d",
    SYNC_BASE: "/data",
    SYNC_PORT: "9000",
    SYNC_IP_HEADER: "X-Real-IP",
    MAX_SYNC_PAYLOAD_MEGS: "200",
  };
  assert.deepEqual(serverEnvironment(env), {
    base: "/data",
    host: "127.0.0.1",
    port: 9000,
    accounts: [
      { name: "ada", secret: "a:b", hashed: false },
      { name: "bob", secret: "c", hashed: false },
    ],
    payloadMegs: 200,
    addressHeader: "x-real-ip",
    retention: { keepMs: 30 * 86_400_000, capBytes: 2 * 1024 ** 3 },
  });
  const ours = serverEnvironment({
    SATCHEL_VERSIONS_KEEP_DAYS: "90",
    SATCHEL_VERSIONS_MAX_BYTES: "5000000000",
    SATCHEL_METRICS_TOKEN: "hush",
  });
  assert.deepEqual(ours.retention, { keepMs: 90 * 86_400_000, capBytes: 5_000_000_000 });
  assert.equal(ours.metricsToken, "hush");
  for (const bad of [
    { SYNC_USER1: "nopassword" },
    { SYNC_USER1: ":x" },
    { SYNC_USER1: "a:" },
    { SYNC_USER1: "a:b", SYNC_USER2: "a:c" },
    { SYNC_PORT: "x" },
    { SYNC_PORT: "70000" },
    { SATCHEL_VERSIONS_KEEP_DAYS: "29" },
    { SATCHEL_VERSIONS_MAX_BYTES: "2GB" },
    { SYNC_USER1: "a:plain", PASSWORDS_HASHED: "1" },
  ])
    assert.throws(() => serverEnvironment(bad), ServerConfigError);
});

test("slowPasswords() 5.2 hashes with scrypt 2^17 and verifies nothing that is no hash", async () => {
  const passwords = slowPasswords((bytes) => randomBytes(bytes));
  const credential = await passwords.hash("secret");
  assert.match(credential, /^\$scrypt\$ln=17,r=8,p=1\$/);
  assert.deepEqual([await passwords.verify("secret", credential), await passwords.verify("Secret", credential)], [true, false]);
  for (const text of [
    "",
    "secret",
    "$scrypt$ln=40,r=8,p=1$AAAAAAAA$" + "A".repeat(43),
    "$pbkdf2-sha256$i=99999999,l=32$AAAAAAAA$" + "A".repeat(43),
  ])
    assert.equal(isCredential(text), false, text);
});

test("admin lists, restores a deleted file as a new change, revokes, checks, and names what is not there", async () => {
  await withServer(async (server) => {
    const admin = makeAdmin(server.storage, server.accounts, server.clock);
    const key = await server.login();
    const send = async (bytes: Uint8Array | null): Promise<unknown> =>
      await server.data("msync/uploadChanges", Buffer.concat(buildUploadZip([{ name: "a", bytes }])), { key });
    await send(Buffer.from("one"));
    await send(null);
    const [version] = await admin.call("versions", { name: "user", path: null });
    assert.deepEqual([version?.name, version?.why], ["a", "deleted"]);
    assert.equal((await admin.call("restore", { name: "user", path: "a", sha1: null })).usn, 3);
    assert.equal((await server.ask("msync/downloadFiles", { files: ["a"] }, { key })).status, 200);
    const [user] = await admin.call("user/list", {});
    assert.deepEqual([user?.name, user?.files, user?.bytes, user?.devices], ["user", 1, 3, 1]);
    assert.deepEqual(
      (await admin.call("check", { name: null })).map(({ faults }) => faults),
      [[]],
    );
    const [device] = await admin.call("user/keys", { name: "user" });
    assert.equal((await admin.call("user/revoke", { name: "user", key: device?.id ?? "" })).revoked, 1);
    assert.equal(await begins(server, key), 403);
    for (const attempt of [
      admin.call("user/keys", { name: "nobody" }),
      admin.call("restore", { name: "user", path: "never", sha1: null }),
      admin.call("user/revoke", { name: "user", key: "never" }),
    ])
      await assert.rejects(attempt, AdminError);
  });
});

test("storage.account() X5 an account whose request still waits for its body outlives 201 others", async () => {
  const server = await openSyncHandle();
  try {
    const { storage } = server;
    const open = async (id: string) => {
      await storage.accounts.put({ id, name: id, origin: "command", credential: null, disabled: false, createdMs: 1 });
      return await storage.account(id);
    };
    const held = await open("held");
    for (let index = 0; index < 201; index += 1) await open(`other${index}`);
    const state = await held.change({ durable: false, files: [] }, async (tx) => await tx.state());
    assert.equal(state.top, 0);
  } finally {
    await server.close();
  }
});

test("hostKey X5 an account is open when its login is answered: the first upload waits for nothing that others pay for", async () => {
  const asked: string[] = [];
  const server = await openSyncHandle({
    disk: (disk) => ({
      ...disk,
      mkdir: async (where, mode) => {
        asked.push(path.basename(where));
        await disk.mkdir(where, mode);
      },
    }),
  });
  try {
    const key = await server.login();
    assert.deepEqual(asked.slice(-1), ["packs"]);
    const count = asked.length;
    const zip = joinChunks(buildUploadZip([{ name: "a", bytes: Buffer.from("a") }]));
    assert.equal((await server.ask("msync/uploadChanges", zip, { key })).status, 200);
    assert.equal(asked.length, count);
  } finally {
    await server.close();
  }
});
