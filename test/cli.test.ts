import assert from "node:assert/strict";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { METHODS } from "../protocol/api/table.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { VERSION } from "../protocol/version.ts";
import { exitOfCode, exitOfRuns, exitOfStatus } from "../service/cli/exit-codes.ts";
import { EngineError } from "../service/engine/errors.ts";
import type { FolderStatus } from "../service/engine/facade.ts";
import { openCliDouble, type Around, type CliDouble, type Said } from "./support/cli-double.ts";
import { folderStatus, runSummary, type EngineDouble } from "./support/engine-double.ts";

let double: CliDouble;
let engine: EngineDouble;
let directory = "";
before(async () => {
  double = await openCliDouble();
  ({ engine, directory } = double);
});
after(async () => await double.close());

const satchel = async (args: readonly string[], around?: Around): Promise<Said> => await double.satchel(args, around);

suite("arguments", () => {
  test("runCli() help: the commands of DESIGN §8 that are built, exit 0, at most 80 columns", async () => {
    const { code, stdout } = await satchel(["--help"]);
    assert.equal(code, 0);
    const commands =
      "start service add list remove login logout sync plan apply undo status explain log events conflicts versions restore guard doctor server rpc pause resume";
    for (const command of commands.split(" ")) assert.match(stdout, new RegExp(`^  ${command}\\b`, "m"), command);
    assert.ok(stdout.split("\n").every((line) => line.length <= 80));
  });

  const usage: readonly (readonly [name: string, args: readonly string[], says: RegExp])[] = [
    ["no command", [], /Usage: satchel/],
    ["a mistyped verb suggests the right one", ["stauts"], /Did you mean status\?/],
    ["a mistyped sub-command too", ["service", "strat"], /Did you mean start\?/],
    ["also where a default command would take it for its argument", ["guard", "aprove", "7", "--hash", "x"], /Did you mean approve\?/],
    ["also behind options", ["--json", "conflicts", "--all", "resolv"], /Did you mean resolve\?/],
    ["also two levels down", ["server", "user", "revok", "ada"], /Did you mean revoke\?/],
    ["also after help", ["help", "stauts"], /Did you mean status\?/],
    ["a mistyped option too", ["sync", "--wiat"], /Did you mean --wait\?/],
    ["a missing argument", ["add"], /missing required argument 'folder'/],
    ["a choice that is none", ["conflicts", "resolve", "1", "--keep", "newest"], /Allowed choices are mine, theirs, both/],
    ["apply without its plan", ["apply"], /required option '--plan <hash>'/],
    ["login without a user", ["login", "https://example.org/"], /--user NAME/],
    ["login without a scheme", ["login", "example.org", "--user", "ada"], /Write it whole/],
    [
      "login over plain HTTP to another machine",
      ["login", "http://ada:hush@nas.lan/", "--user", "ada", "--password-stdin"],
      /--insecure-http/,
    ],
    ["login with nobody to ask", ["login", "https://example.org/", "--user", "ada"], /--password-stdin/],
    ["parameters that are not JSON", ["rpc", "folders/list", "{"], /not JSON/],
    ["a number that is none", ["events", "--since", "x"], /whole number/],
    ["a folder called help", ["remove", "help", "twice"], /too many arguments/],
    ["a command without its sub-command", ["server"], /Usage: satchel server/],
    ["TLS key without certificate", ["server", "run", "--tls-key", "k.pem"], /go together/],
  ];
  for (const [name, args, says] of usage)
    test(`runCli() ${name}: exit 2`, async () => {
      const { code, stderr, stdout } = await satchel(args);
      assert.match(stderr, says);
      assert.equal(code, 2);
      assert.doesNotMatch(stderr + stdout, /\n {4}at /);
    });

  for (const args of [
    ["help", "stop"],
    ["help", "undo", "folder"],
    ["help", "service", "stop", "now"],
  ])
    test(`runCli() help: ${args.join(" ")} is refused and nothing is carried out`, async () => {
      const { code, stdout, stderr } = await satchel(args, { service: null });
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /there is no command/);
    });
  test("runCli() help: of a command below a command", async () => {
    const { code, stdout } = await satchel(["help", "server", "user", "add"]);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: satchel server user add /);
  });
  for (const args of [["help"], ["help", "sync"], ["sync", "--help"], ["server", "help", "run"]])
    test(`runCli() ${args.join(" ")}: on stdout, exit 0`, async () => {
      const { code, stdout } = await satchel(args);
      assert.match(stdout, /^Usage: satchel/);
      assert.equal(code, 0);
    });

  test("runCli() --version is that of package.json", async () => {
    assert.equal((await satchel(["--version"])).stdout, `${VERSION}\n`);
    const { default: manifest } = await import("../package.json", { with: { type: "json" } });
    assert.equal(manifest.version, VERSION);
  });

  test("runCli() --version behind a command is no answer to who means a version of a file: exit 2", async () => {
    for (const args of [
      ["restore", "a.png", "--version", "ab12"],
      ["server", "restore", "ada", "a.png", "--version=ab12"],
    ]) {
      const { code, stdout, stderr } = await satchel(args);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /--sha1/);
    }
    assert.equal((await satchel(["--version", "restore"])).stdout, `${VERSION}\n`);
  });

  test("runCli() global options count before and after the command", async () => {
    assert.deepEqual(JSON.parse((await satchel(["--json", "list"])).stdout), JSON.parse((await satchel(["list", "--json"])).stdout));
  });

  test("runCli() server commands are handed on with what was said", async () => {
    await satchel(["server", "user", "add", "ada", "--password-stdin", "--base", "/b"], { stdin: "secret\n" });
    assert.deepEqual(double.handed.at(-1), { base: "/b", name: "user/add", params: { name: "ada", password: "secret" } });
    await satchel(["server", "restore", "ada", "a.png", "--sha1", "ab"]);
    assert.deepEqual(double.handed.at(-1), { base: null, name: "restore", params: { name: "ada", path: "a.png", sha1: "ab" } });
  });
});

