import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import type { ServiceFile } from "../protocol/config.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { codeOf, Peer } from "./support/rpc-peer.ts";
import { sendRaw, upgradeText } from "./support/rpc-service.ts";
import { readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";

async function told(satchel: Satchel): Promise<ServiceFile> {
  const file = await readServiceFile(satchel.home);
  assert.ok(file !== undefined, "the service runs");
  return file;
}

async function statusWith(port: number, token: string): Promise<number> {
  return Number((await sendRaw(port, upgradeText(`127.0.0.1:${port}`, [`Authorization: Bearer ${token}`]))).slice(9, 12));
}

/** Which addresses listen on this port, from the system's own tables. */
async function listeners(port: number): Promise<readonly string[]> {
  const tables = await Promise.all(["tcp", "tcp6"].map(async (name) => await readFile(`/proc/net/${name}`, "utf8")));
  const LISTEN = "0A";
  return tables
    .flatMap((table) => table.split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => state === LISTEN && Number.parseInt(local.split(":")[1] ?? "", 16) === port)
    .map(([, local = ""]) => local.split(":")[0] ?? "");
}
const LOOPBACK = new Set(["0100007F", "00000000000000000000000001000000"]);

suite("a real service against strangers", () => {
  let satchel: Satchel;
  let file: ServiceFile;
  let peer: Peer;
  let folder = "";
  const port = (): number => file.port ?? 0;
  const open = async (): Promise<void> => {
    file = await told(satchel);
    peer = await Peer.unix(file.socket, file.token);
  };
  before(async () => {
    satchel = await makeSatchel();
    await satchel.run();
    await open();
    await writeFile(path.join(satchel.root, "a.png"), "inside");
    await writeFile(path.join(satchel.home, "secret.txt"), "outside");
    ({ folder } = await peer.ask("folders/add", { root: satchel.root, paused: true }));
  });
  after(async () => {
    await peer.close();
    await satchel.close();
  });

  test("WS09 service.json, the socket and what holds them are their owner's alone", async () => {
    const mode = async (name: string): Promise<string> => ((await stat(name)).mode & 0o777).toString(8);
    const run = path.join(satchel.home, "state", "run");
    await peer.ask("tokens/create", { name: "WS09", scope: "read" });
    assert.deepEqual(
      [
        await mode(run),
        await mode(path.join(run, "service.json")),
        await mode(file.socket),
        await mode(path.dirname(file.socket)),
        await mode(path.join(satchel.home, "tokens.json")),
      ],
      ["700", "600", "600", "700", "600"],
    );
  });

  const asRoot = process.getuid?.() === 0;
  test(
    "WS09 another user gets in nowhere, even where the directories above are open to all",
    { skip: asRoot ? false : "only root can play another user" },
    async (t) => {
      const run = path.join(satchel.home, "state", "run");
      const attempts: readonly (readonly [what: string, file: string])[] = [
        ["read", path.join(run, "service.json")],
        ["read", path.join(satchel.home, "tokens.json")],
        ["connect", file.socket],
      ];
      const stranger = `
      const [, what, file] = process.argv;
      const tell = ({ code }) => { console.log(code); process.exitCode = 1; };
      if (what === "connect") require("node:net").connect(file).on("connect", () => process.exit(0)).on("error", tell);
      else require("node:fs").readFile(file, (error) => error === null ? undefined : tell(error));`;
      const asStranger = (code: string, ...args: string[]) =>
        spawnSync(process.execPath, ["-e", code, ...args], { uid: 65_534, gid: 65_534, cwd: "/", encoding: "utf8" });
      if (asStranger("").status !== 0) return t.skip("another user can't run this Node");
      const opened = [path.dirname(satchel.home), satchel.home, path.join(satchel.home, "state"), run];
      for (const directory of opened) {
        await chmod(directory, 0o755);
        for (const [what, name] of attempts) {
          const { status, stdout, stderr } = asStranger(stranger, what, name);
          assert.deepEqual([what, name, status, stdout.trim()], [what, name, 1, "EACCES"], stderr);
        }
      }
      for (const directory of opened.slice(1)) await chmod(directory, 0o700);
    },
  );

  test(
    "§5.1 listens on loopback alone, on a port that the system chose",
    { skip: process.platform === "linux" ? false : "needs /proc" },
    async () => {
      const found = await listeners(port());
      assert.ok(found.length > 0);
      for (const address of found) assert.ok(LOOPBACK.has(address), address);
    },
  );

  const outside = [
    "/etc/passwd",
    "../home/secret.txt",
    "sub/../../home/secret.txt",
    "..",
    ".",
    "\\\\attacker\\share\\x.png",
    "//attacker/share/x.png",
    "C:\\Windows\\win.ini",
    "a\0b",
    "a/./b",
    "a//b",
    "/",
    ".satchel/x",
    "link/secret.txt",
  ];
  for (const name of outside)
    test(`WS15 no method that takes a path leaves the folder: ${JSON.stringify(name)}`, async () => {
      await mkdir(path.join(satchel.root, "sub"), { recursive: true });
      await symlink(satchel.home, path.join(satchel.root, "link")).catch(() => undefined);
      const calls: readonly (readonly [method: string, params: Record<string, unknown>])[] = [
        ["files/add", { folder, path: name }],
        ["files/rename", { folder, from: name, to: "b.png" }],
        ["files/rename", { folder, from: "a.png", to: name }],
        ["versions/restore", { folder, path: name }],
      ];
      for (const [method, params] of calls) {
        const answer = await peer.call(method, params);
        const code = codeOf(answer);
        const refusals: readonly unknown[] = [
          ErrorCode.BadPath,
          ErrorCode.PathNotFound,
          ErrorCode.VersionNotFound,
          ErrorCode.InvalidParams,
          ErrorCode.Disk,
        ];
        assert.ok(refusals.includes(code), `${method} ${JSON.stringify(answer)}`);
        assert.doesNotMatch(JSON.stringify(answer), /outside|root:x/);
      }
      assert.equal(await readFile(path.join(satchel.root, "a.png"), "utf8"), "inside");
      assert.equal(await readFile(path.join(satchel.home, "secret.txt"), "utf8"), "outside");
    });

  for (const url of [
    "file:///etc/passwd",
    "gopher://127.0.0.1:1/",
    "ftp://h/",
    "javascript:1",
    "http://169.254.169.254/",
    "http://[fe80::1]/",
    "http://0xA9FEA9FE/",
    "not a url",
  ])
    test(`WS16 remotes/login refuses ${url}`, async () =>
      assert.equal(codeOf(await peer.call("remotes/login", { url, user: "ada", password: "secret" })), ErrorCode.BadPath));

  for (const location of ["http://169.254.169.254/latest/meta-data/", "http://other.example/sync/hostKey", "file:///etc/passwd"])
    test(`WS16 remotes/login a redirect to ${location} is not followed, and the password goes nowhere else`, async () => {
      const heard: string[] = [];
      const server = createServer((request: IncomingMessage, response: ServerResponse) => {
        heard.push(request.url ?? "");
        response.writeHead(307, { Location: location }).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const answer = await peer.call("remotes/login", {
        url: `http://127.0.0.1:${address.port}/`,
        user: "ada",
        password: "canary-password",
      });
      server.close();
      assert.ok(
        [ErrorCode.NotOurServer, ErrorCode.Unreachable].some((code) => code === codeOf(answer)),
        JSON.stringify(answer),
      );
      assert.doesNotMatch(JSON.stringify(answer), /canary-password/);
      assert.ok(heard.length >= 1);
    });

  test("WS20 no answer to a wrong request tells a stack, SQL or where our own files are", async () => {
    const wrong: readonly (readonly [method: string, params: unknown])[] = [
      ["folders/get", { folder: "nope" }],
      ["folders/add", { root: "/nonexistent" }],
      ["folders/add", { root: satchel.root }],
      ["folders/add", { root: "/" }],
      ["files/explain", { folder, path: "x".repeat(4000) }],
      ["files/add", { folder, path: "gone.png" }],
      ["versions/read", { sha1: "0".repeat(40) }],
      ["versions/restore", { folder, path: "gone.png" }],
      ["conflicts/get", { id: 1 }],
      ["guard/approve", { id: 1, hash: "x" }],
      ["sync/run", { folder }],
      ["sync/apply", { folder, hash: "x" }],
      ["remotes/test", { remote: "nope" }],
      ["tokens/revoke", { id: "0".repeat(12) }],
      ["events/list", { since: -1 }],
      ["no/such/method", {}],
      ["files/list", { folder, after: "'; DROP TABLE entry; --" }],
    ];
    for (const [method, params] of wrong) {
      const answer = JSON.stringify(await peer.call(method, params));
      assert.doesNotMatch(answer, /\.ts:\d|\bat [A-Z]\w+\.|SELECT |INSERT |node_modules|sqlite/i, `${method}: ${answer}`);
      assert.ok(!answer.includes(satchel.home), `${method}: ${answer}`);
      assert.ok(!answer.includes(String(ErrorCode.InternalError)), `${method}: ${answer}`);
    }
  });

  test("folders/add X3 the service's own home, what holds it and what lies in it are refused", async () => {
    for (const root of [satchel.home, `${satchel.home}/state/versions`, path.dirname(satchel.home)]) {
      const answer = await peer.call("folders/add", { root });
      assert.equal(codeOf(answer), ErrorCode.Nested, JSON.stringify(answer));
      assert.match(JSON.stringify(answer), /own files \(database, kept versions, keys\)/);
    }
  });

  test("WS05 WS18 after a restart the token of the last run opens nothing, the session is another, a made token and the numbers stay", async () => {
    const then = await peer.ask("service/hello", {});
    const { token } = await peer.ask("tokens/create", { name: "WS18", scope: "read" });
    const old = file;
    await peer.close();
    await satchel.stop();
    await satchel.run();
    await open();
    assert.notEqual(file.token, old.token);
    assert.notEqual(file.serviceKey, old.serviceKey);
    assert.deepEqual([await statusWith(port(), old.token), await statusWith(port(), token)], [401, 101]);
    const now = await peer.ask("service/hello", {});
    assert.notEqual(now.session, then.session);
    assert.equal(now.log, then.log);
    assert.ok(now.lastSeq >= then.lastSeq);
  });
});

test(
  "service start --no-tcp §5.1 opens no port at all; the socket answers",
  { skip: process.platform === "linux" ? false : "needs /proc" },
  async (t) => {
    const satchel = await makeSatchel();
    t.after(async () => await satchel.close());
    const started = await satchel.cli(["service", "start", "--no-tcp"]);
    assert.equal(started.code, 0, started.stderr);
    const file = await told(satchel);
    assert.equal(file.port, null);
    const fds = path.join("/proc", String(file.pid), "fd");
    // One that was closed meanwhile listens on nothing.
    const links = await Promise.all((await readdir(fds)).map(async (fd) => await readlink(path.join(fds, fd)).catch(() => "")));
    const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
    const tables = await Promise.all(["tcp", "tcp6"].map(async (name) => await readFile(`/proc/net/${name}`, "utf8")));
    const own = tables.flatMap((table) => table.split("\n")).filter((line) => inodes.has(line.trim().split(/\s+/)[9] ?? ""));
    assert.ok(inodes.size > 0);
    assert.deepEqual(own, []);
    const peer = await Peer.unix(file.socket, file.token);
    assert.equal((await peer.ask("service/status", {})).service.port, null);
    await peer.close();
  },
);
