/** `doctor` while no service runs: why not, and all that can be seen without one. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { suite, test } from "node:test";

import type { RootProbe } from "../service/files/probe.ts";
import { examineOffline, type OfflineInput } from "../service/rpc/doctor-offline.ts";
import { openCliDouble } from "./support/cli-double.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";

const WRITTEN: RootProbe = { kind: "written", eventMs: 12, why: null, aheadMs: 0 };
const REMOTE = { id: "ada@h", url: "http://h/", signedIn: true };

async function lines(change: Partial<OfflineInput>): Promise<string> {
  const checks = await examineOffline({
    disk: { space: async () => await Promise.resolve({ freeBytes: 5e10, totalBytes: 1e11 }) },
    probeRoot: async () => await Promise.resolve(WRITTEN),
    service: { kind: "none" },
    lastSaid: null,
    state: { path: "/state", isMade: true, refused: null },
    sqliteVersion: () => "3.54.1",
    looseOnes: () => [],
    trouble: [],
    roots: ["/media"],
    remotes: [],
    port: null,
    remote: {
      health: async () => await Promise.resolve({ kind: "answer", status: 200, location: null, dateMs: 1000, page: false }),
      refusesBody: async () => await Promise.resolve(false),
      nowMs: () => 1000,
      proxyVariables: [],
    },
    ...change,
  });
  return checks.map(({ name, result, detail, advice }) => `${result} ${name}: ${detail} ${advice ?? ""}`).join("\n");
}

suite("examineOffline()", () => {
  const noDisk = { space: async () => await Promise.reject(new Error("gone")) };
  const refused = async () => await Promise.resolve({ kind: "refused", why: "EROFS" } as const);
  const cases: readonly (readonly [what: string, change: Partial<OfflineInput>, says: RegExp])[] = [
    ["stopped, or never started", {}, /^failed service: It does not run\. Start it: satchel service start$/m],
    ["killed", { service: { kind: "gone", pid: 42 } }, /^failed service: .*its process \(42\) was killed.*nothing needs to be removed/m],
    ["hanging", { service: { kind: "silent", pid: 42 } }, /^failed service: Its process \(42\).*does not answer.*kill 42/m],
    ["another version", { service: { kind: "other", why: "It speaks protocol 1." } }, /^failed service: It speaks protocol 1\./m],
    ["what the last start said", { lastSaid: "The port 80 is taken." }, /It last said: The port 80 is taken\./],
    ["a program that does not fit", { sqliteVersion: () => assert.fail("wrong ELF class") }, /^failed program: .*wrong ELF class.*npm ci/m],
    ["a state that can't be written", { state: { path: "/s", isMade: true, refused: "ENOSPC" } }, /^failed writing in \/s: .*ENOSPC/m],
    ["files that others may read", { looseOnes: () => ["/c/secrets.json"] }, /^failed permissions.*chmod go-rwx \/c\/secrets\.json/m],
    ["settings that can't be read", { trouble: ["config.json: not JSON."], roots: [] }, /^failed settings: config\.json: not JSON\./m],
    ["a port that is taken", { port: { wanted: 80, isFree: false } }, /^failed port 80: Another program listens there/m],
    ["a port that is free", { port: { wanted: 80, isFree: true } }, /^ok port 80: free/m],
    ["the watcher", {}, /^ok watching \/media: an event came 12 ms/m],
    ["a folder on a read-only disk", { probeRoot: refused }, /^ok disk of \/media.*\nfailed writing in \/media: .*EROFS/m],
    ["a folder that is away is one finding", { probeRoot: refused, disk: noDisk }, /^failed folder \/media: .*satchel remove FOLDER$/m],
    ["a server that answers", { remotes: [REMOTE] }, /^ok remote ada@h: a sync server answers; the sign-in was not tried, \d+ ms/m],
    [
      "a server that does not",
      {
        remotes: [REMOTE],
        remote: {
          health: async () => await Promise.resolve({ kind: "failed", fault: "offline", message: "nobody answers" }),
          refusesBody: async () => await Promise.resolve(false),
          nowMs: () => 1000,
          proxyVariables: [],
        },
      },
      /^failed remote ada@h: nobody answers Check the address/m,
    ],
    ["no folder", { roots: [] }, /^warning folders: .*satchel add FOLDER/m],
  ];
  for (const [what, change, says] of cases) test(what, async () => assert.match(await lines(change), says));
});

suite("satchel doctor without a service", () => {
  for (const [what, extra, exit] of [
    ["only that is wrong: exit 5", [], 5],
    ["a warning beside it: exit 5", [{ name: "folders", result: "warning", detail: "", advice: "" }], 5],
    ["something that keeps it from starting: exit 4", [{ name: "disk", result: "failed", detail: "", advice: "" }], 4],
  ] as const)
    test(what, async (t) => {
      const double = await openCliDouble();
      t.after(async () => await double.close());
      const service = { name: "service", result: "failed", detail: "It does not run.", advice: "Start it." } as const;
      const examine = async (why: string | null) => await Promise.resolve([{ ...service, detail: `why: ${why}` }, ...extra]);
      const { code, stdout } = await double.satchel(["doctor"], { service: null, host: { examine } });
      assert.equal(code, exit);
      assert.match(stdout, /^failed {3}service: why: null\n {9}Start it\.\n/);
      const other = await double.satchel(["doctor"], { service: { serviceKey: "x".repeat(43) }, host: { examine } });
      assert.match(other.stdout, /why: Something else than the Satchel service answers/);
    });

  async function told(device: Satchel, exit: number): Promise<string> {
    const { code, stdout, stderr } = await device.cli(["doctor"]);
    assert.equal(code, exit, stdout + stderr);
    return stdout;
  }

  test("on a real machine: never started (and nothing is made), killed, its port taken", async (t) => {
    const device = await makeSatchel();
    t.after(async () => await device.close());
    assert.match(await told(device, 5), /^failed {3}service: It does not run\.\n.*satchel service start\n/);
    assert.equal(existsSync(device.home), false);

    await device.start();
    await device.cli(["add", device.root]);
    const pid = await device.pid();
    await device.kill();
    const killed = await told(device, 5);
    assert.match(killed, new RegExp(`^failed {3}service: .*its process \\(${pid}\\) was killed`));
    assert.match(killed, new RegExp(`^ok {7}watching ${device.root}: an event came`, "m"));

    const squatter = createServer().listen(0, "127.0.0.1");
    t.after(() => squatter.close());
    await once(squatter, "listening");
    const address = squatter.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const config = path.join(device.home, "config.json");
    writeFileSync(config, JSON.stringify({ settings: { tcpPort: port } }));
    assert.match(await told(device, 4), new RegExp(`^failed {3}port ${port}: Another program listens there`, "m"));
    writeFileSync(config, "{");
    assert.match(await told(device, 4), /^failed {3}settings: .*config\.json/m);
  });
});
