/** node-transport over real loopback sockets: what it sends, what it refuses, and how each failure is told. Time is stepped. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { after, test } from "node:test";

import { TransportError, type HttpRequest, type TransportFault } from "../service/core/ports.ts";
import { openNodeTransport } from "../service/remotes/node-transport.ts";
import { toTransportError } from "../service/remotes/transport-errors.ts";
import { SteppedClock } from "./support/stepped-clock.ts";

const never = new AbortController().signal;
const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** A raw TCP peer: what it gets is its own affair. */
async function peer(onSocket: (socket: net.Socket, index: number) => void): Promise<number> {
  let index = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    onSocket(socket, index);
    index += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server.address());
}

async function httpPeer(handle: http.RequestListener): Promise<number> {
  const server = http.createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return portOf(server.address());
}

function portOf(address: string | net.AddressInfo | null): number {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  return address.port;
}

function open(clock = new SteppedClock()) {
  const transport = openNodeTransport({ clock });
  closers.push(() => transport.close());
  return transport;
}

function post(port: number, change: Partial<HttpRequest> = {}): HttpRequest {
  const body = Buffer.from("question");
  return { method: "POST", url: `http://127.0.0.1:${port}/x?y=1`, headers: {}, body, stallMs: 30_000, maxResponseBytes: 1000, ...change };
}

function fault(expected: TransportFault, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof TransportError, String(error));
    assert.equal(error.fault, expected, error.message);
    assert.match(error.message, words);
    return true;
  };
}

const REPLY = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer";

test("openNodeTransport() send: method, path, headers, body with its length; reply with lower-case headers; both directions reported", async () => {
  let seen: unknown = null;
  const port = await httpPeer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { "x-own": own, "content-length": length, authorization } = request.headers;
      seen = { method: request.method, url: request.url, own, length, authorization, body: Buffer.concat(chunks).length };
      response.setHeader("X-Reply", "yes").end("answer");
    });
  });
  const body = Buffer.alloc(1_000_000, 7);
  const moved = { sent: 0, received: 0 };
  const onBytes = (sent: number, received: number) => {
    moved.sent += sent;
    moved.received += received;
  };
  const url = `http://ada%40home:p%3As@127.0.0.1:${port}/a/b?c=d`;
  const reply = await open().send(post(port, { url, body, headers: { "x-own": "1" }, onBytes }), never);
  const authorization = `Basic ${Buffer.from("ada@home:p:s").toString("base64")}`;
  assert.deepEqual(seen, { method: "POST", url: "/a/b?c=d", own: "1", length: "1000000", authorization, body: 1_000_000 });
  assert.deepEqual([reply.status, reply.headers["x-reply"], Buffer.from(reply.body).toString()], [200, "yes", "answer"]);
  assert.deepEqual(moved, { sent: 1_000_000, received: 6 });
});

test("openNodeTransport() redirects are handed back, not followed; one connection serves several requests", async () => {
  let connections = 0;
  const port = await peer((socket) => {
    connections += 1;
    socket.on("data", () => socket.write("HTTP/1.1 308 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"));
  });
  const transport = open();
  for (let round = 0; round < 3; round += 1) {
    const reply = await transport.send(post(port), never);
    assert.deepEqual([reply.status, reply.headers["location"]], [308, "http://127.0.0.1:1/"]);
  }
  assert.equal(connections, 1);
});

test("openNodeTransport() a kept connection that the peer had closed is replaced once, and only before any byte of an answer", async () => {
  let requests = 0;
  const port = await peer((socket, index) => {
    socket.on("data", () => {
      requests += 1;
      if (index === 0 && requests === 2) socket.resetAndDestroy();
      else socket.write(REPLY);
    });
  });
  const transport = open();
  await transport.send(post(port), never);
  assert.equal((await transport.send(post(port), never)).status, 200);
  assert.equal(requests, 3);
  const cutting = await peer((socket) => {
    let asked = 0;
    socket.on("data", () => {
      asked += 1;
      if (asked === 1) socket.write(REPLY);
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", () => socket.resetAndDestroy());
    });
  });
  await transport.send(post(cutting), never);
  await assert.rejects(transport.send(post(cutting), never), fault("reset", /broke/));
});

