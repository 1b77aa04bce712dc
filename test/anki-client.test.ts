/** The Anki remote against a model of the official server, and against servers that misbehave in every way the specification lists. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { compressSync } from "../protocol/anki/zstd.ts";
import { RemoteError, TransportError, type HttpResponse, type RemoteFault, type Transport } from "../service/core/ports.ts";
import { nodeCompute } from "../service/files/compute.ts";
import { login } from "../service/remotes/anki/login.ts";
import { parseEndpoint, remoteIdOf } from "../service/remotes/endpoint.ts";
import { remoteContract } from "./remote-contract.ts";
import { client, collect, fault, never, only, openAnki, pathOf, putOf, stocked, URL_LOCAL } from "./support/anki-remote.ts";
import { enveloped, framed, page, status, StockServer } from "./support/stock-server.ts";

remoteContract("Anki remote, model of the official server", async () => {
  const server = new StockServer();
  return await Promise.resolve({
    device: async () => await Promise.resolve(openAnki(server)),
    stranger: async () => await Promise.resolve(openAnki(server, { key: "unknown" })),
    close: async () => await Promise.resolve(),
  });
});

// ── Login ──

test("login() exchanges name and password for the key, in one request without a key", async () => {
  const server = new StockServer();
  const got = await login({ url: URL_LOCAL, user: "user", password: "pass", client }, server.transport, nodeCompute, never);
  assert.deepEqual(got, { key: server.key });
  assert.deepEqual(server.paths(), ["/sync/hostKey"]);
  assert.equal(server.seen[0]?.key, "");
  assert.equal(server.seen[0]?.headers["anki-sync"], '{"v":11,"k":"","c":"satchel-0.1.0,laptop,linux","s":"0"}');
});

test("login() a wrong password says so; a lost path names the slash; nothing is asked of a bad address", async () => {
  const server = new StockServer();
  const wrong = login({ url: URL_LOCAL, user: "user", password: "no", client }, server.transport, nodeCompute, never);
  await assert.rejects(wrong, fault("auth", /user name or the password is wrong/));
  server.script = () => ({ status: 404, headers: {}, body: new Uint8Array(0) });
  const path = login({ url: "http://h.example/anki", user: "user", password: "pass", client }, server.transport, nodeCompute, never);
  await assert.rejects(path, fault("notOurServer", /write http:\/\/h\.example\/anki\//));
  const before = server.seen.length;
  for (const url of ["computer.local:8000", "file:///etc/passwd", "http://169.254.169.254/", "gopher://h/"]) {
    const attempt = login({ url, user: "user", password: "pass", client }, server.transport, nodeCompute, never);
    await assert.rejects(attempt, fault("refused", /address/));
  }
  assert.equal(server.seen.length, before);
});

const IDS: readonly (readonly [url: string, user: string, id: string, base: string])[] = [
  ["http://127.0.0.1:8080/", "ada", "ada@127.0.0.1:8080", "http://127.0.0.1:8080/"],
  ["http://127.0.0.1:8080", "ada", "ada@127.0.0.1:8080", "http://127.0.0.1:8080/"],
  ["https://H.Example:443/", "ada@home", "ada@home@h.example", "https://h.example/"],
  ["http://h/custom/", "ada", "ada@h/custom", "http://h/custom/"],
  ["http://h/custom", "ada", "ada@h", "http://h/"],
  ["http://h/custom/?x=1#y", "ada", "ada@h/custom", "http://h/custom/"],
  ["http://h//", "ada", "ada@h", "http://h/"],
  ["http://h/p@th/", "ada", "ada@h/p%40th", "http://h/p@th/"],
  ["http://[::1]:8080/", "ada", "ada@[::1]:8080", "http://[::1]:8080/"],
  ["https://u:p@h/", "ada", "ada@h", "https://u:p@h/"],
];
for (const [url, user, id, base] of IDS) {
  test(`remoteIdOf() ${url} for ${user} is ${id}`, () => {
    const endpoint = parseEndpoint(url);
    assert.deepEqual([remoteIdOf(endpoint, user), endpoint.base], [id, base]);
    assert.equal(endpoint.hint === null, !url.endsWith("custom"));
  });
}

// ── State, and who answers ──

test("state() W17 the first look asks who answers, later ones of a stock server are one request; each run has its own session", async () => {
  const { server } = stocked(3);
  const remote = openAnki(server);
  assert.deepEqual(await remote.state(never), { serverId: null, epoch: null, position: "3" });
  await remote.state(never);
  assert.deepEqual(server.paths(), ["/health", "/msync/begin", "/msync/begin"]);
  assert.deepEqual(remote.can, { conditionalUpload: false, changeStream: false, versions: false });
  assert.notEqual(server.seen[1]?.session, server.seen[2]?.session);
  assert.match(server.seen[1]?.session ?? "", /^[0-9A-Za-z]{1,6}$/);
  assert.equal(remote.limits.uploadEntries, 25);
});

/** What our own server says to a device that it knows. */
function greeting(change: Readonly<Record<string, unknown>> = {}): HttpResponse {
  const limits = { entries: 500, batchBytes: 4_000_000, fileBytes: 50_000_000 };
  const body = Buffer.from(JSON.stringify({ satchel: { v: 1, id: "server-1", epoch: "e1", usn: 41, limits, ...change } }));
  return { status: 200, headers: {}, body };
}