suite("reaching the service", () => {
  test("withService() exit 5 and what to do, where none runs", async () => {
    for (const service of [null, { socket: path.join(directory, "gone.sock") }]) {
      const { code, stderr, stdout } = await satchel(["status"], { service });
      assert.equal(code, 5);
      assert.match(stderr, /satchel service start/);
      assert.equal(stdout, "");
    }
  });

  test("withService() with --json the error is one JSON object on stderr", async () => {
    const { stderr, stdout } = await satchel(["status", "--json"], { service: null });
    assert.equal(stdout, "");
    assert.equal(JSON.parse(stderr).error.exit, 5);
  });

  test("Client.open() X3 whoever can't prove the service key gets no password", async () => {
    const { code, stderr } = await satchel(["login", "https://example.org/", "--user", "ada", "--password-stdin"], {
      stdin: "secret",
      service: { serviceKey: "another".repeat(7) },
    });
    assert.equal(code, 4);
    assert.match(stderr, /Something else than the Satchel service/);
  });

  test("Client.open() a wrong token reaches nobody: exit 5", async () => {
    assert.equal((await satchel(["status"], { service: { token: "x".repeat(43) } })).code, 5);
  });
});

suite("answers", () => {
  test("status --json keeps the shape of DESIGN §8", async () => {
    const { code, stdout } = await satchel(["status", "--json"]);
    assert.equal(code, 0);
    assert.equal(stdout.trim().split("\n").length, 1);
    const told = JSON.parse(stdout);
    for (const key of ["version", "pid", "uptimeMs"]) assert.ok(key in told.service, key);
    const keys = ["folder", "root", "remote", "state", "files", "bytes", "pending", "conflicts", "problems", "held", "lastRunAt"];
    for (const key of keys) assert.ok(key in told.folders[0], key);
  });

  test("sync --wait --json keeps the shape of DESIGN §8, and tells every folder's run", async () => {
    const at = engine.runs.length;
    const said = satchel(["sync", "--wait", "--json"]);
    while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
    engine.runs[at]?.resolve([runSummary({ result: "conflicts", conflicts: 1 }), runSummary({ folder: "f2" })]);
    const { code, stdout } = await said;
    assert.equal(code, 1);
    const { runs } = JSON.parse(stdout);
    assert.equal(runs.length, 2);
    const keys =
      "folder root result uploadedFiles uploadedBytes downloadedFiles downloadedBytes deletedLocal deletedRemote conflicts problems durationMs";
    for (const key of keys.split(" ")) assert.ok(key in runs[0], key);
  });

  test("sync --wait tells what the run before it moved, which was under way when it was asked for", async () => {
    const at = engine.runs.length;
    const said = satchel(["sync", "--wait", "--json"]);
    while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
    engine.emit("run", runSummary({ run: "first", uploadedFiles: 4, uploadedBytes: 40, conflicts: 1, startedAtMs: 500 }));
    engine.emit("run", runSummary({ run: "other folder", folder: "f2", uploadedFiles: 9 }));
    engine.emit("run", runSummary({ run: "asked", uploadedFiles: 1, uploadedBytes: 2 }));
    engine.runs[at]?.resolve([runSummary({ run: "asked", uploadedFiles: 1, uploadedBytes: 2 })]);
    const { code, stdout } = await said;
    const { runs } = JSON.parse(stdout);
    const told = [runs[0].uploadedFiles, runs[0].uploadedBytes, runs[0].conflicts, runs[0].result, runs[0].startedAtMs];
    assert.deepEqual(told, [5, 42, 1, "conflicts", 500]);
    assert.equal(code, 1);
  });

  test("sync --wait that had nothing to do says what is there", async () => {
    const at = engine.runs.length;
    const said = satchel(["sync", "--wait"]);
    while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
    engine.runs[at]?.resolve([runSummary()]);
    assert.match((await said).stdout, /nothing left to do, 1 ms\n {2}3 files here, 3\.0 kB/);
  });

  test("sync --wait tells of a conflict that an earlier run made", async () => {
    await double.withFolders([{ ...folderStatus("f1", "/media/one"), conflicts: 2 }], async () => {
      const at = engine.runs.length;
      const said = satchel(["sync", "--wait"]);
      while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
      engine.runs[at]?.resolve([runSummary()]);
      const { code, stdout } = await said;
      assert.match(stdout, /2 unresolved conflicts: satchel conflicts/);
      assert.equal(code, 0);
    });
  });

  test("sync without --wait returns at once", async () => {
    const { code, stdout, stderr } = await satchel(["sync"]);
    assert.deepEqual([code, stdout], [0, ""]);
    assert.match(stderr, /has begun/);
  });

  test("login prints the remote's id alone; -q leaves the message out", async () => {
    const args = ["login", "https://example.org/", "--user", "ada", "--password-stdin"];
    const loud = await satchel(args, { stdin: "secret\n" });
    assert.deepEqual([loud.code, loud.stdout, loud.stderr], [0, "ada@example.org\n", "Signed in as ada.\n"]);
    assert.equal((await satchel([...args, "-q"], { stdin: "secret" })).stderr, "");
  });

  test("login takes the password that SATCHEL_PASSWORD or its file gives, where standard input is not asked for", async () => {
    const { code, stdout } = await satchel(["login", "https://example.org/", "--user", "ada"], { env: { SATCHEL_PASSWORD: "secret" } });
    assert.deepEqual([code, stdout], [0, "ada@example.org\n"]);
  });

  test("service metrics prints what the service tells", async () =>
    assert.equal((await satchel(["service", "metrics"])).stdout, "satchel_connections 1\n"));

  test("login plain HTTP is for this machine, or for who insists", async () => {
    for (const url of ["http://127.0.0.1:8080/", "http://localhost/", "http://[::1]:1/"])
      assert.equal((await satchel(["login", url, "--user", "ada", "--password-stdin"], { stdin: "secret" })).code, 0, url);
    const refused = await satchel(["login", "http://ada:hush@nas.lan/", "--user", "ada", "--password-stdin"], { stdin: "secret" });
    assert.doesNotMatch(refused.stderr, /hush|secret/);
    const args = ["login", "http://nas.lan/", "--user", "ada", "--password-stdin", "--insecure-http"];
    assert.equal((await satchel(args, { stdin: "secret" })).code, 0);
  });

  test("login X3 exit 6 at a wrong password, which is not repeated", async () => {
    const { code, stderr } = await satchel(["login", "https://example.org/", "--user", "ada", "--password-stdin"], {
      stdin: "wrong-canary",
    });
    assert.equal(code, 6);
    assert.match(stderr, /wrong/);
    assert.doesNotMatch(stderr, /canary/);
  });

  test("events --json prints one event per line", async () => {
    const last = engine.events.lastSeq();
    engine.emit("run", {}, 3);
    const { stdout } = await satchel(["events", "--json", "--since", String(last + 1)]);
    assert.deepEqual(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).seq),
      [last + 2, last + 3],
    );
  });

  test("rpc prints the answer, and the error of an unknown method ends with 2", async () => {
    assert.equal(JSON.parse((await satchel(["rpc", "folders/list"])).stdout).folders.length, 1);
    assert.equal((await satchel(["rpc", "folders/nope"])).code, 2);
  });

  test("pickFolder() by path, by id, by where one stands; several need a name", async () => {
    await double.withFolders([folderStatus("f1", "/media/one"), folderStatus("f2", "/media/two")], async () => {
      for (const [args, cwd] of [
        [["pause", "two"], "/media"],
        [["pause", "f2"], "/"],
        [["pause"], "/media/two/deep"],
      ] as const) {
        assert.equal((await satchel(args, { cwd })).code, 0);
        assert.equal(engine.calls.at(-1), "pause f2");
      }
      const { code, stderr } = await satchel(["pause"], { cwd: "/elsewhere" });
      assert.equal(code, 2);
      assert.match(stderr, /f1 {2}\/media\/one\n {2}f2 {2}\/media\/two/);
    });
  });

  test("pickFile() refuses what is in no folder, also a neighbour with the same beginning", async () => {
    await double.withFolders([folderStatus("f1", "/media/one"), folderStatus("f2", "/media/two")], async () => {
      for (const name of ["/media/one-more/a.png", "/etc/passwd", "../one/../../x", "/media/one"])
        assert.equal((await satchel(["versions", name])).code, 2, name);
      assert.equal((await satchel(["versions", "one/..a.png"])).code, 0);
    });
  });

  test("guard approve names what was shown: nothing is answered for somebody who was not asked", async () => {
    engine.held.push({
      id: 7,
      folder: "f1",
      scope: "deleteRemote",
      reason: "allDeleted",
      paths: ["a.png"],
      hash: "shown",
      state: "held",
      atMs: 1,
    });
    const blind = await satchel(["guard", "approve", "7"]);
    assert.equal(blind.code, 2);
    assert.match(blind.stderr, /--hash shown/);
    assert.equal((await satchel(["guard", "approve", "7", "--hash", "old"])).code, 3);
    assert.equal((await satchel(["guard", "approve", "7", "--hash", "shown"])).code, 0);
    assert.equal((await satchel(["guard"])).code, 7);
    engine.held.length = 0;
  });

  test("shown() N11 control characters in names do not reach the terminal", async () => {
    await double.withFolders([folderStatus("f1", "/media/\u001B[31mred\u202E")], async () => {
      const { stdout } = await satchel(["status"]);
      assert.ok(!stdout.includes("\u001B") && !stdout.includes("\u202E"));
    });
  });

  test("Io sentences are broken between words on a terminal, and left alone in a pipe", async () => {
    const args = ["remove", "/media/one"];
    const wide = (await satchel(args)).stderr;
    engine.rows.push(folderStatus("f1", "/media/one"));
    const narrow = (await satchel(args, { tty: true, columns: 40 })).stderr;
    engine.rows.push(folderStatus("f1", "/media/one"));
    assert.equal(wide.trim().split("\n").length, 1);
    assert.ok(narrow.trim().split("\n").length > 1 && narrow.split("\n").every((line) => line.length <= 40), narrow);
    assert.equal(narrow.replace(/\s+/g, " "), wide.replace(/\s+/g, " "));
  });

  test("Io NO_COLOR: colours on a terminal only", async () => {
    assert.ok((await satchel(["status"], { tty: true })).stdout.includes("\u001B["));
    assert.ok(!(await satchel(["status"])).stdout.includes("\u001B["));
    assert.ok(!(await satchel(["status"], { tty: true, env: { NO_COLOR: "1" } })).stdout.includes("\u001B["));
  });
});

