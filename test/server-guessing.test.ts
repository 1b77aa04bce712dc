/**
 * Guessing, in bulk. How long an answer takes is told by the work behind it: a test counts that, and no clock of the machine. That comparing
 * takes the same time whatever differs is the primitive's part (AU03).
 */
import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { suite, test } from "node:test";

import { buildUploadZip } from "../protocol/anki/zip-messages.ts";
import { makeAccounts, type AccountService } from "../service/server/accounts.ts";
import type { Passwords } from "../service/server/passwords.ts";
import { openSyncHandle, type Reply, type SyncHandle } from "./support/sync-handle.ts";

const GUESSES = 100_000;
const HOUR_MS = 3_600_000;

async function withServer(work: (server: SyncHandle) => Promise<void>, users: readonly string[] = []): Promise<void> {
  const server = await openSyncHandle({ users });
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

/** Accounts over the server's storage whose every hash is told; `verify` says what comes of it. */
function counting(server: SyncHandle, verify: Passwords["verify"]): AccountService {
  const passwords: Passwords = { hash: async () => await Promise.resolve(""), verify };
  return makeAccounts({ ...server, secrets: (bytes) => randomBytes(bytes), passwords, audit: () => undefined });
}

const ipv4 = (at: number): string => `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`;

suite(`AU01 X6 ${GUESSES} guesses within an hour`, () => {
  const ACCOUNT_MAX = 100;
  /** Five a second, and the one that begins the first. */
  const ALL_MAX = 5 * 3600 + 5;
  const ways: readonly (readonly [what: string, max: number, of: (at: number) => { user: string; address: string }])[] = [
    ["one account, one address", ACCOUNT_MAX, () => ({ user: "user", address: "192.0.2.1" })],
    ["one account, an address each", ACCOUNT_MAX, (at) => ({ user: "user", address: ipv4(at) })],
    ["one account, all of an IPv6 /64", ACCOUNT_MAX, (at) => ({ user: "user", address: `2001:db8:1:2::${at.toString(16)}` })],
    [
      "one account, an IPv6 /64 each",
      ACCOUNT_MAX,
      (at) => ({ user: "user", address: `2001:db8:${(at >> 16).toString(16)}:${(at & 65_535).toString(16)}::1` }),
    ],
    ["an account each, one address: 20 a minute", 20 * 60 + 20, (at) => ({ user: `n${at}`, address: "192.0.2.1" })],
    ["an account each, an address each", ALL_MAX, (at) => ({ user: `n${at}`, address: ipv4(at) })],
  ];
  for (const [what, max, of] of ways)
    test(`login() ${what}: at most ${max} are heard; a valid key is never asked, and the owner gets in afterwards`, async () => {
      await withServer(async (server) => {
        const key = await server.login();
        let heard = 0;
        const accounts = counting(server, async () => {
          heard += 1;
          return await Promise.resolve(false);
        });
        for (let at = 0; at < GUESSES; at += 1) {
          server.clock.nowMs += HOUR_MS / GUESSES;
          const { kind } = await accounts.login({ ...of(at), password: `wrong ${at}`, client: "c" });
          assert.ok(kind === "refused" || kind === "later", kind);
          if (at % 10_000 === 0) assert.equal((await server.ask("msync/begin", { v: "x" }, { key })).status, 200);
        }
        assert.ok(heard > 5 && heard <= max, `${heard} were heard`);
        server.clock.nowMs += HOUR_MS;
        assert.notEqual(await server.login(), key);
      });
    });

  test("login() one account among as many others as the throttle remembers, and more: still at most 100 are heard for it", async () => {
    await withServer(async (server) => {
      let heard = 0;
      let forUser = false;
      const accounts = counting(server, async () => {
        if (forUser) heard += 1;
        return await Promise.resolve(false);
      });
      for (let at = 0; at < GUESSES; at += 1) {
        server.clock.nowMs += HOUR_MS / GUESSES;
        forUser = at % 2 === 0;
        await accounts.login({ user: forUser ? "user" : `n${at}`, address: ipv4(at), password: "wrong", client: "c" });
      }
      assert.ok(heard > 0 && heard <= ACCOUNT_MAX, `${heard} were heard`);
    });
  });
});

test("login() AU05 a flood of logins: two are hashed, eight wait, all others are told to come later; no other route waits for one of them", async () => {
  await withServer(async (server) => {
    const key = await server.login();
    const gate = Promise.withResolvers<boolean>();
    const [ten, counts] = [Promise.withResolvers<void>(), { running: 0, most: 0, later: 0 }];
    const accounts = counting(server, async () => {
      counts.running += 1;
      counts.most = Math.max(counts.most, counts.running);
      const answer = await gate.promise;
      counts.running -= 1;
      return answer;
    });
    const FLOOD = 1000;
    const flood = Array.from({ length: FLOOD }, async (_, at) => {
      server.clock.nowMs += 1000;
      const { kind } = await accounts.login({ user: `n${at}`, password: "x", client: "c", address: ipv4(at) });
      if (kind === "later" && (counts.later += 1) === FLOOD - 10) ten.resolve();
      return kind;
    });
    await ten.promise;
    // None of the ten has been answered: whatever is answered now waited for none of them.
    const zip = Buffer.concat(buildUploadZip([{ name: "a", bytes: Buffer.from("a") }]));
    for (const [route, payload] of [
      ["msync/begin", { v: "x" }],
      ["msync/mediaChanges", { lastUsn: 0 }],
      ["msync/uploadChanges", zip],
      ["msync/downloadFiles", { files: ["a"] }],
      ["msync/mediaSanity", { local: 1 }],
    ] as const)
      for (let at = 0; at < 20; at += 1) assert.equal((await server.ask(route, payload, { key })).status, 200, route);
    assert.deepEqual([counts.running, counts.most, counts.later], [2, 2, FLOOD - 10]);
    gate.resolve(false);
    const kinds = await Promise.all(flood);
    assert.deepEqual([counts.most, kinds.filter((kind) => kind === "refused").length], [2, 10]);
  });
});

suite("AU10 what another account has is not told, by answer, size or work", () => {
  const HIS = Buffer.from("bytes that only the other account has, forty-eight");
  const NOBODYS = Buffer.from("bytes that nobody has on this server, forty-eight!");

  /** Everything of a reply that a stranger can see but the time of day. */
  function seen({ status, headers, payload }: Reply) {
    const { date: _date, "anki-original-size": _size, ...rest } = headers;
    return { status, rest, payload: payload.toString("latin1") };
  }

  async function bytesOnDisk(directory: string): Promise<number> {
    let sum = 0;
    for (const name of await readdir(directory, { recursive: true })) {
      const found = await stat(path.join(directory, name));
      if (found.isFile() && path.dirname(name).endsWith("packs")) sum += found.size;
    }
    return sum;
  }

  const upload = async (server: SyncHandle, key: string, name: string, bytes: Buffer | null): Promise<Reply> =>
    await server.ask("msync/uploadChanges", Buffer.concat(buildUploadZip([{ name, bytes }])), { key });

  test("asking: the answer about a name and a hash is the same byte by byte before he has them and after", async () => {
    await withServer(
      async (server) => {
        const [his, mine] = [await server.login("other"), await server.login()];
        const questions = [
          ["msync/downloadFiles", { files: ["his.png"] }],
          ["msync/mediaChanges", { lastUsn: 0 }],
          ["satchel/download", { files: ["his.png"] }],
          ["satchel/versions", { name: "his.png" }],
          ["satchel/version", { name: "his.png", sha1: hash("sha1", HIS) }],
        ] as const;
        const answers = async (key: string): Promise<unknown[]> => {
          const replies: unknown[] = [];
          for (const [route, question] of questions) replies.push(seen(await server.ask(route, question, { key })));
          return replies;
        };
        const before = await answers(mine);
        // Kept as a version, deleted, and standing.
        for (const bytes of [HIS, null, HIS]) assert.equal((await upload(server, his, "his.png", bytes)).status, 200);
        assert.deepEqual(await answers(mine), before);
        // The questions are understood: he gets another answer to each.
        for (const [at, answer] of (await answers(his)).entries()) assert.notDeepEqual(answer, before[at], questions[at]?.[0]);
      },
      ["other"],
    );
  });

  test("giving: bytes that he has are stored as whole as bytes that nobody has", async () => {
    await withServer(
      async (server) => {
        const [his, mine] = [await server.login("other"), await server.login()];
        assert.equal(HIS.length, NOBODYS.length);
        await upload(server, his, "his.png", HIS);
        const grown: number[] = [];
        const replies: unknown[] = [];
        for (const [name, bytes] of [
          ["one.png", HIS],
          ["two.png", NOBODYS],
        ] as const) {
          const before = await bytesOnDisk(server.directory);
          const { payload, ...reply } = seen(await upload(server, mine, name, bytes));
          grown.push((await bytesOnDisk(server.directory)) - before);
          replies.push({ ...reply, length: payload.length });
        }
        assert.deepEqual(replies[0], replies[1]);
        assert.ok((grown[0] ?? 0) > HIS.length, String(grown));
        assert.equal(grown[0], grown[1], "as many bytes on the disk");
      },
      ["other"],
    );
  });
});
