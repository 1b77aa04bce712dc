/** `satchel sync`, `plan`, `apply`, `undo`, `log`, `events`. */
import type { Command } from "commander";

import type { FolderStatus, RunSummary, StoredEvent } from "../../protocol/api/model.ts";
import type { ResultOf } from "../../protocol/api/table.ts";
import { HOLD_REASONS } from "./answer-commands.ts";
import type { Client, Notice } from "./client.ts";
import { Exit, exitOfRuns } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { BELOW, counted, duration, shown, size, table, when, type Io, type Tone } from "./io.ts";
import { pickFolder, untilInterrupted, wholeNumber, withService, type Tools } from "./tools.ts";

type SyncOptions = { wait?: true; watch?: true; scan: boolean };
type LogOptions = { since?: string; limit?: string; folder?: string };

export function registerSync(program: Command, tools: Tools): void {
  program
    .command("sync")
    .description("sync now")
    .argument("[folder]", "path or id; left out: every folder that is not paused")
    .option("--wait", "return when it is done")
    .option("--watch", "go on telling of every sync until Ctrl-C")
    .option("--no-scan", "trust file events instead of looking at every file")
    .action(tools.act(async (folder: string | undefined, options: SyncOptions) => await sync(tools, folder, options)));
  program
    .command("plan")
    .description("what a sync would do now, and why; changes nothing")
    .argument("[folder]", "path or id")
    .action(tools.act(async (folder: string | undefined) => await plan(tools, folder)));
  program
    .command("apply")
    .description("carry out the plan that was shown and nothing else; refuse if it is another one by now")
    .argument("[folder]", "path or id")
    .requiredOption("--plan <hash>", "as `satchel plan` printed it")
    .action(tools.act(async (folder: string | undefined, options: { plan: string }) => await apply(tools, folder, options.plan)));
  program
    .command("undo")
    .description("take back the last sync or command that replaced or removed files here")
    .argument("[folder]", "path or id")
    .option("--preview", "only tell what would be taken back")
    .action(
      tools.act(async (folder: string | undefined, options: { preview?: true }) => await undo(tools, folder, options.preview === true)),
    );
  program
    .command("log")
    .description("the change log: what was observed, and who made it")
    .argument("[folder]", "path or id; left out: all folders")
    .option("--since <number>", "only what came after this number", "0")
    .option("--limit <number>", "at most so many of the newest", "50")
    .action(tools.act(async (folder: string | undefined, options: LogOptions) => await log(tools, folder, options)));
  program
    .command("events")
    .description("events, one per line")
    .option("--since <number>", "only what came after this number", "0")
    .option("--follow", "go on until Ctrl-C")
    .action(tools.act(async (options: { since: string; follow?: true }) => await events(tools, options)));
}

async function sync(tools: Tools, named: string | undefined, options: SyncOptions): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const folder = named === undefined ? null : (await pickFolder(host, client, named)).folder;
    if (options.watch === true) return await watch(tools, client, folder, options.scan);
    if (options.wait !== true) {
      await client.call("sync/run", { folder, scan: options.scan, wait: false });
      io.data({ runs: [] });
      io.note("The sync has begun. See `satchel status`, or use --wait.");
      return Exit.InSync;
    }
    return await tellRuns(io, client, await runWithProgress(io, client, folder, options.scan));
  });
}

/**
 * The line of progress lives as long as the runs. What a run moved that was under way when we asked (the first one after `add`) is counted
 * in ours: whoever waited for it is told of it.
 */
export async function runWithProgress(io: Io, client: Client, folder: string | null, scan: boolean): Promise<readonly RunSummary[]> {
  const live = new Map<string, string>();
  const ended: RunSummary[] = [];
  client.onNotice((notice) => {
    const run = runOf(notice);
    if (run !== null) ended.push(run);
    const told = progressOf(notice);
    if (told === null) return;
    live.set(told.folder, told.text);
    io.progress([...live.values()].join(" · "));
  });
  await client.call("events/subscribe", { progress: true });
  const { runs } = await client.call("sync/run", { folder, scan });
  io.endLive();
  return runs.map((run) => ended.filter((other) => other.folder === run.folder && other.run !== run.run).reduce(together, run));
}