suite("exit codes", () => {
  const runs: readonly (readonly [expected: number, runs: Parameters<typeof exitOfRuns>[0]])[] = [
    [0, []],
    [0, [{ result: "insync", fault: null }]],
    [1, [{ result: "problems", fault: null }]],
    [1, [{ result: "conflicts", fault: null }]],
    [3, [{ result: "failed", fault: "offline" }]],
    [4, [{ result: "failed", fault: "disk" }]],
    [6, [{ result: "failed", fault: "auth" }]],
    [7, [{ result: "held", fault: null }]],
    [
      3,
      [
        { result: "failed", fault: "retry" },
        { result: "conflicts", fault: null },
      ],
    ],
    [
      7,
      [
        { result: "failed", fault: "retry" },
        { result: "held", fault: null },
      ],
    ],
    [
      4,
      [
        { result: "failed", fault: "internal" },
        { result: "held", fault: null },
      ],
    ],
    [
      6,
      [
        { result: "failed", fault: "auth" },
        { result: "failed", fault: "internal" },
      ],
    ],
  ];
  for (const [expected, given] of runs)
    test(`exitOfRuns() ${given.map(({ result, fault }) => fault ?? result).join(" + ") || "no folder"}: ${expected}`, () =>
      assert.equal(exitOfRuns(given), expected));

  const states: readonly (readonly [expected: number, change: Partial<FolderStatus>])[] = [
    [0, {}],
    [0, { state: "syncing" }],
    [0, { state: "paused" }],
    [1, { conflicts: 1 }],
    [1, { problems: 2, state: "pending" }],
    [3, { state: "offline" }],
    [7, { held: 1 }],
    [4, { state: "error", held: 1 }],
    [6, { state: "error", fault: "auth" }],
    [3, { state: "error", fault: "quota" }],
    [4, { state: "error", fault: "diskFull" }],
  ];
  for (const [expected, change] of states)
    test(`exitOfStatus() ${JSON.stringify(change)}: ${expected}`, () =>
      assert.equal(exitOfStatus([{ ...folderStatus("f", "/f"), ...change }]), expected));

  test("exitOfCode() every error a method may answer with has a code that is no success", () => {
    for (const code of [...METHODS.flatMap(({ errors }) => [...errors]), ...Object.values(ErrorCode)])
      assert.ok(exitOfCode(code) >= 1 && exitOfCode(code) <= 7, String(code));
    assert.equal(exitOfCode(ErrorCode.Auth), 6);
  });

  test("errorBody() what the engine refuses reaches the shell", async () => {
    engine.refusal = new EngineError("rootLocked", "Another service has it.");
    const { code, stderr } = await satchel(["undo"]);
    engine.refusal = new EngineError("nothingToUndo", "There is nothing to undo.");
    assert.deepEqual([code, stderr], [4, "Another service has it.\n"]);
    assert.equal((await satchel(["undo"])).code, 1);
  });
});
