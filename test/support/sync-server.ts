import { spawn, type ChildProcess } from "node:child_process";
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";

import { satchelEntry } from "./entry.ts";
import { answers, endChild, freePort, tie, until } from "./children.ts";

/** A sync server of either kind in a process of its own, with a folder of its own; the same port for its whole life. */
export type SyncServer = {
  readonly kind: "official" | "satchel";
  readonly port: number;
  /** Base URL, ends in `/`. */
  readonly url: string;
  /** SYNC_BASE. */
  readonly base: string;
  pid(): number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** kill -9, as a crash. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** Copies SYNC_BASE as it is with the server stopped; the returned function puts that copy back in the same way. */
  backup(): Promise<() => Promise<void>>;
  /** Stops and removes everything. */
  close(): Promise<void>;
};

/**
 * The password of every account made here; of this process alone, and so are the keys that it gives. Accounts have the same names in every run: at a
 * port that another run's server took first, or that a service left over from a killed run still asks, one would else be a third device in somebody's account.
 */
export const PASSWORD = `secret-${randomBytes(6).toString("hex")}`;
/** Few rounds: the tests' accounts guard nothing, and a server hashes once per account when it is given plain passwords. */
const ROUNDS = 1000;
/** How often, and how long between two tries. */
const LOGIN_TRIES = 100;
const LOGIN_REST_MS = 300;
const SALT = "c2F0Y2hlbHRlc3Q";

/** `name:$pbkdf2-sha256$…` as both servers read it under PASSWORDS_HASHED. */
function account(name: string): string {
  const hash = pbkdf2Sync(PASSWORD, Buffer.from(SALT, "base64"), ROUNDS, 32, "sha256").toString("base64").replace(/=+$/, "");
  return `${name}:$pbkdf2-sha256$i=${String(ROUNDS)},l=32$${SALT}$${hash}`;
}

/** How a server of each kind is started. `satchel` is our own entry. */
export type ServerProgram = { readonly kind: "official"; readonly python: string } | { readonly kind: "satchel" };

/** Starts a server with accounts `user1` … `userN` (password: PASSWORD) on a free loopback port. */
export async function startSyncServer(program: ServerProgram, accounts: number): Promise<SyncServer> {
  const home = await mkdtemp(path.join(tmpdir(), `satchel-${program.kind}-server-`));
  const base = path.join(home, "base");
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}/`;
  const users = Array.from({ length: accounts }, (_, at) => [`SYNC_USER${String(at + 1)}`, account(`user${String(at + 1)}`)]);
  const env = {
    ...process.env,
    ...Object.fromEntries(users),
    PASSWORDS_HASHED: "1",
    SYNC_BASE: base,
    SYNC_HOST: "127.0.0.1",
    SYNC_PORT: String(port),
    RUST_LOG: "error",
    SATCHEL_HOME: path.join(home, "home"),
  };
  const [file, args] =
    program.kind === "official" ? [program.python, ["-m", "anki.syncserver"]] : [process.execPath, [satchelEntry(), "server", "run"]];
  let child: ChildProcess | undefined;

  const server: SyncServer = {
    kind: program.kind,
    port,
    url,
    base,
    pid: () => child?.pid ?? 0,
    async start() {
      const started = tie(spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"] }));
      child = started;
      let tail = "";
      for (const stream of [started.stdout, started.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => (tail = (tail + text).slice(-4000)));
      await until(`${program.kind} server on ${url}`, async () => {
        if (started.exitCode !== null) throw new Error(`the ${program.kind} server ended (${String(started.exitCode)}):\n${tail}`);
        return await answers(new URL("health", url).href);
      });
    },
    async stop() {
      if (child !== undefined) await endChild(child);
      child = undefined;
    },
    async kill() {
      if (child !== undefined) {
        child.kill("SIGKILL");
        await endChild(child);
      }
      child = undefined;
    },
    async backup() {
      const copy = path.join(home, "backup");
      await server.stop();
      await cp(base, copy, { recursive: true });
      await server.start();
      return async () => {
        await server.stop();
        await rm(base, { recursive: true, force: true });
        await cp(copy, base, { recursive: true });
        await server.start();
      };
    },
    async close() {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** Tries a login again while the server asks to wait: it takes only so many in a second, and tests open many devices at once. */
export async function patiently<T>(login: () => Promise<T>): Promise<T> {
  for (let left = LOGIN_TRIES; ; left--) {
    try {
      return await login();
    } catch (error) {
      if (left === 0 || !/429|too many/i.test(String(error))) throw error;
      await sleep(LOGIN_REST_MS);
    }
  }
}

/** Logs in as any client does (`sync/hostKey`). @throws Error when the server refuses. */
export async function loginKey(url: string, user: string): Promise<string> {
  const reply = await fetch(new URL("sync/hostKey", url), {
    method: "POST",
    headers: { "anki-sync": JSON.stringify({ v: 11, k: "", c: "test", s: "test" }) },
    body: zstdCompressSync(JSON.stringify({ u: user, p: PASSWORD })),
  });
  const bytes = Buffer.from(await reply.arrayBuffer());
  if (reply.status !== 200) throw new Error(`login of ${user} at ${url} was refused: ${String(reply.status)} ${bytes.toString()}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Anki's reply; a missing key makes the next request fail
  return (JSON.parse(zstdDecompressSync(bytes).toString()) as { readonly key: string }).key;
}
