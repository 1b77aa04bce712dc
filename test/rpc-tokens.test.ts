import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { suite, test } from "node:test";

import { METHODS } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Method, Scope } from "../protocol/method.ts";
import { SettingsError } from "../service/files/json-file.ts";
import { loadTokens, saveTokens } from "../service/files/settings.ts";
import { openTokenBook, type TokenFile } from "../service/rpc/tokens.ts";
import { codeOf, Peer, TOKEN } from "./support/rpc-peer.ts";
import { memoryTokens, openRpcService, sendRaw, upgradeText, type RpcService } from "./support/rpc-service.ts";

async function withService(work: (service: RpcService, admin: Peer) => Promise<void>, tokenFile = memoryTokens()): Promise<void> {
  const service = await openRpcService({ tokenFile });
  try {
    const admin = await Peer.tcp(service.port);
    await work(service, admin);
    await admin.close();
  } finally {
    await service.close();
  }
}

async function made(admin: Peer, scope: Scope, name = `a ${scope} script`): Promise<{ readonly id: string; readonly token: string }> {
  return await admin.ask("tokens/create", { name, scope });
}

async function statusWith(port: number, token: string): Promise<number> {
  return Number((await sendRaw(port, upgradeText(`127.0.0.1:${port}`, [`Authorization: Bearer ${token}`]))).slice(9, 12));
}

