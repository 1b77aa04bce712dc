import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, readdir, readFile, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text as allOf } from "node:stream/consumers";
import { after, before, suite, test } from "node:test";

import Database from "better-sqlite3";

import { answers, endChild, freePort, runToEnd, until, type Ended } from "./support/children.ts";

const ROOT = path.join(import.meta.dirname, "..");

/** A home of its own for each of two devices, removed at the end. */
let top = "";
/** The bundle, made for this test: it starts three times as fast as the sources, and is what ships. */
let program = "";
before(async () => {
  top = await realpath(await mkdtemp(path.join(tmpdir(), "satchel-process-")));
  const dist = path.join(top, "dist");
  const built = await runToEnd(process.execPath, ["build.ts", `${process.platform}-${process.arch}`, dist], { cwd: ROOT });
  assert.equal(built.code, 0, built.stderr);
  program = path.join(dist, "satchel.mjs");
});
after(async () => await rm(top, { recursive: true, force: true }));

/** Writes noise over the page where this table begins. */
async function garble(file: string, table: string): Promise<void> {
  const db = new Database(file, { readonly: true });
  const page = db.prepare<[string], number>("SELECT rootpage FROM sqlite_schema WHERE name = ?").pluck().get(table) ?? 0;
  db.close();
  const handle = await open(file, "r+");
  await handle.write(Buffer.alloc(400, 0xa5), 0, 400, (page - 1) * 4096);
  await handle.close();
}

/** The gate keeps what was compiled in a place of its own, which goes before ours. */
const { NODE_COMPILE_CACHE: _ofTheGate, ...ENVIRONMENT } = process.env;
const homeOf = (device: string): string => path.join(top, device);
async function satchel(device: string, args: readonly string[], options: { stdin?: string; cwd?: string } = {}): Promise<Ended> {
  return await runToEnd(process.execPath, [program, ...args], {
    env: { ...ENVIRONMENT, SATCHEL_HOME: homeOf(device), NO_COLOR: "1" },
    ...options,
  });
}
async function good(device: string, args: readonly string[], stdin?: string): Promise<Ended> {
  const ended = await satchel(device, args, stdin === undefined ? {} : { stdin });
  assert.equal(ended.code, 0, `satchel ${args.join(" ")}: ${ended.stderr}${ended.stdout}`);
  return ended;
}

