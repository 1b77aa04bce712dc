/** `satchel service …`, `status`, `doctor`, `rpc`. */
import type { Command } from "commander";

import type { FolderStatus } from "../../protocol/api/model.ts";
import type { ResultOf } from "../../protocol/api/table.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Client } from "./client.ts";
import { Exit, exitOfStatus } from "./exit-codes.ts";
import { CliError } from "./host.ts";
import { ago, counted, duration, shown, size, type Io, type Tone } from "./io.ts";
import { registerAutostart } from "./register-commands.ts";
import { ensureService, stopService } from "./running.ts";
import { nearestName } from "./suggest.ts";
import { advised, pickFolder, reached, withService, type Tools } from "./tools.ts";

export function registerService(program: Command, tools: Tools): void {
  const service = program.command("service").description("the background service");
  service
    .command("run")
    .description("run the service here until it is stopped (SIGTERM, Ctrl-C)")
    .option("--no-tcp", "answer on the socket only, not on a loopback port")
    .option("--background", "log to the log file instead of the terminal")
    .action(tools.act(async (options: { tcp: boolean; background?: true }) => await run(tools, options)));
  service
    .command("start")
    .description("start the service in the background; returns when it answers")
    .option("--no-tcp", "answer on the socket only, not on a loopback port")
    .action(tools.act(async (options: { tcp: boolean }) => await start(tools, options.tcp)));
  service
    .command("stop")
    .description("stop the service; returns when it has ended")
    .action(tools.act(async () => await stop(tools)));
  service
    .command("status")
    .description("tell whether the service runs")
    .action(tools.act(async () => await serviceStatus(tools)));
  service
    .command("metrics")
    .description("figures of the service in Prometheus' text format")
    .action(
      tools.act(
        async () =>
          await withService(tools.host, async (client) => {
            const { text } = await client.call("service/metrics", {});
            tools.io.say(text.replace(/\n{2,}/g, "\n").trimEnd());
            tools.io.data({ text });
          }),
      ),
    );
  registerAutostart(service, tools);
  program
    .command("status")
    .description("how every folder stands")
    .argument("[folder]", "only this folder (path or id)")
    .action(tools.act(async (folder: string | undefined) => await status(tools, folder)));
  program
    .command("doctor")
    .description("look for what usually goes wrong; without the service, at all that can be seen")
    .action(tools.act(async () => await doctor(tools)));
  program
    .command("rpc")
    .description("call one method of the API")
    .argument("<method>", "for example folders/list; rpc.discover describes them all")
    .argument("[json]", "parameters as a JSON object")
    .action(tools.act(async (method: string, json: string | undefined) => await rpc(tools, method, json)));
}

async function run(tools: Tools, options: { tcp: boolean; background?: true }): Promise<Exit> {
  return await tools.host.runService({ tcp: options.tcp, background: options.background === true });
}

async function start(tools: Tools, tcp: boolean): Promise<void> {
  const { io } = tools;
  const { pid, started } = await ensureService(tools, tcp);
  io.note(started ? `The service runs now (process ${pid}).` : `The service runs already (process ${pid}).`);
  io.data({ pid, started });
  const port = started || tcp ? null : ((await tools.host.serviceFile())?.port ?? null);
  if (port !== null)
    io.trouble(
      `It answers on 127.0.0.1:${port} all the same, as it was started. To end that: satchel service stop && satchel service start --no-tcp`,
    );
}

async function stop(tools: Tools): Promise<void> {
  const { io } = tools;
  const stopped = await stopService(tools);
  io.note(stopped ? "The service has stopped." : "No service was running.");
  io.data({ stopped });
}

async function serviceStatus(tools: Tools): Promise<void> {
  await withService(tools.host, async (client) => {
    const { service } = await client.call("service/status", {});
    const port = service.port === null ? "socket only" : `socket and 127.0.0.1:${service.port}`;
    tools.io.say(`Satchel ${service.version}, process ${service.pid}, running for ${duration(service.uptimeMs)}, answers on ${port}.`);
    tools.io.data(service);
  });
}

async function status(tools: Tools, named: string | undefined): Promise<Exit> {
  return await withService(tools.host, async (client) => {
    const told = await client.call("service/status", {});
    const folders = named === undefined ? told.folders : [await pickFolder(tools.host, client, named)];
    tools.io.data({ ...told, folders });
    tools.io.tell(statusText(tools.io, folders), 2);
    return exitOfStatus(folders);
  });
}

