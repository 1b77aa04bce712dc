/** The command line: reads the arguments, finds the command, maps what went wrong to a sentence and an exit code. */
import { Command, CommanderError, Option } from "commander";

import { VERSION } from "../../protocol/version.ts";
import { registerAnswers } from "./answer-commands.ts";
import { registerCheck } from "./check-command.ts";
import { registerCompletion } from "./completion.ts";
import { addExamples } from "./examples.ts";
import { Exit, exitOfCode } from "./exit-codes.ts";
import { registerFiles } from "./file-commands.ts";
import { registerFolders } from "./folder-commands.ts";
import { isCliError, type Host } from "./host.ts";
import { fitted, Io } from "./io.ts";
import { registerLsp } from "./lsp-command.ts";
import { registerServer } from "./server-commands.ts";
import { registerService } from "./service-commands.ts";
import { registerStart } from "./start-command.ts";
import { registerSupport } from "./support-commands.ts";
import { commandNamed, mistypedVerb, nearest } from "./suggest.ts";
import { registerSync } from "./sync-commands.ts";
import { registerTokens } from "./token-commands.ts";
import type { Tools } from "./tools.ts";

const EXAMPLES = `
Examples:
  satchel service start
  satchel login https://sync.example.org/ --user ada
  satchel add ~/notes/media
  satchel sync --wait
  satchel explain ~/notes/media/photo.png

Exit codes: 0 in sync, 1 conflicts or problems, 2 usage, 3 retry may help,
4 fatal, 5 service not reachable, 6 authentication, 7 held by the guard.`;

const REGISTERS = [
  registerStart,
  registerService,
  registerFolders,
  registerSync,
  registerFiles,
  registerAnswers,
  registerTokens,
  registerSupport,
  registerCheck,
  registerLsp,
  registerServer,
  registerCompletion,
] as const;

/** Runs one command; resolves with the exit code, never rejects for what a user or a disk does. `argv` without node and script. */
export async function runCli(argv: readonly string[], host: Host): Promise<Exit> {
  let exit: Exit = Exit.InSync;
  const program = new Command("satchel");
  const usage: Usage = { json: asksForJson(argv), said: "" };
  let io: Io | null = null;
  const tools: Tools = {
    host,
    get io() {
      return (io ??= ioOf(program, host, usage.json));
    },
    act:
      (command) =>
      async (...args) => {
        exit = (await command(...args)) ?? Exit.InSync;
      },
  };
  buildProgram(program, tools, usage);
  host.stdout.on("error", (error: Error & { code?: string }) => {
    // `satchel events | head`: the reader has had enough.
    if (error.code === "EPIPE") process.exit(exit);
    throw error;
  });
  try {
    refuseMistyped(program, argv);
    refuseStrayVersion(program, argv);
    await program.parseAsync(helpAsked(program, argv), { from: "user" });
    return exit;
  } catch (error) {
    return error instanceof CommanderError ? reportUsage(error, tools, usage) : report(error, tools);
  } finally {
    tools.io.endLive();
  }
}

/** What commander says of wrong arguments; with `--json` it is kept back, for it becomes an object. */
type Usage = { readonly json: boolean; said: string };

/** Before the arguments are read, for they may be wrong. After `--` everything is an argument. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end === -1 ? argv.length : end).includes("--json");
}

function buildProgram(program: Command, tools: Tools, usage: Usage): void {
  const { host } = tools;
  const writeErr = (text: string): void => {
    if (usage.json) usage.said += text;
    else host.stderr.write(fitted(text, host.stderr));
  };
  program
    .description("Carries the media of your notes between your machines.")
    .version(VERSION, "-V, --version", "print the version")
    .option("--json", "print JSON: one object, or one per line")
    .option("-q, --quiet", "no messages, only the result and errors")
    .option("-v, --verbose", "say more about errors")
    .addOption(new Option("--no-input", "never ask anything"))
    .helpOption("-h, --help", "show help")
    .configureHelp({ showGlobalOptions: false, helpWidth: Math.min(host.stdout.columns > 0 ? host.stdout.columns : 80, 100) })
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("All commands: satchel help")
    .exitOverride()
    .configureOutput({ writeOut: (text) => host.stdout.write(text), writeErr });
  for (const register of REGISTERS) register(program, tools);
  inherit(program);
  addExamples(program);
}

/** `help server user add` is `server user add --help`: commander's own `help` looks at one word. Nothing that follows `help` is ever carried out. */
function helpAsked(program: Command, argv: readonly string[]): string[] {
  const flags = argv.filter((word) => word.startsWith("-"));
  const [first, ...names] = argv.filter((word) => !word.startsWith("-"));
  if (first !== "help" || names.length === 0) return [...argv];
  let command = program;
  for (const name of names) {
    const child = commandNamed(command, name);
    if (child === undefined) {
      const meant = nearest(name, command);
      return command.error(`error: there is no command '${names.join(" ")}'.${meant === null ? "" : ` Did you mean ${meant}?`}`);
    }
    command = child;
  }
  return [...names, ...flags, "--help"];
}

