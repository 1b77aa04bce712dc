import assert from "node:assert/strict";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { after, before, suite, test } from "node:test";

import { until } from "./support/children.ts";
import { Peer, TOKEN } from "./support/rpc-peer.ts";
import { ALLOWED_ORIGIN, BEARER, openRpcService, sendRaw, upgradeText, type RpcService } from "./support/rpc-service.ts";

suite("the doors", () => {
  let service: RpcService;
  let port = 0;
  /** A handshake that never goes on. */
  let half: Promise<string>;
  before(async () => {
    service = await openRpcService();
    ({ port } = service);
    half = sendRaw(port, "GET / HTTP/1.1\r\nHost:");
  });
  after(async () => await service.close());

  const upgrade = (lines: readonly string[] = [], host = `127.0.0.1:${port}`, target = "/") => upgradeText(host, lines, target);
  const statusOf = async (text: string): Promise<number> => Number((await sendRaw(port, text)).slice(9, 12));

  test("startRpc() WS09 the socket is for its owner alone", async () => {
    assert.equal((await stat(service.socketPath)).mode & 0o777, 0o600);
  });

  const refused: readonly (readonly [name: string, expected: number, text: () => string])[] = [
    ["WS01 a page's Origin", 403, () => upgrade([BEARER, "Origin: https://evil.example"])],
    ["WS01 Origin null", 403, () => upgrade([BEARER, "Origin: null"])],
    ["WS01 two Origins, one allowed", 403, () => upgrade([BEARER, `Origin: ${ALLOWED_ORIGIN}`, "Origin: https://evil.example"])],
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
    ["WS05 1 MB of token", 431, () => upgrade([`Authorization: Bearer ${"t".repeat(1 << 20)}`])],
    ["WS05 a token of another form", 401, () => upgrade([`Authorization: Bearer ${"0".repeat(12)}_${"t".repeat(43)}`])],
    ["WS05 a token as cookie", 401, () => upgrade([`Cookie: token=${TOKEN}`])],
    ["WS10 2 000 headers (CVE-2024-37890)", 431, () => upgrade([BEARER, ...Array.from({ length: 2000 }, () => "a:b")])],
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
    assert.equal(await statusOf(upgrade([BEARER, `Origin: ${ALLOWED_ORIGIN}`])), 101);
    assert.equal(await statusOf(upgrade([BEARER], `localhost:${port}`)), 101);
    assert.equal(await statusOf(upgrade([BEARER], `[::1]:${port}`)), 101);
    const answer = await sendRaw(port, upgrade([`Sec-WebSocket-Protocol: satchel.v1, satchel.token.${TOKEN}`]));
    assert.match(answer, /^HTTP\/1\.1 101/);
    assert.match(answer, /sec-websocket-protocol: satchel\.v1\r/i);
    assert.doesNotMatch(answer, new RegExp(TOKEN));
  });

  test("refusePlain() WS07 WS08 says nothing about itself", async () => {
    const answer = await sendRaw(port, `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
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

  test("judgeUpgrade() WS10 protocol lists that once took for ever (CVE-2021-32640) cost next to nothing", async () => {
    const begun = process.cpuUsage();
    for (const list of [
      `satchel.v1${" ".repeat(7000)}x`,
      ` ${"\t".repeat(7000)},`,
      ",".repeat(7000),
      `${"a,".repeat(3500)}a`,
      "a ".repeat(3500),
    ])
      for (let at = 0; at < 10; at++)
        assert.ok([400, 401].includes(await statusOf(upgrade([`Sec-WebSocket-Protocol: ${list}`]))), list.slice(0, 20));
    // CPU time, both sides' together: quadratic work on 7 KB is seconds, this is some milliseconds.
    const { user, system } = process.cpuUsage(begun);
    assert.ok(user + system < 2_000_000, `${user + system} µs for 50 refusals`);
  });

  test("startRpc() WS17 a hundred connections at once: sixteen come in, the rest are told to wait", async () => {
    const opened: Duplex[] = [];
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = connect(port, "127.0.0.1");
        opened.push(socket);
        socket.on("error", () => undefined);
        socket.write(upgrade([BEARER]));
        const { promise, resolve } = Promise.withResolvers<number>();
        socket.once("data", (data: Buffer) => resolve(Number(data.subarray(9, 12).toString())));
        socket.once("close", () => resolve(0)); // beyond 64 sockets not even a refusal is written
        return await promise;
      }),
    );
    assert.equal(statuses.filter((status) => status === 101).length, 16);
    assert.ok(
      statuses.every((status) => [101, 503, 0].includes(status)),
      statuses.join(),
    );
    for (const socket of opened) socket.destroy();
    await until("the places are free again", async () => {
      const status = await statusOf(upgrade([BEARER]));
      return status === 101;
    });
  });

  test("startRpc() WS17 10 000 requests at once on one connection: it is slowed down, none is lost, others are served meanwhile", async () => {
    const greedy = await Peer.unix(service.socketPath);
    const modest = await Peer.unix(service.socketPath);
    for (let id = 0; id < 10_000; id++) greedy.socket.send(`{"jsonrpc":"2.0","id":${id},"method":"service/hello"}`);
    // Far more than the burst is asked for, and the others' answers do not wait for it.
    for (let at = 0; at < 20; at++) await modest.ask("service/status", {});
    assert.ok(greedy.messages.length < 10_000, `${greedy.messages.length} were answered`);
    await greedy.until(() => (greedy.messages.length >= 10_000 ? true : undefined));
    assert.deepEqual(
      greedy.messages.map(({ id }) => id),
      Array.from({ length: 10_000 }, (_, id) => id),
    );
    await greedy.close();
    await modest.close();
  });

  test("startRpc() WS17 the 17th connection is refused, a place that is given back is taken again", async () => {
    const peers: Peer[] = [];
    for (let at = 0; at < 16; at++) peers.push(await Peer.unix(service.socketPath));
    assert.equal(await statusOf(upgrade([BEARER])), 503);
    const [first] = peers;
    await first?.close();
    const again = await Peer.tcp(port);
    assert.equal((await again.call("service/status"))["error"], undefined);
    for (const peer of [...peers.slice(1), again]) await peer.close();
  });

  test("startRpc() WS10 §5.1 a handshake that does not go on was ended by itself", async () =>
    assert.match(await half, /^HTTP\/1\.1 400 /));
});
