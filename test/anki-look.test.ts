/** What our client asks of a server when a run begins, and what it then need not ask: round trips are the time of a sync over a distance. */
import assert from "node:assert/strict";
import { test } from "node:test";

import type { HttpResponse, Remote, Transport } from "../service/core/ports.ts";
import { fault, never, openAnki, pathOf, putOf, stocked } from "./support/anki-remote.ts";
import { enveloped, page, status, StockServer, type Seen } from "./support/stock-server.ts";

const limits = { entries: 500, batchBytes: 4_000_000, fileBytes: 50_000_000 };
const plain = (value: unknown): HttpResponse => ({ status: 200, headers: {}, body: Buffer.from(JSON.stringify(value)) });

/** A Satchel server with rows f1, f2 …; `tells` false: of the age whose pages say nothing of who sends them. */
class OwnServer {
  epoch = "e1";
  usn = 0;
  tells = true;
  pageRows = 1000;
  /** Answers in the model's place. */
  script: (path: string) => HttpResponse | null = () => null;
  readonly asked: string[] = [];
  peakInFlight = 0;
  #inFlight = 0;

  readonly transport: Transport = {
    send: async ({ url, body }) => {
      const path = new URL(url).pathname;
      this.asked.push(path);
      this.#inFlight += 1;
      this.peakInFlight = Math.max(this.peakInFlight, this.#inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      this.#inFlight -= 1;
      return this.script(path) ?? this.#answer(path, Buffer.from(body ?? []).toString());
    },
    stream: async () => await Promise.reject(new Error("not used")),
  };

  #answer(path: string, body: string): HttpResponse {
    const greeting = { v: 1, id: "server-1", epoch: this.epoch, usn: this.usn, limits };
    if (path === "/health") return plain({ satchel: greeting });
    if (path === "/satchel/upload") return plain({ data: { usn: this.usn, results: ["done"] }, err: "" });
    if (path !== "/satchel/changes") return status(404);
    const last = Number(/"lastUsn":(\d+)/.exec(body)?.[1]);
    const end = Math.min(this.usn, last + this.pageRows);
    const rows = Array.from({ length: Math.max(0, end - last) }, (_, index) => [`f${last + index + 1}`, last + index + 1, "", 0]);
    const data = { rows, more: end < this.usn, ...(this.tells && { satchel: { ...greeting, live: this.usn } }) };
    return plain({ data, err: "" });
  }
}

async function names(remote: Remote, position: string): Promise<string[]> {
  const all: string[] = [];
  for await (const { rows } of remote.feed(position, never)) all.push(...rows.map(({ name }) => name));
  return all;
}

test("state() feed() verify() our server is met in one round trip, and later looks are one request with the list and the count in it", async () => {
  const server = new OwnServer();
  server.usn = 3;
  const remote = openAnki(server);
  assert.deepEqual(await remote.state(never, "0"), { serverId: "server-1", epoch: "e1", position: "3" });
  assert.deepEqual(await names(remote, "0"), ["f1", "f2", "f3"]);
  assert.equal(await remote.verify(3, never), "ok");
  assert.equal(await remote.verify(2, never), "differs");
  assert.deepEqual(server.asked.toSorted(), ["/health", "/satchel/changes"]);
  assert.equal(server.peakInFlight, 2, "both at once");
  server.asked.length = 0;
  server.usn = 4;
  assert.equal((await remote.state(never, "3")).position, "4");
  assert.deepEqual(await names(remote, "3"), ["f4"]);
  assert.equal(await remote.verify(4, never), "ok");
  assert.deepEqual(server.asked, ["/satchel/changes"]);
  assert.deepEqual(remote.can, { conditionalUpload: true, changeStream: true, versions: true });
});

test("verify() after an upload the count of before proves nothing: the server is asked", async () => {
  const server = new OwnServer();
  const remote = openAnki(server);
  await remote.state(never, "0");
  await remote.upload([putOf("a")], never);
  await assert.rejects(remote.verify(0, never), fault("notOurServer"));
  assert.equal(server.asked.at(-1), "/msync/mediaSanity");
});

test("feed() L6 W17 pages of another epoch than the first are refused: they are of another list", async () => {
  const server = new OwnServer();
  server.usn = 5;
  server.pageRows = 2;
  const remote = openAnki(server);
  await remote.state(never, "0");
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { position } of remote.feed("0", never)) {
        seen.push(position);
        server.epoch = "e2";
      }
    },
    fault("retry", /put back to a backup/),
  );
  assert.deepEqual(seen, ["2"]);
  assert.equal((await remote.state(never, "2")).epoch, "e2");
  assert.deepEqual(await names(remote, "0"), ["f1", "f2", "f3", "f4", "f5"]);
});

