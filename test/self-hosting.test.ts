import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { answers, endChild, freePort, tie, until } from "./support/children.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";
import { block, PROXIES } from "./support/guide.ts";
import { skipWithout } from "./support/optional.ts";

/** More than a proxy takes unless told; that the largest file would pass is asked by `doctor` at the end. */
const LARGE_BYTES = 24 * 1024 * 1024;
/** Less than the minute after which a device without a change stream looks by itself. */
const HEARD_MS = 45_000;

/** Several commands in a row, each a process of its own. */
const SETTLED_MS = 120_000;

let top = "";
let server: SyncServer;
const devices: Satchel[] = [];
before(async () => {
  top = mkdtempSync(path.join(tmpdir(), "satchel-hosting-"));
  server = await startSyncServer({ kind: "satchel" }, 3);
});
after(async () => {
  for (const made of devices) await made.close();
  await server.close();
  rmSync(top, { recursive: true, force: true });
});

async function device(): Promise<Satchel> {
  const made = await makeSatchel();
  devices.push(made);
  await made.run();
  return made;
}

async function synced(one: Satchel): Promise<void> {
  const { code, said } = await one.sync();
  assert.equal(code, 0, said);
}

suite("the guide's systemd unit", () => {
  test("systemd's own check finds nothing to say", (t) => {
    if (spawnSync("systemd-analyze", ["--version"]).status !== 0) return skipWithout(t, "systemd-analyze");
    const file = path.join(top, "satchel-server.service");
    // The check wants the programs to be there.
    writeFileSync(file, block("ini").replace("/usr/bin/node", process.execPath));
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], {
      encoding: "utf8",
      env: { ...process.env, HOME: top },
    });
    const ours = stderr.split("\n").filter((line) => line.includes("satchel-server"));
    assert.deepEqual([status, ours], [0, []]);
  });
});

suite("behind the guide's proxies", () => {
  for (const [at, { name, args }] of PROXIES.entries())
    test(`${name}: a large file passes, news come at once, doctor is content`, async (t) => {
      if (spawnSync(name, ["-v"]).error !== undefined && spawnSync(name, ["version"]).error !== undefined) return skipWithout(t, name);
      const directory = path.join(top, name);
      await mkdir(directory);
      const port = await freePort();
      const proxy = tie(
        spawn(name, args({ port, target: server.port, directory, tls: null }), {
          stdio: ["ignore", "ignore", "pipe"],
          env: { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
        }),
      );
      let said = "";
      proxy.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4000)));
      t.after(async () => await endChild(proxy));
      const url = `http://127.0.0.1:${port}/`;
      await until(`${name} answers`, async () => {
        assert.equal(proxy.exitCode, null, said);
        return await answers(`${url}health`);
      });
      const [one, two] = [await device(), await device()];
      const user = `user${at + 1}`;
      await one.join(url, user);
      await two.join(url, user);
      await Promise.all([synced(one), synced(two)]);
      await writeFile(path.join(one.root, "large.bin"), Buffer.alloc(LARGE_BYTES, "satchel "));
      await synced(one);
      // Nobody asks the second device to sync: it hears of it through the proxy.
      await until(
        "the other device has it",
        async () => ((await stat(path.join(two.root, "large.bin")).catch(() => null))?.size ?? 0) === LARGE_BYTES,
        HEARD_MS,
      );
      const { checks } = JSON.parse((await one.cli(["doctor", "--json"])).stdout);
      const found = checks.filter((check: { name: string; result: string }) => check.result !== "ok" && !check.name.startsWith("disk"));
      assert.deepEqual(found, []);
    });

  test("nginx without client_max_body_size: doctor says what to do", async (t) => {
    if (spawnSync("nginx", ["-v"]).error !== undefined) return skipWithout(t, "nginx");
    const nginx = PROXIES.find(({ name }) => name === "nginx");
    assert.ok(nginx !== undefined);
    const directory = path.join(top, "small");
    await mkdir(directory);
    const port = await freePort();
    const started = nginx.args({ port, target: server.port, directory, tls: null });
    const conf = path.join(directory, "nginx.conf");
    await writeFile(conf, (await readFile(conf, "utf8")).replace("client_max_body_size 128m;", ""));
    const proxy = tie(spawn("nginx", started, { stdio: ["ignore", "ignore", "ignore"] }));
    t.after(async () => await endChild(proxy));
    const url = `http://127.0.0.1:${port}/`;
    await until("nginx answers", async () => await answers(`${url}health`));
    const one = await device();
    await one.join(url, "user3");
    await synced(one);
    assert.match(
      (await one.cli(["doctor"])).stdout,
      /warning {2}request size of .*even a batch of small files.*\(413\)\.\n.*client_max_body_size 128m/,
    );
  });
});

test("a backup that is put back, as the guide says: nothing is lost on either side, and what came after it returns", async () => {
  const [one, two] = [await device(), await device()];
  const at = (which: Satchel, name: string): string => path.join(which.root, name);
  for (const which of [one, two]) await which.join(server.url, "user3");
  await writeFile(at(one, "before.txt"), "before");
  await writeFile(at(one, "edited.txt"), "old");
  await writeFile(at(one, "deleted.txt"), "goes later");
  await synced(one);
  await synced(two);
  const restore = await server.backup();
  await writeFile(at(one, "after.txt"), "after the backup");
  await writeFile(at(one, "edited.txt"), "new");
  await rm(at(one, "deleted.txt"));
  await until(
    "all three have settled",
    async () => {
      await one.sync();
      await two.sync();
      return (await stat(at(two, "deleted.txt")).catch(() => null)) === null;
    },
    SETTLED_MS,
  );
  await restore();
  for (const args of [["renew"], ["check"]]) {
    const { code, stdout, stderr } = await one.cli(["server", ...args, "--base", server.base]);
    assert.equal(code, 0, `${args.join(" ")}: ${stdout}${stderr}`);
  }
  await until(
    "the devices agree again",
    async () => {
      const ended = [await one.sync(), await two.sync()];
      return ended.every(({ code }) => code === 0);
    },
    SETTLED_MS,
  );
  const three = await device();
  await three.join(server.url, "user3");
  await synced(three);
  for (const which of [one, two, three]) {
    assert.equal(await readFile(at(which, "before.txt"), "utf8"), "before");
    assert.equal(await readFile(at(which, "after.txt"), "utf8"), "after the backup");
    assert.equal(await readFile(at(which, "edited.txt"), "utf8"), "new");
  }
});

test("GET /health and /metrics answer as the guide says", async () => {
  const text = await new Promise<string>((resolve, reject) => {
    get(`${server.url}metrics`, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      response.once("end", () => resolve(`${response.statusCode} ${body}`));
    }).once("error", reject);
  });
  assert.match(text, /^200 [\s\S]*satchel_server_requests_total/);
});
