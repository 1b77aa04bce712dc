/** `satchel server …`: the self-hosted sync server and its accounts. These do not go through the service. */
import type { Command } from "commander";

import { Exit } from "./exit-codes.ts";
import { CliError, isCliError, type ServerCall } from "./host.ts";
import { counted, shown, size, table, when } from "./io.ts";
import { passwordOf } from "./password.ts";
import { wholeNumber, type Tools } from "./tools.ts";

type RunOptions = {
  base?: string;
  host?: string;
  port?: string;
  tlsCert?: string;
  tlsKey?: string;
  behindProxy?: true;
  insecureHttp?: true;
  legacy: boolean;
};
type Base = { base?: string };

const PORT_MAX = 65_535;
const BASE = ["--base <dir>", "where the server keeps everything (or SYNC_BASE)"] as const;

export function registerServer(program: Command, tools: Tools): void {
  const server = program.command("server").description("the self-hosted sync server, for Satchel and for Anki itself");
  server
    .command("run")
    .description("serve until SIGTERM or Ctrl-C; prints the listening URL")
    .option(...BASE)
    .option("--host <address>", "listen there (or SYNC_HOST; default 127.0.0.1)")
    .option("--port <number>", "listen there (or SYNC_PORT; default 8080)")
    .option("--tls-cert <file>", "certificate chain, PEM")
    .option("--tls-key <file>", "its key, PEM")
    .option("--behind-proxy", "a reverse proxy in front does TLS")
    .option("--insecure-http", "plain HTTP off this machine: passwords and files can be read on the way")
    .option("--no-legacy", "refuse the protocol of old Anki clients")
    .action(tools.act(async (options: RunOptions) => await run(tools, options)));
  registerUsers(server, tools);
  server
    .command("check")
    .description("compare every stored file with its row")
    .argument("[user]", "only this account")
    .option(...BASE)
    .action(tools.act(async (user: string | undefined, { base }: Base) => await check(tools, user, base)));
  server
    .command("versions")
    .description("kept versions of an account's replaced and deleted files")
    .argument("<user>", "account")
    .argument("[path]", "only of this file")
    .option(...BASE)
    .action(
      tools.act(
        async (name: string, path: string | undefined, { base }: Base) => await versions(tools, { name, path: path ?? null }, base),
      ),
    );
  server
    .command("restore")
    .description("put a kept version of an account's file back, for all its devices")
    .argument("<user>", "account")
    .argument("<path>", "the file")
    .option("--sha1 <hash>", "which one; left out: the newest")
    .option(...BASE)
    .action(
      tools.act(async (name: string, path: string, { base, sha1 }: Base & { sha1?: string }) => {
        const answer = await ask(tools, base, { name: "restore", params: { name, path, sha1: sha1 ?? null } });
        tools.io.note(`${shown(path)} is back; the devices of ${name} get it with their next sync.`);
        tools.io.data(answer);
      }),
    );
  server
    .command("renew")
    .description("after a backup was put back: every device compares all it has; nothing is deleted for it")
    .argument("[user]", "only this account")
    .option(...BASE)
    .action(
      tools.act(async (user: string | undefined, { base }: Base) => {
        tools.io.data(await ask(tools, base, { name: "epoch/renew", params: { name: user ?? null } }));
        tools.io.note("Every device compares all it has with its next sync.");
      }),
    );
}

function registerUsers(server: Command, tools: Tools): void {
  const user = server.command("user").description("accounts and their devices");
  user
    .command("list", { isDefault: true })
    .description("all accounts")
    .option(...BASE)
    .action(tools.act(async ({ base }: Base) => await listUsers(tools, base)));
  for (const verb of ["add", "password"] as const)
    user
      .command(verb)
      .description(verb === "add" ? "make an account" : "change its password; every device must sign in again")
      .argument("<name>", "account")
      .option("--password-stdin", "read the password from standard input")
      .option(...BASE)
      .action(
        tools.act(async (name: string, { base, passwordStdin }: Base & { passwordStdin?: true }) => {
          await refuseEarly(tools, verb, name, base);
          const password = await passwordOf(tools, `New password for ${name}: `, passwordStdin === true);
          tools.io.data(await ask(tools, base, { name: `user/${verb}`, params: { name, password } }));
          tools.io.note(verb === "add" ? `The account ${name} is made.` : `${name} has a new password; every device must sign in again.`);
        }),
      );
  user
    .command("remove")
    .description("close an account; its data stays on the disk")
    .argument("<name>", "account")
    .option(...BASE)
    .action(
      tools.act(async (name: string, { base }: Base) => {
        tools.io.data(await ask(tools, base, { name: "user/remove", params: { name } }));
        tools.io.note(`The account ${name} is closed. Its data stays on the disk.`);
      }),
    );
  user
    .command("keys")
    .description("the devices that are signed in")
    .argument("<name>", "account")
    .option(...BASE)
    .action(tools.act(async (name: string, { base }: Base) => await listKeys(tools, name, base)));
  user
    .command("revoke")
    .description("sign a device out")
    .argument("<name>", "account")
    .argument("[key]", "id of its key, from `keys`; left out: all of them")
    .option(...BASE)
    .action(
      tools.act(async (name: string, key: string | undefined, { base }: Base) => {
        tools.io.data(await ask(tools, base, { name: "user/revoke", params: { name, key: key ?? null } }));
        tools.io.note(key === undefined ? `Every device of ${name} is signed out.` : `The device is signed out.`);
      }),
    );
}

