/** `satchel server …`: the self-hosted sync server and its accounts. These do not go through the service. */
import type { Command } from "commander";

import { CliError, type ServerCommand } from "./host.ts";
import { Exit } from "./exit-codes.ts";
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
    .option(...BASE)
    .action(tools.act(async (options: Base) => await hand(tools, { verb: "check", base: options.base ?? null })));
  server
    .command("versions")
    .description("kept versions of an account's replaced and deleted files")
    .argument("<user>", "account")
    .argument("[path]", "only of this file")
    .option(...BASE)
    .action(
      tools.act(
        async (name: string, path: string | undefined, options: Base) =>
          await hand(tools, { verb: "versions", name, path: path ?? null, base: options.base ?? null }),
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
      tools.act(
        async (name: string, path: string, options: Base & { sha1?: string }) =>
          await hand(tools, { verb: "restore", name, path, sha1: options.sha1 ?? null, base: options.base ?? null }),
      ),
    );
}

function registerUsers(server: Command, tools: Tools): void {
  const user = server.command("user").description("accounts and their devices");
  user
    .command("list", { isDefault: true })
    .description("all accounts")
    .option(...BASE)
    .action(tools.act(async (options: Base) => await hand(tools, { verb: "user", action: "list", base: options.base ?? null })));
  for (const action of ["add", "password"] as const)
    user
      .command(action)
      .description(action === "add" ? "make an account" : "change its password; every device must sign in again")
      .argument("<name>", "account")
      .option("--password-stdin", "read the password from standard input")
      .option(...BASE)
      .action(
        tools.act(async (name: string, options: Base & { passwordStdin?: true }) => {
          const password = await passwordOf(tools, `New password for ${name}: `, options.passwordStdin === true);
          return await hand(tools, { verb: "user", action, name, password, base: options.base ?? null });
        }),
      );
  for (const action of ["remove", "keys"] as const)
    user
      .command(action)
      .description(action === "remove" ? "close an account; its data stays on the disk" : "the devices that are signed in")
      .argument("<name>", "account")
      .option(...BASE)
      .action(
        tools.act(async (name: string, options: Base) => await hand(tools, { verb: "user", action, name, base: options.base ?? null })),
      );
  user
    .command("revoke")
    .description("sign a device out")
    .argument("<name>", "account")
    .argument("[key]", "id of its key, from `keys`; left out: all of them")
    .option(...BASE)
    .action(
      tools.act(
        async (name: string, key: string | undefined, options: Base) =>
          await hand(tools, { verb: "user", action: "revoke", name, key: key ?? null, base: options.base ?? null }),
      ),
    );
}

async function run(tools: Tools, options: RunOptions): Promise<Exit> {
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined))
    throw new CliError(Exit.Usage, "--tls-cert and --tls-key go together.");
  if (options.port !== undefined) wholeNumber(options.port, "--port");
  return await hand(tools, { verb: "run", options: { ...options } });
}

async function hand(tools: Tools, command: ServerCommand): Promise<Exit> {
  const { io, host } = tools;
  return await host.server(command, {
    json: io.json,
    result: (text) => io.say(text),
    data: (value) => io.data(value),
    note: (text) => io.note(text),
  });
}