test("state() a Satchel server whose pages tell nothing is asked as before, and one that learns it is believed", async () => {
  const server = new OwnServer();
  server.usn = 2;
  server.tells = false;
  const remote = openAnki(server);
  await remote.state(never, "0");
  assert.deepEqual(await names(remote, "0"), ["f1", "f2"]);
  server.asked.length = 0;
  assert.equal((await remote.state(never, "0")).serverId, "server-1");
  assert.deepEqual(await names(remote, "0"), ["f1", "f2"]);
  assert.deepEqual(server.asked, ["/health", "/satchel/changes"]);
  server.tells = true;
  await remote.state(never, "0");
  await names(remote, "0");
  server.asked.length = 0;
  await remote.state(never, "0");
  assert.deepEqual(server.asked, ["/satchel/changes"]);
});

test("state() NW02 a server that was ours and answers otherwise is not taken for a stock one", async () => {
  const server = new OwnServer();
  const remote = openAnki(server);
  await remote.state(never, "0");
  for (const reply of [status(404), page(200)]) {
    server.script = () => reply;
    await assert.rejects(remote.state(never, "0"), fault("notOurServer", /does not say any more/));
  }
  server.script = () => null;
  assert.equal((await remote.state(never, "0")).serverId, "server-1");
});

test("state() a failure of the list at the first meeting is told, and the meeting begins anew", async () => {
  const server = new OwnServer();
  server.script = (path) => (path === "/satchel/changes" ? status(503) : null);
  const remote = openAnki(server);
  await assert.rejects(remote.state(never, "0"), fault("retry", /503/));
  server.script = () => null;
  assert.equal((await remote.state(never, "0")).epoch, "e1");
});

test("state() feed() a stock server's first list comes with its answer, and no empty page is asked for where its end is known", async () => {
  const { server, names: all } = stocked(12);
  server.pageRows = 5;
  const remote = openAnki(server);
  assert.equal((await remote.state(never, "0")).position, "12");
  assert.deepEqual(server.paths().slice(1).toSorted(), ["/msync/begin", "/msync/mediaChanges"]);
  server.seen.length = 0;
  assert.deepEqual(await names(remote, "0"), all);
  assert.deepEqual(server.paths(), ["/msync/mediaChanges", "/msync/mediaChanges"]);
  server.seen.length = 0;
  await remote.state(never, "12");
  assert.deepEqual(server.paths(), ["/msync/begin"], "nothing is known to be new");
  await remote.upload([putOf("later")], never);
  server.seen.length = 0;
  assert.equal((await remote.state(never, "12")).position, "13");
  assert.deepEqual(await names(remote, "12"), ["later"]);
  assert.deepEqual(server.paths().toSorted(), ["/msync/begin", "/msync/mediaChanges"]);
});

test("feed() PR07 pages of a stock server that are asked for at once leave no gap and bring nothing twice, however dense the numbers are", async () => {
  for (const [what, numbers] of [
    ["dense", Array.from({ length: 60 }, (_, index) => index + 1)],
    ["dense, then sparse", Array.from({ length: 60 }, (_, index) => (index < 20 ? index + 1 : 20 + (index - 19) * 9))],
    ["sparse, then dense", Array.from({ length: 60 }, (_, index) => (index < 20 ? (index + 1) * 9 : 180 + index))],
  ] as const) {
    const server = new StockServer();
    let inFlight = 0;
    let peak = 0;
    server.script = async (seen: Seen) => {
      if (pathOf(seen) === "/msync/begin") return enveloped({ usn: numbers.at(-1), sk: "x" });
      if (pathOf(seen) !== "/msync/mediaChanges") return null;
      const last = Number(/"lastUsn":(\d+)/.exec(Buffer.from(seen.payload).toString())?.[1]);
      peak = Math.max(peak, (inFlight += 1));
      await new Promise((resolve) => setImmediate(resolve));
      inFlight -= 1;
      const rows = numbers.filter((usn) => usn > last).slice(0, 4);
      return enveloped(rows.map((usn) => [`f${usn}`, usn, ""]));
    };
    const remote = openAnki(server);
    await remote.state(never, "0");
    assert.deepEqual(
      await names(remote, "0"),
      numbers.map((usn) => `f${usn}`),
      what,
    );
    assert.ok(peak > 1 && peak <= 4, `${what}: ${peak} at once`);
    assert.ok(server.seen.length < 60 / 4 + 25, `${what}: ${server.seen.length} requests`);
  }
});

test("feed() a page asked for beforehand that fails ends the list at its turn, not before", async () => {
  const { server } = stocked(30);
  server.pageRows = 5;
  const remote = openAnki(server);
  await remote.state(never, "0");
  server.script = (seen) => (decodes(seen).includes(":20}") ? status(500) : null);
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const { position } of remote.feed("0", never)) seen.push(position);
  }, fault("retry"));
  assert.deepEqual(seen, ["5", "10", "15", "20"]);
});

function decodes({ payload }: Seen): string {
  return Buffer.from(payload).toString();
}