suite("the service as a process", () => {
  after(async () => await satchel("one", ["service", "stop"]));

  test("service start answers, a second start changes nothing, a second run exits 0 and names the first", async () => {
    await good("one", ["service", "start"]);
    const file = path.join(homeOf("one"), "state", "run", "service.json");
    const told = await readFile(file, "utf8");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal((await stat(path.dirname(file))).mode & 0o777, 0o700);
    const { pid } = JSON.parse(told);
    assert.match((await good("one", ["service", "start"])).stderr, new RegExp(`already \\(process ${pid}\\)`));
    assert.match((await good("one", ["service", "run"])).stderr, new RegExp(`already \\(process ${pid}\\)`));
    assert.equal(await readFile(file, "utf8"), told);
    assert.equal(JSON.parse((await good("one", ["status", "--json"])).stdout).service.pid, pid);
  });

  test("service stop ends the process and its files; a second stop is no error", async () => {
    const { pid } = JSON.parse((await good("one", ["service", "status", "--json"])).stdout);
    await good("one", ["service", "stop"]);
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
    await assert.rejects(stat(path.join(homeOf("one"), "state", "run", "service.json")));
    await good("one", ["service", "stop"]);
    assert.equal((await satchel("one", ["status"])).code, 5);
  });

  test("compiled code is kept for the next start, where only the user can put it", async () => {
    const cache = path.join(homeOf("one"), "state", "code-cache");
    assert.equal((await stat(cache)).mode & 0o777, 0o700);
    for (const kind of ["service", "commands"]) {
      const [file = ""] = await readdir(path.join(cache, kind, "kept"));
      const { size, mode } = await stat(path.join(cache, kind, "kept", file));
      // Of what was called, not only of what was loaded: that alone is half of it.
      assert.ok(size > (kind === "service" ? 800_000 : 400_000), `${kind}: ${String(size)}`);
      assert.equal(mode & 0o777, 0o600);
    }
  });

  for (const [what, damage] of [
    ["damaged", async (file: string) => await truncate(file, 300_000)],
    ["of another bundle", async (file: string) => await writeFile(file, (await readFile(file)).fill(0, 0, 20))],
    ["no file", async (file: string) => await rm(file).then(async () => await mkdir(file))],
  ] as const)
    test(`compiled code that is ${what} is not used: the start goes on without it`, async () => {
      const kept = path.join(homeOf("one"), "state", "code-cache", "commands", "kept");
      await good("one", ["--version"]);
      const [file = ""] = await readdir(kept);
      const whole = await readFile(path.join(kept, file));
      await damage(path.join(kept, file));
      assert.match((await good("one", ["--version"])).stdout, /\d/);
      if ((await stat(path.join(kept, file))).isDirectory()) await rm(kept, { recursive: true });
      else assert.deepEqual((await readFile(path.join(kept, file))).subarray(0, 20), whole.subarray(0, 20));
    });

  test("N5 a service that was killed is started again without a manual step", async () => {
    await good("one", ["service", "start"]);
    const { pid } = JSON.parse((await good("one", ["service", "status", "--json"])).stdout);
    process.kill(pid, "SIGKILL");
    await good("one", ["service", "start"]);
    assert.notEqual(JSON.parse((await good("one", ["service", "status", "--json"])).stdout).pid, pid);
    await good("one", ["service", "stop"]);
  });

  test("N6 a database that is damaged under a crashed service is set aside and built anew, by itself", async () => {
    const media = path.join(top, "damaged-media");
    await mkdir(media);
    await writeFile(path.join(media, "a.txt"), "hello");
    await good("one", ["service", "start"]);
    await good("one", ["add", media]);
    await good("one", ["service", "stop"]);
    await good("one", ["service", "start"]);
    process.kill(JSON.parse((await good("one", ["service", "status", "--json"])).stdout).pid, "SIGKILL");
    const state = path.join(homeOf("one"), "state");
    await garble(path.join(state, "state.db"), "version");
    await good("one", ["service", "start"]);
    // The check runs once the service answers; then it begins again over a new database.
    await until("the damaged database was set aside", async () => (await readdir(state)).some((name) => name.includes(".corrupt-")));
    await until("the file is known again", async () => {
      const { code, stdout } = await satchel("one", ["status", "--json"]);
      return code === 0 && JSON.parse(stdout).folders[0].files === 1;
    });
    assert.equal(await readFile(path.join(media, "a.txt"), "utf8"), "hello");
    await good("one", ["remove", media]);
    await good("one", ["service", "stop"]);
  });

  for (const [name, config, says] of [
    ["no JSON", "{ not json", /config\.json: .*JSON/],
    ["a value that is none", '{"settings":{"logLevel":"loud"}}', /config\.json: settings\.logLevel: .*Correct it/],
    ["a folder without its root", '{"folders":[{"id":"a"}]}', /config\.json: folders\[0\]\.root: .*Correct it/],
    ["a file of a newer Satchel", '{"version":2}', /config\.json: a newer Satchel wrote it\. Install/],
  ] as const)
    test(`service start with a bad config.json (${name}): exit 2, the file, the key, what to do`, async () => {
      await mkdir(homeOf("broken"), { recursive: true });
      await writeFile(path.join(homeOf("broken"), "config.json"), config);
      const ended = await satchel("broken", ["service", "start"]);
      assert.equal(ended.code, 2);
      assert.match(ended.stderr, says);
      assert.doesNotMatch(ended.stderr, /\n {4}at /);
    });

  for (const signal of ["SIGTERM", "SIGINT"] as const)
    test(`service run ends cleanly at ${signal}`, async () => {
      const child = spawn(process.execPath, [program, "service", "run"], {
        env: { ...ENVIRONMENT, SATCHEL_HOME: homeOf("run") },
        stdio: ["ignore", "ignore", "pipe"],
      });
      await once(child.stderr, "data"); // the first line of the log: it answers
      child.kill(signal);
      const [code] = await once(child, "exit");
      assert.equal(code, 0);
      await assert.rejects(stat(path.join(homeOf("run"), "state", "run", "service.json")));
    });
});

