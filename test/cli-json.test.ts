import assert from "node:assert/strict";
import { readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";

import * as z from "zod";

import {
  change,
  conflict,
  count,
  fileView,
  folderStatus,
  hold,
  keptVersion,
  runSummary,
  storedEvent,
  timeMs,
  version,
} from "../protocol/api/model.ts";
import { makeSatchel, type Satchel } from "./support/satchel.ts";
import { startSyncServer, type SyncServer } from "./support/sync-server.ts";

/** What `--json` prints: the keys stay, more may come beside them. A schema here changes only together with CHANGELOG.md. */
const text = z.string();
const flag = z.boolean();
const remote = z.object({ id: text, url: text, user: text, signedIn: flag });
const SHAPES: Readonly<Record<string, z.ZodType>> = {
  "service start": z.strictObject({ pid: count, started: flag }),
  "service status": z.object({ version: text, pid: count, uptimeMs: count, port: count.nullable(), device: text }),
  "service stop": z.strictObject({ stopped: flag }),
  "service register": z.strictObject({ kind: z.enum(["systemd", "launchd", "schtasks"]), file: text, text }),
  status: z.object({
    service: z.object({ version: text, pid: count, uptimeMs: count }),
    folders: z.array(folderStatus).min(1),
    remotes: z.array(remote),
  }),
  login: z.strictObject({ remote: text }),
  add: folderStatus,
  list: z.strictObject({ folders: z.array(folderStatus).min(1) }),
  pause: z.strictObject({ folder: text, paused: z.literal(true) }),
  resume: z.strictObject({ folder: text, paused: z.literal(false) }),
  sync: z.strictObject({ runs: z.array(runSummary).min(1) }),
  plan: z.strictObject({
    folder: text,
    hash: text,
    actions: z.array(z.object({ action: text, path: text, reason: text, bytes: count.nullable() })).min(1),
    holds: z.array(hold),
  }),
  apply: z.strictObject({ runs: z.array(runSummary).length(1) }),
  undo: z.strictObject({
    folder: text,
    preview: flag,
    undone: z.array(text).min(1),
    skipped: z.array(z.object({ path: text, reason: text })),
  }),
  explain: fileView.extend({
    folder: text,
    wireName: text.nullable(),
    wouldDo: text,
    reason: text,
    local: text.nullable(),
    remote: text.nullable(),
    base: text.nullable(),
    ignoredBy: text.nullable(),
    changes: z.array(change).min(1),
    versions: z.array(version),
    conflicts: z.array(conflict),
  }),
  problems: fileView,
  versions: z.strictObject({ folder: text, path: text, versions: z.array(keptVersion).min(1), remoteDetail: text.nullable() }),
  restore: z.object({ folder: text, path: text, sha1: text }),
  log: change,
  events: storedEvent,
  conflicts: z.strictObject({ conflicts: z.array(conflict).min(1) }),
  "conflicts show": conflict,
  "conflicts resolve": z.strictObject({ conflicts: z.array(conflict).min(1) }),
  guard: z.strictObject({ holds: z.array(hold).min(1) }),
  "guard reject": z.strictObject({ id: count, hash: text, answer: z.enum(["approve", "reject"]) }),
  doctor: z.strictObject({
    checks: z.array(z.object({ name: text, result: z.enum(["ok", "warning", "failed"]), detail: text, advice: text.nullable() })).min(1),
  }),
  "token create": z.object({ id: text, name: text, scope: text, token: text, createdAtMs: timeMs }),
  "token list": z.strictObject({ tokens: z.array(z.object({ id: text, name: text, scope: text })).min(1) }),
  "token revoke": z.strictObject({ id: text, name: text, closed: count }),
  "support-bundle": z.strictObject({ file: text, sections: z.array(text).min(4) }),
  completion: z.strictObject({ shell: text, script: text }),
  logout: z.strictObject({ remote: text }),
  remove: z.strictObject({ folder: text, root: text }),
  error: z.strictObject({ error: z.strictObject({ exit: count, code: z.int().optional(), message: text }) }),
};

let server: SyncServer;
let one: Satchel;
let two: Satchel;
const seen = new Set<string>();
before(async () => {
  server = await startSyncServer({ kind: "satchel" }, 1);
  [one, two] = await Promise.all([makeSatchel(), makeSatchel()]);
});
after(async () => {
  await one.close();
  await two.close();
  await server.close();
});

/** Runs a command with `--json`; every line must have the shape, the exit code must be this one. Returns the last line's value. */
async function told(
  device: Satchel,
  shape: string,
  args: readonly string[],
  exit = 0,
  stdin?: string,
): Promise<ReturnType<typeof JSON.parse>> {
  const ended = await device.cli([...args, "--json"], stdin);
  assert.equal(ended.code, exit, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  const lines = (shape === "error" ? ended.stderr : ended.stdout).trim().split("\n");
  const values = lines.map((line) => JSON.parse(line));
  for (const value of values) {
    const { error } = (SHAPES[shape] ?? z.never()).safeParse(value);
    assert.equal(error, undefined, `${args.join(" ")}: ${error === undefined ? "" : z.prettifyError(error)}`);
  }
  seen.add(shape);
  return values.at(-1);
}

test("--json every command keeps its shape and its exit code, over two devices and a server", async () => {
  const at = (device: Satchel, name: string): string => path.join(device.root, name);
  await told(one, "error", ["status"], 5);
  for (const device of [one, two]) {
    for (let number = 0; number < 12; number += 1) await writeFile(at(device, `${number}.txt`), `the same ${number}`);
    await told(device, "service start", ["service", "start"]);
    const login = ["login", server.url, "--user", "user1", "--password-stdin"];
    await told(device, "error", login, 6, "wrong");
    const { remote: id } = await told(device, "login", login, 0, "secret");
    await told(device, "add", ["add", device.root, "--remote", id]);
    await told(device, "sync", ["sync", "--wait"]);
  }
  await told(one, "service status", ["service", "status"]);
  await told(one, "status", ["status"]);
  await told(one, "list", ["list"]);

  // One file changed on both sides; one changed here only; one that can't be synced.
  await told(two, "pause", ["pause"]);
  await told(two, "error", ["sync", two.root, "--wait"], 2);
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
  const { conflicts } = await told(two, "conflicts", ["conflicts"], 1);
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

  // Everything gone: held.
  for (const name of await readdir(two.root)) if (name.endsWith(".txt")) await rm(at(two, name));
  await told(two, "sync", ["sync", "--wait"], 7);
  const { holds } = await told(two, "guard", ["guard"], 7);
  await told(two, "guard reject", ["guard", "reject", String(holds[0].id), "--hash", holds[0].hash]);
  await told(two, "sync", ["sync", "--wait"]);

  await told(one, "doctor", ["doctor"]);
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
    Object.keys(SHAPES).filter((shape) => !seen.has(shape)),
    [],
  );
});
