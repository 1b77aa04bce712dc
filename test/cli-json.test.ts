import assert from "node:assert/strict";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";

import { COMMAND_SHAPES } from "../protocol/command-shapes.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { PASSWORD, startSyncServer, type SyncServer } from "./support/sync-server.ts";
import { openTold } from "./support/told.ts";

/** Commands that another file runs: cli-json-server, cli-follow, autostart. */
const ELSEWHERE = /^(?:server .*|start|sync --watch|service unregister)$/;

let server: SyncServer;
let one: Satchel;
let two: Satchel;
const { as: told, seen } = openTold();
before(async () => {
  server = await startSyncServer({ kind: "satchel" }, 1);
  [one, two] = await Promise.all([makeSatchel(), makeSatchel()]);
});
after(async () => {
  await one.close();
  await two.close();
  await server.close();
});

test("--json every command keeps its shape and its exit code, over two devices and a server", async () => {
  const at = (device: Satchel, name: string): string => path.join(device.root, name);
  await told(one, "error", ["status"], 5);
  for (const device of [one, two]) {
    for (let number = 0; number < 12; number += 1) await writeFile(at(device, `${number}.txt`), `the same ${number}`);
    await told(device, "service start", ["service", "start"]);
    const login = ["login", server.url, "--user", "user1", "--password-stdin"];
    await told(device, "error", login, 6, "wrong");
    const { remote: id } = await told(device, "login", login, 0, PASSWORD);
    await told(device, "add", ["add", device.root, "--remote", id]);
    await told(device, "sync", ["sync", "--wait"]);
  }
  await told(one, "service status", ["service", "status"]);
  await told(one, "status", ["status"]);
  await told(one, "list", ["list"]);

  // One file changed on both sides; one changed here only; one that can't be synced.
  await told(two, "pause", ["pause"]);
  await told(two, "error", ["sync", two.root, "--wait"], 2);
  assert.deepEqual(await told(two, "sync", ["sync", "--wait"], 2), { runs: [] }, "all are paused: not in sync");
  await writeFile(at(one, "1.txt"), "one's");
  await writeFile(at(one, "2.txt"), "newer");
  await told(one, "sync", ["sync", "--wait"]);
  await writeFile(at(two, "1.txt"), "two's");
  await writeFile(at(two, "empty.txt"), "");
  const planned = await told(two, "plan", ["plan"]);
  await told(two, "error", ["apply", "--plan", "0".repeat(planned.hash.length)], 3);
  await told(two, "apply", ["apply", "--plan", planned.hash], 1);
  await told(two, "resume", ["resume"]);
  await told(two, "sync", ["sync", "--wait"], 1);
  await told(two, "problems", ["problems"], 1);
  const { conflicts } = await told(two, "conflicts list", ["conflicts"], 1);
  await told(two, "conflicts show", ["conflicts", "show", String(conflicts[0].id)]);
  await told(two, "error", ["conflicts", "show", "999"], 2);
  await told(two, "explain", ["explain", "1.txt"]);
  await told(two, "versions", ["versions", "2.txt"]);
  await told(two, "undo", ["undo", "--preview"]);
  await told(two, "conflicts resolve", ["conflicts", "resolve", String(conflicts[0].id), "--keep", "theirs"]);
  await told(two, "restore", ["restore", "2.txt"]);
  await told(two, "undo", ["undo"]);
  await rm(at(two, "empty.txt"));
  await told(two, "sync", ["sync", "--wait"]);
  await told(two, "log", ["log"]);
  await told(two, "events", ["events"]);

  // Notes beside the folder of one: a.png is missing, named.png is named, spare.png is not.
  for (const name of ["named.png", "spare.png"]) await writeFile(at(one, name), name);
  await told(one, "sync", ["sync", "--wait"]);
  const notes = path.join(one.home, "..", "notes");
  await mkdir(notes);
  await writeFile(path.join(notes, "a.md"), "![](../media/a.png) ![](../media/named.png)\n");
  const checked = await told(one, "check", ["check", "--notes", notes], 1);
  assert.ok(checked.unused.some((file: { path: string }) => file.path === "spare.png"));
  await told(one, "check --remove-unused", ["check", "--notes", notes, "--remove-unused", "spare.png"]);
  await told(one, "check --remove-unused", ["check", "--notes", notes, "--remove-unused", "named.png"], 1);

  // Everything gone: held.
  for (const name of await readdir(two.root)) if (name.endsWith(".txt")) await rm(at(two, name));
  await told(two, "sync", ["sync", "--wait"], 7);
  const { holds } = await told(two, "guard list", ["guard"], 7);
  await told(two, "guard reject", ["guard", "reject", String(holds[0].id), "--hash", holds[0].hash]);
  await told(two, "sync", ["sync", "--wait"]);

  await told(one, "service metrics", ["service", "metrics"]);
  await told(one, "doctor", ["doctor"]);

  // Once more, and this time it was meant.
  for (const name of await readdir(two.root)) if (name.endsWith(".txt")) await rm(at(two, name));
  await told(two, "sync", ["sync", "--wait"], 7);
  const again = (await told(two, "guard list", ["guard"], 7)).holds[0];
  await told(two, "guard approve", ["guard", "approve", String(again.id), "--hash", again.hash]);
  assert.deepEqual(await told(two, "sync", ["sync"]), { runs: [] });

  const { name } = await told(one, "token create", ["token", "create", "script"]);
  await told(one, "token list", ["token"]);
  await told(one, "token revoke", ["token", "revoke", name]);
  await told(one, "support-bundle", ["support-bundle", "--output", path.join(one.home, "bundle.txt")]);
  await told(one, "completion", ["completion", "bash"]);
  await told(one, "service register", ["service", "register", "--print"]);
  await told(one, "logout", ["logout"]);
  await told(one, "sync", ["sync", "--wait"], 6);
  await told(one, "remove", ["remove", one.root]);
  await told(one, "service stop", ["service", "stop"]);
  assert.deepEqual(
    Object.keys(COMMAND_SHAPES).filter((shape) => !seen.has(shape) && !ELSEWHERE.test(shape)),
    [],
  );
});
