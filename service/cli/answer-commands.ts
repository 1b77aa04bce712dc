/** `satchel conflicts` and `guard`: what waits for the user's word. */
import { createInterface } from "node:readline/promises";

import { Option, type Command } from "commander";

import type { Conflict, Hold } from "../../protocol/api/model.ts";
import type { Client } from "./client.ts";
import { Exit } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { counted, shown, table, when } from "./io.ts";
import { pickFolder, wholeNumber, withService, type Tools } from "./tools.ts";

type ResolveOptions = { keep: "mine" | "theirs" | "both"; all?: true };

export function registerAnswers(program: Command, tools: Tools): void {
  const conflicts = program.command("conflicts").description("files that both sides changed");
  conflicts
    .command("list", { isDefault: true })
    .description("the unresolved ones")
    .argument("[folder]", "path or id; left out: all folders")
    .option("--all", "resolved ones too")
    .action(
      tools.act(async (folder: string | undefined, options: { all?: true }) => await listConflicts(tools, folder, options.all === true)),
    );
  conflicts
    .command("show")
    .description("one conflict")
    .argument("<id>", "its number")
    .action(tools.act(async (id: string) => await showConflict(tools, id)));
  conflicts
    .command("resolve")
    .description("say which bytes take the name; what goes is kept as a version")
    .argument("[id]", "its number")
    .addOption(new Option("--keep <side>", "whose bytes").choices(["mine", "theirs", "both"]).makeOptionMandatory())
    .option("--all", "every unresolved one")
    .action(tools.act(async (id: string | undefined, options: ResolveOptions) => await resolve(tools, id, options)));
  const guard = program.command("guard").description("what looks like an accident and waits for your word");
  guard
    .command("list", { isDefault: true })
    .description("what waits")
    .argument("[folder]", "path or id; left out: all folders")
    .action(tools.act(async (folder: string | undefined) => await listHolds(tools, folder)));
  for (const verb of ["approve", "reject"] as const)
    guard
      .command(verb)
      .description(verb === "approve" ? "the deletions are meant: carry them out" : "it was an accident: bring the files back")
      .argument("[id]", "its number; may be left out where there is only one")
      .option("--hash <hash>", "as `satchel guard` showed it: refused if the set has changed since")
      .action(tools.act(async (id: string | undefined, options: { hash?: string }) => await answer(tools, verb, id, options.hash)));
}

async function listConflicts(tools: Tools, named: string | undefined, all: boolean): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const folder = named === undefined ? null : (await pickFolder(host, client, named)).folder;
    const { conflicts } = await client.call("conflicts/list", { folder, open: !all });
    io.data({ conflicts });
    if (conflicts.length === 0) io.note("No conflicts.");
    else
      for (const one of conflicts) {
        io.say(table([[String(one.id), one.state, when(one.atMs), shown(one.path)]]));
        if (one.copyPath !== null) io.say(`   other bytes: ${shown(one.copyPath)}`);
      }
    return conflicts.some(({ state }) => state === "open") ? Exit.Unfinished : Exit.InSync;
  });
}

async function showConflict(tools: Tools, id: string): Promise<void> {
  await withService(tools.host, async (client) => {
    const conflict = await client.call("conflicts/get", { id: wholeNumber(id, "A conflict's number") });
    tools.io.data(conflict);
    tools.io.say(conflictText(conflict));
  });
}

function conflictText(conflict: Conflict): string {
  const rows = [
    ["path", shown(conflict.path)],
    ["state", conflict.resolution === null ? conflict.state : `${conflict.state}: ${conflict.resolution}`],
    ["at", when(conflict.atMs)],
    ["mine", conflict.localSha1.slice(0, 12) + (conflict.copyPath === null ? " (kept as a version)" : ` at ${shown(conflict.copyPath)}`)],
    ["theirs", conflict.remoteSha1.slice(0, 12)],
    ["before", conflict.baseSha1?.slice(0, 12) ?? "never agreed"],
    ["resolve", `satchel conflicts resolve ${conflict.id} --keep mine|theirs|both`],
  ];
  return table(conflict.state === "resolved" ? rows.slice(0, -1) : rows);
}