suite("tokens", () => {
  test("tokens/create makes a token that opens the door, told once", async () => {
    await withService(async ({ port }, admin) => {
      const { id, token } = await made(admin, "read");
      assert.match(token, /^[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
      const script = await Peer.tcp(port, token);
      assert.equal((await script.ask("service/hello", {})).scope, "read");
      await script.close();
      const { tokens } = await admin.ask("tokens/list", {});
      assert.ok(!JSON.stringify(tokens).includes(token.slice(13)));
      assert.deepEqual(
        tokens.map((row) => [row.id, row.name, row.scope, typeof row.lastUsedAtMs]),
        [[id, "a read script", "read", "number"]],
      );
    });
  });

  const rank = { read: 0, write: 1, admin: 2 } as const;
  for (const scope of ["read", "write", "admin"] as const)
    test(`Dispatcher a token of scope ${scope} may call what needs at most that, of every method`, async () => {
      await withService(async ({ port }, admin) => {
        const script = await Peer.tcp(port, (await made(admin, scope)).token);
        for (const method of METHODS as readonly Method[]) {
          // Parameters that no method takes: what may be called says so instead of doing anything.
          const code = codeOf(await script.call(method.name, { "no such parameter": 1 }));
          assert.equal(code, rank[scope] >= rank[method.scope] ? ErrorCode.InvalidParams : ErrorCode.Forbidden, method.name);
        }
        await script.close();
      });
    });

  test("tokens/revoke AU15 closes what the token opened at once, and it opens nothing any more", async () => {
    await withService(async ({ port, engine }, admin) => {
      const { id, token } = await made(admin, "write");
      const other = await Peer.tcp(port, (await made(admin, "write", "other")).token);
      const scripts = [await Peer.tcp(port, token), await Peer.tcp(port, token)];
      await scripts[0]?.call("events/subscribe", { since: 0 });
      const closed = scripts.map(async ({ socket }) => await once(socket, "close"));
      assert.deepEqual((await admin.call("tokens/revoke", { id }))["result"], { closed: 2 });
      for (const [code] of await Promise.all(closed)) assert.equal(code, 1008);
      assert.equal(engine.subscribers, 0);
      assert.equal(await statusWith(port, token), 401);
      assert.equal(codeOf(await admin.call("tokens/revoke", { id })), ErrorCode.TokenNotFound);
      assert.equal((await other.call("service/status"))["error"], undefined);
      await other.close();
    });
  });

  test("tokens/revoke AU15 what a revoked connection still sends is not carried out", async () => {
    await withService(async ({ port, engine }, admin) => {
      const { id, token } = await made(admin, "admin");
      const script = await Peer.tcp(port, token);
      const closed = once(script.socket, "close");
      // One write: the second request is in the service's hands before the goodbye is.
      const revoke = { jsonrpc: "2.0", id: 1, method: "tokens/revoke", params: { id } };
      script.socket.send(JSON.stringify(revoke));
      await script.until(() => script.messages.find((message) => message["id"] === 1));
      script.socket.send(JSON.stringify({ jsonrpc: "2.0", id: 2, method: "sync/pause", params: { folder: "f1" } }));
      await closed;
      assert.deepEqual(engine.calls, []);
    });
  });

  test("tokens/create WS17 scripts get at most 12 of the 16 places: the token of service.json always finds one", async () => {
    await withService(async ({ port }, admin) => {
      const { token } = await made(admin, "read");
      const scripts: Peer[] = [];
      for (let at = 0; at < 12; at++) scripts.push(await Peer.tcp(port, token));
      assert.equal(await statusWith(port, token), 503);
      const own = await Peer.tcp(port);
      await own.ask("service/status", {});
      await scripts[0]?.close();
      scripts[0] = await Peer.tcp(port, token);
      await Promise.all([own, ...scripts].map(async (peer) => await peer.close()));
    });
  });

  test("tokens/create one name, one token; at most 100", async () => {
    await withService(async (_service, admin) => {
      await made(admin, "read", "n0");
      assert.equal(codeOf(await admin.call("tokens/create", { name: "n0", scope: "read" })), ErrorCode.Exists);
      for (let at = 1; at < 100; at++) await made(admin, "read", `n${String(at)}`);
      assert.equal(codeOf(await admin.call("tokens/create", { name: "n100", scope: "read" })), ErrorCode.TooMany);
    });
  });

  test("TokenBook AU03 AU06 tokens survive a restart as hashes in a file for its owner alone", async (t) => {
    const directory = await mkdtemp(path.join(tmpdir(), "satchel-tokens-"));
    t.after(async () => await rm(directory, { recursive: true, force: true }));
    const file: TokenFile = { load: () => loadTokens(directory), save: (tokens) => saveTokens(directory, tokens) };
    let token = "";
    await withService(async (_service, admin) => {
      ({ token } = await made(admin, "read"));
    }, file);
    const stored = path.join(directory, "tokens.json");
    assert.equal((await stat(stored)).mode & 0o777, 0o600);
    assert.ok(!(await readFile(stored, "utf8")).includes(token.slice(13)));
    await withService(async ({ port }, admin) => {
      assert.equal(await statusWith(port, token), 101);
      for (const wrong of [
        `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`,
        token.slice(13),
        token.slice(0, 13),
        "__proto___x",
        "_",
      ])
        assert.equal(await statusWith(port, wrong), 401, wrong);
      const [only] = (await admin.ask("tokens/list", {})).tokens;
      await admin.ask("tokens/revoke", { id: only?.id ?? "" });
    }, file);
    await withService(async ({ port }) => assert.equal(await statusWith(port, token), 401), file);
    await chmod(stored, 0o644);
    await assert.rejects(
      openRpcService({ tokenFile: file }),
      (error: unknown) => error instanceof SettingsError && error.fault === "unsafe" && error.message.includes("chmod 600"),
    );
  });

  test("tokens/create WS20 a disk that refuses is told without our directories, and no token was made", async () => {
    const file = memoryTokens();
    const full: TokenFile = {
      load: file.load,
      save: () => {
        throw new SettingsError("io", "/home/ada/tokens.json", "Could not save /home/ada/tokens.json: ENOSPC. The old file is unchanged.");
      },
    };
    await withService(async (_service, admin) => {
      const answer = await admin.call("tokens/create", { name: "x", scope: "read" });
      assert.equal(codeOf(answer), ErrorCode.Disk);
      assert.match(JSON.stringify(answer), /Could not save tokens\.json: ENOSPC/);
      assert.doesNotMatch(JSON.stringify(answer), /home/);
      assert.deepEqual((await admin.call("tokens/list"))["result"], { tokens: [] });
    }, full);
  });

  test("TokenBook the last use is noted once an hour, and a note that fails keeps nobody out", () => {
    const file = memoryTokens();
    let saves = 0;
    let full = false;
    let nowMs = 1_000_000_000;
    const reported: unknown[] = [];
    const book = openTokenBook({
      startToken: TOKEN,
      file: {
        load: file.load,
        save: (tokens) => {
          if (full) throw new Error("ENOSPC");
          saves += 1;
          file.save(tokens);
        },
      },
      nowMs: () => nowMs,
      report: (error) => reported.push(error),
    });
    const { id, token } = book.create("x", "write");
    for (let at = 0; at < 10; at++) assert.deepEqual(book.authenticate(token), { scope: "write", tokenId: id });
    assert.equal(saves, 2);
    nowMs += 3_600_000;
    full = true;
    assert.deepEqual(book.authenticate(token), { scope: "write", tokenId: id });
    assert.equal(reported.length, 1);
    assert.equal(book.list()[0]?.lastUsedAtMs, 1_000_000_000);
    assert.deepEqual(book.authenticate(TOKEN), { scope: "admin", tokenId: null });
  });
});