/** `guard aprove 7`: said before anything is asked of the service. */
function refuseMistyped(program: Command, argv: readonly string[]): void {
  const found = mistypedVerb(program, argv);
  if (found === null) return;
  const { group, word, meant } = found;
  group.error(`error: unknown command '${word}'\n(Did you mean ${meant}?)`);
}

/** `satchel restore a.png --version ab12`: the program's own version is no answer to somebody who means a file's. */
function refuseStrayVersion(program: Command, argv: readonly string[]): void {
  const end = argv.indexOf("--");
  const words = end === -1 ? argv : argv.slice(0, end);
  const at = words.findIndex((word) => word === "--version" || word.startsWith("--version="));
  const command = words.findIndex((word) => !word.startsWith("-"));
  if (at === -1 || command === -1 || command > at) return;
  program.error("error: --version prints the version of this program and stands alone. A kept version of a file is chosen by --sha1.");
}

/** Sub-commands throw instead of ending the process, too. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}

function ioOf(program: Command, host: Host, json: boolean): Io {
  const options: Record<string, unknown> = program.opts();
  return new Io(host, {
    json: json || options["json"] === true,
    quiet: options["quiet"] === true,
    verbose: options["verbose"] === true,
    input: options["input"] !== false,
  });
}

/** For what failed before there were options to be read. */
export function reportTo(error: unknown, host: Host): Exit {
  return report(error, { io: new Io(host, { json: false, quiet: false, verbose: false, input: false }) });
}

/** Commander has said it already, with its suggestion; help and version that were asked for end with its 0. */
function reportUsage(error: CommanderError, tools: Tools, { json, said }: Usage): Exit {
  if (error.exitCode === 0) return Exit.InSync;
  if (json) {
    // A group without a command: the help is the message for people; a program is told its first line.
    const message = error.code === "commander.help" ? `A command is missing. ${said.split("\n", 1)[0] ?? ""}` : said;
    tools.io.trouble(JSON.stringify({ error: { exit: Exit.Usage, message: message.trim().replace(/^error: /, "") } }));
  }
  return Exit.Usage;
}

function report(error: unknown, tools: Pick<Tools, "io">): Exit {
  const exit = exitOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const { io } = tools;
  const more = io.verbose ? moreOf(error) : [];
  if (io.json) {
    const code = codeOf(error);
    const detail = more.length === 0 ? {} : { detail: more.join("\n") };
    io.trouble(JSON.stringify({ error: { exit, ...(code === null ? {} : { code }), message, ...detail } }));
    return exit;
  }
  io.trouble(sentenceOf(error, message));
  for (const line of more) io.trouble(line);
  return exit;
}

/** What `-v` adds: the causes, and the error's code. A stack is of use only where the fault is ours, and is noise below a typing error. */
function moreOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  if (!known(error) && !ofTheSystem(error)) return [error.stack ?? ""];
  const code = codeOf(error);
  return [...causesOf(error.cause), ...(code === null ? [] : [`error ${code}, see protocol/METHODS.md`])];
}

function causesOf(cause: unknown): string[] {
  return cause instanceof Error ? [`because: ${cause.message}`, ...causesOf(cause.cause)] : [];
}

function sentenceOf(error: unknown, message: string): string {
  if (known(error)) return message;
  if (ofTheSystem(error))
    return `The system refused: ${message}. Check that this path or address is there and yours to use, then try again.`;
  return `Satchel met a fault of its own: ${message}. Nothing was lost. Run it with -v to see more.`;
}

/** A file, an address or a port that a person named and that can't be had: not a fault of ours. */
function ofTheSystem(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "code" in error;
}

function exitOf(error: unknown): Exit {
  if (isCliError(error)) return error.exit;
  const code = codeOf(error);
  if (code !== null) return exitOfCode(code);
  return error instanceof Error && MISTAKES.has(error.name) ? Exit.Usage : Exit.Fatal;
}

/** By shape: the client's module is loaded only by commands that talk to the service. */
function codeOf(error: unknown): number | null {
  return error instanceof Error && error.name === "RpcError" && "code" in error && typeof error.code === "number" ? error.code : null;
}

/** Errors that a person can cure by asking otherwise. */
const MISTAKES = new Set(["SettingError", "SettingsError", "ServerConfigError", "AdminError", "AccountError"]);
/** Errors whose message is written for people; by name, for their modules are loaded by the commands that need them. */
const FOR_PEOPLE = new Set([...MISTAKES, "CliError", "RpcError", "StoreError", "StorageError", "EngineError", "RemoteError", "DiskError"]);

function known(error: unknown): boolean {
  return error instanceof Error && FOR_PEOPLE.has(error.name);
}
