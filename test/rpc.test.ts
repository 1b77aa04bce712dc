import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, beforeEach, suite, test } from "node:test";

import { METHODS } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { EVENT_KINDS } from "../protocol/events.ts";
import type { Method } from "../protocol/method.ts";
import { openRpcDocument } from "../protocol/openrpc.ts";
import { DiskError, RemoteError } from "../service/core/ports.ts";
import { Halt } from "../service/engine/halt.ts";
import { errorBody } from "../service/rpc/failures.ts";
import { startRpc, type RpcServer } from "../service/rpc/server.ts";
import { EngineDouble, runSummary } from "./support/engine-double.ts";
import { codeOf, Peer, TOKEN } from "./support/rpc-peer.ts";

const KEY = "k".repeat(43);
const ALLOWED = "http://front.example";

let directory = "";
let socketPath = "";
let engine = new EngineDouble();
let rpc: RpcServer;
let port = 0;
let stopped = 0;
const logged: unknown[] = [];

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "satchel-rpc-"));
  socketPath = path.join(directory, "s.sock");
});
after(async () => await rm(directory, { recursive: true, force: true }));

async function open(): Promise<void> {
  engine = new EngineDouble();
  rpc = await startRpc({
    socket: socketPath,
    tcpPort: 0,
    allowedOrigins: [ALLOWED],
    token: TOKEN,
    engine,
    self: {
      pid: 1234,
      device: "laptop",
      session: "s1",
      serviceKey: KEY,
      uptimeMs: () => 5,
      stop: () => (stopped += 1),
      doctor: async () => await Promise.resolve([]),
    },
    log: (error) => logged.push(error),
  });
  port = rpc.port ?? 0;
}

const upgrade = (lines: readonly string[] = [], host = `127.0.0.1:${port}`, target = "/") =>
  [
    `GET ${target} HTTP/1.1`,
    ...(host === "" ? [] : [`Host: ${host}`]),
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...lines,
    "",
    "",
  ].join("\r\n");
const BEARER = `Authorization: Bearer ${TOKEN}`;

/** Sends bytes over TCP and collects the answer's head (or everything, when the other side ends). */
async function raw(text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    answer += piece;
    if (answer.startsWith("HTTP/1.1 101")) resolve(answer);
  });
  socket.on("close", () => resolve(answer));
  socket.on("error", () => resolve(answer));
  socket.write(text);
  const told = await promise;
  socket.destroy();
  return told;
}

async function statusOf(text: string): Promise<number> {
  return Number((await raw(text)).slice(9, 12));
}

