import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";

import { WebSocketServer } from "ws";

import { ErrorCode } from "../protocol/errors.ts";
import { PROTOCOL_VERSION, VERSION } from "../protocol/version.ts";
import { openSession, type SessionOptions } from "../extension/connect.ts";
import { placesHere, readServiceFile } from "../extension/launch.ts";
import { RequestError, type Session, type SessionState } from "../extension/session.ts";
import { until } from "./support/children.ts";
import { makeSatchel } from "./support/satchel.ts";
import { readServiceFile as serviceFileOf } from "./support/rpc.ts";

const ENTRY = path.join(import.meta.dirname, "..", "service", "main.ts");

type Home = {
  readonly home: string;
  /** A window's session; closed with the test. */
  readonly session: (options?: Partial<SessionOptions>) => Session;
  readonly pid: () => Promise<number>;
};

/** A home of its own; its service ends with the test. */
async function newHome(t: TestContext): Promise<Home> {
  const top = await mkdtemp(path.join(tmpdir(), "satchel-session-"));
  const home = path.join(top, "home");
  const env = { ...process.env, SATCHEL_HOME: home };
  const sessions: Session[] = [];
  t.after(async () => {
    for (const session of sessions) session.close();
    const pid = (await serviceFileOf(home))?.pid;
    if (pid !== undefined && lives(pid)) {
      process.kill(pid);
      await until("the service is gone", () => !lives(pid));
    }
    await rm(top, { recursive: true, force: true });
  });
  return {
    home,
    session: (options) => {
      const session = openSession({
        places: placesHere(env),
        env,
        entry: ENTRY,
        logDirectory: path.join(top, "log"),
        tcp: false,
        client: "test",
        startAtOnce: true,
        log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
        ...options,
      });
      sessions.push(session);
      return session;
    },
    pid: async () => (await serviceFileOf(home))?.pid ?? 0,
  };
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The first state of this kind, now or later. */
async function reached<Kind extends SessionState["kind"]>(session: Session, kind: Kind): Promise<Extract<SessionState, { kind: Kind }>> {
  return await new Promise((resolve) => {
    const look = (state: SessionState) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the kind was compared
      if (state.kind === kind) resolve(state as Extract<SessionState, { kind: Kind }>);
    };
    session.onState(look);
    look(session.state);
  });
}

test("openSession() starts one service for all windows, detached, without what is the editor's own", async (t) => {
  const { session, pid, home } = await newHome(t);
  const env = { ...process.env, SATCHEL_HOME: home, VSCODE_CWD: "/", ELECTRON_RUN_AS_NODE: "1", NODE_OPTIONS: "--no-warnings" };
  const [one, other] = [session({ env }), session({ env })];
  const hellos = [(await reached(one, "ready")).hello, (await reached(other, "ready")).hello];
  assert.deepEqual(
    hellos.map((hello) => hello.pid),
    [await pid(), await pid()],
  );
  one.close();
  assert.equal((await other.call("service/status", {})).service.pid, await pid());
  if (process.platform !== "linux") return;
  const environment = await readFile(`/proc/${String(await pid())}/environ`, "utf8");
  assert.doesNotMatch(environment, /(?:^|\0)(?:VSCODE_|ELECTRON_|NODE_OPTIONS)/);
  const stat = await readFile(`/proc/${String(await pid())}/stat`, "utf8");
  assert.equal(stat.split(") ")[1]?.split(" ")[3], String(await pid()), "a session of its own: it outlives terminal and editor");
});

test("openSession() a service that is killed comes back by itself, and no event is missed", async (t) => {
  const { session, pid, home } = await newHome(t);
  const folder = path.join(home, "..", "media");
  await mkdir(folder, { recursive: true });
  const window = session();
  await reached(window, "ready");
  const seen: string[] = [];
  window.onEvent(({ kind }) => seen.push(kind));
  const { folder: id } = await window.call("folders/add", { root: folder });
  const killed = await pid();
  process.kill(killed, "SIGKILL");
  await until("another service answers", async () => window.state.kind === "ready" && window.state.hello.pid !== killed);
  await window.call("sync/pause", { folder: id });
  await until("the newest event is told", () => seen.includes("folder/paused"));
  assert.deepEqual(
    seen.filter((kind) => kind.startsWith("folder/")),
    ["folder/added", "folder/paused"],
    "each once, in order",
  );
});

test("openSession() a service that was stopped stays stopped until the user starts it", async (t) => {
  const { session } = await newHome(t);
  const window = session();
  await reached(window, "ready");
  await window.call("service/shutdown", {});
  await reached(window, "stopped");
  await assert.rejects(
    window.call("service/status", {}),
    (error: unknown) => error instanceof RequestError && /does not run/.test(error.message),
  );
  await window.start();
  assert.equal(window.state.kind, "ready");
});