test("start FOLDER keeps a folder in sync with a server of its own, which ends with it however it ends", async (t) => {
  const media = path.join(top, "started-media");
  await mkdir(media, { recursive: true });
  await writeFile(path.join(media, "a.txt"), "hello");
  t.after(async () => await satchel("started", ["service", "stop"]));
  const spawned = () => {
    const child = spawn(process.execPath, [program, "start", media], {
      env: { ...ENVIRONMENT, SATCHEL_HOME: homeOf("started"), NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // a group of its own, as a shell's jobs have: Ctrl-C goes to all of it
    });
    t.after(async () => await endChild(child));
    return child;
  };
  const output = { text: "" };
  /** Resolves when the folder is in sync, with the process and the address of its server. */
  const begin = async () => {
    const child = spawned();
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.text += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    await until("the folder is kept in sync", () => said.includes("is kept in sync") || child.exitCode !== null);
    const url = /satchel login (\S+) --user/.exec(said)?.[1];
    assert.ok(url !== undefined, said);
    return { child, url };
  };

  const first = await begin();
  assert.ok(await answers(`${first.url}health`));
  first.child.kill("SIGKILL");
  await until("the server of the killed one has ended", async () => !(await answers(`${first.url}health`)));
  const second = await begin();
  assert.equal(second.url, first.url, "other devices know the address");
  const { folders } = JSON.parse((await good("started", ["status", "--json"])).stdout);
  assert.deepEqual([folders[0].root, folders[0].files, folders[0].state], [media, 1, "insync"]);
  // The first one was killed: its service stays, and is nobody's but the user's.
  await good("started", ["service", "stop"]);
  second.child.kill("SIGKILL");
  await until("the server of the second has ended", async () => !(await answers(`${second.url}health`)));

  const third = await begin();
  output.text = "";
  ctrlC(third.child);
  const [code] = await once(third.child, "close");
  assert.equal(code, 0);
  assert.equal(output.text, "", "nothing fails for it");
  assert.ok(!(await answers(`${third.url}health`)));
  assert.equal((await satchel("started", ["service", "status"])).code, 5, "the service that it started ends with it");

  const early = spawned();
  await until("its service answers", async () => (await satchel("started", ["service", "status"])).code === 0);
  ctrlC(early);
  await once(early, "close");
  assert.equal((await satchel("started", ["service", "status"])).code, 5, "also at Ctrl-C before the first sync is through");
  await until("its server has ended", async () => !(await answers(`${third.url}health`)));
});

function ctrlC({ pid }: ChildProcess): void {
  assert.ok(pid !== undefined);
  process.kill(-pid, "SIGINT");
}

test("DESIGN §8 the commands work as written, through npm and a caller's relative paths", async (t) => {
  const port = await freePort();
  const server = spawn(process.execPath, [program, "server", "run"], {
    env: { ...process.env, SYNC_USER1: "ada:secret", SYNC_BASE: path.join(top, "base"), SYNC_HOST: "127.0.0.1", SYNC_PORT: String(port) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = allOf(server.stderr);
  t.after(async () => {
    await satchel("a", ["service", "stop"]);
    await satchel("b", ["service", "stop"]);
    await endChild(server);
    // Its log, and nothing of Node's.
    const lines = (await said).trimEnd().split("\n");
    assert.deepEqual(
      lines.filter((line) => !line.startsWith("{")),
      [],
    );
  });
  const [line] = await once(server.stdout, "data");
  assert.equal(String(line), `http://127.0.0.1:${port}/\n`);

  await mkdir(path.join(top, "notes", "media"), { recursive: true });
  await mkdir(path.join(top, "copy"));
  await writeFile(path.join(top, "notes", "media", "a.txt"), "hello");
  for (const [device, folder] of [
    ["a", path.join("notes", "media")],
    ["b", "copy"],
  ] as const) {
    await good(device, ["service", "start"]);
    const login = await good(device, ["login", `http://127.0.0.1:${port}/`, "--user", "ada", "--password-stdin"], "secret");
    assert.equal(login.stdout, `ada@127.0.0.1:${port}\n`);
    // npm changes the working directory; the path is the caller's.
    const npm = await runToEnd("npm", ["--prefix", ROOT, "run", "-s", "satchel", "--", "add", folder, "--remote", login.stdout.trim()], {
      env: { ...ENVIRONMENT, SATCHEL_HOME: homeOf(device) },
      cwd: top,
    });
    assert.equal(npm.code, 0, npm.stderr);
    const { runs } = JSON.parse((await good(device, ["sync", "--wait", "--json"])).stdout);
    assert.deepEqual([runs.length, runs[0].root, runs[0].result], [1, path.join(top, folder), "insync"]);
  }
  assert.equal(await readFile(path.join(top, "copy", "a.txt"), "utf8"), "hello");
  const { folders } = JSON.parse((await good("b", ["status", "--json"])).stdout);
  assert.deepEqual([folders[0].state, folders[0].files, folders[0].bytes], ["insync", 1, 5]);
  assert.equal(
    (await satchel("b", ["login", `http://127.0.0.1:${port}/`, "--user", "ada", "--password-stdin"], { stdin: "wrong" })).code,
    6,
  );
});

test("server commands with a mistyped --base make no server there: only `run` and `user add` may begin one", async () => {
  const base = path.join(top, "typo");
  for (const args of [["check"], ["versions", "ada"], ["restore", "ada", "a.png"], ["user", "list"], ["renew"]]) {
    const { code, stderr } = await satchel("none", ["server", ...args, "--base", base]);
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, /There is no Satchel server in .*typo\. Check --base/);
    await assert.rejects(stat(base), args.join(" "));
  }
  assert.equal((await satchel("none", ["server", "user", "add", "ada", "--password-stdin", "--base", base], { stdin: "secret" })).code, 0);
  assert.match((await good("none", ["server", "user", "list", "--base", base])).stdout, /^ada /);
});

test("build.ts the bundle runs without node_modules, from anywhere; an old Node is told what it needs", async (t) => {
  t.after(async () => await satchel("bundle", ["service", "stop"]));
  assert.equal((await satchel("bundle", ["--version"], { cwd: top })).stdout, "0.1.0\n");
  assert.equal((await satchel("bundle", ["service", "start"], { cwd: top })).code, 0);
  assert.equal((await satchel("bundle", ["doctor"], { cwd: top })).code, 1, "no folder, no remote: warnings");
  const entry = await readFile(program, "utf8");
  assert.match(entry, /needs Node 22\.15 or later/);
  assert.doesNotMatch(entry, /^import /m);
});