suite("the doors", () => {
  before(open);
  after(async () => await rpc.close());

  test("startRpc() WS09 the socket is for its owner alone", async () => {
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  });

  const refused: readonly (readonly [name: string, expected: number, text: () => string])[] = [
    ["WS01 a page's Origin", 403, () => upgrade([BEARER, "Origin: https://evil.example"])],
    ["WS01 Origin null", 403, () => upgrade([BEARER, "Origin: null"])],
    ["WS01 two Origins, one allowed", 403, () => upgrade([BEARER, `Origin: ${ALLOWED}`, "Origin: https://evil.example"])],
    ["WS03 a foreign Host (DNS rebinding)", 403, () => upgrade([BEARER], `evil.com:${port}`)],
    ["WS03 our name with another port", 403, () => upgrade([BEARER], "127.0.0.1:1")],
    ["WS04 no Host", 400, () => upgrade([BEARER], "")],
    ["WS04 two Hosts", 400, () => upgrade([BEARER, `Host: 127.0.0.1:${port}`])],
    ["WS04 localhost with a final dot", 403, () => upgrade([BEARER], `localhost.:${port}`)],
    ["WS04 upper case", 403, () => upgrade([BEARER], `LOCALHOST:${port}`)],
    ["WS04 0.0.0.0", 403, () => upgrade([BEARER], `0.0.0.0:${port}`)],
    ["WS04 127.1", 403, () => upgrade([BEARER], `127.1:${port}`)],
    ["WS04 decimal address", 403, () => upgrade([BEARER], `2130706433:${port}`)],
    ["WS04 absolute-form request line", 404, () => upgrade([BEARER], `127.0.0.1:${port}`, `http://127.0.0.1:${port}/`)],
    ["WS05 no token", 401, () => upgrade()],
    ["WS05 one bit off", 401, () => upgrade([`Authorization: Bearer ${TOKEN.slice(0, -1)}u`])],
    ["WS05 in the URL", 404, () => upgrade([], `127.0.0.1:${port}`, `/?token=${TOKEN}`)],
    ["WS05 not Bearer", 401, () => upgrade([`Authorization: Basic ${TOKEN}`])],
    ["WS05 two Authorization headers", 401, () => upgrade([BEARER, "Authorization: Bearer x"])],
    ["WS05 7 KB of token", 401, () => upgrade([`Authorization: Bearer ${"t".repeat(7000)}`])],
    ["WS10 64 KB of header", 431, () => upgrade([BEARER, `X-Long: ${"x".repeat(64 * 1024)}`])],
    ["WS10 too many headers", 431, () => upgrade([BEARER, ...Array.from({ length: 100 }, (_, at) => `X-${at}: 1`)])],
    ["WS10 a token protocol without satchel.v1", 400, () => upgrade([`Sec-WebSocket-Protocol: satchel.token.${TOKEN}`])],
    ["WS07 plain GET", 404, () => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`],
    ["WS07 plain GET with the token", 404, () => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${BEARER}\r\n\r\n`],
    ["WS07 form POST", 404, () => `POST / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}`],
    ["WS07 preflight", 404, () => `OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: https://evil.example\r\n\r\n`],
    ["WS07 another upgrade", 404, () => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n`],
  ];
  for (const [name, expected, text] of refused)
    test(`judgeUpgrade() ${name}: ${expected}`, async () => assert.equal(await statusOf(text()), expected));

  test("judgeUpgrade() accepts: no Origin, an allowed one, localhost, [::1], token beside satchel.v1", async () => {
    assert.equal(await statusOf(upgrade([BEARER])), 101);
    assert.equal(await statusOf(upgrade([BEARER, `Origin: ${ALLOWED}`])), 101);
    assert.equal(await statusOf(upgrade([BEARER], `localhost:${port}`)), 101);
    assert.equal(await statusOf(upgrade([BEARER], `[::1]:${port}`)), 101);
    const answer = await raw(upgrade([`Sec-WebSocket-Protocol: satchel.v1, satchel.token.${TOKEN}`]));
    assert.match(answer, /^HTTP\/1\.1 101/);
    assert.match(answer, /sec-websocket-protocol: satchel\.v1\r/i);
    assert.doesNotMatch(answer, new RegExp(TOKEN));
  });

  test("refusePlain() WS07 WS08 says nothing about itself", async () => {
    const answer = await raw(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    const [head = "", body] = answer.split("\r\n\r\n");
    assert.equal(body, "");
    const names = head
      .split("\r\n")
      .slice(1)
      .map((line) => line.split(":")[0]?.toLowerCase());
    assert.deepEqual(new Set(names), new Set(["connection", "content-length", "x-content-type-options"]));
  });

  test("startRpc() §5.1 listens on loopback only and an oversized message ends the connection", async () => {
    const peer = await Peer.tcp(port);
    const closed = once(peer.socket, "close");
    peer.socket.send(`"${"x".repeat(1024 * 1024)}"`);
    const [code] = await closed;
    assert.equal(code, 1009);
  });

  test("startRpc() §5.1 binary frames are refused", async () => {
    const peer = await Peer.tcp(port);
    const closed = once(peer.socket, "close");
    peer.socket.send(Buffer.from("{}"));
    const [code] = await closed;
    assert.equal(code, 1003);
  });

  test("startRpc() WS17 the 17th connection is refused, a place that is given back is taken again", async () => {
    const peers: Peer[] = [];
    for (let at = 0; at < 16; at++) peers.push(await Peer.unix(socketPath));
    assert.equal(await statusOf(upgrade([BEARER])), 503);
    const [first] = peers;
    await first?.close();
    const again = await Peer.tcp(port);
    assert.equal((await again.call("service/status"))["error"], undefined);
    for (const peer of [...peers.slice(1), again]) await peer.close();
  });
});

suite("JSON-RPC 2.0", () => {
  let peer: Peer;
  before(async () => {
    await open();
    peer = await Peer.unix(socketPath);
  });
  after(async () => {
    await peer.close();
    await rpc.close();
  });

  const broken: readonly (readonly [name: string, text: string, code: number])[] = [
    ["not JSON", "{", ErrorCode.ParseError],
    ["a bare string", '"hello"', ErrorCode.InvalidRequest],
    ["null", "null", ErrorCode.InvalidRequest],
    ["jsonrpc 1.0", '{"jsonrpc":"1.0","id":"a","method":"service/status"}', ErrorCode.InvalidRequest],
    ["no jsonrpc", '{"id":"a","method":"service/status"}', ErrorCode.InvalidRequest],
    ["id is an object", '{"jsonrpc":"2.0","id":{},"method":"service/status"}', ErrorCode.InvalidRequest],
    ["no method", '{"jsonrpc":"2.0","id":"a"}', ErrorCode.InvalidRequest],
    ["params is a string", '{"jsonrpc":"2.0","id":"a","method":"service/status","params":"x"}', ErrorCode.InvalidRequest],
    ["params by position", '{"jsonrpc":"2.0","id":"a","method":"folders/get","params":["f1"]}', ErrorCode.InvalidParams],
    ["a parameter of another type", '{"jsonrpc":"2.0","id":"a","method":"folders/get","params":{"folder":1}}', ErrorCode.InvalidParams],
    ["an unknown parameter", '{"jsonrpc":"2.0","id":"a","method":"service/status","params":{"x":1}}', ErrorCode.InvalidParams],
    ["a missing parameter", '{"jsonrpc":"2.0","id":"a","method":"folders/get"}', ErrorCode.InvalidParams],
    ["an empty batch", "[]", ErrorCode.InvalidRequest],
    [
      "a batch of 101",
      `[${Array.from({ length: 101 }, () => '{"jsonrpc":"2.0","method":"service/status"}').join(",")}]`,
      ErrorCode.InvalidRequest,
    ],
    ["depth 10 000", `${"[".repeat(10_000)}${"]".repeat(10_000)}`, ErrorCode.InvalidRequest],
  ];
  for (const [name, text, code] of broken)
    test(`Dispatcher.handle() WS13 ${name}: ${code}`, async () => assert.equal(codeOf(await peer.say(text)), code));

  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "rpc.x", "then", "", "$/unknown"])
    test(`Dispatcher.handle() WS14 method "${name}" does not exist`, async () =>
      assert.equal(codeOf(await peer.call(name)), ErrorCode.MethodNotFound));

  test("Dispatcher.handle() WS13 __proto__ in the parameters changes nothing", async () => {
    const answer = await peer.say('{"jsonrpc":"2.0","id":"p","method":"service/status","params":{"__proto__":{"polluted":1}}}');
    assert.equal(Reflect.get({}, "polluted"), undefined);
    assert.notEqual(answer["id"], undefined);
  });

  test("Dispatcher.handle() a batch answers what asks, in order, and nothing for notifications", async () => {
    const seen = peer.messages.length;
    const request = (id: unknown, method: string) => ({ jsonrpc: "2.0", ...(id === undefined ? {} : { id }), method });
    peer.socket.send(JSON.stringify([request("b1", "service/status"), request(undefined, "service/status"), 7, request("b2", "nope")]));
    await peer.until(() => (peer.messages.length >= seen + 3 ? true : undefined));
    const answers = peer.messages.slice(seen);
    assert.deepEqual(
      answers.map(({ id }) => id),
      ["b1", null, "b2"],
    );
    assert.equal(codeOf(answers[1] ?? {}), ErrorCode.InvalidRequest);
    assert.equal(codeOf(answers[2] ?? {}), ErrorCode.MethodNotFound);
  });

  test("Dispatcher.handle() $/cancelRequest ends the waiting, and the id is free again", async () => {
    const seen = peer.messages.length;
    peer.socket.send('{"jsonrpc":"2.0","id":"run","method":"sync/run","params":{}}');
    assert.equal(codeOf(await peer.say('{"jsonrpc":"2.0","id":"run","method":"service/status"}')), ErrorCode.InvalidRequest);
    peer.socket.send('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"run"}}');
    const answer = await peer.until(() => peer.messages.slice(seen + 1).find(({ id }) => id === "run"));
    assert.equal(codeOf(answer), ErrorCode.RequestCancelled);
    assert.equal((await peer.say('{"jsonrpc":"2.0","id":"run","method":"service/status"}'))["error"], undefined);
  });

  test("Dispatcher.handle() WS17 at most 128 requests wait; one more is told so", async () => {
    const seen = peer.messages.length;
    const first = engine.runs.length;
    for (let at = 0; at < 129; at++) peer.socket.send(JSON.stringify({ jsonrpc: "2.0", id: `w${at}`, method: "sync/run", params: {} }));
    const busy = await peer.until(() => peer.messages[seen]);
    assert.equal(codeOf(busy), ErrorCode.Busy);
    engine.runs.slice(first).forEach((run) => run.resolve([]));
    await peer.until(() => (peer.messages.length >= seen + 129 ? true : undefined));
  });

  test("errorBody() WS20 a fault of ours tells an id, the log the rest", async () => {
    const seen = logged.length;
    const answer = await peer.call("files/add", { folder: "f1", path: "a.png" });
    assert.equal(codeOf(answer), ErrorCode.InternalError);
    assert.doesNotMatch(JSON.stringify(answer), /SELECT|home|\.ts:/);
    assert.match(String(logged[seen]), /SELECT secret/);
  });

  test("errorBody() an engine fault keeps its code and its sentence", async () => {
    const answer = await peer.call("folders/get", { folder: "nope" });
    assert.deepEqual(answer["error"], {
      code: ErrorCode.FolderNotFound,
      message: "There is no folder nope.",
      data: { fault: "folderNotFound" },
    });
  });

  for (const [error, code] of [
    [new RemoteError("offline", "Could not reach http://h/."), ErrorCode.Unreachable],
    [new RemoteError("auth", "The key is not accepted."), ErrorCode.Auth],
    [new DiskError("io", "Could not list /media/one."), ErrorCode.Disk],
    [new Halt("held", "otherServer", "Another server answers.", false), ErrorCode.NotOurServer],
  ] as const)
    test(`errorBody() sync/plan: ${error.name} ${error.fault} is no fault of ours, and keeps its sentence`, () => {
      const body = errorBody(error, new AbortController().signal, () => assert.fail("reported as a fault of ours"));
      assert.deepEqual(body, { code, message: error.message, data: { fault: error.fault } });
    });

  for (const [name, root] of [
    ["relative", "media"],
    ["UNC", "\\\\attacker\\share"],
    ["UNC with slashes", "//attacker/share"],
    ["empty", ""],
  ] as const)
    test(`folders/add WS15 refuses a root that is ${name}`, async () =>
      assert.equal(codeOf(await peer.call("folders/add", { root })), ErrorCode.InvalidParams));

  test("guard/approve WS19 names what was shown", async () => {
    assert.equal(codeOf(await peer.call("guard/approve", { id: 1 })), ErrorCode.InvalidParams);
    assert.equal(codeOf(await peer.call("guard/approve", { id: 1, hash: "old" })), ErrorCode.HoldChanged);
    assert.deepEqual((await peer.call("guard/approve", { id: 1, hash: "shown" }))["result"], {});
  });

  test("service/hello proves the service key; the token alone could not", async () => {
    const nonce = "n".repeat(20);
    const { result } = await peer.call("service/hello", { nonce });
    const expected = createHmac("sha256", KEY).update(`satchel-hello:${nonce}`).digest("hex");
    assert.equal(Reflect.get(Object(result), "proof"), expected);
  });

  for (const method of ["remotes/list", "service/status"])
    test(`${method} X3 tells addresses without the password in them`, async () =>
      assert.match(JSON.stringify((await peer.call(method))["result"]), /"https:\/\/example\.org\/"/));

  test("sync/run wait: false answers at once, and still refuses what can be refused at once", async () => {
    assert.deepEqual((await peer.call("sync/run", { wait: false }))["result"], { runs: [] });
    assert.equal(codeOf(await peer.call("sync/run", { folder: "nope", wait: false })), ErrorCode.FolderNotFound);
  });

  test("sync/run answers with the runs", async () => {
    const at = engine.runs.length;
    const answer = peer.call("sync/run", { folder: "f1" });
    await peer.call("service/status");
    engine.runs[at]?.resolve([runSummary({ uploadedFiles: 2 })]);
    assert.deepEqual((await answer)["result"], { runs: [runSummary({ uploadedFiles: 2 })] });
  });

  test("versions/read gives a range in base64", async () => {
    const { result } = await peer.call("versions/read", { sha1: "a".repeat(40), offsetBytes: 2, lengthBytes: 3 });
    assert.deepEqual(result, { base64: Buffer.from("234").toString("base64"), lengthBytes: 3 });
    assert.equal(codeOf(await peer.call("versions/read", { sha1: "a".repeat(40), lengthBytes: 512 * 1024 + 1 })), ErrorCode.InvalidParams);
  });

  test("service/shutdown answers, then asks the process to stop", async () => {
    const asked = stopped;
    assert.deepEqual((await peer.call("service/shutdown"))["result"], { stopping: true });
    assert.equal(stopped, asked + 1);
  });

  test("results keep to their schemas", async () => {
    const asked: Readonly<Record<string, unknown>> = {
      "service/hello": {},
      "service/status": {},
      "folders/list": {},
      "remotes/list": {},
      "events/list": {},
    };
    for (const method of METHODS as readonly Method[]) {
      if (!(method.name in asked)) continue;
      const { result } = await peer.call(method.name, asked[method.name]);
      assert.equal(method.result.safeParse(result).success, true, method.name);
    }
  });

  test("rpc.discover describes every method with its errors and schemas", async () => {
    const { result } = await peer.call("rpc.discover");
    assert.deepEqual(result, JSON.parse(JSON.stringify(openRpcDocument())));
    const names = METHODS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.ok(METHODS.every(({ doc }) => doc.length > 10));
  });

  test("protocol/SPEC.md lists every method, event and error, and every reconcile rule", async () => {
    const spec = await readFile(path.join(import.meta.dirname, "..", "protocol", "SPEC.md"), "utf8");
    const cells = [
      ...METHODS.map(({ name }) => `\`${name}\``),
      ...Object.keys(EVENT_KINDS).map((kind) => `\`${kind}\``),
      ...Object.entries(ErrorCode).flatMap(([name, code]) => [name, String(code)]),
      ...Array.from({ length: 16 }, (_, at) => `R${at + 1}`),
    ];
    for (const cell of cells) assert.ok(spec.includes(`| ${cell} `), cell);
  });
});

