/** `satchel add`, `list`, `remove`, `login`, `logout`, `pause`, `resume`. */
import path from "node:path";

import { Option, type Command } from "commander";

import { ErrorCode } from "../../protocol/errors.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { counted, size, shown, table } from "./io.ts";
import { advised, pickFolder, withService, type Tools } from "./tools.ts";
import { passwordOf } from "./password.ts";

type AddOptions = { remote?: string; policy?: "keep-both" | "remote-wins" | "local-wins"; paused?: true };
type LoginOptions = { user?: string; passwordStdin?: true; insecureHttp?: true };

export function registerFolders(program: Command, tools: Tools): void {
  program
    .command("add")
    .description("look after a media folder")
    .argument("<folder>", "its path")
    .option("--remote <id>", "sync with this remote; may be left out where there is only one")
    .addOption(
      new Option("--policy <policy>", "what happens when both sides changed a file").choices(["keep-both", "remote-wins", "local-wins"]),
    )
    .option("--paused", "sync nothing until `satchel resume`: look at `satchel plan` first")
    .action(tools.act(async (folder: string, options: AddOptions) => await add(tools, folder, options)));
  program
    .command("list")
    .description("the folders that are looked after")
    .action(tools.act(async () => await list(tools)));
  program
    .command("remove")
    .description("stop looking after a folder; its files stay everywhere")
    .argument("<folder>", "path or id")
    .action(tools.act(async (folder: string) => await remove(tools, folder)));
  program
    .command("login")
    .description("sign in to a sync server; prints the remote's id")
    .argument("<url>", "address of the server")
    .option("--user <name>", "user name there")
    .option("--password-stdin", "read the password from standard input")
    .option("--insecure-http", "plain HTTP to another machine all the same: password and files can be read on the way")
    .action(tools.act(async (url: string, options: LoginOptions) => await login(tools, url, options)));
  program
    .command("logout")
    .description("forget the key of a remote")
    .argument("[remote]", "its id; may be left out where there is only one")
    .action(tools.act(async (remote: string | undefined) => await logout(tools, remote)));
  for (const verb of ["pause", "resume"] as const)
    program
      .command(verb)
      .description(verb === "pause" ? "sync nothing until `satchel resume`" : "sync again")
      .argument("[folder]", "path or id")
      .action(tools.act(async (folder: string | undefined) => await setPaused(tools, verb, folder)));
}

async function add(tools: Tools, folder: string, options: AddOptions): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const root = path.resolve(host.cwd, folder);
    const asked = {
      root,
      ...(options.remote === undefined ? {} : { remote: options.remote }),
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      ...(options.paused === undefined ? {} : { paused: true }),
    };
    const next = "How it stands: `satchel status`. To add it otherwise, `satchel remove` it first; its files stay.";
    const added = await advised(ErrorCode.Exists, next, async () => await client.call("folders/add", asked));
    io.data(added);
    io.result(added.folder);
    const told =
      added.remote === null
        ? "It has no remote yet: satchel login URL --user NAME"
        : added.state === "paused"
          ? "It is paused: look at `satchel plan`, then `satchel resume`."
          : `It is synced with ${added.remote} from now on.`;
    io.note(`${shown(added.root)} is looked after. ${told}`);
  });
}

async function list(tools: Tools): Promise<void> {
  const { io } = tools;
  await withService(tools.host, async (client) => {
    const { folders } = await client.call("folders/list", {});
    io.data({ folders });
    if (folders.length === 0) io.note("No folder is looked after yet. Add one: satchel add FOLDER");
    else
      io.say(
        table(
          folders.map((one) => [
            one.folder,
            one.state,
            counted(one.files, "file"),
            size(one.bytes),
            one.remote ?? "no remote",
            shown(one.root),
          ]),
        ),
      );
  });
}

async function remove(tools: Tools, named: string): Promise<void> {
  await withService(tools.host, async (client) => {
    const { folder, root } = await pickFolder(tools.host, client, named);
    await client.call("folders/remove", { folder });
    tools.io.data({ folder, root });
    tools.io.note(`${shown(root)} is not looked after any more. Its files stay, here and on the remote.`);
  });
}

