/** `satchel check`: notes against their media, and the removal of what nobody uses. */
import path from "node:path";

import type { Command } from "commander";

import type { ResultOf } from "../../protocol/api/table.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { BELOW, counted, shown, size, table, when, type Io } from "./io.ts";
import { pickFolder, wholeNumber, withService, type Tools } from "./tools.ts";

type Options = { readonly notes?: readonly string[]; readonly olderThan?: string; readonly removeUnused?: readonly string[] };
type Report = ResultOf<"notes/check">;

const DAY_MS = 24 * 3_600_000;
/** In one command, so that one undo takes it back. */
const REMOVE_MAX = 1000;

export function registerCheck(program: Command, tools: Tools): void {
  program
    .command("check")
    .description("hold notes against their media: what is missing and why, unused, there twice, badly named")
    .argument("[folder]", "path or id")
    .option("--notes <dirs...>", "where the notes are; left out: this directory if the folder lies in it, else the folder's parent")
    .option("--older-than <days>", "of the unused files, only those not changed for so long")
    .option("--remove-unused <paths...>", "remove exactly these unused files; `satchel undo` brings them back")
    .action(tools.act(async (folder: string | undefined, options: Options) => await check(tools, folder, options)));
}

async function check(tools: Tools, named: string | undefined, options: Options): Promise<Exit> {
  const { io, host } = tools;
  const days = options.olderThan === undefined ? 0 : wholeNumber(options.olderThan, "A number of days");
  return await withService(host, async (client) => {
    const { folder, root } = await pickFolder(host, client, named);
    const notes = await noteDirectories(tools, root, options.notes);
    if (options.removeUnused !== undefined) {
      const paths = options.removeUnused.map((one) => insideFolder(host.cwd, root, one));
      if (paths.length > REMOVE_MAX)
        throw new CliError(
          Exit.Usage,
          `${paths.length} files are too many for one step, which one undo must take back. Name at most ${REMOVE_MAX}.`,
        );
      const cleaned = await client.call("notes/clean", { folder, notes, paths });
      io.data({ folder, ...cleaned });
      for (const one of cleaned.removed) io.say(`removed ${shown(one)}`);
      for (const { path: one, reason } of cleaned.skipped) io.trouble(`${shown(one)} stays: ${reason}.`);
      if (cleaned.removed.length > 0) io.note(`${counted(cleaned.removed.length, "file")} removed; \`satchel undo\` brings them back.`);
      return cleaned.skipped.length === 0 ? Exit.InSync : Exit.Unfinished;
    }
    const report = await client.call("notes/check", { folder, notes });
    const told = { ...report, unused: report.unused.filter(({ mtimeMs }) => Date.now() - mtimeMs >= days * DAY_MS) };
    io.data(told);
    io.tell(reportText(io, told, await host.realPath(host.cwd)), 2 + BELOW);
    return told.missing.length + told.badNames.length + told.unread.length === 0 ? Exit.InSync : Exit.Unfinished;
  });
}

async function noteDirectories({ io, host }: Tools, root: string, named: readonly string[] | undefined): Promise<string[]> {
  if (named !== undefined)
    return await Promise.all(
      named.map(async (one) => {
        const directory = await host.realDirectory(path.resolve(host.cwd, one));
        if (directory === null)
          throw new CliError(Exit.Usage, `${shown(one)} is not a directory that can be read. Say where the notes are: --notes DIR`);
        return directory;
      }),
    );
  const here = await host.realPath(host.cwd);
  const [home, parent] = [host.env["HOME"] ?? host.env["USERPROFILE"], path.dirname(root)];
  const chosen = root.startsWith(here.endsWith(path.sep) ? here : here + path.sep) ? here : parent;
  if (chosen === home || chosen === path.parse(chosen).root)
    throw new CliError(Exit.Usage, `Say where the notes are: --notes DIR. (${chosen} holds more than notes.)`);
  io.note(`Notes: ${shown(chosen)}`);
  return [chosen];
}

/** A path on disk inside the folder, or one relative to the folder. */
function insideFolder(cwd: string, root: string, named: string): string {
  const below = path.relative(root, path.resolve(cwd, named));
  const isInside = below !== "" && !below.startsWith("..") && !path.isAbsolute(below);
  const chosen = isInside ? below : path.normalize(named);
  if (path.isAbsolute(chosen) || chosen.startsWith("..")) throw new CliError(Exit.Usage, `${named} is not inside ${root}.`);
  return chosen.split(path.sep).join("/").normalize("NFC");
}

function reportText(io: Io, report: Report, cwd: string): string {
  const bytes = report.unused.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const parts = [
    `${io.paint("strong", shown(report.root))}  ${counted(report.notes, "note")}, ${counted(report.references, "reference")}`,
    section(io, "Missing", report.missing.length, missingLines(report, cwd)),
    section(io, `Unused, ${size(bytes)} (no note refers to them or mentions them)`, report.unused.length, unusedLines(report)),
    section(io, "There more than once", report.duplicates.length, duplicateLines(report)),
    section(io, "Bad names", report.badNames.length, report.badNames.map(nameLine)),
    section(
      io,
      "Not read, so nothing is known to be unused",
      report.unread.length,
      report.unread.map((one) => `  ${shown(one)}`),
    ),
  ].filter((part) => part !== "");
  return parts.length === 1 ? `${parts[0] ?? ""}\nEverything that notes name is here, and everything here is named.` : parts.join("\n");
}

function section(io: Io, title: string, count: number, lines: readonly string[]): string {
  return count === 0 ? "" : [io.paint("warn", `${title}: ${count}`), ...lines].join("\n");
}

/** Notes by the way that leads to them from here. */
function missingLines({ missing }: Report, cwd: string): string[] {
  const way = (note: string): string => {
    const relative = path.relative(cwd, note);
    return relative.startsWith("..") || path.isAbsolute(relative) ? note : relative;
  };
  return missing.flatMap(({ detail, references }) => [
    `  ${shown(detail)}`,
    ...references.map(({ note, line, column }) => `    ${shown(way(note))}:${line}:${column}`),
  ]);
}

function unusedLines({ unused }: Report): string[] {
  if (unused.length === 0) return [];
  return [table(unused.map((file) => [`  ${shown(file.path)}`, size(file.sizeBytes), `changed ${when(file.mtimeMs)}`]))];
}

function duplicateLines({ duplicates }: Report): string[] {
  return duplicates.map(({ sizeBytes, files }) => {
    const names = files.map((file) => `${shown(file.path)} (${counted(file.references, "reference")})`);
    return `  ${size(sizeBytes)}: ${names.join(", ")}`;
  });
}

function nameLine({ detail, suggestion }: Report["badNames"][number]): string {
  return `  ${shown(detail)}${suggestion === null ? "" : ` For example ${shown(suggestion)}.`}`;
}