suite("events", () => {
  beforeEach(open);

  test("events/subscribe replays after a number, goes on with what is new, each once and in order", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    engine.emit("local/changed", {}, 250);
    assert.deepEqual((await peer.call("events/subscribe", { since: 40 }))["result"], { since: 40, lastSeq: 250 });
    engine.emit("run", {}, 5);
    await peer.eventCount(215);
    assert.deepEqual(
      peer.events().map(({ seq }) => seq),
      Array.from({ length: 215 }, (_, at) => 41 + at),
    );
    await peer.close();
  });

  test("events/subscribe without a number begins with what is new", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    engine.emit("run", {}, 3);
    await peer.call("events/subscribe", {});
    engine.emit("conflict");
    await peer.until(() => peer.events()[0]);
    assert.deepEqual(
      peer.events().map(({ seq, kind }) => [seq, kind]),
      [[4, "conflict"]],
    );
    await peer.close();
  });

  test("events/subscribe marks the gap where stored events are gone", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    engine.emit("run", {}, 10);
    engine.trimmedThrough = 7;
    await peer.call("events/subscribe", { since: 2 });
    await peer.eventCount(4);
    assert.deepEqual(
      peer.events().map(({ seq, kind }) => [seq, kind]),
      [
        [7, "gap"],
        [8, "run"],
        [9, "run"],
        [10, "run"],
      ],
    );
    assert.deepEqual(peer.events()[0]?.data, { after: 2, through: 7 });
    await peer.close();
  });

  test("events/subscribe WS18 a number from a lost life begins anew instead of waiting for ever", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    engine.emit("run", {}, 2);
    assert.deepEqual((await peer.call("events/subscribe", { since: 5000 }))["result"], { since: 2, lastSeq: 2 });
    engine.emit("run");
    assert.equal((await peer.until(() => peer.events()[0])).seq, 3);
    await peer.close();
  });

  test("Connection WS12 a slow reader is waited for: nothing is read ahead for it, nothing is lost, others go on", async (t) => {
    t.after(async () => await rpc.close());
    const slow = await Peer.unix(socketPath);
    const quick = await Peer.unix(socketPath);
    await slow.call("events/subscribe", { since: 0 });
    slow.socket.pause();
    const data = { text: "x".repeat(1000) };
    for (let at = 0; at < 1000; at++) engine.emit("run", data, 100);
    for (let at = 0; at < 200; at++) await quick.call("service/status");
    assert.ok(engine.askedAfter < 20_000, `${engine.askedAfter} of 100 000 events were read from the store for a reader that takes none`);
    slow.socket.resume();
    await slow.eventCount(100_000);
    assert.ok(slow.events().every(({ seq }, at) => seq === at + 1));
    await slow.close();
    await quick.close();
  });

  test("Connection sync/progress is coalesced, and sent to those alone who asked", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    const other = await Peer.tcp(port);
    await peer.call("events/subscribe", { progress: true });
    await other.call("events/subscribe", {});
    for (let at = 1; at <= 1000; at++) engine.progress({ filesUp: at });
    const last = await peer.until(() => peer.messages.find(({ method }) => method === "sync/progress"));
    assert.match(JSON.stringify(last), /"filesUp":1000/);
    assert.equal(peer.messages.filter(({ method }) => method === "sync/progress").length, 1);
    await other.call("service/status");
    assert.equal(other.messages.filter(({ method }) => method === "sync/progress").length, 0);
    await peer.close();
    await other.close();
  });

  test("Connection a closed connection leaves nothing behind", async (t) => {
    t.after(async () => await rpc.close());
    const peer = await Peer.tcp(port);
    await peer.call("events/subscribe", { since: 0, progress: true });
    assert.equal(engine.subscribers, 1);
    const run = peer.call("sync/run", {}).catch(() => undefined);
    await peer.call("service/status");
    await peer.close();
    await assert.rejects(engine.runs[0]?.promise ?? Promise.resolve(), /aborted/);
    assert.equal(engine.subscribers, 0);
    void run;
  });

  test("RpcServer.close() says goodbye and frees the socket", async () => {
    const peer = await Peer.unix(socketPath);
    const closed = once(peer.socket, "close");
    await rpc.close();
    const [code] = await closed;
    assert.equal(code, 1001);
    const refused: Socket = connect(port, "127.0.0.1");
    const [error] = await once(refused, "error");
    assert.equal(Reflect.get(Object(error), "code"), "ECONNREFUSED");
  });
});