async function resolve(tools: Tools, id: string | undefined, options: ResolveOptions): Promise<void> {
  const { io, host } = tools;
  if ((id === undefined) === (options.all !== true)) throw new CliError(Exit.Usage, "Say either the number of one conflict, or --all.");
  await withService(host, async (client) => {
    const ids =
      id === undefined
        ? (await client.call("conflicts/list", {})).conflicts.map((one) => one.id)
        : [wholeNumber(id, "A conflict's number")];
    const resolved: Conflict[] = [];
    for (const one of ids) resolved.push(await client.call("conflicts/resolve", { id: one, keep: options.keep }));
    io.data({ conflicts: resolved });
    for (const conflict of resolved) io.say(`${shown(conflict.path)}: kept ${options.keep}`);
    if (resolved.length === 0) io.note("No conflicts.");
  });
}

async function listHolds(tools: Tools, named: string | undefined): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const folder = named === undefined ? null : (await pickFolder(host, client, named)).folder;
    const { holds } = await client.call("guard/list", { folder });
    io.data({ holds });
    if (holds.length === 0) io.note("Nothing waits for your word.");
    for (const hold of holds) io.say(holdText(hold));
    return holds.length > 0 ? Exit.Held : Exit.InSync;
  });
}

/** Why something waits for the user's word, for people. */
export const HOLD_REASONS: Readonly<Record<Hold["reason"], string>> = {
  manyDeletions: "many files were deleted within ten minutes",
  allDeleted: "every file was deleted",
  rootMissing: "the folder is not there (an unmounted disk?)",
  rootReplaced: "another folder stands where this one was (another disk?)",
  markerGone: "the folder has lost its mark (.satchel) and its files",
  otherServer: "another server answers at this address",
  pingPong: "the same files go back and forth",
};
const WAITS: Readonly<Record<Hold["scope"], string>> = {
  deleteLocal: "to be removed here",
  deleteRemote: "to be removed on the remote",
  paths: "wait, the rest is synced",
  folder: "the whole folder waits",
};
const PATHS_SHOWN = 10;

function holdText(hold: Hold): string {
  const paths = hold.paths.slice(0, PATHS_SHOWN).map((path) => `    ${shown(path)}`);
  if (hold.paths.length > PATHS_SHOWN) paths.push(`    … and ${hold.paths.length - PATHS_SHOWN} more`);
  return [
    `${hold.id}  ${HOLD_REASONS[hold.reason]}; ${hold.scope === "folder" ? "" : `${counted(hold.paths.length, "file")} `}${WAITS[hold.scope]}`,
    ...paths,
    `  it was meant:        satchel guard approve ${hold.id} --hash ${hold.hash}`,
    `  it was an accident:  satchel guard reject ${hold.id} --hash ${hold.hash}`,
  ].join("\n");
}

async function answer(tools: Tools, verb: "approve" | "reject", named: string | undefined, hash: string | undefined): Promise<void> {
  const { io, host } = tools;
  await withService(host, async (client) => {
    const hold = await pickHold(client, named);
    if (hash === undefined) {
      if (!io.input) throw new CliError(Exit.Usage, `Name what you were shown, so that nothing else is answered:\n${holdText(hold)}`);
      io.note(holdText(hold));
      if (!(await agreed(tools, verb === "approve" ? "Carry this out?" : "Bring the files back?"))) {
        io.note("Nothing was done.");
        return;
      }
    }
    const exact = { id: hold.id, hash: hash ?? hold.hash };
    await client.call(verb === "approve" ? "guard/approve" : "guard/reject", exact);
    io.data({ ...exact, answer: verb });
    io.note(verb === "approve" ? "Approved; the next sync carries it out." : "Rejected; the next sync brings the files back.");
  });
}

async function pickHold(client: Client, named: string | undefined): Promise<Hold> {
  const { holds } = await client.call("guard/list", {});
  const [only] = holds;
  const found =
    named === undefined ? (holds.length === 1 ? only : undefined) : holds.find(({ id }) => id === wholeNumber(named, "The number"));
  if (found !== undefined) return found;
  throw new CliError(
    Exit.Usage,
    holds.length === 0 ? "Nothing waits for your word." : "Say the number of what is meant: see `satchel guard`.",
  );
}

async function agreed(tools: Tools, question: string): Promise<boolean> {
  const lines = createInterface({ input: tools.host.stdin, output: tools.host.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
