/** `satchel token`: credentials for scripts, each with a scope. */
import { Option, type Command } from "commander";

import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { ago, shown, table, when } from "./io.ts";
import { withService, type Tools } from "./tools.ts";

const SCOPES = ["read", "write", "admin"] as const;
type CreateOptions = { scope: (typeof SCOPES)[number] };

export function registerTokens(program: Command, tools: Tools): void {
  const token = program.command("token").description("credentials for scripts that use the API");
  token
    .command("list", { isDefault: true })
    .description("those that were made and not revoked; the secrets themselves are kept nowhere")
    .action(tools.act(async () => await list(tools)));
  token
    .command("create")
    .description("make one; prints the secret, once")
    .argument("<name>", "to know it by")
    .addOption(
      new Option("--scope <scope>", "what it may do: read sees, write also syncs, admin everything").choices(SCOPES).default("read"),
    )
    .action(tools.act(async (name: string, options: CreateOptions) => await create(tools, name, options.scope)));
  token
    .command("revoke")
    .description("from now on it opens nothing; what it opened is closed")
    .argument("<token>", "its name or id")
    .action(tools.act(async (named: string) => await revoke(tools, named)));
}

async function list(tools: Tools): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const { tokens } = await client.call("tokens/list", {});
    io.data({ tokens });
    if (tokens.length === 0) io.note("There is no token yet: satchel token create NAME");
    else
      io.say(
        table(
          tokens.map(({ id, name, scope, createdAtMs, lastUsedAtMs }) => [
            id,
            scope,
            shown(name),
            `since ${when(createdAtMs)}`,
            lastUsedAtMs === null ? "never used" : `used ${ago(lastUsedAtMs)}`,
          ]),
        ),
      );
  });
}

async function create(tools: Tools, name: string, scope: CreateOptions["scope"]): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const made = await client.call("tokens/create", { name, scope });
    io.data(made);
    io.result(made.token);
    io.note(`This is the only time it is shown. It may ${MAY[scope]}. To take it back: satchel token revoke ${made.id}`);
  });
}

const MAY = {
  read: "see everything and change nothing",
  write: "see everything, sync, and change files",
  admin: "do everything that you may do",
} as const satisfies Record<CreateOptions["scope"], string>;

async function revoke(tools: Tools, named: string): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const { tokens } = await client.call("tokens/list", {});
    const found = tokens.find(({ id, name }) => id === named || name === named);
    if (found === undefined)
      throw new CliError(Exit.Usage, `There is no token called ${shown(named)}. See those that there are: satchel token list`);
    const { closed } = await client.call("tokens/revoke", { id: found.id });
    io.data({ id: found.id, name: found.name, closed });
    io.note(`${shown(found.name)} opens nothing any more${closed === 0 ? "" : `; ${closed} of its connections were closed`}.`);
  });
}