function together(run: RunSummary, earlier: RunSummary): RunSummary {
  const sum: Record<string, number> = {};
  for (const name of MOVED) sum[name] = run[name] + earlier[name];
  const result = run.result === "insync" && run.conflicts + earlier.conflicts > 0 ? "conflicts" : run.result;
  return { ...run, ...sum, result, startedAtMs: Math.min(run.startedAtMs, earlier.startedAtMs) };
}

const MOVED = [
  "uploadedFiles",
  "uploadedBytes",
  "downloadedFiles",
  "downloadedBytes",
  "deletedLocal",
  "deletedRemote",
  "conflicts",
  "durationMs",
] as const satisfies readonly (keyof RunSummary)[];

async function tellRuns(io: Io, client: Client, runs: readonly RunSummary[]): Promise<Exit> {
  io.data({ runs });
  const { folders } = io.json && runs.length > 0 ? { folders: [] } : await client.call("folders/list", {});
  if (runs.length === 0) {
    io.note(folders.length === 0 ? "No folder is looked after yet. Add one: satchel add FOLDER" : ALL_PAUSED);
    // As for one paused folder that is named: a script must not take this for "in sync".
    return folders.length === 0 ? Exit.InSync : Exit.Usage;
  }
  for (const run of runs) {
    const here = folders.find(({ folder }) => folder === run.folder);
    // A sync in the background may have been faster than the person: say what there is, so that nobody doubts it.
    const holds = run.result === "insync" && here !== undefined ? `\n  ${counted(here.files, "file")} here, ${size(here.bytes)}` : "";
    // An earlier run's conflict is not this run's result, and waits all the same.
    const waits = run.conflicts === 0 && (here?.conflicts ?? 0) > 0 ? `\n  ${waiting(io, here?.conflicts ?? 0)}` : "";
    io.tell(`${runText(io, run)}${holds}${waits}`, BELOW);
  }
  return exitOfRuns(runs);
}

const ALL_PAUSED = "Nothing was synced: all folders are paused. `satchel resume` ends that.";

function waiting(io: Io, conflicts: number): string {
  return `${io.paint("warn", counted(conflicts, "unresolved conflict"))}: satchel conflicts`;
}

const RESULT_WORDS: Readonly<Record<RunSummary["result"], readonly [Tone, string]>> = {
  insync: ["good", "in sync"],
  conflicts: ["warn", "done, with conflicts"],
  problems: ["warn", "done, with problems"],
  held: ["bad", "waits for your answer"],
  failed: ["bad", "failed"],
};

export function runText(io: Io, run: RunSummary): string {
  const [tone, word] = RESULT_WORDS[run.result];
  const facts = [
    run.uploadedFiles > 0 ? `${counted(run.uploadedFiles, "file")} up (${size(run.uploadedBytes)})` : "",
    run.downloadedFiles > 0 ? `${counted(run.downloadedFiles, "file")} down (${size(run.downloadedBytes)})` : "",
    run.deletedLocal > 0 ? `${run.deletedLocal} removed here` : "",
    run.deletedRemote > 0 ? `${run.deletedRemote} removed there` : "",
    run.conflicts > 0 ? `${counted(run.conflicts, "conflict")} (satchel conflicts)` : "",
    run.problems > 0 ? `${counted(run.problems, "problem")} (satchel problems)` : "",
  ].filter((fact) => fact !== "");
  // What did not come to its end can't say that there was nothing to do.
  const nothing = run.result === "failed" || run.result === "held" ? "nothing moved" : "nothing left to do";
  const moved = facts.length === 0 ? nothing : facts.join(", ");
  const more = run.result === "held" ? "\n  Something looks like an accident and waits: satchel guard" : "";
  const why = run.error === null ? "" : `\n  ${run.error}`;
  return `${shown(run.root)}  ${io.paint(tone, word)}: ${moved}, ${duration(run.durationMs)}${why}${more}`;
}

const PHASE_WORDS: Readonly<Record<string, string>> = {
  observe: "looking at the files",
  fetch: "asking the server",
  plan: "planning",
  apply: "fetching",
  push: "sending",
  verify: "checking",
};

