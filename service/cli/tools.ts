/** What every command is given: how to speak, and how to reach the service. */
import path from "node:path";

import type { FolderStatus } from "../../protocol/api/model.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { Client } from "./client.ts";
import { Exit } from "./exit-codes.ts";
import { CliError, type Host } from "./host.ts";
import type { Io } from "./io.ts";

export interface Tools {
  readonly host: Host;
  /** After the arguments were read. */
  readonly io: Io;
  /** Wraps a command: what it returns is the exit code. */
  act<Args extends readonly unknown[]>(command: (...args: Args) => Promise<Exit | void>): (...args: Args) => Promise<void>;
}

/** Connects, does `work`, disconnects. @throws CliError 5 where no service runs */
export async function withService<T>(host: Host, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await reachService(host);
  if (client === null)
    throw new CliError(Exit.NoService, "The service is not running. Start it with `satchel service start`, then try again.");
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Waits for Ctrl-C. `again`: the command that goes on where this one was. @throws CliError 5 where the service ends first */
export async function untilInterrupted(host: Host, client: Client, again: () => string): Promise<void> {
  const ended = client.closed.then(() => "service" as const);
  const asked = host.interrupted().then(() => "us" as const);
  if ((await Promise.race([asked, ended])) === "service") throw serviceEnded(again());
}

/** Something was being followed, and nobody tells of it any more. */
export function serviceEnded(again: string): CliError {
  return new CliError(
    Exit.NoService,
    `The service has ended, so nothing more is heard of. Start it with \`satchel service start\`, then go on with \`${again}\`.`,
  );
}

/** null: no service runs. */
export async function reachService(host: Host): Promise<Client | null> {
  const [file, { Client: Opener }] = await Promise.all([host.serviceFile(), import("./client.ts")]);
  return file === null ? null : await Opener.open(file);
}

/** The service where it answers; else why what answers there is not it (null: nobody does). */
export async function reached(host: Host): Promise<{ readonly client: Client | null; readonly why: string | null }> {
  try {
    return { client: await reachService(host), why: null };
  } catch (error) {
    return { client: null, why: error instanceof Error ? error.message : String(error) };
  }
}

/** Does `work`; where the service answers with this error, its sentence is followed by what to do next on a command line. */
export async function advised<T>(code: ErrorCode, next: string | (() => string), work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && error.name === "RpcError" && "code" in error && error.code === code)
      error.message = `${error.message.replace(/[^.]$/, "$&.")} ${typeof next === "string" ? next : next()}`;
    throw error;
  }
}

/** The folder a person means: by id, by path, the one they stand in, or the only one there is. @throws CliError 2 */
export async function pickFolder(host: Host, client: Client, named: string | undefined): Promise<FolderStatus> {
  const { folders } = await client.call("folders/list", {});
  if (folders.length === 0) throw new CliError(Exit.Usage, "No folder is looked after yet. Add one: `satchel add FOLDER`.");
  if (named === undefined) {
    if (folders.length === 1 && folders[0] !== undefined) return folders[0];
    const here = folderAround(folders, await host.realPath(host.cwd));
    if (here !== undefined) return here.folder;
    throw new CliError(Exit.Usage, `Say which folder is meant, by its path or id:\n${listed(folders)}`);
  }
  const byId = folders.find(({ folder }) => folder === named);
  if (byId !== undefined) return byId;
  const real = await host.realPath(path.resolve(host.cwd, named));
  const byRoot = folders.find(({ root }) => root === real);
  if (byRoot !== undefined) return byRoot;
  throw new CliError(Exit.Usage, `${named} is not a folder that is looked after. There are:\n${listed(folders)}`);
}

/** The file a person means, by its path on disk or (where there is but one folder) relative to the folder. @throws CliError 2 */
export async function pickFile(
  host: Host,
  client: Client,
  named: string,
): Promise<{ readonly folder: FolderStatus; readonly path: string }> {
  const { folders } = await client.call("folders/list", {});
  const absolute = path.resolve(host.cwd, named);
  // The file itself may be gone, or a symlink that is the very problem: only its directory is resolved.
  const real = path.join(await host.realPath(path.dirname(absolute)), path.basename(absolute));
  const around = folderAround(folders, real);
  if (around !== undefined && around.below !== "") return { folder: around.folder, path: around.below };
  const [only] = folders;
  if (folders.length === 1 && only !== undefined && !path.isAbsolute(named)) return { folder: only, path: slashed(path.normalize(named)) };
  throw new CliError(Exit.Usage, `${named} is not inside a folder that is looked after. There are:\n${listed(folders)}`);
}

/** Ids are read as whole numbers. @throws CliError 2 */
export function wholeNumber(text: string, what: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CliError(Exit.Usage, `${what} is a whole number, not "${text}".`);
}

function folderAround(
  folders: readonly FolderStatus[],
  real: string,
): { readonly folder: FolderStatus; readonly below: string } | undefined {
  for (const folder of folders) {
    const below = path.relative(folder.root, real);
    if (below === "" || (below !== ".." && !below.startsWith(`..${path.sep}`) && !path.isAbsolute(below)))
      return { folder, below: slashed(below) };
  }
  return undefined;
}

function slashed(relative: string): string {
  return (path.sep === "/" ? relative : relative.replaceAll(path.sep, "/")).normalize("NFC");
}

function listed(folders: readonly FolderStatus[]): string {
  return folders.length === 0 ? "  (none)" : folders.map(({ folder, root }) => `  ${folder}  ${root}`).join("\n");
}
