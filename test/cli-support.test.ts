import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import type { SupportPort } from "../service/cli/host.ts";
import { pseudonym, redactor } from "../service/cli/redact.ts";
import { readSupportFacts, writeSupportBundle } from "../service/files/support.ts";
import { openCliDouble, type CliDouble } from "./support/cli-double.ts";

const CANARY = {
  key: "k3y-Canary-0123456789abcdefXYZ",
  token: "t0kenCanary".repeat(4),
  serviceKey: "s3rviceCanary".repeat(4),
  urlPassword: "pr0xy-canary",
  user: "ada-canary",
  host: "sync.canary-host.example",
  file: "divorce-canary.pdf",
  folder: "/home/canary-home/private-canary",
};

suite("redactor()", () => {
  const clean = redactor({
    secrets: ['hush/1"x'],
    names: [
      ["/home/ada/media", "<folder 1>"],
      ["/home/ada", "~"],
      ["ada@h.example", "<remote 1>"],
    ],
    files: new Set(["sub/plan b.png"]),
    salt: "s",
  });
  const name = pseudonym("sub/plan b.png", "s");
  const cases: readonly (readonly [what: string, given: unknown, expected: unknown])[] = [
    ["a secret, wherever", { a: ['x hush/1"x y'] }, { a: ["x [secret] y"] }],
    ["a secret inside JSON inside a text", String.raw`{"k":"hush/1\"x"}`, `{"k":"[secret]"}`],
    ["a bearer token nobody knew of", "Authorization: Bearer abc.def-123", "Authorization: Bearer [secret]"],
    ["a subprotocol", "satchel.token.abcDEF_1, satchel.v1", "satchel.token.[secret], satchel.v1"],
    ["credentials in an address", "GET https://me:pw@host/x", "GET https://[secret]@host/x"],
    ["a long random word", "key aB3dEfGhIjKlMnOpQrStUvWxYz0123456789", "key [long word]"],
    ["a SHA-1 stays", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
    ["the longest name first", "/home/ada/media/x of ada@h.example in /home/ada", "<folder 1>/x of <remote 1> in ~"],
    ["a file by its key", { path: "sub/plan b.png" }, { path: name }],
    ["the same file in a sentence", "Could not read sub/plan b.png: no", `Could not read ${name}: no`],
    ["a file's name as a key of a record", { "sub/plan b.png": 1 }, { [name]: 1 }],
    ["plain facts", { n: 3, ok: true, none: null, state: "insync" }, { n: 3, ok: true, none: null, state: "insync" }],
  ];
  for (const [what, given, expected] of cases) test(what, () => assert.deepEqual(clean(given), expected));

  const short = redactor({
    secrets: [],
    names: [
      ["jo", "<me>"],
      ["~", "~"],
    ],
    files: new Set(["a", "x1", "art", "run", "files/run", "of", "Ü", "日", "ab/c.md", "a.b", "(1)", "diaries"]),
    salt: "s",
  });
  const alias = (file: string): string => pseudonym(file, "s");
  const shortCases: readonly (readonly [what: string, given: unknown, expected: unknown])[] = [
    ["one character", "Could not read x1: no", `Could not read ${alias("x1")}: no`],
    ["one letter in a path", "open '/m/a'", `open '/m/${alias("a")}'`],
    ["one letter beside another name", "x1, Ü and 日.", `${alias("x1")}, ${alias("Ü")} and ${alias("日")}.`],
    ["words of ours in a sentence", "A run of 3 files is a start.", "A run of 3 files is a start."],
    ["words of ours in a path", "open '/m/files/run' in files/ of", `open '/m/${alias("files/run")}' in ${alias("files")}/ of`],
    ["a word of ours in quotation marks", '"run" failed', `"${alias("run")}" failed`],
    ["a name within ordinary words", "The start of running is partial", "The start of running is partial"],
    ["the same name alone", "art: locked", `${alias("art")}: locked`],
    ["a person of two letters", "jo joined /home/jo", "<me> joined /home/<me>"],
    ["a directory by itself, and a file without its way", "in ab stands c.md", `in ${alias("ab")} stands ${alias("c.md")}`],
    ["a dot in a name is no wildcard", "axb a.b", `axb ${alias("a.b")}`],
    ["a name without letters", "look at (1)", `look at ${alias("(1)")}`],
    ["a longer word anywhere", "mydiaries2", `my${alias("diaries")}2`],
    ["keys of ours stay, whatever files are called", { run: "r1", startedAtMs: 1, art: 2 }, { run: "r1", startedAtMs: 1, art: 2 }],
    ["the pseudonym of a name is not redacted again", { path: "ab/c.md" }, { path: alias("ab/c.md") }],
  ];
  for (const [what, given, expected] of shortCases) test(`X3 short names: ${what}`, () => assert.deepEqual(short(given), expected));

  test("pseudonym() keeps depth and ending, differs by salt", () => {
    assert.match(name, /^name-[0-9a-f]{8}\/name-[0-9a-f]{8}\.png$/);
    assert.notEqual(pseudonym("a.png", "s"), pseudonym("a.png", "t"));
  });
});

suite("support-bundle", () => {
  let double: CliDouble;
  let top = "";
  before(async () => {
    double = await openCliDouble();
    top = mkdtempSync(path.join(tmpdir(), "satchel-bundle-"));
    const run = path.join(top, "state", "run");
    mkdirSync(path.join(top, "state", "log"), { recursive: true });
    mkdirSync(run, { recursive: true });
    const save = (file: string, value: unknown) => writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
    const url = `https://proxy:${CANARY.urlPassword}@${CANARY.host}/`;
    save(path.join(top, "config.json"), {
      settings: { logLevel: "debug" },
      folders: [{ id: "f1", root: CANARY.folder }],
      remotes: [{ id: `${CANARY.user}@${CANARY.host}`, url, user: CANARY.user }],
    });
    save(path.join(top, "secrets.json"), { remotes: { r: { key: CANARY.key } } });
    save(path.join(run, "service.json"), {
      protocolVersion: 1,
      version: "1",
      pid: 1,
      socket: "/s",
      port: null,
      token: CANARY.token,
      serviceKey: CANARY.serviceKey,
      startedAtMs: 1,
    });
    const lines = [
      { level: 30, msg: `login to ${url} with ${CANARY.key}` },
      { level: 40, file: CANARY.file, msg: "trouble", err: { message: `Could not read ${CANARY.folder}/${CANARY.file}: EACCES` } },
      { level: 50, msg: `header Authorization: Bearer ${CANARY.token}; ${CANARY.serviceKey}; the marker that must be found` },
    ];
    writeFileSync(path.join(top, "state", "log", "service.log"), `${lines.map((line) => JSON.stringify(line)).join("\n")}\n{"cut of`);
  });
  after(async () => {
    await double.close();
    rmSync(top, { recursive: true, force: true });
  });

  const port = async (): Promise<SupportPort> => {
    const facts = readSupportFacts({ config: top, state: path.join(top, "state"), run: path.join(top, "state", "run") });
    return await Promise.resolve({
      facts,
      known: { folders: facts.config?.folders.map(({ root }) => root) ?? [], remotes: facts.config?.remotes ?? [] },
      homeDir: "/home/canary-home",
      userName: "canary-home",
      hostName: "canary-machine",
      device: "canary-machine",
      write: writeSupportBundle,
    });
  };

  for (const [how, service] of [
    ["with the service", {}],
    ["without it", null],
  ] as const)
    test(`X3 AU14 no canary gets out, ${how}; the facts do`, async () => {
      const file = path.join(top, `${how}.txt`);
      double.engine.emit("run", { root: CANARY.folder, error: `Could not read ${CANARY.file}`, path: CANARY.file, canary: CANARY.key });
      const { code, stdout, stderr } = await double.satchel(["support-bundle", "--output", file], { service, host: { support: port } });
      assert.deepEqual([code, stdout], [0, `${file}\n`]);
      assert.match(stderr, /Look it through/);
      const text = readFileSync(file, "utf8");
      for (const [name, word] of Object.entries(CANARY)) assert.ok(!text.includes(word), `${name} stands in the bundle`);
      assert.doesNotMatch(text.replaceAll('"canary"', ""), /canary/i);
      assert.match(text, /the marker that must be found/);
      assert.match(text, /"logLevel": "debug"/);
      assert.match(text, /name-[0-9a-f]{8}\.pdf/);
      assert.match(text, service === null ? /not running/ : /"state": "insync"/);
      if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600);
    });

  test("never over another file: exit 2", async () => {
    const file = path.join(top, "mine.txt");
    writeFileSync(file, "mine");
    const { code, stderr } = await double.satchel(["support-bundle", "--output", file], { host: { support: port } });
    assert.equal(code, 2);
    assert.match(stderr, /already\. Choose another place with --output/);
    assert.equal(readFileSync(file, "utf8"), "mine");
  });

  test("X3 a secrets.json that can't be read is told without a word of it", () => {
    const broken = path.join(top, "broken");
    mkdirSync(broken, { recursive: true });
    writeFileSync(path.join(broken, "secrets.json"), `{"remotes":{"r":{"key":"${CANARY.key}" oops`, { mode: 0o600 });
    const { trouble } = readSupportFacts({ config: broken, state: broken, run: broken });
    assert.equal(trouble.length, 1);
    assert.match(trouble[0] ?? "", /secrets\.json: not JSON/);
    assert.ok(!(trouble[0] ?? "").includes("anary"));
  });
});