test("openSession() nobody who never used Satchel gets a service; one that somebody else starts is attached to", async (t) => {
  const device = await makeSatchel();
  t.after(async () => await device.close());
  const { session } = await newHome(t);
  const window = session({ places: placesHere({ ...process.env, SATCHEL_HOME: device.home }), startAtOnce: false });
  await reached(window, "idle");
  assert.ok(!existsSync(path.join(device.home, "state")));
  await device.run();
  assert.equal((await reached(window, "ready")).hello.pid, await device.pid());
});

test("openSession() an older service makes room for a newer extension's, and older windows follow", async (t) => {
  const { session, pid } = await newHome(t);
  const older = session();
  const old = (await reached(older, "ready")).hello.pid;
  const newer = session({ version: "99.0.0" });
  const now = (await reached(newer, "ready")).hello.pid;
  assert.notEqual(now, old);
  assert.ok(!lives(old));
  await until("the older window is attached again", () => older.state.kind === "ready" && older.state.hello.pid === now);
  assert.equal(await pid(), now);
});

test("openSession() an aborted call is cancelled at the service", async (t) => {
  const { session } = await newHome(t);
  const window = session();
  await reached(window, "ready");
  const gone = AbortSignal.abort();
  await assert.rejects(
    window.call("service/status", {}, gone),
    (error: unknown) => error instanceof RequestError && error.code === ErrorCode.RequestCancelled,
  );
});

const KEY = "k".repeat(43);
/** No process has it. */
const NOBODY = 2 ** 31 - 1;

/** Something that speaks JSON-RPC on a socket, and a service.json that points at it. Returns what it was sent. */
async function pretender(t: TestContext, home: string, hello: (nonce: string) => Record<string, unknown>): Promise<readonly string[]> {
  const run = path.join(home, "state", "run");
  await mkdir(run, { recursive: true });
  const socket = path.join(run, "p.sock");
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  const told: string[] = [];
  sockets.on("connection", (client) =>
    client.on("message", (data: Buffer) => {
      const { id, method, params }: { id: string; method: string; params: { nonce: string } } = JSON.parse(data.toString());
      told.push(method);
      client.send(
        JSON.stringify({
          jsonrpc: "2.0",
          id,
          result: { session: "s", device: "d", scope: "admin", lastSeq: 0, pid: NOBODY, ...hello(params.nonce) },
        }),
      );
    }),
  );
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => {
    sockets.clients.forEach((client) => client.terminate());
    server.close();
  });
  const file = {
    protocolVersion: PROTOCOL_VERSION,
    version: VERSION,
    pid: NOBODY,
    socket,
    port: null,
    token: "t".repeat(43),
    serviceKey: KEY,
    startedAtMs: 0,
  };
  await writeFile(path.join(run, "service.json"), JSON.stringify(file), { mode: 0o600 });
  return told;
}

test("openSession() who can't prove to have written service.json is told nothing", async (t) => {
  const { session, home } = await newHome(t);
  const told = await pretender(t, home, () => ({ version: VERSION, protocolVersion: PROTOCOL_VERSION, proof: "0".repeat(64) }));
  const window = session();
  assert.match((await reached(window, "failed")).message, /Something else than the Satchel service answers/);
  assert.deepEqual([...new Set(told)], ["service/hello"]);
});

test("openSession() a service of a newer protocol is not talked with: the window is to be reloaded", async (t) => {
  const { session, home } = await newHome(t);
  const told = await pretender(t, home, (nonce) => ({
    version: "99.0.0",
    protocolVersion: PROTOCOL_VERSION + 1,
    proof: createHmac("sha256", KEY).update(`satchel-hello:${nonce}`).digest("hex"),
  }));
  const window = session();
  assert.match((await reached(window, "outdated")).message, /Satchel 99\.0\.0 runs, which is newer.*Reload the window/);
  assert.deepEqual([...new Set(told)], ["service/hello"]);
});

test("readServiceFile() EX10 a link, and a file that others can read, tell nothing", { skip: process.platform === "win32" }, async (t) => {
  const { home } = await newHome(t);
  await pretender(t, home, () => ({}));
  const places = placesHere({ ...process.env, SATCHEL_HOME: home });
  const file = path.join(places.run, "service.json");
  assert.equal((await readServiceFile(places))?.pid, NOBODY);
  await chmod(file, 0o644);
  assert.equal(await readServiceFile(places), null);
  await chmod(file, 0o600);
  await rename(file, `${file}.elsewhere`);
  await symlink(`${file}.elsewhere`, file);
  assert.equal(await readServiceFile(places), null);
  await rm(file);
});