test("openNodeTransport() NW01 cut before the answer, in the headers, in the body: reset", async () => {
  for (const part of ["", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nans"]) {
    const port = await peer((socket) => {
      socket.on("data", () => socket.end(part));
    });
    await assert.rejects(open().send(post(port), never), fault("reset", /127\.0\.0\.1:\d+: the connection broke|middle of the answer/));
  }
});

test("openNodeTransport() more than the allowed bytes is refused, whether announced or not, never cut", async () => {
  const announced = await peer((socket) => {
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n"));
  });
  await assert.rejects(open().send(post(announced), never), fault("tooLarge", /1000 bytes/));
  const silent = await httpPeer((_request, response) => {
    response.write(Buffer.alloc(600));
    response.end(Buffer.alloc(600));
  });
  await assert.rejects(open().send(post(silent), never), fault("tooLarge", /1000 bytes/));
  assert.equal((await open().send(post(silent, { maxResponseBytes: 1200 }), never)).body.length, 1200);
});

test("openNodeTransport() NW06 a stall ends it after stallMs; a byte in either direction starts the time again", async () => {
  const clock = new SteppedClock();
  const arrived = Promise.withResolvers<net.Socket>();
  const port = await peer((socket) => {
    socket.once("data", () => arrived.resolve(socket));
  });
  const received = Promise.withResolvers<void>();
  const onBytes = (_sent: number, bytes: number) => {
    if (bytes > 0) received.resolve();
  };
  const sending = open(clock).send(post(port, { onBytes }), never);
  const outcome = assert.rejects(sending, fault("stall", /nothing moved for 30 s/));
  let ended = false;
  void outcome.then(() => (ended = true));
  const socket = await arrived.promise;
  await clock.advance(29_000);
  socket.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nans");
  await received.promise;
  await clock.advance(29_000);
  assert.equal(ended, false);
  await clock.advance(1_001);
  await outcome;
});

test("openNodeTransport() a body that the peer does not take stalls too", async () => {
  const clock = new SteppedClock();
  const arrived = Promise.withResolvers<void>();
  const port = await peer((socket) => {
    socket.pause();
    arrived.resolve();
  });
  const outcome = assert.rejects(
    open(clock).send(post(port, { body: Buffer.alloc(64 * 1024 * 1024) }), never),
    fault("stall", /nothing moved/),
  );
  await arrived.promise;
  // The kernel takes the first megabytes; how many turns that needs is its affair, so time goes on until the watch bites.
  const ends = { known: false };
  void outcome.then(() => (ends.known = true));
  while (!ends.known) await clock.advance(10_000);
  await outcome;
});

test("openNodeTransport() an answer that comes before the body was taken arrives (403 in mid-upload)", async () => {
  const port = await httpPeer((_request, response) => {
    response.writeHead(403, { connection: "close", "content-length": "3" }).end("403");
  });
  const reply = await open().send(post(port, { body: Buffer.alloc(8 * 1024 * 1024) }), never);
  assert.deepEqual([reply.status, Buffer.from(reply.body).toString()], [403, "403"]);
});

test("openNodeTransport() aborting ends the exchange with the signal's reason, before it began and while it waits", async () => {
  const transport = open();
  await assert.rejects(transport.send(post(1), AbortSignal.abort(new Error("early"))), /early/);
  const closed = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const port = await peer((socket) => {
    socket.once("data", () => arrived.resolve());
    socket.on("close", () => closed.resolve());
  });
  const stop = new AbortController();
  const outcome = assert.rejects(transport.send(post(port), stop.signal), /enough/);
  await arrived.promise;
  stop.abort(new Error("enough"));
  await outcome;
  await closed.promise;
});

test("openNodeTransport() stream: chunks as they come, ends with the peer; leaving it closes the connection; a stall ends it", async () => {
  const clock = new SteppedClock();
  const closed = Promise.withResolvers<void>();
  let live: http.ServerResponse | null = null;
  const port = await httpPeer((request, response) => {
    response.writeHead(200).write("first");
    if (request.url === "/ends") response.end("last");
    else live = response.on("close", () => closed.resolve());
  });
  const transport = open(clock);
  const get = (path: string): HttpRequest => post(port, { method: "GET", url: `http://127.0.0.1:${port}${path}`, body: null });
  const whole = await transport.stream(get("/ends"), never);
  let text = "";
  for await (const chunk of whole.chunks) text += Buffer.from(chunk).toString();
  assert.deepEqual([whole.status, text], [200, "firstlast"]);
  const left = await transport.stream(get("/live"), never);
  for await (const chunk of left.chunks) {
    assert.equal(Buffer.from(chunk).toString(), "first");
    break;
  }
  await closed.promise;
  assert.ok(live !== null);
  const stalled = await transport.stream(get("/live"), never);
  const reading = assert.rejects(
    async () => {
      for await (const chunk of stalled.chunks) assert.ok(chunk.length > 0);
    },
    fault("stall", /30 s/),
  );
  await clock.advance(31_000);
  await reading;
});

test("openNodeTransport() nobody listens: offline, in words that help; what is not HTTP: badReply", async () => {
  const port = await peer(() => undefined);
  const gone = net.createServer().listen(0, "127.0.0.1");
  await once(gone, "listening");
  const free = portOf(gone.address());
  gone.close();
  await once(gone, "close");
  await assert.rejects(open().send(post(free), never), fault("offline", /nothing answers there; is the server running/));
  await assert.rejects(
    open().send(post(port, { url: "http://no-such-host.invalid/" }), never),
    fault("offline", /name (?:is not known|could not be looked up)/),
  );
  const other = await peer((socket) => {
    socket.on("data", () => socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
  });
  await assert.rejects(open().send(post(other), never), fault("badReply", /not HTTP/));
});

test("openNodeTransport() WS16 link-local addresses are not talked to, whatever way they are written", async () => {
  for (const host of ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0xa9fea9fe", "metadata.google.internal"]) {
    await assert.rejects(open().send(post(1, { url: `http://${host}/` }), never), fault("offline", /link-local/));
  }
});

test("openNodeTransport() NW04 https to a plain port: tls", async () => {
  const port = await httpPeer((_request, response) => response.end("plain"));
  await assert.rejects(open().send(post(port, { url: `https://127.0.0.1:${port}/` }), never), fault("tls", /https at this port/));
});

const FAILURES: readonly (readonly [code: string, fault: TransportFault, words: RegExp])[] = [
  ["CERT_HAS_EXPIRED", "tls", /expired\. Is the clock of this machine right/],
  ["CERT_NOT_YET_VALID", "tls", /not valid yet\. Is the clock/],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "tls", /another host name/],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "tls", /self-signed/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "tls", /authority this machine does not know/],
  ["ECONNREFUSED", "offline", /is the server running/],
  ["ENOTFOUND", "offline", /name is not known/],
  ["ENETUNREACH", "offline", /not connected/],
  ["ETIMEDOUT", "offline", /did not answer/],
  ["ECONNRESET", "reset", /broke/],
  ["HPE_INVALID_CONSTANT", "badReply", /not HTTP/],
  ["EWHATEVER", "reset", /EWHATEVER/],
];
for (const [code, expected, words] of FAILURES) {
  test(`toTransportError() NW04 TM08 ${code} is ${expected}`, () => {
    const error = Object.assign(new Error("raw"), { code });
    assert.ok(fault(expected, words)(toTransportError(error, new URL("https://h.example/"))));
  });
}
