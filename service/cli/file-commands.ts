/** `satchel explain`, `problems`, `versions`, `restore`. */
import type { Command } from "commander";

import type { FileView, FolderStatus, Version } from "../../protocol/api/model.ts";
import type { ResultOf } from "../../protocol/api/table.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { BELOW, shown, size, table, when, type Io } from "./io.ts";
import { ACTION_WORDS } from "./sync-commands.ts";
import { pickFile, pickFolder, withService, type Tools } from "./tools.ts";

export function registerFiles(program: Command, tools: Tools): void {
  program
    .command("explain")
    .description("everything known about one file, and why it is so")
    .argument("<path>", "of the file, on disk or inside the folder")
    .action(tools.act(async (path: string) => await explain(tools, path)));
  program
    .command("problems")
    .description("the files that can't be synced now, with the reason")
    .argument("[folder]", "path or id")
    .action(tools.act(async (folder: string | undefined) => await problems(tools, folder)));
  program
    .command("versions")
    .description("the kept versions of a file, newest first")
    .argument("<path>", "of the file, on disk or inside the folder")
    .action(tools.act(async (path: string) => await versions(tools, path)));
  program
    .command("restore")
    .description("put a kept version of a file back; what stands there now is kept first")
    .argument("<path>", "of the file, on disk or inside the folder")
    .option("--sha1 <hash>", "which one (first characters will do); left out: the newest")
    .action(tools.act(async (path: string, options: { sha1?: string }) => await restore(tools, path, options.sha1)));
}

async function explain(tools: Tools, named: string): Promise<Exit> {
  return await withService(tools.host, async (client) => {
    const { folder, path } = await pickFile(tools.host, client, named);
    const found = await client.call("files/explain", { folder: folder.folder, path });
    tools.io.data({ folder: folder.folder, ...found });
    tools.io.tell(explanation(tools.io, folder, found), VALUES_AT);
    return found.state === "problem" ? Exit.Unfinished : Exit.InSync;
  });
}

/** Where the values stand: behind the longest name. */
const VALUES_AT = 19;
const STATES: Readonly<Record<FileView["state"], string>> = {
  synced: "in sync",
  pending: "not yet in sync",
  problem: "can't be synced",
  ignored: "ignored",
};

/** What of its folder bears on a file: that it waits, what failed last, when it is tried again. */
function circumstances(folder: FolderStatus): readonly (readonly string[])[] {
  const state =
    folder.state === "insync" || folder.state === "pending"
      ? []
      : [["folder", `${folder.state}${folder.detail === null ? "" : `: ${folder.detail}`}`]];
  const again = folder.nextRunAt === null || folder.state === "paused" ? [] : [["looked at again", when(folder.nextRunAt)]];
  return [...state, ...again];
}

function explanation(io: Io, folder: FolderStatus, found: ResultOf<"files/explain">): string {
  const brief = (sha1: string | null): string => (sha1 === null ? "nothing" : sha1.slice(0, 12));
  const unknown = found.local === null && found.remote === null && found.base === null && found.changes.length === 0;
  // Of an ignored path the scan knows nothing: whether a file stands there is not ours to say.
  const ignored = found.ignoredBy !== null && found.local === null;
  const rows = [
    [
      "state",
      unknown
        ? ignored
          ? "ignored"
          : "nothing is known of this path"
        : `${STATES[found.state]}${found.sizeBytes === null ? "" : `, ${size(found.sizeBytes)}`}`,
    ],
    ["here", ignored ? "not looked at" : brief(found.local)],
    ["on the remote", `${brief(found.remote)}${found.wireName === null || found.remote === null ? "" : ` as ${shown(found.wireName)}`}`],
    ...(found.deleted === null ? [] : [["deleted there", `by ${found.deleted.by ?? "another device"} on ${when(found.deleted.atMs)}`]]),
    ["agreed on", brief(found.base)],
    ["next", `${ACTION_WORDS[found.wouldDo] ?? found.wouldDo}: ${found.reason}`],
    ...(found.ignoredBy === null ? [] : [["ignored by", found.ignoredBy]]),
    ...found.problems.map((problem) => [
      "problem",
      `${problem.detail} (${problem.reason}, ${problem.side}, since ${when(problem.sinceMs)})`,
    ]),
    ...circumstances(folder),
    ...found.conflicts.map((conflict) => [
      "conflict",
      `${conflict.id}, ${conflict.state}${conflict.copyPath === null ? "" : `, other bytes at ${shown(conflict.copyPath)}`}`,
    ]),
    ...found.versions.slice(0, 5).map((version) => ["kept", versionText(version)]),
    ...found.changes
      .slice(0, 5)
      .map((change) => ["seen", `${when(change.atMs)}  ${change.kind} by ${change.origin}  ${brief(change.sha1)}`]),
  ];
  return [
    io.paint("strong", `${shown(folder.root)}/${shown(found.path)}`),
    table(rows.map(([name = "", value = ""]) => [`  ${name}`, value])),
  ].join("\n");
}

const PAGE = 1000;

async function problems(tools: Tools, named: string | undefined): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const { folder } = await pickFolder(host, client, named);
    const found: FileView[] = [];
    for (let after = ""; ;) {
      const { files } = await client.call("files/list", { folder, state: "problem", after, limit: PAGE });
      found.push(...files);
      after = files.at(-1)?.path ?? after;
      if (files.length < PAGE) break;
    }
    for (const file of found) io.data(file);
    for (const file of found) for (const problem of file.problems) io.tell(`${shown(file.path)}: ${problem.detail}`, BELOW);
    if (found.length === 0) io.note("No problems.");
    return found.length === 0 ? Exit.InSync : Exit.Unfinished;
  });
}

async function versions(tools: Tools, named: string): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const { folder, path } = await pickFile(host, client, named);
    const found = await client.call("versions/list", { folder: folder.folder, path });
    io.data({ folder: folder.folder, path, ...found });
    if (found.remoteDetail !== null) io.note(shown(found.remoteDetail));
    if (found.versions.length === 0) io.note(`No version of ${shown(path)} is kept: it was never replaced or removed by a sync.`);
    for (const version of found.versions) io.say(`${versionText(version)}${version.where === "remote" ? "  on the remote" : ""}`);
  });
}

async function restore(tools: Tools, named: string, wanted: string | undefined): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const { folder, path } = await pickFile(host, client, named);
    const sha1 =
      wanted === undefined ? null : chosen((await client.call("versions/list", { folder: folder.folder, path })).versions, wanted, path);
    const restored = await client.call("versions/restore", { folder: folder.folder, path, sha1 });
    io.data({ folder: folder.folder, ...restored });
    io.note(`${shown(restored.path)} is back as ${restored.sha1.slice(0, 12)}.`);
  });
}

function chosen(kept: readonly Version[], wanted: string, path: string): string {
  const found = new Set(kept.map(({ sha1 }) => sha1).filter((sha1) => sha1.startsWith(wanted.toLowerCase())));
  const [only] = found;
  if (found.size === 1 && only !== undefined) return only;
  const why = found.size === 0 ? "No kept version" : "More than one kept version";
  throw new CliError(Exit.Usage, `${why} of ${shown(path)} begins with ${wanted}. See \`satchel versions ${path}\`.`);
}

function versionText(version: Version): string {
  return `${version.sha1.slice(0, 12)}  ${when(version.atMs)}  ${size(version.sizeBytes)}  ${version.why}`;
}
