import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { beforeEach, suite, test } from "node:test";

import type { EngineDouble } from "./support/engine-double.ts";
import { Peer } from "./support/rpc-peer.ts";
import { openRpcService, type RpcService } from "./support/rpc-service.ts";

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

  test("events/subscribe WS18 a number from a lost life begins anew instead of waiting for ever", async (t) => {
    t.after(async () => await service.close());
    const peer = await Peer.tcp(port);
    engine.emit("run", {}, 2);
    assert.deepEqual((await peer.call("events/subscribe", { since: 5000 }))["result"], { since: 2, lastSeq: 2 });
    engine.emit("run");
    assert.equal((await peer.until(() => peer.events()[0])).seq, 3);
    await peer.close();
  });

  test("Connection WS12 a slow reader is waited for: nothing is read ahead for it, nothing is lost, others go on", async (t) => {
    t.after(async () => await service.close());
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
