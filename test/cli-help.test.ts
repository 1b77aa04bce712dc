import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, suite, test } from "node:test";

import { openCliDouble, type CliDouble } from "./support/cli-double.ts";
import { skipWithout } from "./support/optional.ts";

let double: CliDouble;
let top = "";
before(async () => {
  double = await openCliDouble();
  top = mkdtempSync(path.join(tmpdir(), "satchel-help-"));
});
after(async () => {
  await double.close();
  rmSync(top, { recursive: true, force: true });
});

/** The words of every command, as its own help lists them. */
async function commands(words: readonly string[] = []): Promise<readonly (readonly string[])[]> {
  const { stdout } = await double.satchel([...words, "--help"]);
  const listed = /^Commands:\n((?: {2,}.*\n)+)/m.exec(stdout)?.[1] ?? "";
  const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
  const found = names.map((name) => [...words, name]);
  const below = await Promise.all(found.map(async (one) => await commands(one)));
  return [...found, ...below.flat()];
}

suite("help", () => {
  test("every command has examples that its own table of arguments takes, within 80 columns", async () => {
    const all = await commands();
    assert.ok(all.length > 45, String(all.length));
    for (const words of all) {
      const { stdout } = await double.satchel([...words, "--help"]);
      assert.ok(stdout.startsWith(`Usage: satchel ${words.join(" ")} `), stdout);
      for (const line of stdout.split("\n")) assert.ok(line.length <= 80 || line.startsWith("  satchel "), line);
      const examples =
        stdout
          .split(/^Examples?:\n/m)[1]
          ?.trim()
          .split("\n") ?? [];
      assert.ok(examples.length > 0, `${words.join(" ")} has no example`);
      for (const example of examples) await judge(example.trim());
    }
  });

  /** Help after the words of an example tells which options there are; no example is carried out. */
  async function judge(example: string): Promise<void> {
    const line = /satchel ([^|<>)]*)/.exec(example)?.[1] ?? "";
    const tokens = line.trim().split(/\s+/);
    const plain = tokens.filter((token) => !token.startsWith("-"));
    const { stdout } = await double.satchel([...plain, "--help"]);
    const usage = /^Usage: satchel ([a-z -]+?) (?:\[|<)/.exec(stdout)?.[1] ?? "";
    assert.ok(usage !== "" && line.startsWith(usage), `${example}: ${usage}`);
    for (const token of tokens.filter((one) => one.startsWith("--") && one !== "--json"))
      assert.match(stdout, new RegExp(`${token}\\b`), `${example}: ${token}`);
  }
});

suite("completion", () => {
  const cases: readonly (readonly [words: readonly string[], expected: readonly string[]])[] = [
    [["se"], ["server", "service"]],
    [
      ["service", "st"],
      ["start", "status", "stop"],
    ],
    [["add", "--policy", "r"], ["remote-wins"]],
    [
      ["--json", "conflicts", "resolve", "--keep", ""],
      ["both", "mine", "theirs"],
    ],
    [
      ["server", "user", "r"],
      ["remove", "revoke"],
    ],
    [
      ["sync", "--wa"],
      ["--wait", "--watch"],
    ],
    [["completion", "f"], ["fish"]],
    [["add", "my fo"], ["my folder"]],
  ];

  async function script(shell: string): Promise<string> {
    const { code, stdout } = await double.satchel(["completion", shell]);
    assert.equal(code, 0);
    const file = path.join(top, `script.${shell}`);
    writeFileSync(file, stdout);
    mkdirSync(path.join(top, "my folder"), { recursive: true });
    return file;
  }

  /** null: the shell is not here. */
  function run(shell: string, args: readonly string[]): readonly string[] | null {
    const { status, stdout, stderr, error } = spawnSync(shell, args, { cwd: top, encoding: "utf8", env: { ...process.env, HOME: top } });
    if (error !== undefined) return null;
    assert.deepEqual([status, stderr], [0, ""], stdout);
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .toSorted();
  }

  test("bash", async (t) => {
    const file = await script("bash");
    for (const [words, expected] of cases) {
      const ask = `source "$0"; COMP_WORDS=(satchel "$@"); COMP_CWORD=$#; _satchel; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const found = run("bash", ["--norc", "-c", ask, file, ...words]);
      if (found === null) return skipWithout(t, "bash");
      assert.deepEqual(found, expected, words.join(" "));
    }
  });

  test("zsh", async (t) => {
    const file = await script("zsh");
    // Without a terminal there is no completion system: its three words are played by functions that print and filter.
    const stubs = `compdef() { : }
compadd() { shift; print -l -- "$@" }
_describe() { print -l -- "\${(@P)argv[-1]}" }
_files() { print -l -- *(N) }`;
    for (const [words, expected] of cases) {
      const ask = `${stubs}\nsource "$1"; shift; words=(satchel "$@"); CURRENT=$#words; _satchel`;
      const found = run("zsh", ["-f", "-c", ask, "zsh", file, ...words]);
      if (found === null) return skipWithout(t, "zsh");
      const names = found.map((line) => line.split(":")[0] ?? "").filter((name) => name.startsWith(words.at(-1) ?? ""));
      assert.deepEqual(names, expected, words.join(" "));
    }
  });

  test("fish", async (t) => {
    const file = await script("fish");
    for (const [words, expected] of cases) {
      const line = `satchel ${words.map((word) => word.replaceAll(" ", "\\ ")).join(" ")}`;
      const found = run("fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, line]);
      if (found === null) return skipWithout(t, "fish");
      const names = found.map((one) => (one.split("\t")[0] ?? "").replaceAll("\\ ", " ").replace(/\/$/, ""));
      assert.deepEqual(names, expected, words.join(" "));
    }
  });
});