const STATE_WORDS: Readonly<Record<FolderStatus["state"], readonly [Tone, string]>> = {
  insync: ["good", "in sync"],
  pending: ["warn", "changes wait"],
  syncing: ["warn", "syncing"],
  offline: ["warn", "offline"],
  held: ["bad", "waits for your answer"],
  paused: ["dim", "paused"],
  error: ["bad", "error"],
};

function statusText(io: Io, folders: readonly FolderStatus[]): string {
  if (folders.length === 0) return "No folder is looked after yet. Add one: satchel add FOLDER";
  return folders.map((folder) => folderText(io, folder)).join("\n\n");
}

function folderText(io: Io, folder: FolderStatus): string {
  const [tone, word] = STATE_WORDS[folder.state];
  const lines = [`${io.paint("strong", shown(folder.root))}  ${io.paint(tone, word)}`];
  const facts = [folder.remote ?? "no remote", `${counted(folder.files, "file")}, ${size(folder.bytes)}`];
  if (folder.pending > 0) facts.push(`${folder.pending} pending`);
  facts.push(folder.lastRunAt === null ? "not synced yet" : `last sync ${ago(folder.lastRunAt)}`);
  lines.push(`  ${io.paint("dim", facts.join(" · "))}`);
  if (folder.detail !== null) lines.push(`  ${folder.detail}`);
  if (folder.held > 0) lines.push(`  ${io.paint("bad", counted(folder.held, "question"))} for you: satchel guard`);
  if (folder.conflicts > 0) lines.push(`  ${io.paint("warn", counted(folder.conflicts, "conflict"))}: satchel conflicts`);
  if (folder.problems > 0) lines.push(`  ${io.paint("warn", counted(folder.problems, "problem"))}: satchel problems`);
  if (folder.watching === "timed") lines.push("  File events can't be had here; the folder is looked at every minute.");
  return lines.join("\n");
}

async function doctor(tools: Tools): Promise<Exit> {
  const { io, host } = tools;
  const { client, why } = await reached(host);
  const checks = client === null ? await host.examine(why) : await examined(client);
  io.data({ checks });
  for (const check of checks) io.tell(checkText(io, check), ADVICE_INDENT);
  const bad = checks.filter(({ result }) => result === "failed");
  // The service's absence is what is wrong, unless something is that would keep it from starting.
  if (client === null && bad.every(({ name }) => name === "service")) return Exit.NoService;
  if (bad.length > 0) return Exit.Fatal;
  return checks.some(({ result }) => result === "warning") ? Exit.Unfinished : Exit.InSync;
}

async function examined(client: Client): Promise<ResultOf<"service/doctor">["checks"]> {
  try {
    return (await client.call("service/doctor", {})).checks;
  } finally {
    await client.close();
  }
}

const ADVICE_INDENT = 9;
const CHECK_WORDS = { ok: ["good", "ok     "], warning: ["warn", "warning"], failed: ["bad", "failed "] } as const;

function checkText(io: Io, check: ResultOf<"service/doctor">["checks"][number]): string {
  const [tone, word] = CHECK_WORDS[check.result];
  const advice = check.advice === null ? "" : `\n${" ".repeat(ADVICE_INDENT)}${check.advice}`;
  return `${io.paint(tone, word)}  ${check.name}: ${check.detail}${advice}`;
}

async function rpc(tools: Tools, method: string, json: string | undefined): Promise<void> {
  const params = json === undefined ? {} : parsed(json);
  await withService(tools.host, async (client) => {
    // The answer is JSON whatever the flags say: that is what the command is for.
    const { METHODS } = await import("../../protocol/api/table.ts");
    const meant = nearestName(
      method,
      METHODS.map(({ name }) => name),
    );
    const next = `${meant === null ? "" : `Did you mean ${meant}? `}All of them: satchel rpc rpc.discover`;
    const answer = await advised(
      ErrorCode.InvalidParams,
      "What every method takes: satchel rpc rpc.discover, or protocol/METHODS.md",
      async () => await advised(ErrorCode.MethodNotFound, next, async () => await client.raw(method, params)),
    );
    tools.host.stdout.write(`${JSON.stringify(answer, null, tools.io.json ? 0 : 2)}\n`);
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new CliError(
      Exit.Usage,
      `The parameters are not JSON: ${error instanceof Error ? error.message : ""}. Write them as one object, for example '{"folder":"abc"}'.`,
    );
  }
}
