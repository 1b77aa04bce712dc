/** What the command line says: whole words at the end of a terminal's line, and errors that tell what to do next. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import * as z from "zod";

import { EngineError } from "../service/engine/errors.ts";
import { fitted } from "../service/cli/io.ts";
import { openCliDouble, type Around, type CliDouble, type Said } from "./support/cli-double.ts";
import { runSummary, type EngineDouble } from "./support/engine-double.ts";

let double: CliDouble;
let engine: EngineDouble;
before(async () => {
  double = await openCliDouble();
  ({ engine } = double);
});
after(async () => await double.close());

const LONG = "the disk said that there is no room left for another file, so nothing was written; make room and it is tried again by itself";
const COLUMNS = 40;

async function failedSync(around: Around): Promise<Said> {
  const at = engine.runs.length;
  const said = double.satchel(["sync", "--wait"], around);
  while (engine.runs.length === at) await new Promise((resolve) => setImmediate(resolve));
  engine.runs[at]?.resolve([runSummary({ result: "failed", fault: "offline", error: LONG })]);
  return await said;
}

const simply = (args: readonly string[]) => async (around: Around) => await double.satchel(args, around);

suite("whole words at the end of a narrow terminal's line", () => {
  before(() => {
    const problem = { path: "a.png", reason: "tooLarge", detail: LONG, side: "remote", sinceMs: 1 } as const;
    engine.files.list = () => [{ path: "a.png", state: "problem", sizeBytes: 1, sha1: null, problems: [problem] }];
    engine.sync.plan = async (folder) =>
      await Promise.resolve({
        folder,
        hash: "abc",
        actions: [{ action: "upload", path: "a.png", bytes: 1, reason: LONG }],
        holds: [],
      });
  });

  for (const [name, run] of [
    ["problems", simply(["problems"])],
    ["sync --wait", failedSync],
    ["plan", simply(["plan"])],
    ["an error of the arguments", simply(["conflicts", "resolve", "1", "--keep", "the newest one of both"])],
  ] as const)
    test(`fitted() ${name}`, async () => {
      const [wide, narrow] = [await run({}), await run({ tty: true, columns: COLUMNS, env: { NO_COLOR: "1" } })];
      const [whole, text] = [wide.stdout + wide.stderr, narrow.stdout + narrow.stderr];
      assert.ok(
        whole.split("\n").some((line) => line.length > COLUMNS),
        whole,
      );
      assert.ok(
        text.split("\n").every((line) => line.length <= COLUMNS),
        text,
      );
      assert.equal(text.replaceAll(/\s+/g, " "), whole.replaceAll(/\s+/g, " "));
    });
});

suite("a command to type stays on one line of a narrow terminal, where it fits there", () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stream with the two terminal properties that are read
  const narrow = { isTTY: true, columns: COLUMNS } as NodeJS.WriteStream;
  for (const [name, text, expected] of [
    ["at the end", "It has no remote yet: satchel login URL --user NAME", "It has no remote yet:\nsatchel login URL --user NAME"],
    [
      "in backticks",
      "Start the one that stopped with `satchel service start`, please.",
      "Start the one that stopped with\n`satchel service start`, please.",
    ],
    ["in brackets", "done, with some problems (satchel problems), 1 s", "done, with some problems\n(satchel problems), 1 s"],
    [
      "longer than a line",
      "Then: satchel sync --wait --json --no-scan /media/one/and/two",
      "Then: satchel sync --wait --json\n--no-scan /media/one/and/two",
    ],
  ] as const)
    test(`fitted() ${name}`, () => assert.equal(fitted(text, narrow), expected));
});

test("events are told in words, one line each", async () => {
  const since = engine.events.lastSeq();
  engine.emit("run", runSummary({ result: "failed", error: "Nobody answers." }));
  const [line, rest] = (await double.satchel(["events", "--since", String(since)])).stdout.split("\n");
  assert.match(line ?? "", /^\d+ {2}\S+ \S+ {2}run {2}.*\/media\/one {2}failed: nothing moved, 1 ms; Nobody answers\.$/);
  assert.equal(rest, "");
});

test("events --since beyond the newest says so, instead of nothing", async () => {
  const newest = engine.events.lastSeq();
  const { code, stdout, stderr } = await double.satchel(["events", "--since", "5000"]);
  assert.deepEqual([code, stdout], [0, ""]);
  assert.equal(
    stderr,
    `The newest event is number ${newest}, so nothing stands after 5000. To see all that is kept: satchel events --since 0\n`,
  );
});

test("events --follow after the number of another log says so, then tells all of this one", async () => {
  const gone = Promise.withResolvers<void>();
  const written = double.satchel(["events", "--follow", "--since", "5000"], { host: { interrupted: async () => await gone.promise } });
  while (engine.subscribers === 0) await new Promise((resolve) => setImmediate(resolve));
  gone.resolve();
  const lines = (await written).stdout.split("\n");
  assert.match(lines[0] ?? "", /gap {2}number 5000 is of another log than this one: all that this one keeps follows$/);
  assert.match(lines[1] ?? "", /^1 {2}/);
});

test("log --since beyond the newest says so", async () => {
  assert.equal((await double.satchel(["log", "--since", "5"])).stderr, "Nothing was observed after number 5.\n");
});

test("login with an address that ends without a slash: its last part was not used", async () => {
  const signIn = async (url: string): Promise<string> =>
    (await double.satchel(["login", url, "--user", "ada", "--password-stdin"], { stdin: "secret" })).stderr;
  assert.match(
    await signIn("https://proxy:pass@example.org/a/sync"),
    /“sync”, was not used\. .*: satchel login https:\/\/example\.org\/a\/sync\/ --user NAME\n$/,
  );
  assert.doesNotMatch(await signIn("https://example.org/a/sync/"), /was not used/);
});

test("service start --no-tcp where one runs with a port: says that the port stays, and how to end it", async () => {
  const around = { service: { port: 4711 } };
  const { code, stderr } = await double.satchel(["service", "start", "--no-tcp"], around);
  assert.match(stderr, /answers on 127\.0\.0\.1:4711 all the same.*satchel service stop && satchel service start --no-tcp\n$/);
  assert.equal(code, 0);
  assert.doesNotMatch((await double.satchel(["service", "start"], around)).stderr, /4711/);
});

suite("-v", () => {
  test("a mistake of the person's brings no stack, but the error's code", async () => {
    const { stderr } = await double.satchel(["conflicts", "show", "99", "-v"]);
    assert.doesNotMatch(stderr, /^ +at /m);
    assert.match(stderr, /\nerror \d+, see protocol\/METHODS\.md\n$/);
  });
  test("a fault of ours brings its stack", async () => {
    const broken = { host: { serverCall: async () => await Promise.reject(new TypeError("boom")) } };
    const quiet = await double.satchel(["server", "user", "list"], broken);
    assert.match(quiet.stderr, /fault of its own: boom.*-v/);
    assert.doesNotMatch(quiet.stderr, /^ +at /m);
    assert.match((await double.satchel(["server", "user", "list", "-v"], broken)).stderr, /TypeError: boom\n +at /);
  });
});

suite("--json: wrong arguments are told as an object, and nothing else is", () => {
  const wrong: readonly (readonly [args: readonly string[], says: RegExp])[] = [
    [["foo"], /^unknown command 'foo'\nAll commands/],
    [["sycn"], /Did you mean sync\?/],
    [["sync", "--nosuch"], /^unknown option '--nosuch'\nFor example/],
    [["add"], /^missing required argument 'folder'/],
    [["guard", "aprove", "7"], /Did you mean approve\?/],
    [["help", "nosuch"], /^there is no command 'nosuch'/],
    [["conflicts", "resolve", "1", "--keep", "x"], /Allowed choices are mine, theirs, both/],
    [["server"], /^A command is missing\. Usage: satchel server /],
    [[], /^A command is missing\. Usage: satchel /],
    [["log", "--limit", "0"], /^--limit is at least 1\.$/],
    [["log", "--limit", "many"], /^--limit is a whole number, not "many"\.$/],
  ];
  for (const [args, says] of wrong)
    test(`satchel ${args.join(" ")} --json`, async () => {
      const { code, stdout, stderr } = await double.satchel([...args, "--json"]);
      assert.deepEqual([code, stdout], [2, ""]);
      const told: unknown = JSON.parse(stderr);
      const { error } = z.strictObject({ error: z.strictObject({ exit: z.literal(2), message: z.string() }) }).parse(told);
      assert.match(error.message, says);
    });
});

test("explain says of an ignored path that it is not looked at, and not that nothing is there", async () => {
  engine.files.explain = (_folder, path) => ({
    path,
    state: "pending",
    sizeBytes: null,
    sha1: null,
    problems: [],
    wireName: path,
    wouldDo: "none",
    reason: "ignored by the rule .satchelignore *.tmp",
    deleted: null,
    ignoredBy: ".satchelignore *.tmp",
    local: null,
    remote: null,
    base: null,
    changes: [],
    versions: [],
    conflicts: [],
  });
  const { stdout } = await double.satchel(["explain", "/media/one/a.tmp"]);
  assert.match(stdout, /^ {2}state +ignored\n {2}here +not looked at\n/m);
});

test("plan says why something is held as guard says it", async () => {
  const hold = {
    id: 1,
    folder: "f1",
    scope: "deleteRemote",
    reason: "manyDeletions",
    state: "held",
    paths: ["a", "b"],
    hash: "h",
    atMs: 1,
  } as const;
  engine.sync.plan = async (folder) => await Promise.resolve({ folder, hash: "abc", actions: [], holds: [hold] });
  const { stdout, code } = await double.satchel(["plan", "/media/one"]);
  assert.match(stdout, /^held: many files were deleted within ten minutes; 2 files, see satchel guard$/m);
  assert.equal(code, 7);
});

suite("errors tell what to do next", () => {
  const errors: readonly (readonly [name: string, args: readonly string[], says: RegExp, around?: Around])[] = [
    ["a command that is none", ["foo"], /unknown command 'foo'\nAll commands: satchel help/],
    ["a missing argument", ["add"], /missing required argument 'folder'\nFor example: satchel add ~\/notes\/media\n.*satchel add --help/],
    ["apply without its plan", ["apply"], /`satchel plan` shows what would be done.*satchel apply --plan HASH/],
    ["a remote that is none", ["logout", "nosuch"], /nosuch.*\n {2}ada@example\.org/],
    ["a method that is none", ["rpc", "service/helo"], /Did you mean service\/hello\? All of them: satchel rpc rpc\.discover/],
    ["a method that is like no other", ["rpc", "x"], /There is no method x\. All of them/],
    ["parameters that are not right", ["rpc", "files/explain", '{"folder":1}'], /What every method takes: satchel rpc rpc\.discover/],
    [
      "a wrong password",
      ["login", "https://example.org/", "--user", "ada", "--password-stdin"],
      /wrong\. Try again;.*`satchel server user password NAME`/,
      { stdin: "wrong" },
    ],
    ["a folder that is there", ["add", "/media/one"], /\/media\/one is looked after already\. How it stands: `satchel status`/],
    ["a remote of another protocol", ["login", "ftp://x/", "--user", "ada"], /ftp:\/\/x\/ is not the address of a sync server/],
    [
      "notes that are not there",
      ["check", "/media/one", "--notes", "/nowhere"],
      /\/nowhere is not a directory that can be read\. Say where the notes are: --notes DIR/,
      { host: { realDirectory: async () => await Promise.resolve(null) } },
    ],
    ["an account that is not there", ["server", "user", "password", "eve"], /no account eve\. To make it: satchel server user add eve/],
    ["an account that is there", ["server", "user", "add", "bob"], /an account bob already\. .*satchel server user password bob/],
  ];
  for (const [name, args, says, around] of errors)
    test(`runCli() ${name}`, async () => {
      const { code, stderr, stdout } = await double.satchel(args, around);
      assert.match(stderr, says);
      assert.ok(code > 0 && stdout === "", stdout);
    });

  before(() => {
    engine.remotes.logout = async (id) => await Promise.reject(new EngineError("remoteNotFound", `There is no remote ${id}.`));
    engine.folders.add = async ({ root }) => await Promise.reject(new EngineError("exists", `${root} is looked after already`));
  });
});
