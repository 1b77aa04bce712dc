/** TLS as the guide sets it up, with certificates of an authority of our own: by the server itself and by both proxies, for our client and for Anki's. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test, type TestContext } from "node:test";

import { startDriver } from "./anki/official-client.ts";
import { findAnki } from "./anki/venv.ts";
import { makeAuthority, type Authority } from "./support/certificates.ts";
import { endChild, freePort, tie, until } from "./support/children.ts";
import { satchelEntry } from "./support/entry.ts";
import { PROXIES, type Tls } from "./support/guide.ts";
import { skipWithout } from "./support/optional.ts";
import { makeSatchel } from "./support/satchel.ts";
import { PASSWORD, startSyncServer, type SyncServer } from "./support/sync-server.ts";

let top = "";
let authority: Authority | undefined;
let plain: SyncServer;
before(async () => {
  top = mkdtempSync(path.join(tmpdir(), "satchel-tls-"));
  if (spawnSync("openssl", ["version"]).error !== undefined) return;
  authority = makeAuthority(top);
  plain = await startSyncServer({ kind: "satchel" }, PROXIES.length);
  // How each of them is told of an authority; children inherit it.
  process.env["NODE_EXTRA_CA_CERTS"] = authority.root;
  process.env["SSL_CERT_FILE"] = authority.root;
});
after(async () => {
  if (authority !== undefined) await plain.close();
  rmSync(top, { recursive: true, force: true });
});

/** Resolves when TLS with `root` works there, or what is sent is not to be trusted. */
async function listens(port: number, root: string, child: ChildProcess): Promise<void> {
  const ca = readFileSync(root);
  await until(`port ${String(port)} answers`, async () => {
    assert.equal(child.exitCode, null, "it ended");
    return await new Promise((resolve) => {
      get(`https://localhost:${String(port)}/health`, { ca, rejectUnauthorized: false }, (reply) =>
        resolve(reply.resume().statusCode === 200),
      ).once("error", () => resolve(false));
    });
  });
}

/** Our own server with these files, ended with the test. */
async function ownTls(t: TestContext, { chain, key }: Tls, root: string): Promise<string> {
  const home = path.join(top, `own-${path.basename(chain)}`);
  await mkdir(home);
  const port = await freePort();
  const args = ["server", "run", "--base", home, "--port", String(port), "--tls-cert", chain, "--tls-key", key];
  const env = { ...process.env, SYNC_USER1: `user1:${PASSWORD}`, SATCHEL_HOME: path.join(home, "home") };
  const child = tie(spawn(process.execPath, [satchelEntry(), ...args], { env, stdio: "ignore" }));
  t.after(async () => await endChild(child));
  await listens(port, root, child);
  return `https://localhost:${String(port)}/`;
}

/** A file from our client to Anki's and one back. */
async function carries(t: TestContext, url: string, user: string): Promise<void> {
  const one = await makeSatchel();
  t.after(async () => await one.close());
  await one.run();
  await one.join(url, user);
  await writeFile(path.join(one.root, "ours.png"), "from ours");
  const sync = async (): Promise<void> => {
    const { code, said } = await one.sync();
    assert.equal(code, 0, said);
  };
  await sync();
  const anki = await findAnki();
  if ("missing" in anki) return t.diagnostic(`without Anki's own client: ${anki.missing}`);
  const driver = startDriver(anki.python);
  t.after(async () => await driver.close());
  const folder = String(await driver.ask("d", "open", { home: mkdtempSync(path.join(top, "anki-")), endpoint: url }));
  await driver.ask("d", "login", { user, password: PASSWORD });
  await driver.ask("d", "write", { name: "theirs.png", data: Buffer.from("from theirs").toString("base64") });
  await driver.ask("d", "sync_media");
  assert.equal(await readFile(path.join(folder, "ours.png"), "utf8"), "from ours");
  await sync();
  assert.equal(await readFile(path.join(one.root, "theirs.png"), "utf8"), "from theirs");
}

test("NW04 TLS by the server itself: a chain over an intermediate serves both clients", async (t) => {
  if (authority === undefined) return skipWithout(t, "openssl");
  await carries(t, await ownTls(t, authority, authority.root), "user1");
});

for (const [at, { name, args }] of PROXIES.entries())
  test(`NW04 TLS by ${name} in front, with the guide's text: a chain over an intermediate serves both clients`, async (t) => {
    if (authority === undefined) return skipWithout(t, "openssl");
    if (spawnSync(name, ["-v"]).error !== undefined && spawnSync(name, ["version"]).error !== undefined) return skipWithout(t, name);
    const directory = path.join(top, name);
    await mkdir(directory);
    const port = await freePort();
    const env = { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
    const started = args({ port, target: plain.port, directory, tls: authority });
    const proxy = tie(spawn(name, started, { stdio: "ignore", env }));
    t.after(async () => await endChild(proxy));
    await listens(port, authority.root, proxy);
    await carries(t, `https://localhost:${String(port)}/`, `user${String(at + 1)}`);
  });

test("NW04 a server that does not send its intermediate is refused in words, by both clients", async (t) => {
  if (authority === undefined) return skipWithout(t, "openssl");
  const url = await ownTls(t, { chain: authority.leaf, key: authority.key }, authority.root);
  const one = await makeSatchel();
  t.after(async () => await one.close());
  await one.run();
  const { code, stderr } = await one.cli(["login", url, "--user", "user1", "--password-stdin"], PASSWORD);
  assert.notEqual(code, 0);
  assert.match(stderr, /certificate/);
  const anki = await findAnki();
  if ("missing" in anki) return;
  const driver = startDriver(anki.python);
  t.after(async () => await driver.close());
  await driver.ask("d", "open", { home: mkdtempSync(path.join(top, "anki-")), endpoint: url });
  await assert.rejects(driver.ask("d", "login", { user: "user1", password: PASSWORD }), /network/i);
});
