/** `satchel start FOLDER`: everything at once for one folder, with a server of its own where there is no remote yet. */
import path from "node:path";

import type { Command } from "commander";

import type { FolderStatus, RunSummary } from "../../protocol/api/model.ts";
import type { Client } from "./client.ts";
import { Exit, exitOfRuns } from "./exit-codes.ts";
import type { Host, OwnServer } from "./host.ts";
import { BELOW, counted, shown, size, when } from "./io.ts";
import { ensureService, stopService } from "./running.ts";
import { runOf, runText, runWithProgress } from "./sync-commands.ts";
import { serviceEnded, withService, type Tools } from "./tools.ts";

export function registerStart(program: Command, tools: Tools): void {
  program
    .command("start")
    .description("keep one folder in sync until Ctrl-C, with a server of its own on this machine if it has no remote")
    .argument("<folder>", "path of the media folder")
    .action(tools.act(async (folder: string) => await start(tools, folder)));
}

/** What `start` has begun so far, told to whoever ends it. */
type Session = {
  own: ReturnType<Host["ownServer"]> | null;
  /** null: the first sync has not ended. */
  last: readonly RunSummary[] | null;
};

async function start(tools: Tools, named: string): Promise<Exit> {
  const { io, host } = tools;
  // Heard from the beginning: whatever was begun by then ends with us.
  const interrupted = host.interrupted();
  const { pid, started } = await ensureService(tools, true);
  const session: Session = { own: null, last: null };
  try {
    await withService(host, async (client) => {
      await Promise.race([keep(tools, client, named, session), interrupted]);
      // What fails from now on fails because we end it.
      client.onNotice(() => undefined);
      io.endLive();
    });
  } finally {
    // A service that was there before us is somebody else's. Ours ends before its server, which it would only miss.
    if (started) await stopService(tools, pid);
    const own = await session.own?.catch(() => null);
    await own?.stop();
  }
  if (session.last !== null) return exitOfRuns(session.last);
  io.note(`Ended before the first sync was through; nothing was lost. \`satchel start ${shown(named)}\` goes on where it was.`);
  return Exit.Retry;
}

/** @throws CliError 5 when the service ends; goes on until then */
async function keep(tools: Tools, client: Client, named: string, session: Session): Promise<never> {
  const { io, host } = tools;
  const root = await host.realPath(path.resolve(host.cwd, named));
  const { remotes } = await client.call("remotes/list", {});
  const known = (await client.call("folders/list", {})).folders.find((folder) => folder.root === root);
  if (remotes.length === 0 || isOwn(tools, remotes, known)) session.own = host.ownServer();
  const own = await session.own;
  const remote = own === null ? null : await signIn(client, own.server);
  const folder = known ?? (await client.call("folders/add", { root, ...(remote === null ? {} : { remote }) }));
  if (known?.remote === null && remote !== null) await client.call("folders/update", { folder: folder.folder, remote });
  const runs = await runWithProgress(io, client, folder.folder, true);
  for (const run of runs) {
    io.data(run);
    io.tell(runText(io, run), BELOW);
  }
  await tellHolding(tools, client, folder.folder);
  session.last = runs;
  tellRunsFrom(tools, client, session);
  if (own !== null) io.note(secondDevice(own.server));
  io.note(`${shown(root)} is kept in sync. Ctrl-C ends it.`);
  await client.closed;
  throw serviceEnded(`satchel start ${shown(named)}`);
}

/** The first sync began with `folders/add` and may be over before we ask for one, which then had nothing to do: say what is there. */
async function tellHolding({ io }: Tools, client: Client, id: string): Promise<void> {
  const found = (await client.call("folders/list", {})).folders.find(({ folder }) => folder === id);
  if (found !== undefined) io.say(`  ${counted(found.files, "file")}, ${size(found.bytes)} here; ${found.pending} still to be synced`);
}

/** Our own server must run again where the folder's remote is the one that an earlier `start` made. */
function isOwn(tools: Tools, remotes: readonly { readonly id: string; readonly url: string }[], known: FolderStatus | undefined): boolean {
  const url = tools.host.ownServerUrl();
  if (url === null) return false;
  const wanted = known?.remote ?? (remotes.length === 1 ? remotes[0]?.id : undefined);
  return remotes.some((remote) => remote.id === wanted && remote.url === url);
}

async function signIn(client: Client, server: OwnServer): Promise<string> {
  const { remote } = await client.call("remotes/login", { url: server.url, user: server.user, password: server.password });
  return remote;
}

function secondDevice(server: OwnServer): string {
  const { port } = new URL(server.url);
  return `
A sync server of your own runs at ${server.url}
while this command does, for this machine only.
For a second device, carry the password file there by a way you trust, then:
  ssh -N -L ${port}:127.0.0.1:${port} THIS-MACHINE
  satchel service start
  satchel login ${server.url} --user ${server.user} --password-stdin \\
    < own-server-password
  satchel add FOLDER
The password is in ${server.passwordFile}
A server for many devices: satchel server run --help
`;
}

function tellRunsFrom({ io }: Tools, client: Client, session: Session): void {
  client.onNotice((notice) => {
    const run = runOf(notice);
    if (run === null) return;
    session.last = [run];
    io.data(run);
    io.tell(`${when(run.startedAtMs + run.durationMs)}  ${runText(io, run)}`, BELOW);
  });
}
