/** `satchel support-bundle`: one text file for somebody who helps, without credentials and without names. */
import { randomBytes } from "node:crypto";
import path from "node:path";

import type { Command } from "commander";

import { VERSION } from "../../protocol/version.ts";
import type { Client } from "./client.ts";
import type { SupportPort } from "./host.ts";
import { shown } from "./io.ts";
import { filesIn, redactor, type RedactInput } from "./redact.ts";
import { reached, type Tools } from "./tools.ts";

const RUNS = 20;
const EVENTS = 300;
const CHANGES = 200;
const PROBLEMS = 200;

export function registerSupport(program: Command, tools: Tools): void {
  program
    .command("support-bundle")
    .description("write what somebody who helps needs to one text file: no credentials, no names of files, people or machines")
    .option("--output <file>", "where; left out: satchel-support-DATE.txt here")
    .action(tools.act(async (options: { output?: string }) => await bundle(tools, options.output)));
}

type Section = readonly [title: string, value: unknown];

async function bundle(tools: Tools, output: string | undefined): Promise<void> {
  const { io, host } = tools;
  const port = await host.support();
  // A service that can't be reached is a finding, not a failure: the log then tells the most.
  const { client, why } = await reached(host);
  const told: readonly Section[] =
    client === null
      ? [
          ["service", why ?? "not running"],
          ["doctor", await host.examine(why)],
        ]
      : await ask(client);
  const log = port.facts.log.map(lineOf);
  const sections: readonly Section[] = [
    ["about", about()],
    ["config.json", port.facts.config],
    ["trouble while reading our own files", port.facts.trouble],
    ...told,
    ["log", log],
  ];
  const clean = redactor(redactions(port, sections));
  const text = sections.map(([title, value]) => sectionText(title, clean(value))).join("\n");
  const file = path.resolve(
    host.cwd,
    output ??
      `satchel-support-${new Date()
        .toISOString()
        .replace(/[-:]|\..*/g, "")
        .replace("T", "-")}.txt`,
  );
  port.write(file, `${HEAD}\n${text}`);
  io.result(shown(file));
  io.data({ file, sections: sections.map(([title]) => title) });
  io.note("Look it through before you hand it on: names are replaced where they are known, and a sentence may hold another one.");
}

const HEAD = `Satchel support bundle. Credentials are taken out; names of files, folders, people and machines stand as pseudonyms.
`;

async function ask(client: Client): Promise<readonly Section[]> {
  try {
    return await answers(client);
  } finally {
    await client.close();
  }
}

async function answers(client: Client): Promise<readonly Section[]> {
  const attempt = async (title: string, work: () => Promise<unknown>): Promise<Section> => {
    try {
      return [title, await work()];
    } catch (error) {
      return [title, { failed: error instanceof Error ? error.message : String(error) }];
    }
  };
  const { folders } = await client.call("folders/list", {});
  const { lastSeq } = await client.call("service/hello", {});
  return [
    await attempt("status", async () => await client.call("service/status", {})),
    await attempt("doctor", async () => await client.call("service/doctor", {})),
    await attempt("events", async () => await client.call("events/list", { since: Math.max(0, lastSeq - EVENTS) })),
    await attempt("conflicts", async () => await client.call("conflicts/list", {})),
    await attempt("holds", async () => await client.call("guard/list", {})),
    ...(await Promise.all(
      folders.flatMap(({ folder }) => [
        attempt(`runs of ${folder}`, async () => await client.call("sync/runs", { folder, limit: RUNS })),
        attempt(`problems of ${folder}`, async () => await client.call("files/list", { folder, state: "problem", limit: PROBLEMS })),
        attempt(`changes of ${folder}`, async () => await newestChanges(client, folder)),
      ]),
    )),
  ];
}

/** The newest ones; the log is read from its beginning, for that is the one way there is. */
async function newestChanges(client: Client, folder: string): Promise<unknown> {
  let newest: readonly unknown[] = [];
  for (let since = 0; ;) {
    const { changes } = await client.call("changes/list", { folder, since, limit: 1000 });
    newest = [...newest, ...changes].slice(-CHANGES);
    since = changes.at(-1)?.seq ?? since;
    if (changes.length < 1000) return newest;
  }
}

function about(): unknown {
  return {
    satchel: VERSION,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    madeAt: new Date().toISOString(),
    locale: Intl.DateTimeFormat().resolvedOptions().locale,
    variables: Object.keys(process.env).filter((name) => /^(?:SATCHEL|SYNC|XDG|UV)_/.test(name)),
  };
}

function lineOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Cut off by a crash, or not ours: as text it is redacted like any other.
    return line;
  }
}

function redactions(port: SupportPort, sections: readonly Section[]): RedactInput {
  const files = new Set<string>();
  filesIn(
    sections.map(([, value]) => value),
    files,
  );
  const names: [string, string][] = [];
  const { folders, remotes } = port.known;
  for (const [at, root] of folders.entries()) {
    names.push([root, `<folder ${at + 1}>`]);
    // An error may name a directory above the folder, or the folder without the way to it.
    const below = root.startsWith(port.homeDir + path.sep) ? root.slice(port.homeDir.length) : root;
    for (const part of below.split(path.sep)) names.push([part, `<directory of folder ${at + 1}>`]);
  }
  for (const [at, { id, url, user }] of remotes.entries()) {
    names.push([id, `<remote ${at + 1}>`], [url, `<address ${at + 1}>`], [user, `<user ${at + 1}>`]);
    if (URL.canParse(url)) names.push([new URL(url).host, `<host ${at + 1}>`], [new URL(url).hostname, `<host ${at + 1}>`]);
  }
  names.push([port.homeDir, "~"], [port.userName, "<me>"], [port.hostName, "<this machine>"], [port.device, "<this device>"]);
  return { secrets: port.facts.secrets, names: names.filter(([word]) => !COMMON.has(word)), files, salt: randomBytes(9).toString("hex") };
}

/** Words that are nobody's name. */
const COMMON: ReadonlySet<string> = new Set([
  "",
  "/",
  "root",
  "localhost",
  "127.0.0.1",
  "me",
  "device",
  "home",
  "Users",
  "mnt",
  "media",
  "run",
  "srv",
  "tmp",
  "var",
  "notes",
]);

function sectionText(title: string, value: unknown): string {
  const body = Array.isArray(value)
    ? value.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n")
    : JSON.stringify(value, null, 2);
  return `\n## ${title}\n\n${body === "" ? "(none)" : body}\n`;
}
