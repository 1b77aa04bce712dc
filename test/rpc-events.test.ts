import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { beforeEach, suite, test } from "node:test";

import type { EngineDouble } from "./support/engine-double.ts";
import { Peer } from "./support/rpc-peer.ts";
import { BEARER, openRpcService, upgradeText, type RpcService } from "./support/rpc-service.ts";

suite("events", () => {
  let service: RpcService;
  let engine: EngineDouble;
  let port = 0;
  let socketPath = "";
  beforeEach(async () => {
    service = await openRpcService();
    ({ engine, port, socketPath } = service);
  });

  test("events/subscribe replays after a number, goes on with what is new, each once and in order", async (t) => {
    t.after(async () => await service.close());
    const peer = await Peer.tcp(port);
    engine.emit("local/changed", {}, 250);
    assert.deepEqual((await peer.call("events/subscribe", { since: 40 }))["result"], { since: 40, lastSeq: 250, log: engine.events.id });
    engine.emit("run", {}, 5);
    await peer.eventCount(215);
    assert.deepEqual(
      peer.events().map(({ seq }) => seq),
      Array.from({ length: 215 }, (_, at) => 41 + at),
    );
    await peer.close();
  });

  test("events/subscribe without a number begins with what is new", async (t) => {
    t.after(async () => await service.close());
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
    t.after(async () => await service.close());
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

  const lost: readonly (readonly [what: string, params: { since: number; log?: string }])[] = [
    ["a number that this log never gave", { since: 5000 }],
    ["a number of another log, also where this one has it too", { since: 1, log: "another log" }],
  ];
  for (const [what, params] of lost)
    test(`events/subscribe WS18 ${what}: the gap is told, then all there is`, async (t) => {
      t.after(async () => await service.close());
      const peer = await Peer.tcp(port);
      engine.emit("run", {}, 2);
      assert.deepEqual(await peer.ask("events/subscribe", params), { since: 0, lastSeq: 2, log: engine.events.id });
      engine.emit("run");
      await peer.eventCount(4);
      assert.deepEqual(
        peer.events().map(({ seq, kind, data }) => [seq, kind, data]),
        [
          [0, "gap", { after: params.since, through: 0 }],
          [1, "run", {}],
          [2, "run", {}],
          [3, "run", {}],
        ],
      );
      await peer.close();
    });

  test("events/subscribe WS18 a lost log that is still empty tells its gap at once", async (t) => {
    t.after(async () => await service.close());
    const peer = await Peer.tcp(port);
    await peer.ask("events/subscribe", { since: 7 });
    await peer.eventCount(1);
    assert.deepEqual(peer.events()[0]?.data, { after: 7, through: 0 });
    await peer.close();
  });

  test("events/subscribe WS18 the log's own name keeps the place", async (t) => {
    t.after(async () => await service.close());
    const peer = await Peer.tcp(port);
    engine.emit("run", {}, 3);
    await peer.ask("events/subscribe", { since: 2, log: engine.events.id });
    await peer.eventCount(1);
    assert.deepEqual(
      peer.events().map(({ seq, kind }) => [seq, kind]),
      [[3, "run"]],
    );
    await peer.close();
  });

  test("Connection WS12 100 000 events towards a reader that takes none: a bounded number of bytes waits, none is lost, others go on", async (t) => {
    t.after(async () => await service.close());
    const slow = await Peer.unix(socketPath);
    const quick = await Peer.unix(socketPath);
    await slow.call("events/subscribe", { since: 0 });
    slow.socket.pause();
    const data = { text: "x".repeat(1000) };
    let most = 0;
    for (let at = 0; at < 1000; at++) {
      engine.emit("run", data, 100);
      if (at % 5 === 0) await quick.call("service/status");
      most = Math.max(most, service.rpc.waitingBytes());
    }
    assert.ok(most > 0, "the reader is stalled: something waits");
    assert.ok(most < 1.1 * 1024 * 1024, `${String(most)} bytes waited of ${String(100_000 * 1000)}`);
    assert.ok(engine.askedAfter < 20_000, `${engine.askedAfter} of 100 000 events were read from the store for a reader that takes none`);
    slow.socket.resume();
    await slow.eventCount(100_000);
    assert.ok(slow.events().every(({ seq }, at) => seq === at + 1));
    assert.equal(service.rpc.waitingBytes(), 0);
    await slow.close();
    await quick.close();
  });

  test("Connection WS12 large events: one at a time waits, not a portion of them", async (t) => {
    t.after(async () => await service.close());
    const slow = await Peer.unix(socketPath);
    await slow.call("events/subscribe", { since: 0 });
    slow.socket.pause();
    engine.emit("undo", { text: "x".repeat(500_000) }, 50);
    const quick = await Peer.unix(socketPath);
    for (let at = 0; at < 50; at++) await quick.call("service/status");
    assert.ok(service.rpc.waitingBytes() < 2.5 * 500_000 + 1024 * 1024, `${String(service.rpc.waitingBytes())} bytes wait`);
    slow.socket.resume();
    await slow.eventCount(50);
    assert.ok(slow.events().every(({ seq }, at) => seq === at + 1));
    await slow.close();
    await quick.close();
  });

  test("Connection WS12 requests of a peer that takes no answers wait, in order, and are answered when it does", async (t) => {
    t.after(async () => await service.close());
    const slow = await Peer.unix(socketPath);
    engine.emit("run", { text: "x".repeat(1000) }, 1000);
    slow.socket.pause();
    // Each answer has 1 MB; all the requests fit into what one read of the socket gives.
    for (let id = 0; id < 100; id++) slow.socket.send(JSON.stringify({ jsonrpc: "2.0", id: `l${String(id)}`, method: "events/list" }));
    const quick = await Peer.unix(socketPath);
    let most = 0;
    for (let at = 0; at < 100; at++) {
      await quick.call("service/status");
      most = Math.max(most, service.rpc.waitingBytes());
    }
    assert.ok(most > 0 && most < 4 * 1024 * 1024, `${String(most)} bytes waited`);
    slow.socket.resume();
    await slow.until(() => (slow.messages.length >= 100 ? true : undefined));
    assert.deepEqual(
      slow.messages.map(({ id }) => id),
      Array.from({ length: 100 }, (_, id) => `l${String(id)}`),
    );
    await slow.close();
    await quick.close();
  });

  test("Connection §5.1 who answers no ping is dropped after two minutes, who does stays", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const timed = await openRpcService();
    t.after(async () => await Promise.all([service.close(), timed.close()]));
    const quiet = await Peer.unix(timed.socketPath);
    const pinged = async (): Promise<void> => {
      const ping = once(quiet.socket, "ping");
      t.mock.timers.tick(60_000);
      await ping;
      quiet.socket.ping(); // and the pong before it was taken, when this one's is back
      await once(quiet.socket, "pong");
    };
    const silent = connect(timed.port, "127.0.0.1");
    silent.write(upgradeText(`127.0.0.1:${timed.port}`, [BEARER]));
    await once(silent, "data");
    const gone = once(silent, "close");
    silent.resume();
    await pinged();
    await pinged();
    await gone;
    for (let at = 0; at < 10; at++) await pinged();
    assert.equal((await quiet.call("service/status"))["error"], undefined);
    await quiet.close();
  });

  test("Connection WS12 who takes nothing for ten minutes gives the place to others; who takes little keeps it", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const timed = await openRpcService();
    t.after(async () => await Promise.all([service.close(), timed.close()]));
    const slow = await Peer.unix(timed.socketPath);
    await slow.call("events/subscribe", { since: 0 });
    slow.socket.pause();
    timed.engine.emit("run", { text: "x".repeat(100_000) }, 200);
    const quick = await Peer.unix(timed.socketPath);
    await quick.call("service/status");
    const minutes = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) {
        t.mock.timers.tick(60_000);
        await quick.call("service/status"); // it is heard of
      }
    };
    await minutes(9);
    slow.socket.resume();
    await slow.eventCount(100);
    slow.socket.pause();
    await minutes(9);
    assert.equal(timed.engine.subscribers, 1);
    await minutes(3);
    assert.equal(timed.engine.subscribers, 0);
    slow.socket.terminate();
    await quick.close();
  });

  test("Connection sync/progress is coalesced, and sent to those alone who asked", async (t) => {
    t.after(async () => await service.close());
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

  test("sync/run progressToken tells the request's own progress, none after its answer, and nobody else", async (t) => {
    t.after(async () => await service.close());
    const peer = await Peer.tcp(port);
    const other = await Peer.tcp(port);
    await other.ask("events/subscribe", {});
    const asked = peer.ask("sync/run", { folder: "f1", progressToken: "mine" });
    await peer.ask("service/status", {});
    for (let at = 1; at <= 50; at++) engine.progress({ filesUp: at });
    engine.runs[0]?.resolve([]);
    await asked;
    engine.progress({ filesUp: 51 });
    await peer.ask("service/status", {});
    await other.ask("service/status", {});
    const told = (of: Peer) => of.messages.filter(({ method }) => method === "$/progress");
    assert.ok(told(peer).length > 0 && told(peer).length < 50);
    const { atMs: _atMs, ...value } = Object(Reflect.get(Object(told(peer).at(-1)?.["params"]), "value"));
    assert.deepEqual(value, { folder: "f1", run: "r1", phase: "push", progress: { filesUp: 50 } });
    const answer = peer.messages.findIndex(({ result }) => result !== undefined && "runs" in Object(result));
    assert.ok(peer.messages.findLastIndex(({ method }) => method === "$/progress") < answer);
    assert.deepEqual(told(other), []);
    await peer.close();
    await other.close();
  });

  test("Connection a closed connection leaves nothing behind", async (t) => {
    t.after(async () => await service.close());
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
    await service.close();
    const [code] = await closed;
    assert.equal(code, 1001);
    const refused: Socket = connect(port, "127.0.0.1");
    const [error] = await once(refused, "error");
    assert.equal(Reflect.get(Object(error), "code"), "ECONNREFUSED");
  });
});
