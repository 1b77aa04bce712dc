import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, suite, test } from "node:test";

import { ErrorCode } from "../protocol/errors.ts";
import { PROTOCOL_VERSION } from "../protocol/version.ts";
import { endChild, tie } from "./support/children.ts";
import { Peer } from "./support/rpc-peer.ts";
import { connectRpc, readServiceFile } from "./support/rpc.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { PASSWORD, startSyncServer, type SyncServer } from "./support/sync-server.ts";
import { findVenv } from "./support/venv.ts";
import { orFailInGate } from "./support/optional.ts";

const FOREIGN = path.join(import.meta.dirname, "foreign");
const venv = await findVenv({
  name: "websockets",
  requirements: path.join(FOREIGN, "requirements.txt"),
  probe: "import websockets.sync.client",
});
const skip = orFailInGate("missing" in venv ? `no Python with websockets: ${venv.missing}` : false);
const python = "python" in venv ? venv.python : "";

/** One of the scripts, spoken to in lines of JSON. */
class Script {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  #said = "";
  #over = false;
  #wake = Promise.withResolvers<void>();

  constructor(name: string, args: readonly string[]) {
    const child = tie(spawn(python, [path.join(FOREIGN, name), ...args], { stdio: ["pipe", "pipe", "pipe"] }));
    this.child = child;
    const wake = (): void => {
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    };
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push(JSON.parse(line));
      wake();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#said += text));
    child.on("close", () => {
      this.#over = true;
      wake();
    });
  }

  say(value: unknown): void {
    this.child.stdin?.write(`${JSON.stringify(value)}\n`);
  }

  /** @throws Error with what the script said when it ends first */
  async until(found: (lines: readonly Record<string, unknown>[]) => boolean): Promise<void> {
    while (!found(this.lines)) {
      if (this.#over) throw new Error(`the script ended: ${this.#said.slice(-2000)}`);
      await this.#wake.promise;
    }
  }

  async step(name: string): Promise<Record<string, unknown>> {
    await this.until((lines) => lines.some(({ step }) => step === name));
    return this.lines.find(({ step }) => step === name) ?? {};
  }
}

function serviceFileOf({ home }: Satchel): string {
  return path.join(home, "state", "run", "service.json");
}

suite("a foreign client: Python's websockets", { skip }, () => {
  let server: SyncServer;
  let one: Satchel;
  let two: Satchel;
  before(async () => {
    [server, one, two] = await Promise.all([startSyncServer({ kind: "satchel" }, 1), makeSatchel(), makeSatchel()]);
    await Promise.all([one.run(), two.run()]);
  });
  after(async () => {
    await Promise.all([one.close(), two.close()]);
    await server.close();
  });

  test("adds a folder, signs in, syncs, streams events, resolves a conflict", async () => {
    const script = new Script("story.py", [serviceFileOf(one), one.root, server.url]);
    script.say({ user: "user1", password: PASSWORD });
    assert.deepEqual(await script.step("hello"), { step: "hello", version: PROTOCOL_VERSION, scope: "admin" });
    assert.equal((await script.step("refused"))["code"], ErrorCode.Auth);
    assert.equal((await script.step("added"))["sameLog"], true);
    assert.deepEqual(await script.step("synced"), { step: "synced", result: "insync", error: null });

    const other = await connectRpc(two.home);
    await other.call("remotes/login", { url: server.url, user: "user1", password: PASSWORD });
    const { folder } = await other.call("folders/add", { root: two.root });
    await other.call("sync/run", { folder });
    assert.equal(await readFile(path.join(two.root, "photo.png"), "utf8"), "first");
    script.say("it is here");
    await script.step("changed");
    await writeFile(path.join(two.root, "photo.png"), "theirs");
    const [run] = (await other.call("sync/run", { folder })).runs;
    assert.deepEqual([run?.result, run?.uploadedFiles], ["insync", 1]);
    script.say("mine is sent");

    assert.deepEqual(await script.step("conflict"), { step: "conflict", path: "photo.png", stands: "theirs" });
    assert.deepEqual(await script.step("resolved"), { step: "resolved", result: "insync", stands: "mine", open: 0 });
    const streamed = await script.step("streamed");
    assert.equal(streamed["same"], true);
    for (const kind of ["folder/added", "remote/login", "run", "conflict", "conflict/resolved"])
      assert.ok(String(streamed["kinds"]).includes(kind), kind);
    await other.call("sync/run", { folder });
    assert.equal(await readFile(path.join(two.root, "photo.png"), "utf8"), "mine");
    await other.close();
  });

  for (const over of ["tcp", "unix"])
    test(`follows events over ${over} while the service is killed and started again in mid-stream: none missed, none twice`, async (t) => {
      const satchel = await makeSatchel();
      t.after(async () => await satchel.close());
      await satchel.run();
      const script = new Script("follow.py", [serviceFileOf(satchel), over]);
      t.after(async () => await endChild(script.child));
      const open = async (): Promise<Peer> => {
        const file = await readServiceFile(satchel.home);
        return await Peer.unix(file?.socket ?? "", file?.token);
      };
      let peer = await open();
      const { folder } = await peer.ask("folders/add", { root: satchel.root });
      const lives = 5;
      for (let life = 1; life <= lives; life++) {
        // Some of them are under way to the subscriber, some not told yet, when the service dies.
        for (let at = 0; at < 20; at++) await peer.ask(at % 2 === 0 ? "sync/pause" : "sync/resume", { folder });
        for (let at = 0; at < 40; at++) peer.socket.send(JSON.stringify({ jsonrpc: "2.0", method: "sync/pause", params: { folder } }));
        const seen = script.lines.length;
        await script.until((lines) => lines.length > seen || life === lives);
        if (life === lives) break;
        await satchel.kill();
        peer.socket.terminate();
        await satchel.run();
        peer = await open();
      }
      await peer.ask("sync/resume", { folder });
      const { lastSeq } = await peer.ask("events/list", { limit: 1 });
      await script.until((lines) => lines.some(({ seq }) => seq === lastSeq));
      const numbers = script.lines.flatMap(({ seq }) => (typeof seq === "number" ? [seq] : []));
      assert.deepEqual(
        numbers,
        Array.from({ length: lastSeq }, (_, at) => at + 1),
      );
      assert.ok(lastSeq > lives * 20);
      assert.ok(script.lines.filter((line) => "lost" in line).length >= lives - 1, "the stream was cut");
      await peer.close();
    });
});