/** Before the password is asked for: an account that is there already, or one that isn't. @throws CliError 2 */
async function refuseEarly(tools: Tools, verb: "add" | "password", name: string, base: string | undefined): Promise<void> {
  const known = verb === "add" ? await usersSoFar(tools, base) : await users(tools, base);
  const isThere = known.some((one) => one.name === name.normalize("NFC"));
  if (isThere === (verb === "password")) return;
  throw new CliError(
    Exit.Usage,
    isThere
      ? `There is an account ${shown(name)} already. To change its password: satchel server user password ${shown(name)}. All accounts: satchel server user list`
      : `There is no account ${shown(name)}. To make it: satchel server user add ${shown(name)}. All accounts: satchel server user list`,
  );
}

/** None where the first account is about to begin the server. */
async function usersSoFar(tools: Tools, base: string | undefined): Promise<readonly User[]> {
  try {
    return await users(tools, base);
  } catch (error) {
    if (isCliError(error)) return [];
    throw error;
  }
}

async function users(tools: Tools, base: string | undefined): Promise<readonly User[]> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the answers are the server's own views (service/server/admin.ts), of this very version
  return (await ask(tools, base, { name: "user/list", params: {} })) as readonly User[];
}

async function run(tools: Tools, options: RunOptions): Promise<void> {
  const { tlsCert, tlsKey } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new CliError(Exit.Usage, "--tls-cert and --tls-key go together.");
  await tools.host.serverRun(
    {
      base: options.base ?? null,
      host: options.host ?? null,
      port: options.port === undefined ? null : portOf(options.port),
      tls: tlsCert === undefined || tlsKey === undefined ? null : { certFile: tlsCert, keyFile: tlsKey },
      behindProxy: options.behindProxy === true,
      insecureHttp: options.insecureHttp === true,
      legacy: options.legacy,
    },
    (url) => {
      tools.io.say(url);
      tools.io.data({ url });
    },
  );
}

function portOf(text: string): number {
  const port = wholeNumber(text, "--port");
  if (port > PORT_MAX) throw new CliError(Exit.Usage, `--port is at most ${PORT_MAX}, not ${text}.`);
  return port;
}

async function ask(tools: Tools, base: string | undefined, call: ServerCall): Promise<unknown> {
  return await tools.host.serverCall(base ?? null, call);
}

type User = {
  readonly name: string;
  readonly origin: string;
  readonly disabled: boolean;
  readonly devices: number;
  readonly files: number;
  readonly bytes: number;
  readonly bursts: readonly unknown[];
  readonly fault: string | null;
};

async function listUsers(tools: Tools, base: string | undefined): Promise<void> {
  const found = await users(tools, base);
  tools.io.data({ users: found });
  if (found.length === 0) tools.io.note("There is no account yet: satchel server user add NAME");
  else
    tools.io.say(
      table(
        found.map((one) => [
          shown(one.name),
          one.disabled ? "closed" : "open",
          counted(one.devices, "device"),
          counted(one.files, "file"),
          size(one.bytes),
          one.origin === "environment" ? "from SYNC_USERn" : "",
          one.fault !== null || one.bursts.length > 0 ? "see server check" : "",
        ]),
      ),
    );
}

type Key = { readonly id: string; readonly client: string; readonly createdMs: number; readonly usedMs: number };

async function listKeys(tools: Tools, name: string, base: string | undefined): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
  const keys = (await ask(tools, base, { name: "user/keys", params: { name } })) as readonly Key[];
  tools.io.data({ keys });
  if (keys.length === 0) tools.io.note(`No device of ${name} is signed in.`);
  else tools.io.say(table(keys.map((key) => [key.id, `since ${when(key.createdMs)}`, `used ${when(key.usedMs)}`, shown(key.client)])));
}

type Kept = { readonly sha1: string; readonly sizeBytes: number; readonly name?: string; readonly atMs?: number };

async function versions(
  tools: Tools,
  params: { readonly name: string; readonly path: string | null },
  base: string | undefined,
): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
  const kept = (await ask(tools, base, { name: "versions", params })) as readonly Kept[];
  tools.io.data({ versions: kept });
  if (kept.length === 0) tools.io.note("No version is kept.");
  else
    tools.io.say(
      table(
        kept.map((one) => [
          one.sha1,
          one.atMs === undefined ? "" : when(one.atMs),
          size(one.sizeBytes),
          shown(one.name ?? params.path ?? ""),
        ]),
      ),
    );
}

type Checked = {
  readonly name: string;
  readonly rows: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly faults: readonly string[];
  readonly notes: readonly string[];
};

async function check(tools: Tools, user: string | undefined, base: string | undefined): Promise<Exit> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
  const accounts = (await ask(tools, base, { name: "check", params: { name: user ?? null } })) as readonly Checked[];
  tools.io.data({ accounts });
  for (const one of accounts) {
    tools.io.say(
      `${shown(one.name)}: ${counted(one.rows, "row")}, ${counted(one.blobs, "stored file")}, ${size(one.bytes)}, ${counted(one.faults.length, "fault")}`,
    );
    for (const line of [...one.faults, ...one.notes]) tools.io.say(`  ${shown(line)}`);
  }
  return accounts.some(({ faults }) => faults.length > 0) ? Exit.Fatal : Exit.InSync;
}
