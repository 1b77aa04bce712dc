import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import type { FolderStatus } from "../service/engine/facade.ts";
import { looseOnes, probeRoot, type RootProbe } from "../service/files/probe.ts";
import { openNodeTransport } from "../service/remotes/node-transport.ts";
import { probeHealth, refusesBody, type Health } from "../service/remotes/probe.ts";
import { causeOf, examineRemote, type RemoteProbes } from "../service/rpc/doctor-remote.ts";
import { examine } from "../service/rpc/doctor.ts";
import { EngineDouble, folderStatus } from "./support/engine-double.ts";
import { realClock } from "./support/real-clock.ts";

const BASE = "https://sync.example.org/";
const FINE: Health = { kind: "answer", status: 200, location: null, dateMs: 1000, page: false };
const answer = (change: Partial<Extract<Health, { kind: "answer" }>>): Health => ({ ...FINE, ...change });

let top = "";
before(async () => {
  top = await mkdtemp(path.join(tmpdir(), "satchel-doctor-"));
});
after(async () => await rm(top, { recursive: true, force: true }));

suite("causeOf()", () => {
  const cases: readonly (readonly [what: string, health: Health, base: string, says: RegExp])[] = [
    [
      "http where https is wanted",
      answer({ status: 308, location: "https://h.example/sync/health" }),
      "http://h.example/sync/",
      /wants https.*satchel login https:\/\/h\.example\/sync\/ /,
    ],
    [
      "moved on the same host",
      answer({ status: 301, location: "/new/health" }),
      BASE,
      /leads on.*satchel login https:\/\/sync\.example\.org\/new\/ /,
    ],
    [
      "a captive portal that redirects",
      answer({ status: 302, location: "http://portal.hotel/" }),
      BASE,
      /leads elsewhere \(302\): portal\.hotel.*sign in first/,
    ],
    ["a captive portal that answers itself", answer({ page: true }), BASE, /web page answers.*sign in first/],
    ["a site's own 404 page", answer({ status: 404, page: true }), BASE, /web page answers \(404\)/],
    ["a lost path or its slash", answer({ status: 404 }), BASE, /no sync server \(404\).*slash at its end/],
    ["a wrong path", answer({ status: 404 }), `${BASE}anki/`, /Check the path \/anki\//],
    ["a proxy that wants a password", answer({ status: 401 }), BASE, /name and a password of its own/],
    ["a server that is down behind its proxy", answer({ status: 502, page: true }), BASE, /the server behind it does not \(502\)/],
    ["a key that is not accepted", FINE, BASE, /403.*satchel login/],
    ["a certificate", { kind: "failed", fault: "tls", message: "it has expired" }, BASE, /expired.*NODE_EXTRA_CA_CERTS/],
    ["https spoken to plain HTTP", { kind: "failed", fault: "reset", message: "broke" }, "http://h/", /speak https/],
    ["nobody", { kind: "failed", fault: "offline", message: "nothing answers there" }, BASE, /Check the address/],
  ];
  for (const [what, health, base, says] of cases)
    test(what, () => {
      const { detail, advice } = causeOf(health, base, "the server does not accept the key (403)", []);
      assert.match(`${detail} ${advice}`, says);
    });

  test("an HTTP proxy in the environment is named where nothing answers", () => {
    const { advice } = causeOf({ kind: "failed", fault: "offline", message: "x" }, BASE, "x", ["HTTPS_PROXY"]);
    assert.match(advice, /HTTPS_PROXY is set/);
  });
});

suite("examineRemote()", () => {
  const remote = { id: "ada@h", url: BASE, signedIn: true };
  const good = async () => await Promise.resolve({ ok: true, detail: "a Satchel server", roundTripMs: 3 });
  const probes = (change: Partial<RemoteProbes>): RemoteProbes => ({
    health: async () => await Promise.resolve(FINE),
    refusesBody: async () => await Promise.resolve(false),
    nowMs: () => 1000,
    proxyVariables: [],
    ...change,
  });
  const told = async (given: RemoteProbes, test_ = good, signedIn = true): Promise<string[]> =>
    (await examineRemote({ ...remote, signedIn }, test_, given)).map(({ name, result, detail }) => `${result} ${name}: ${detail}`);

  test("all well", async () =>
    assert.deepEqual(await told(probes({})), [
      "ok remote ada@h: a Satchel server, 3 ms",
      "ok clock against ada@h: agrees within 5 minutes",
    ]));
  test("a proxy's limit that only large files meet", async () => {
    const lines = await told(probes({ refusesBody: async (_base, bytes) => await Promise.resolve(bytes > 10 * 1024 ** 2) }));
    assert.match(lines[1] ?? "", /^warning request size of ada@h: .*large file \(100 MiB\).*413/);
  });
  test("a proxy's limit that every batch meets", async () => {
    const lines = await told(probes({ refusesBody: async () => await Promise.resolve(true) }));
    assert.match(lines[1] ?? "", /even a batch of small files \(8 MiB\)/);
  });
  test("clocks that are apart, either way", async () => {
    assert.match((await told(probes({ nowMs: () => 1000 - 3_600_000 })))[1] ?? "", /^warning .*60 min behind the server's/);
    assert.match((await told(probes({ nowMs: () => 1000 + 3_600_000 })))[1] ?? "", /60 min ahead of the server's/);
  });
  test("nobody signed in; a request that throws", async () => {
    assert.match((await told(probes({}), good, false))[0] ?? "", /^failed remote ada@h: Nobody is signed in/);
    const refused = async () => await Promise.reject(new Error("no such remote"));
    assert.match((await told(probes({}), refused))[0] ?? "", /^failed remote ada@h: no such remote/);
  });
});

suite("examine()", () => {
  const written: RootProbe = { kind: "written", eventMs: 12, why: null, aheadMs: 0 };
  async function lines(folder: Partial<FolderStatus>, probe: RootProbe = written, loose: readonly string[] = []): Promise<string> {
    const engine = new EngineDouble();
    engine.rows.splice(0, 1, { ...folderStatus("f1", "/media"), ...folder });
    const checks = await examine({
      engine,
      disk: { space: async () => await Promise.resolve({ freeBytes: 5e10, totalBytes: 1e11 }) },
      state: "/state",
      sqliteVersion: "3",
      probeRoot: async () => await Promise.resolve(probe),
      looseOnes: () => loose,
      remote: {
        health: async () => await Promise.resolve(FINE),
        refusesBody: async () => await Promise.resolve(false),
        nowMs: () => 1000,
        proxyVariables: [],
      },
    });
    return checks.map(({ name, result, detail, advice }) => `${result} ${name}: ${detail} ${advice ?? ""}`).join("\n");
  }

  const cases: readonly (readonly [what: string, said: Promise<string>, says: RegExp])[] = [
    ["an event that came", lines({}), /^ok watching \/media: an event came 12 ms/m],
    ["no event", lines({}, { ...written, eventMs: null }), /^warning watching \/media: .*no event\..*max_user_watches/m],
    ["a watcher that refused", lines({}, { ...written, eventMs: null, why: "limit" }), /no event: limit\./],
    ["a service that does not watch", lines({ watching: "timed" }), /^warning watching \/media: Events come/m],
    ["a folder that can't be written", lines({}, { kind: "refused", why: "EROFS" }), /^failed writing in \/media: .*EROFS/m],
    ["a disk with its own clock", lines({}, { ...written, aheadMs: -90_000 }), /^warning clock of \/media: .*90 s behind/m],
    [
      "a remote that can't be reached is not ok",
      lines({ state: "offline", detail: "Could not reach it." }),
      /^warning folder \/media: Could not reach it\./m,
    ],
    [
      "a root that is away is one finding",
      lines({ state: "held", detail: "It is not there." }),
      /^failed folder \/media: It is not there\./m,
    ],
    [
      "files that others may read",
      lines({}, written, ["/c/secrets.json"]),
      /^failed permissions.*secrets\.json.*chmod go-rwx \/c\/secrets\.json/m,
    ],
  ];
  for (const [what, said, says] of cases) test(what, async () => assert.match(await said, says));
  test("a root that is away is not written to", async () => assert.doesNotMatch(await lines({ state: "held" }), /watching/));
});

suite("probes on the real thing", () => {
  test("probeRoot() sees its own file's event, and leaves nothing", async () => {
    const root = path.join(top, "media");
    await mkdir(root);
    const probe = await probeRoot(root);
    assert.ok(probe.kind === "written" && probe.eventMs !== null && Math.abs(probe.aheadMs) < 60_000, JSON.stringify(probe));
    assert.deepEqual(await readdir(path.join(root, ".satchel")), []);
  });
  test("probeRoot() a root that is not there is not made", async () => {
    const root = path.join(top, "away");
    assert.equal((await probeRoot(root)).kind, "refused");
    assert.ok(!(await readdir(top)).includes("away"));
  });
  test("looseOnes() names what others may read, nothing that is absent", async (t) => {
    if (process.platform === "win32") return t.skip("Windows has no mode bits");
    const [tight, loose] = [path.join(top, "tight"), path.join(top, "loose")];
    await writeFile(tight, "", { mode: 0o600 });
    await writeFile(loose, "");
    await chmod(loose, 0o640);
    assert.deepEqual(looseOnes([tight, loose, path.join(top, "absent")]), [loose]);
  });

  async function serve(listener: RequestListener, work: (base: string) => Promise<void>): Promise<void> {
    const server = createServer(listener);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    try {
      await work(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test("probeHealth() and refusesBody(): a proxy with a limit, one that waits for the body, a redirect, a page, nobody", async () => {
    const transport = openNodeTransport({ clock: realClock });
    const signal = AbortSignal.any([]);
    await serve(
      (request, response) => {
        const size = Number(request.headers["content-length"] ?? 0);
        if (size > 1024 ** 2) response.writeHead(413, { connection: "close" }).end();
        else if (request.url === "/health") response.writeHead(301, { location: "/x/health" }).end();
        // An upload of a legal size is waited for.
      },
      async (base) => {
        assert.equal(await refusesBody(base, 2 * 1024 ** 2), true);
        assert.equal(await refusesBody(base, 1024), false);
        const health = await probeHealth(base, transport, signal);
        assert.deepEqual(health.kind === "answer" && [health.status, health.location, health.page], [301, "/x/health", false]);
        assert.ok(health.kind === "answer" && Math.abs((health.dateMs ?? 0) - Date.now()) < 60_000);
      },
    );
    await serve(
      (_request, response) => response.end("<!DOCTYPE html><p>Welcome to the hotel"),
      async (base) => {
        const health = await probeHealth(base, transport, signal);
        assert.ok(health.kind === "answer" && health.page);
        assert.equal(await refusesBody(base, 1e9), false);
      },
    );
    const nobody = await probeHealth("http://127.0.0.1:9/", transport, signal);
    assert.deepEqual(nobody.kind === "failed" && nobody.fault, "offline");
    transport.close();
  });
});
