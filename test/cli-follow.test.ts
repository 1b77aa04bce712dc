/** Commands that go on until Ctrl-C: what ends them, and what they say and leave behind then. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { suite, test } from "node:test";

import type { Host } from "../service/cli/host.ts";
import { openCliDouble } from "./support/cli-double.ts";
import { runSummary } from "./support/engine-double.ts";
import { openTold } from "./support/told.ts";

/** Resolves `waiting` when the command has nothing left to do but wait for Ctrl-C, which comes with `press`. */
function keyboard() {
  const waiting = Promise.withResolvers<void>();
  const pressed = Promise.withResolvers<void>();
  const interrupted = async (): Promise<void> => {
    waiting.resolve();
    await pressed.promise;
  };
  return { interrupted, waiting: waiting.promise, press: pressed.resolve };
}

/** An output that tells when it has taken enough. */
function listen(isEnough: (text: string) => boolean) {
  const enough = Promise.withResolvers<void>();
  let text = "";
  const through = new PassThrough().setEncoding("utf8").on("data", (more: string) => {
    text += more;
    if (isEnough(text)) enough.resolve();
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stream with the terminal's property that the command line reads
  return { stream: Object.assign(through, { isTTY: false }) as unknown as Host["stderr"], enough: enough.promise, text: () => text };
}

suite("the service ends under a command that follows it", () => {
  for (const [args, again] of [
    [["events", "--follow"], "satchel events --follow --since 0"],
    [["events", "--follow", "--since", "1", "--json"], "satchel events --follow --since 1"],
    [["sync", "--watch"], "satchel sync --watch"],
  ] as const)
    test(`untilInterrupted() ${args.join(" ")}: exit 5, and how to go on`, async () => {
      const double = await openCliDouble();
      const { interrupted, waiting } = keyboard();
      const said = double.satchel(args, { host: { interrupted } });
      await waiting;
      await double.close();
      const { code, stderr } = await said;
      assert.equal(code, 5);
      assert.match(stderr, /The service has ended.*`satchel service start`/);
      assert.ok(stderr.includes(again), stderr);
    });

  for (const args of [
    ["events", "--follow"],
    ["sync", "--watch"],
  ])
    test(`untilInterrupted() ${args.join(" ")}: Ctrl-C is no trouble`, async (t) => {
      const double = await openCliDouble();
      t.after(async () => await double.close());
      const { interrupted, waiting, press } = keyboard();
      const said = double.satchel(args, { host: { interrupted } });
      await waiting;
      press();
      const { code, stderr } = await said;
      assert.equal(code, 0);
      assert.doesNotMatch(stderr, /has ended/);
    });
});

test("sync --watch --json tells every run as a line of its own", async (t) => {
  const double = await openCliDouble();
  t.after(async () => await double.close());
  const { interrupted, waiting, press } = keyboard();
  const heard = listen((text) => text.split("\n").length > 2);
  const said = double.satchel(["sync", "--watch", "--json"], { host: { interrupted, stdout: heard.stream } });
  await waiting;
  double.engine.emit("run", runSummary({ uploadedFiles: 2 }));
  double.engine.emit("problem", { path: "a", reason: "empty" });
  double.engine.emit("run", runSummary({ result: "problems" }));
  await heard.enough;
  press();
  assert.equal((await said).code, 1);
  assert.equal(openTold().read("sync --watch", heard.text()).length, 2);
});

suite("start FOLDER, with a server of its own, over a service that was there before", () => {
  /** Runs `start` until its first sync is asked for; `ends` counts what has ended. */
  async function begin(flags: readonly string[] = [], more: Partial<Host> = {}) {
    const double = await openCliDouble();
    const { interrupted, press } = keyboard();
    const ends: string[] = [];
    const server = { url: "http://127.0.0.1:65535/", user: "me", password: "secret", passwordFile: "/p" };
    const ownServer: Host["ownServer"] = async () =>
      await Promise.resolve({
        server,
        stop: async () => {
          ends.push("server");
          await Promise.resolve();
        },
      });
    const host = { interrupted, ownServer, ownServerUrl: () => server.url, realPath: async () => await Promise.resolve("/media/one") };
    double.engine.remotes.list = () => [];
    const said = double.satchel(["start", "one", ...flags], { host: { ...host, ...more } });
    while (double.engine.runs.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return { double, said, press, ends };
  }

  test("start() Ctrl-C during the first sync: the server ends with it, exit 3", async (t) => {
    const { double, said, press, ends } = await begin();
    t.after(async () => await double.close());
    press();
    const { code, stderr } = await said;
    assert.deepEqual([code, ends], [3, ["server"]]);
    assert.match(stderr, /before the first sync was through; nothing was lost/);
  });

  test("start() --json tells the first sync and every later one, a line each; Ctrl-C ends it with the last one's exit code", async (t) => {
    const heard = listen((text) => text.includes("Ctrl-C ends it"));
    const { double, said, press, ends } = await begin(["--json"], { stderr: heard.stream });
    t.after(async () => await double.close());
    double.engine.runs[0]?.resolve([runSummary()]);
    await heard.enough;
    press();
    const { code, stdout } = await said;
    assert.deepEqual([code, ends], [0, ["server"]]);
    assert.deepEqual(openTold().read("start", stdout), [runSummary()]);
  });

  test("start() what a second device types fits into 80 columns: a line that is broken there is no command any more", async (t) => {
    const heard = listen((text) => text.includes("Ctrl-C ends it"));
    const { double, said, press } = await begin([], { stderr: heard.stream });
    t.after(async () => await double.close());
    double.engine.runs[0]?.resolve([runSummary()]);
    await heard.enough;
    press();
    const text = `${(await said).stdout}${heard.text()}`;
    assert.match(text, /satchel login http:\/\/127\.0\.0\.1:65535\/ --user me --password-stdin \\\n {4}< own-server-password\n/);
    assert.deepEqual(
      text.split("\n").filter((line) => line.length > 80),
      [],
    );
  });

  test("start() the service ends: exit 5, how to go on, and the server ends too", async () => {
    const { double, said, ends } = await begin();
    await double.close();
    const { code, stderr } = await said;
    assert.deepEqual([code, ends], [5, ["server"]], stderr);
    assert.match(stderr, /`satchel service status`, then try again/);
  });
});