function progressOf({ method, params }: Notice): { readonly folder: string; readonly text: string } | null {
  if (method !== "sync/progress" || typeof params !== "object" || params === null) return null;
  if (!("folder" in params) || typeof params.folder !== "string" || !("progress" in params)) return null;
  const counts: Readonly<Record<string, unknown>> =
    typeof params.progress === "object" && params.progress !== null ? { ...params.progress } : {};
  const number = (name: string): number => (typeof counts[name] === "number" ? counts[name] : 0);
  const way = (arrow: string, name: "Up" | "Down"): string => {
    const [files, bytes] = [number(`files${name}Total`), number(`bytes${name}Total`)];
    const done = `${arrow} ${number(`files${name}`)}/${files} files ${size(number(`bytes${name}`))}`;
    return files === 0 ? "" : bytes === 0 ? done : `${done} of ${size(bytes)}`;
  };
  const [up, down] = [way("↑", "Up"), way("↓", "Down")];
  const phase = "phase" in params && typeof params.phase === "string" ? (PHASE_WORDS[params.phase] ?? params.phase) : "";
  return { folder: params.folder, text: [phase, up, down].filter((part) => part !== "").join("  ") };
}

/** Prints every run's end until the user has seen enough. */
async function watch(tools: Tools, client: Client, only: string | null, scan: boolean): Promise<Exit> {
  const { io, host } = tools;
  let last: readonly RunSummary[] = [];
  client.onNotice((notice) => {
    const run = runOf(notice);
    const live = progressOf(notice);
    if (live !== null) io.progress(live.text);
    if (run === null || (only !== null && run.folder !== only)) return;
    last = [run];
    io.data(run);
    io.tell(`${when(run.startedAtMs + run.durationMs)}  ${runText(io, run)}`, BELOW);
  });
  await client.call("events/subscribe", { progress: true });
  await client.call("sync/run", { folder: only, scan, wait: false });
  io.note("Telling of every sync that moves something; Ctrl-C ends it.");
  await untilInterrupted(host, client, () => "satchel sync --watch");
  return exitOfRuns(last);
}

async function plan(tools: Tools, named: string | undefined): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const folder = await pickFolder(host, client, named);
    const found = await client.call("sync/plan", { folder: folder.folder });
    io.data(found);
    io.tell(planText(io, folder, found), BELOW);
    return found.holds.length > 0 ? Exit.Held : Exit.InSync;
  });
}

/** What is done with a file, for people. */
export const ACTION_WORDS: Readonly<Record<string, string>> = {
  upload: "send",
  download: "fetch",
  deleteLocal: "remove here",
  deleteRemote: "remove there",
  conflict: "conflict",
  defer: "wait",
  adopt: "adopt",
  none: "nothing",
};

function planText(io: Io, folder: FolderStatus, found: ResultOf<"sync/plan">): string {
  const rows = found.actions.map(({ action, path, bytes, reason }) => [
    ACTION_WORDS[action] ?? action,
    bytes === null ? "" : size(bytes),
    shown(path),
    io.paint("dim", reason),
  ]);
  const held = found.holds.map(
    (hold) => `${io.paint("bad", "held")}: ${HOLD_REASONS[hold.reason]}; ${counted(hold.paths.length, "file")}, see satchel guard`,
  );
  const body = rows.length === 0 ? ["Nothing is to be done."] : [table(rows)];
  return [shown(folder.root), ...body, ...held, `plan ${found.hash}`].join("\n");
}

async function apply(tools: Tools, named: string | undefined, hash: string): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const { folder } = await pickFolder(host, client, named);
    return await tellRuns(io, client, [await client.call("sync/apply", { folder, hash })]);
  });
}

async function undo(tools: Tools, named: string | undefined, preview: boolean): Promise<Exit> {
  const { io, host } = tools;
  return await withService(host, async (client) => {
    const { folder } = await pickFolder(host, client, named);
    const { undone, skipped } = await client.call("sync/undo", { folder, ...(preview ? { preview } : {}) });
    io.data({ folder, preview, undone, skipped });
    for (const path of undone) io.tell(`${preview ? "would be" : "back"} as it was: ${shown(path)}`, BELOW);
    for (const { path, reason } of skipped) io.tell(`${preview ? "would stay" : "left"} as it is: ${shown(path)} (${reason})`, BELOW);
    if (preview) io.note("Nothing was done. To do it: satchel undo");
    else await tellOpen(io, client, folder);
    return skipped.length > 0 ? Exit.Unfinished : Exit.InSync;
  });
}

/** An undo takes back a conflict's answer too. */
async function tellOpen(io: Io, client: Client, folder: string): Promise<void> {
  if (io.json) return;
  const { conflicts } = await client.call("conflicts/list", { folder });
  if (conflicts.length > 0) io.note(waiting(io, conflicts.length));
}

const PAGE = 1000;

