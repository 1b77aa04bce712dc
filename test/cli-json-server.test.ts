import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { COMMAND_SHAPES } from "../protocol/command-shapes.ts";
import { openCliDouble } from "./support/cli-double.ts";
import { endChild, runToEnd, tie } from "./support/children.ts";
import { satchelEntry } from "./support/entry.ts";
import { makeSatchel } from "./support/satchel.ts";
import { PASSWORD } from "./support/sync-server.ts";
import { openTold } from "./support/told.ts";

test("--json every command of the server keeps its shape and its exit code, while it runs and while it does not", async (t) => {
  const base = await mkdtemp(path.join(tmpdir(), "satchel-owner-"));
  const device = await makeSatchel();
  t.after(async () => {
    await device.close();
    await rm(base, { recursive: true, force: true });
  });
  const env = { ...process.env, SYNC_BASE: base, SYNC_PORT: "0", NO_COLOR: "1" };
  const owner = {
    cli: async (args: readonly string[], stdin?: string) =>
      await runToEnd(process.execPath, [satchelEntry(), "server", ...args], { env, ...(stdin === undefined ? {} : { stdin }) }),
  };
  const { as, read, seen } = openTold();
  const told = async (verb: string, args: readonly string[], exit = 0, stdin?: string): ReturnType<typeof as> =>
    await as(owner, verb === "error" ? "error" : `server ${verb}`, args, exit, stdin);

  await told("error", ["user", "list"], 2);
  await told("user add", ["user", "add", "ada", "--password-stdin"], 0, PASSWORD);
  await told("error", ["user", "add", "ada", "--password-stdin"], 2, PASSWORD);
  await told("error", ["user", "password", "eve", "--password-stdin"], 2, PASSWORD);

  const child = tie(spawn(process.execPath, [satchelEntry(), "server", "run", "--json"], { env, stdio: ["ignore", "pipe", "ignore"] }));
  t.after(async () => await endChild(child));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let line = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    line += text;
    if (line.endsWith("\n")) resolve(line);
  });
  child.once("exit", () => reject(new Error("the server ended")));
  const [{ url }] = read("server run", await promise);

  // A device whose file is replaced: a version is kept.
  await device.run();
  await writeFile(path.join(device.root, "a.txt"), "one");
  await device.join(url, "ada");
  await device.sync();
  await writeFile(path.join(device.root, "a.txt"), "another");
  await device.sync();
  const { users } = await told("user list", ["user"]);
  assert.deepEqual([users[0].name, users[0].devices, users[0].files], ["ada", 1, 1]);
  const { versions } = await told("versions", ["versions", "ada"]);
  assert.deepEqual([versions[0].name, versions[0].why], ["a.txt", "replaced"]);
  await told("restore", ["restore", "ada", "a.txt", "--sha1", versions[0].sha1]);
  await told("error", ["restore", "ada", "nosuch.txt"], 2);
  const { accounts } = await told("check", ["check"]);
  assert.deepEqual([accounts[0].name, accounts[0].faults], ["ada", []]);
  const { keys } = await told("user keys", ["user", "keys", "ada"]);
  assert.deepEqual(await told("user revoke", ["user", "revoke", "ada", keys[0].id]), { revoked: 1 });
  assert.deepEqual(await told("renew", ["renew"]), { accounts: 1 });
  await endChild(child);
  await told("user password", ["user", "password", "ada", "--password-stdin"], 0, "another secret");
  await told("user remove", ["user", "remove", "ada"]);
  assert.equal((await told("user list", ["user", "list"])).users[0].disabled, true);
  assert.deepEqual(
    Object.keys(COMMAND_SHAPES).filter((shape) => shape.startsWith("server ") && !seen.has(shape)),
    [],
  );
});

test("--json every command has its shape in protocol/command-shapes.ts, but those that speak another protocol", async () => {
  const double = await openCliDouble();
  const leaves = async (words: readonly string[] = []): Promise<readonly string[]> => {
    const { stdout } = await double.satchel([...words, "--help"]);
    const listed = /^Commands:\n((?: {2,}.*\n)+)/m.exec(stdout)?.[1];
    if (listed === undefined) return [words.join(" ")];
    const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
    return (await Promise.all(names.map(async (name) => await leaves([...words, name])))).flat();
  };
  const found = await leaves();
  await double.close();
  const shapes = Object.keys(COMMAND_SHAPES).filter((name) => !name.includes("--"));
  assert.deepEqual([...shapes, "service run", "rpc", "lsp"].toSorted(), found.toSorted());
});
