import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { endChild, runToEnd, tie, until, type Ended } from "./children.ts";
import { satchelEntry } from "./entry.ts";
import { readServiceFile } from "./rpc.ts";
import { PASSWORD } from "./sync-server.ts";

/** One run of `sync --wait --json`, by DESIGN §8. */
export type CliRun = {
  readonly result: string;
  readonly uploadedFiles: number;
  readonly downloadedFiles: number;
  readonly deletedLocal: number;
  readonly deletedRemote: number;
  readonly conflicts: number;
  readonly problems: number;
  readonly durationMs: number;
  readonly error?: string | null;
};

/** A service of its own (SATCHEL_HOME) over one folder, driven by the command line alone. */
export type Satchel = {
  readonly home: string;
  readonly root: string;
  /** Runs one command; what it means when it fails is the caller's. */
  cli(args: readonly string[], stdin?: string): Promise<Ended>;
  /** Runs one command with `--json`. @throws Error when its exit code is 2 or above, with what it said. */
  json(args: readonly string[]): Promise<unknown>;
  /** `service start`. */
  start(): Promise<void>;
  /** The same service as a child of ours, without the command that starts it: for tests that open many. Resolves when it answers. */
  run(): Promise<void>;
  /** `service stop`, or SIGTERM where `run` started it. */
  stop(): Promise<void>;
  /** Process id of the service. */
  pid(): Promise<number>;
  /** kill -9 of the service. */
  kill(): Promise<void>;
  /** `login`, then `add` of the folder. */
  join(url: string, user: string, addArgs?: readonly string[]): Promise<void>;
  /** `sync --wait`: the folder's run and the exit code. */
  sync(): Promise<{ readonly code: number | null; readonly run: CliRun | undefined; readonly said: string }>;
  /** Stops the service and removes everything. */
  close(): Promise<void>;
};

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Makes the homes; nothing runs yet. `root`: an existing media folder, else a fresh one is made. */
export async function makeSatchel(root?: string): Promise<Satchel> {
  const top = await mkdtemp(path.join(tmpdir(), "satchel-device-"));
  const home = path.join(top, "home");
  const folder = root ?? path.join(top, "media");
  await mkdir(folder, { recursive: true });
  const env = { ...process.env, SATCHEL_HOME: home, NO_COLOR: "1" };

  let child: ChildProcess | undefined;
  const self: Satchel = {
    home,
    root: folder,
    async cli(args, stdin) {
      return await runToEnd(process.execPath, [satchelEntry(), ...args], { env, ...(stdin === undefined ? {} : { stdin }) });
    },
    async json(args) {
      const ended = await self.cli([...args, "--json"]);
      if (ended.code === null || ended.code >= 2)
        throw new Error(`satchel ${args.join(" ")} ended with ${String(ended.code)}: ${ended.stderr.trim()} ${ended.stdout.trim()}`);
      return JSON.parse(ended.stdout);
    },
    async start() {
      const ended = await self.cli(["service", "start"]);
      if (ended.code !== 0) throw new Error(`satchel service start ended with ${String(ended.code)}: ${ended.stderr}`);
    },
    async run() {
      const started = tie(spawn(process.execPath, [satchelEntry(), "service", "run"], { env, stdio: ["ignore", "ignore", "pipe", "ipc"] }));
      child = started;
      let tail = "";
      started.stderr?.setEncoding("utf8").on("data", (text: string) => (tail = (tail + text).slice(-4000)));
      await new Promise<void>((resolve, reject) => {
        started.once("message", () => resolve());
        started.once("error", reject);
        started.once("exit", (code) => reject(new Error(`satchel service run ended with ${String(code)}:\n${tail}`)));
      });
      started.disconnect();
    },
    async stop() {
      if (child !== undefined) {
        await endChild(child);
        child = undefined;
        return;
      }
      const ended = await self.cli(["service", "stop"]);
      if (ended.code !== 0 && ended.code !== 5) throw new Error(`satchel service stop ended with ${String(ended.code)}: ${ended.stderr}`);
    },
    async pid() {
      const found = (await readServiceFile(home))?.pid;
      if (found === undefined) throw new Error(`no service.json below ${home}`);
      return found;
    },
    async kill() {
      const pid = await self.pid();
      process.kill(pid, "SIGKILL");
      await until(`service ${String(pid)} is gone`, () => !alive(pid));
    },
    async join(url, user, addArgs = []) {
      const login = await self.cli(["login", url, "--user", user, "--password-stdin"], PASSWORD);
      if (login.code !== 0) throw new Error(`satchel login ended with ${String(login.code)}: ${login.stderr}`);
      const added = await self.cli(["add", folder, "--remote", login.stdout.trim(), ...addArgs]);
      if (added.code !== 0) throw new Error(`satchel add ended with ${String(added.code)}: ${added.stderr}`);
    },
    async sync() {
      const ended = await self.cli(["sync", "--wait", "--json"]);
      const said = `${ended.stdout.trim()} ${ended.stderr.trim()}`;
      return { code: ended.code, run: firstRun(ended.stdout), said };
    },
    async close() {
      if (child !== undefined) await self.stop();
      const pid = (await readServiceFile(home))?.pid;
      if (pid !== undefined && alive(pid)) {
        await self.stop();
        await until(`service ${String(pid)} is gone`, () => !alive(pid));
      }
      await rm(top, { recursive: true, force: true });
    },
  };
  return self;
}

function firstRun(stdout: string): CliRun | undefined {
  if (stdout.trim() === "") return undefined;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shape is what DESIGN §8 promises; a missing key fails the test that reads it
  const told = JSON.parse(stdout) as { readonly runs?: readonly CliRun[] };
  return told.runs?.[0];
}