test("state() a Satchel server tells id, epoch, usn and limits in one request each time", async () => {
  const server = new StockServer();
  server.script = only("/health", () => greeting());
  const remote = openAnki(server);
  assert.deepEqual(await remote.state(never), { serverId: "server-1", epoch: "e1", position: "41" });
  await remote.state(never);
  assert.deepEqual(server.paths(), ["/health", "/health"]);
  assert.deepEqual(remote.can, { conditionalUpload: true, changeStream: true, versions: true });
  const { uploadEntries, uploadBytes, fileBytes, pollEveryMs } = remote.limits;
  assert.deepEqual([uploadEntries, uploadBytes, fileBytes, pollEveryMs], [500, 4_000_000, 50_000_000, 300_000]);
});

test("state() somebody's own health page, or a later Satchel's, is taken for a stock server", async () => {
  for (const reply of [greeting({ v: 2 }), { status: 200, headers: {}, body: Buffer.from('{"status":"ok"}') }, status(404), status(405)]) {
    const { server } = stocked(1);
    server.script = only("/health", () => reply);
    assert.deepEqual(await openAnki(server).state(never), { serverId: null, epoch: null, position: "1" });
  }
});

test("Satchel's routes: plain bodies, sizes in the feed, conditional results, missing files named", async () => {
  const server = new StockServer();
  const results = ["done", "same", { changed: "" }, { refused: "too odd" }];
  server.script = (seen) => {
    const plain = (value: unknown): HttpResponse => ({
      status: 200,
      headers: {},
      body: Buffer.from(JSON.stringify({ data: value, err: "" })),
    });
    if (pathOf(seen) === "/health") return greeting();
    if (pathOf(seen) === "/satchel/changes")
      return plain({
        rows: [
          ["a", 7, "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", 5, { by: "phone", atMs: 2 }],
          ["b", 8, "", 0, { by: "laptop", atMs: 3 }],
          [":usn", 9, "", 0],
        ],
        more: false,
      });
    return plain({ usn: 9, results });
  };
  // The model reads frames; Satchel's own routes send plain bodies.
  const plainTransport: Transport = {
    ...server.transport,
    send: async (request, signal) =>
      await server.transport.send({ ...request, body: request.body === null ? null : compressSync(request.body) }, signal),
  };
  const remote = openAnki({ transport: plainTransport });
  await remote.state(never);
  const pages = [];
  for await (const one of remote.feed("0", never)) pages.push(one);
  assert.deepEqual(pages, [
    {
      rows: [
        { name: "a", usn: 7, sha1: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", sizeBytes: 5, author: { by: "phone", atMs: 2 } },
        { name: "b", usn: 8, sha1: null, sizeBytes: 0, author: { by: "laptop", atMs: 3 } },
      ],
      position: "9",
    },
  ]);
  const got = await remote.upload([putOf("a"), putOf("b"), putOf("c"), putOf("d")], never);
  assert.deepEqual(got, [{ kind: "done" }, { kind: "done" }, { kind: "changed" }, { kind: "refused", detail: "too odd" }]);
});

test("follow() tells that it is open and each usn, ends with the stream, and is refused where there is none", async () => {
  const { server } = stocked(1);
  const stock = openAnki(server);
  await stock.state(never);
  await assert.rejects(
    stock.follow("0", () => undefined, never),
    fault("refused", /no stream/),
  );
  const events = [": hello\n\n", 'data: {"usn', '":42}\r\n\r\nevent: x\ndata: {"usn":43}\n', "\n", ": still here\n\n"];
  let url = "";
  let then: Error | null = null;
  const transport: Transport = {
    send: async () => await Promise.resolve(greeting()),
    stream: async (request) => {
      url = request.url;
      assert.equal(request.stallMs, 45_000);
      const chunks = async function* () {
        for (const text of events) yield await Promise.resolve(Buffer.from(text));
        if (then !== null) throw then;
      };
      return await Promise.resolve({ status: 200, chunks: chunks() });
    },
  };
  const remote = openAnki({ transport });
  await remote.state(never);
  const heard: string[] = [];
  await remote.follow("41", (position) => heard.push(position), never);
  assert.deepEqual(heard, ["41", "42", "43"], "first that it is open");
  assert.equal(url, "http://127.0.0.1:8080/satchel/events?since=41");
  then = new TransportError("stall", "nothing moved");
  await remote.follow("41", () => undefined, never);
  events[0] = `data: ${"x".repeat(5000)}`;
  await assert.rejects(
    remote.follow("41", () => undefined, never),
    fault("protocol", /longer than/),
  );
});

// ── What servers and proxies answer (§2.7, §2.8) ──

const STATUSES: readonly (readonly [code: number, expected: RemoteFault, words: RegExp])[] = [
  [300, "protocol", /makes no sense/],
  [304, "protocol", /makes no sense/],
  [400, "refused", /wrong with the request/],
  [401, "auth", /proxy before the server wants a user name/],
  [403, "auth", /Log in again/],
  [404, "notOurServer", /no Anki sync server/],
  [405, "notOurServer", /not an Anki sync server/],
  [407, "auth", /proxy on the way/],
  [409, "changed", /changed on the server/],
  [413, "tooLarge", /proxy before the server limits/],
  [418, "refused", /refused \(418\)/],
  [429, "retry", /more time/],
  [500, "retry", /error of its own/],
  [501, "protocol", /Update/],
  [502, "retry", /Is the server running/],
  [503, "retry", /too busy/],
  [504, "retry", /waited too long/],
  [507, "quota", /full/],
  [599, "retry", /\(599\)/],
];
for (const [code, expected, words] of STATUSES) {
  test(`verify() status ${code} is ${expected}, with the cause in words and the address`, async () => {
    const server = new StockServer();
    server.script = () => status(code);
    await assert.rejects(openAnki(server).verify(1, never), fault(expected, words));
    await assert.rejects(openAnki(server).verify(1, never), /http:\/\/127\.0\.0\.1:8080\//);
  });
}

test("verify() NW02 a captive portal's page is not our server; a proxy's 5xx page is a server that is down", async () => {
  const server = new StockServer();
  for (const code of [200, 403, 400, 404]) {
    server.script = () => page(code);
    await assert.rejects(openAnki(server).verify(1, never), fault("notOurServer", /sign in first/));
  }
  for (const code of [502, 503]) {
    server.script = () => page(code);
    await assert.rejects(openAnki(server).verify(1, never), fault("retry", /./));
  }
  server.script = () => page(413);
  await assert.rejects(openAnki(server).verify(1, never), fault("tooLarge", /client_max_body_size/));
});

test("state() a captive portal in front of every path is not our server, and nothing is remembered of it", async () => {
  const { server } = stocked(1);
  server.script = () => page(200);
  const remote = openAnki(server);
  await assert.rejects(remote.state(never), fault("notOurServer", /web page/));
  server.script = only("/health", () => greeting());
  assert.equal((await remote.state(never)).serverId, "server-1");
});

const RETRY: readonly (readonly [value: string, date: string, expected: number | null])[] = [
  ["7", "", 7000],
  ["-5", "", 0],
  ["1000000000", "", 600_000],
  ["Sat, 21 Nov 2026 06:00:30 GMT", "Sat, 21 Nov 2026 06:00:00 GMT", 30_000],
  ["Sat, 21 Nov 2026 05:00:30 GMT", "Sat, 21 Nov 2026 06:00:00 GMT", 0],
  ["Sat, 21 Nov 2026 06:00:30 GMT", "", null],
  ["soon", "Sat, 21 Nov 2026 06:00:00 GMT", null],
];
for (const [value, date, expected] of RETRY) {
  test(`verify() NW07 Retry-After “${value}” (Date “${date}”) asks for ${String(expected)} ms`, async () => {
    const server = new StockServer();
    server.script = () => status(429, { "retry-after": value, date });
    await assert.rejects(openAnki(server).verify(1, never), (error) => error instanceof RemoteError && error.retryAfterMs === expected);
  });
}

const BROKEN: readonly (readonly [what: string, reply: HttpResponse, expected: RemoteFault])[] = [
  ["no size header", { ...enveloped("OK"), headers: {} }, "notOurServer"],
  ["size 4 GB", { ...enveloped("OK"), headers: { "anki-original-size": "4294967295" } }, "protocol"],
  ["size negative", { ...enveloped("OK"), headers: { "anki-original-size": "-1" } }, "notOurServer"],
  ["size not a number", { ...enveloped("OK"), headers: { "anki-original-size": "many" } }, "notOurServer"],
  ["size beyond 32 bits", { ...enveloped("OK"), headers: { "anki-original-size": "4294967296" } }, "notOurServer"],
  ["size smaller than real", { ...enveloped("OK"), headers: { "anki-original-size": "3" } }, "protocol"],
  ["gzip by a proxy", { ...enveloped("OK"), headers: { ...enveloped("OK").headers, "content-encoding": "gzip" } }, "protocol"],
  ["not a frame", { ...enveloped("OK"), body: Buffer.from("plain text") }, "protocol"],
  ["truncated frame", { ...enveloped("OK"), body: enveloped("OK").body.subarray(0, 12) }, "protocol"],
  ["two frames", { ...enveloped("OK"), body: Buffer.concat([enveloped("OK").body, enveloped("OK").body]) }, "protocol"],
  ["empty body", { status: 200, headers: { "anki-original-size": "0" }, body: new Uint8Array(0) }, "protocol"],
  ["inflates beyond the cap", framed(Buffer.alloc(3_000_000)), "tooLarge"],
  ["another word than OK", enveloped("maybe"), "protocol"],
  ["data null without a text", enveloped(null), "protocol"],
  ["not JSON", framed("<xml/>"), "protocol"],
  ["deep JSON", framed("[".repeat(5000)), "protocol"],
];
for (const [what, reply, expected] of BROKEN) {
  test(`verify() ZP16 NW09 a broken answer (${what}) is ${expected}`, async () => {
    const server = new StockServer();
    server.script = () => reply;
    await assert.rejects(openAnki(server).verify(1, never), fault(expected));
  });
}

test("verify() a text of the server for people is shown as it is", async () => {
  const server = new StockServer();
  server.script = () => framed(JSON.stringify({ data: null, err: "Quota reached, see https://example.invalid/help" }));
  await assert.rejects(
    openAnki(server).verify(1, never),
    fault("refused", /the server says: Quota reached, see https:\/\/example\.invalid\/help/),
  );
});

for (const [transportFault, expected] of [
  ["offline", "offline"],
  ["stall", "retry"],
  ["reset", "retry"],
  ["tls", "refused"],
  ["badReply", "notOurServer"],
] as const) {
  test(`verify() NW01 NW04 NW06 a transport that fails with ${transportFault} is ${expected}`, async () => {
    const failing: Transport = {
      send: async () => await Promise.reject(new TransportError(transportFault, "It broke.")),
      stream: async () => await Promise.reject(new TransportError(transportFault, "It broke.")),
    };
    await assert.rejects(openAnki({ transport: failing }).verify(1, never), fault(expected, /It broke/));
  });
}

// ── Redirects (§2.8, NW03, WS16) ──

const FOLLOWED: readonly (readonly [from: string, location: string])[] = [
  ["http://h.example:8080/", "https://h.example/msync/mediaSanity"],
  ["http://h.example/", "/other/msync/mediaSanity"],
  ["https://sync.ankiweb.net/", "https://sync7.ankiweb.net/msync/mediaSanity"],
];
for (const [url, location] of FOLLOWED) {
  for (const code of [301, 302, 303, 307, 308]) {
    test(`verify() NW03 ${code} from ${url} to ${location} is followed with the same POST`, async () => {
      const seen: { url: string; method: string; body: number }[] = [];
      const target = new URL(location, url).href;
      const transport: Transport = {
        send: async (request) => {
          seen.push({ url: request.url, method: request.method, body: request.body?.length ?? 0 });
          const reply = request.url === target ? enveloped("OK") : status(code, { location });
          return await Promise.resolve(reply);
        },
        stream: async () => await Promise.reject(new Error("not used")),
      };
      const remote = openAnki({ transport }, { url });
      assert.equal(await remote.verify(1, never), "ok");
      assert.deepEqual(
        seen.map((one) => one.method),
        ["POST", "POST"],
      );
      assert.equal(seen[0]?.body, seen[1]?.body);
      await remote.verify(1, never);
      assert.deepEqual(
        seen.slice(2).map((one) => one.url),
        [target],
        "the new base is used for the rest of the run",
      );
    });
  }
}

const REFUSED_REDIRECTS: readonly (readonly [from: string, location: string])[] = [
  ["http://h.example/", "http://evil.example/msync/mediaSanity"],
  ["https://h.example/", "http://h.example/msync/mediaSanity"],
  ["https://h.example/", "https://h.example:444/msync/mediaSanity"],
  ["http://h.example/", "http://169.254.169.254/latest/meta-data"],
  ["http://h.example/", "file:///etc/passwd"],
  ["https://sync.ankiweb.net/", "https://ankiweb.net.evil.example/"],
  ["https://h.example/", "https://sync.ankiweb.net/"],
  ["http://h.example/", ""],
];
for (const [url, location] of REFUSED_REDIRECTS) {
  test(`verify() NW03 WS16 a redirect from ${url} to “${location}” is not followed: the key stays`, async () => {
    let requests = 0;
    const transport: Transport = {
      send: async () => {
        requests += 1;
        return await Promise.resolve(status(308, location === "" ? {} : { location }));
      },
      stream: async () => await Promise.reject(new Error("not used")),
    };
    await assert.rejects(
      openAnki({ transport }, { url }).verify(1, never),
      (error) => error instanceof RemoteError && error.fault === "notOurServer",
    );
    assert.ok(requests <= (location === "" ? 4 : 1));
  });
}

test("verify() NW03 a loop of redirects ends after three", async () => {
  let requests = 0;
  const transport: Transport = {
    send: async () => {
      requests += 1;
      return await Promise.resolve(status(307, { location: `/${requests}/msync/mediaSanity` }));
    },
    stream: async () => await Promise.reject(new Error("not used")),
  };
  await assert.rejects(openAnki({ transport }).verify(1, never), fault("notOurServer", /circles/));
  assert.equal(requests, 4);
  // X3: the address may hold a proxy's password, which no message repeats.
  const proxied = openAnki({ transport }, { url: "http://ada:hush@h.example/" }).verify(1, never);
  await assert.rejects(proxied, fault("notOurServer", /^(?!.*hush).*circles \(http:\/\/h\.example\//));
});

test("state() AnkiWeb: the base comes from the 308 of sync/meta, one request at a time, rare polls and pushes", async () => {
  const { server, names } = stocked(60);
  const hosts: string[] = [];
  server.script = async (seen) => {
    hosts.push(seen.url.host);
    await Promise.resolve();
    if (pathOf(seen) !== "/sync/meta") return null;
    return seen.url.host === "sync.ankiweb.net" ? status(308, { location: "https://sync9.ankiweb.net/" }) : framed("{}");
  };
  const remote = openAnki(server, { url: "https://sync.ankiweb.net/" });
  assert.equal((await remote.state(never)).position, "60");
  assert.equal((await collect(remote.download(names, never))).length, 60);
  assert.equal(hosts[0], "sync.ankiweb.net");
  assert.deepEqual([...new Set(hosts.slice(1))], ["sync9.ankiweb.net"]);
  assert.equal(server.peakInFlight, 1);
  const { uploadsInFlight, pollEveryMs, pushEveryMs } = remote.limits;
  assert.deepEqual([uploadsInFlight, pollEveryMs, pushEveryMs], [1, 900_000, 60_000]);
});
