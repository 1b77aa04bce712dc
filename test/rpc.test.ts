import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, suite, test } from "node:test";

import { METHODS } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Method } from "../protocol/method.ts";
import { DiskError, RemoteError } from "../service/core/ports.ts";
import { Halt } from "../service/engine/halt.ts";
import { Dispatcher, type Peer as RpcPeer } from "../service/rpc/dispatch.ts";
import { errorBody } from "../service/rpc/failures.ts";
import { runSummary, type EngineDouble } from "./support/engine-double.ts";
import { codeOf, Peer } from "./support/rpc-peer.ts";
import { openRpcService, SERVICE_KEY, type RpcService } from "./support/rpc-service.ts";

type FolderPlan = Awaited<ReturnType<EngineDouble["sync"]["plan"]>>;

/** For a dispatcher alone. */
const noPeer: RpcPeer = {
  scope: "admin",
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  withProgress: async (_token, _folder, work) => await work(),
};

suite("JSON-RPC 2.0", () => {
  let service: RpcService;
  let engine: EngineDouble;
  let peer: Peer;
  before(async () => {
    service = await openRpcService();
    ({ engine } = service);
    peer = await Peer.unix(service.socketPath);
  });
  after(async () => {
    await peer.close();
    await service.close();
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
    ["a batch of 100 000", `[${Array.from({ length: 100_000 }, () => "1").join(",")}]`, ErrorCode.InvalidRequest],
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

  test("Dispatcher.handle() $/cancelRequest who only wanted to see gets the answer at once, though the work goes on", async () => {
    const looked = Promise.withResolvers<FolderPlan>();
    const plan = engine.sync.plan.bind(engine.sync);
    engine.sync.plan = async () => await looked.promise;
    peer.socket.send('{"jsonrpc":"2.0","id":"plan","method":"sync/plan","params":{"folder":"f1"}}');
    await peer.ask("service/status", {});
    peer.socket.send('{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"plan"}}');
    assert.equal(codeOf(await peer.until(() => peer.messages.find(({ id }) => id === "plan"))), ErrorCode.RequestCancelled);
    looked.reject(new Error("too late for anybody"));
    engine.sync.plan = plan;
    const answers = peer.messages.filter(({ id }) => id === "plan").length;
    await peer.ask("service/status", {});
    assert.equal(answers, 1);
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
    const seen = service.logged.length;
    const answer = await peer.call("files/add", { folder: "f1", path: "a.png" });
    assert.equal(codeOf(answer), ErrorCode.InternalError);
    assert.doesNotMatch(JSON.stringify(answer), /SELECT|home|\.ts:/);
    assert.match(String(service.logged[seen]), /SELECT secret/);
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

  test("folders/update WS19 a moved root names the folder as it was shown", async () => {
    const shown = await peer.ask("folders/get", { folder: "f1" });
    assert.equal(codeOf(await peer.call("folders/update", { folder: "f1", root: "/media/two" })), ErrorCode.InvalidParams);
    await peer.ask("folders/update", { folder: "f1", root: "/media/two", hash: shown.hash });
    assert.notEqual((await peer.ask("folders/get", { folder: "f1" })).hash, shown.hash);
    const again = await peer.call("folders/update", { folder: "f1", root: "/media/three", hash: shown.hash });
    assert.equal(codeOf(again), ErrorCode.FolderChanged);
    assert.equal((await peer.ask("folders/get", { folder: "f1" })).root, "/media/two");
  });

  test("Dispatcher.handle() WS17 every request of a batch counts against the rate", async () => {
    const spent: number[] = [];
    const dispatcher = new Dispatcher(new Map(), noPeer, () => "", { spend: (requests) => spent.push(requests) });
    await dispatcher.handle(JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ jsonrpc: "2.0", id, method: "x" }))));
    await dispatcher.handle("{");
    await dispatcher.handle(`[${Array.from({ length: 100_000 }, () => "1").join(",")}]`);
    assert.deepEqual(spent, [1, 99, 1, 1]);
  });

  test("service/hello proves the service key; the token alone could not", async () => {
    const nonce = "n".repeat(20);
    const { result } = await peer.call("service/hello", { nonce });
    const expected = createHmac("sha256", SERVICE_KEY).update(`satchel-hello:${nonce}`).digest("hex");
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
    const asked = service.stops();
    assert.deepEqual((await peer.call("service/shutdown"))["result"], { stopping: true });
    assert.equal(service.stops(), asked + 1);
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
});
