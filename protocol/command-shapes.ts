/**
 * What each command of the command line prints with `--json`. These keys stay; more may come beside them. Where a command repeats an answer of
 * the API, its shape is that method's. `test/cli-json.test.ts` and `test/cli-json-server.test.ts` hold every command to them.
 */
import * as z from "zod";

import { change, conflict, count, fileView, folderStatus, hold, keptVersion, runSummary, storedEvent, timeMs } from "./api/model.ts";
import { METHODS, type MethodName } from "./api/table.ts";

export type CommandShape = {
  /** One object a line, as many as there are; else exactly one. */
  readonly lines: boolean;
  readonly says: string;
  readonly shape: z.ZodType;
};

const text = z.string();
const flag = z.boolean();
const folder = z.string().describe("Folder id.");
const account = z.string().describe("Account id.");

function result(name: MethodName): z.ZodType {
  const found = METHODS.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no method ${name}`);
  return found.result;
}

function once(says: string, shape: z.ZodType): CommandShape {
  return { lines: false, says, shape };
}

function lines(says: string, shape: z.ZodType): CommandShape {
  return { lines: true, says, shape };
}

const withFolder = z.object({ folder });
const holdAnswer = z.strictObject({ id: count, hash: text, answer: z.enum(["approve", "reject"]) });
const conflicts = z.strictObject({ conflicts: z.array(conflict) });
const runs = z.strictObject({ runs: z.array(runSummary) });
const kept = z.strictObject({ name: text, sha1: text, sizeBytes: count, atMs: timeMs, why: z.enum(["replaced", "deleted"]) });
const kind = z.enum(["systemd", "launchd", "schtasks"]);

const SERVICE = {
  "service start": once("`started` false: it ran already.", z.strictObject({ pid: count, started: flag })),
  "service stop": once("`stopped` false: none ran.", z.strictObject({ stopped: flag })),
  "service status": once("", z.object({ version: text, pid: count, uptimeMs: count, port: count.nullable(), device: text })),
  "service metrics": once("Prometheus' text format.", z.strictObject({ text })),
  "service register": once(
    "With `--print`: `text`. With `--no-enable`: `commands` that enable it. Else `pid` of the service that runs now.",
    z.union([
      z.strictObject({ kind, file: text, text }),
      z.strictObject({ kind, file: text, enabled: z.literal(false), commands: z.array(z.array(text)) }),
      z.strictObject({ kind, file: text, enabled: z.literal(true), pid: count }),
    ]),
  ),
  "service unregister": once("`removed` false: it was not registered.", z.strictObject({ kind, file: text, removed: flag })),
  status: once("", result("service/status")),
  doctor: once("Without a service: what can be looked at without one.", result("service/doctor")),
  "support-bundle": once("", z.strictObject({ file: text, sections: z.array(text) })),
  completion: once("", z.strictObject({ shell: text, script: text })),
  "token list": once("", result("tokens/list")),
  "token create": once("`token` is shown this once.", result("tokens/create")),
  "token revoke": once("`closed`: connections that it had opened.", z.strictObject({ id: text, name: text, closed: count })),
} as const;

const FOLDERS = {
  start: lines("Each sync that moves something.", runSummary),
  add: once("", folderStatus),
  list: once("", z.strictObject({ folders: z.array(folderStatus) })),
  remove: once("", z.strictObject({ folder, root: text })),
  login: once("", z.strictObject({ remote: text })),
  logout: once("", z.strictObject({ remote: text })),
  pause: once("", z.strictObject({ folder, paused: z.literal(true) })),
  resume: once("", z.strictObject({ folder, paused: z.literal(false) })),
  sync: once("Without `--wait`: no runs.", runs),
  "sync --watch": lines("Each sync that moves something.", runSummary),
  plan: once("", result("sync/plan")),
  apply: once("", runs),
  undo: once(
    "",
    z.strictObject({
      folder,
      preview: flag,
      undone: z.array(text),
      skipped: z.array(z.strictObject({ path: text, reason: text })),
    }),
  ),
  log: lines("", change),
  events: lines("", storedEvent),
} as const;

const FILES = {
  explain: once("", z.intersection(withFolder, result("files/explain"))),
  problems: lines("", fileView),
  versions: once(
    "`remoteDetail`: why the remote's could not be asked for.",
    z.strictObject({ folder, path: text, versions: z.array(keptVersion), remoteDetail: text.nullable() }),
  ),
  restore: once("", z.strictObject({ folder, path: text, sha1: text })),
  "conflicts list": once("", conflicts),
  "conflicts show": once("", conflict),
  "conflicts resolve": once("", conflicts),
  "guard list": once("", z.strictObject({ holds: z.array(hold) })),
  "guard approve": once("", holdAnswer),
  "guard reject": once("", holdAnswer),
  check: once("", result("notes/check")),
  "check --remove-unused": once("", z.intersection(withFolder, result("notes/clean"))),
} as const;

const SERVER = {
  "server run": once("As soon as it listens.", z.strictObject({ url: text })),
  "server user list": once(
    "`bursts`: devices that deleted very much within an hour. `fault`: why its data can't be used.",
    z.strictObject({
      users: z.array(
        z.strictObject({
          name: text,
          id: account,
          origin: z.enum(["environment", "command"]),
          disabled: flag,
          createdMs: timeMs,
          devices: count,
          files: count,
          bytes: count,
          bursts: z.array(z.object({ key: text, fromMs: timeMs, toMs: timeMs, files: count, back: flag })),
          fault: text.nullable(),
        }),
      ),
    }),
  ),
  "server user add": once("", z.strictObject({ id: account })),
  "server user password": once("", z.strictObject({ id: account })),
  "server user remove": once("", z.strictObject({ id: account })),
  "server user keys": once(
    "",
    z.strictObject({ keys: z.array(z.strictObject({ id: text, client: text, createdMs: timeMs, usedMs: timeMs })) }),
  ),
  "server user revoke": once("How many.", z.strictObject({ revoked: count })),
  "server versions": once("The newest first.", z.strictObject({ versions: z.array(kept) })),
  "server restore": once("", z.strictObject({ name: text, sha1: text, usn: count })),
  "server check": once(
    "`faults` and `notes` are sentences.",
    z.strictObject({
      accounts: z.array(
        z.strictObject({ name: text, rows: count, blobs: count, bytes: count, faults: z.array(text), notes: z.array(text) }),
      ),
    }),
  ),
  "server renew": once("", z.strictObject({ accounts: count })),
} as const;

/** By the words that lead to the command; a flag where it changes what is printed. */
export const COMMAND_SHAPES: Readonly<Record<string, CommandShape>> = { ...SERVICE, ...FOLDERS, ...FILES, ...SERVER };

/** On stderr, as its last line; the exit code is the process's own. `code`: the service's (Errors). `detail`: with `-v`. */
export const commandError = z.strictObject({
  error: z.strictObject({ exit: count, code: z.int().optional(), message: text, detail: text.optional() }),
});