async function login(tools: Tools, url: string, options: LoginOptions): Promise<void> {
  const { io, host } = tools;
  const { user } = options;
  if (user === undefined) throw new CliError(Exit.Usage, `Say who signs in: satchel login URL --user NAME`);
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : undefined;
  if (address === undefined)
    throw new CliError(Exit.Usage, `${url} is not the address of a server. Write it whole, for example https://${url}/`);
  refuseOtherSchemes(url);
  if (options.insecureHttp !== true) refuseClearText(url);
  await withService(host, async (client) => {
    const password = await passwordOf(tools, `Password for ${user}: `, options.passwordStdin === true);
    const next = "Try again; who runs the server sets a new password with `satchel server user password NAME`.";
    const { remote } = await advised(ErrorCode.Auth, next, async () => await client.call("remotes/login", { url, user, password }));
    io.data({ remote });
    io.result(remote);
    io.note(`Signed in as ${user}.`);
    const unused = unusedPart(url);
    if (unused !== null) io.note(unused);
  });
}

/** Anki joins addresses as browsers do: where the last slash is missing, somebody else's server may be the one that answered. */
function unusedPart(url: string): string | null {
  const { origin, pathname } = new URL(url);
  const lost = /[^/]+$/.exec(pathname)?.[0];
  if (lost === undefined) return null;
  return `The address does not end with a slash, so its last part, “${shown(lost)}”, was not used. If it belongs to the address: satchel login ${origin}${pathname}/ --user NAME`;
}

/** Also before the password is asked for. @throws CliError 2 */
function refuseOtherSchemes(url: string): void {
  if (URL.canParse(url) && ["https:", "http:"].includes(new URL(url).protocol)) return;
  throw new CliError(
    Exit.Usage,
    `${url} is not the address of a sync server: that begins with https://, for example https://sync.example.org/`,
  );
}

/** Before the password is even asked for: it, the device key and every file would cross the network readable. @throws CliError 2 */
function refuseClearText(url: string): void {
  if (!URL.canParse(url)) return;
  const { protocol, hostname, host } = new URL(url);
  if (protocol !== "http:" || isLoopback(hostname)) return;
  throw new CliError(
    Exit.Usage,
    `http://${host}/ is plain HTTP: whoever sits between here and there could read the password and every file. ` +
      `Use https:// if the server has it. To do it all the same (a tunnel, a private network): --insecure-http`,
  );
}

function isLoopback(hostname: string): boolean {
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname) || hostname === "[::1]" || /^(?:.+\.)?localhost$/.test(hostname);
}

async function logout(tools: Tools, named: string | undefined): Promise<void> {
  await withService(tools.host, async (client) => {
    const { remotes } = await client.call("remotes/list", {});
    const [only] = remotes;
    const remote = named ?? (remotes.length === 1 ? only?.id : undefined);
    if (remote === undefined)
      throw new CliError(Exit.Usage, `Say which remote is meant:\n${remotes.map(({ id }) => `  ${id}`).join("\n") || "  (there is none)"}`);
    const next = `Those that there are:\n${remotes.map(({ id }) => `  ${id}`).join("\n") || "  (none)"}`;
    await advised(ErrorCode.RemoteNotFound, next, async () => await client.call("remotes/logout", { remote }));
    tools.io.data({ remote });
    tools.io.note(`Signed out of ${remote}. Its folders wait for the next login.`);
  });
}

async function setPaused(tools: Tools, verb: "pause" | "resume", named: string | undefined): Promise<void> {
  await withService(tools.host, async (client) => {
    const { folder, root } = await pickFolder(tools.host, client, named);
    await client.call(verb === "pause" ? "sync/pause" : "sync/resume", { folder });
    tools.io.data({ folder, paused: verb === "pause" });
    tools.io.note(verb === "pause" ? `${shown(root)} is paused until \`satchel resume\`.` : `${shown(root)} is synced again.`);
  });
}