async function log(tools: Tools, named: string | undefined, options: LogOptions): Promise<void> {
  const { io, host } = tools;
  const limit = wholeNumber(options.limit ?? "50", "--limit");
  if (limit === 0) throw new CliError(Exit.Usage, "--limit is at least 1.");
  const after = wholeNumber(options.since ?? "0", "--since");
  let since = after;
  await withService(host, async (client) => {
    const folder = named === undefined ? null : (await pickFolder(host, client, named)).folder;
    let newest: ResultOf<"changes/list">["changes"] = [];
    for (;;) {
      const { changes } = await client.call("changes/list", { folder, since, limit: PAGE });
      newest = [...newest, ...changes].slice(-limit);
      since = changes.at(-1)?.seq ?? since;
      if (changes.length < PAGE) break;
    }
    for (const change of newest) io.data(change);
    if (newest.length === 0) io.note(after === 0 ? "Nothing has been observed yet." : `Nothing was observed after number ${after}.`);
    else
      io.tell(
        table(
          newest.map((change) => [
            String(change.seq),
            when(change.atMs),
            change.kind,
            change.origin,
            change.sizeBytes === null ? "" : size(change.sizeBytes),
            shown(change.path),
          ]),
        ),
        BELOW,
      );
  });
}

async function events(tools: Tools, options: { since: string; follow?: true }): Promise<void> {
  const { io, host } = tools;
  let since = wholeNumber(options.since, "--since");
  await withService(host, async (client) => {
    const tell = (event: StoredEvent): void => {
      io.data(event);
      io.tell(
        [event.seq, when(event.atMs), event.kind, event.folder ?? "", eventText(io, event)].filter((part) => part !== "").join("  "),
        BELOW,
      );
    };
    if (options.follow === true) {
      client.onNotice((notice) => {
        const event = eventOf(notice);
        if (event === null) return;
        tell(event);
        since = event.seq;
      });
      await client.call("events/subscribe", { since });
      await untilInterrupted(host, client, () => `satchel events --follow --since ${since}`);
      return;
    }
    for (;;) {
      const page = await client.call("events/list", { since, limit: PAGE });
      if (since > page.lastSeq) io.note(beyondText(since, page.lastSeq));
      else if (page.gap) io.note(`Events between ${since} and ${page.events[0]?.seq ?? page.lastSeq} are not kept any more.`);
      page.events.forEach(tell);
      since = page.events.at(-1)?.seq ?? since;
      if (page.events.length < PAGE) return;
    }
  });
}

/** A number from another machine, or from before the log began anew: silence would look as if nothing happened. */
function beyondText(since: number, lastSeq: number): string {
  const newest = lastSeq === 0 ? "There is no event yet" : `The newest event is number ${lastSeq}`;
  return `${newest}, so nothing stands after ${since}. To see all that is kept: satchel events --since 0`;
}

/** A hole in what is kept; or the asker's number is of another log, and all of this one follows. */
function gapText(after: unknown, through: unknown): string {
  const [from, to] = [Number(after), Number(through)];
  if (to < from) return `number ${from} is of another log than this one: all that this one keeps follows`;
  return `the events from ${from + 1} to ${to} are not kept any more`;
}

/** What an event holds, as words: a run's summary, else every fact by its name. */
function eventText(io: Io, event: StoredEvent): string {
  const data = typeof event.data === "object" && event.data !== null ? event.data : {};
  const run = summaryOf(event);
  if (event.kind === "gap" && "after" in data && "through" in data) return gapText(data.after, data.through);
  if (run !== null && "root" in data && "result" in data) return runText(io, run).replaceAll(/\n\s*/g, "; ");
  const facts = Object.entries(data).filter(([, value]) => value !== null);
  return facts.map(([name, value]) => `${name} ${shown(factText(value))}`).join(", ");
}

function factText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(factText).join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The summary of a run that has ended; null: something else was told. */
export function runOf(notice: Notice): RunSummary | null {
  const event = eventOf(notice);
  return event === null ? null : summaryOf(event);
}

function summaryOf(event: StoredEvent): RunSummary | null {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `run` events hold a run summary (protocol/events.ts)
  return event.kind === "run" ? (event.data as RunSummary) : null;
}

function eventOf({ method, params }: Notice): StoredEvent | null {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `event` notifications carry a stored event (protocol/api/model.ts)
  return method === "event" ? (params as StoredEvent) : null;
}
