/** How commands speak: results on stdout, messages on stderr, one live line on a terminal. */
import { stripVTControlCharacters, styleText } from "node:util";

import type { Host } from "./host.ts";

export type IoOptions = { readonly json: boolean; readonly quiet: boolean; readonly verbose: boolean; readonly input: boolean };

/** What is spoken through. */
type Speech = Pick<Host, "stdin" | "stdout" | "stderr" | "env">;

/** Plain progress lines come this seldom. */
const PLAIN_EVERY_MS = 5000;
const FALLBACK_COLUMNS = 80;

export type Tone = "good" | "bad" | "warn" | "dim" | "strong";
const STYLES = { good: "green", bad: "red", warn: "yellow", dim: "dim", strong: "bold" } as const;

export class Io {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Questions may be asked. */
  readonly input: boolean;
  readonly #host: Speech;
  readonly #colour: boolean;
  #live = false;
  #plainAtMs = -PLAIN_EVERY_MS;

  constructor(host: Speech, options: IoOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.verbose = options.verbose;
    this.input = options.input && host.stdin.isTTY && host.stderr.isTTY;
    this.#host = host;
    const wanted = host.env["NO_COLOR"] === undefined || host.env["NO_COLOR"] === "";
    this.#colour = wanted && host.stdout.isTTY && host.env["TERM"] !== "dumb";
  }

  /** A line of the answer, for people; nothing with `--json`. */
  say(text: string): void {
    if (this.json) return;
    this.endLive();
    this.#host.stdout.write(`${text}\n`);
  }

  /** A line of the answer that scripts read too: a bare id. Not with `--json`. */
  result(text: string): void {
    this.say(text);
  }

  /** The answer as one JSON line; nothing without `--json`. */
  data(value: unknown): void {
    if (this.json) this.#host.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A message beside the answer. */
  note(text: string): void {
    if (this.quiet) return;
    this.trouble(text);
  }

  /** Why a command failed; also when quiet. */
  trouble(text: string): void {
    this.endLive();
    this.#host.stderr.write(`${fitted(text, this.#host.stderr)}\n`);
  }

  /** A line of the answer that is a sentence: broken between words on a terminal, the rest `indent` to the right. */
  tell(text: string, indent: number): void {
    this.say(this.json ? "" : fitted(text, this.#host.stdout, indent));
  }

  /** One line that replaces itself on a terminal; elsewhere a plain line now and then. */
  progress(text: string): void {
    if (this.quiet || this.json) return;
    const { stderr, env } = this.#host;
    if (stderr.isTTY && env["TERM"] !== "dumb") {
      const columns = stderr.columns > 0 ? stderr.columns : FALLBACK_COLUMNS;
      stderr.write(`\r\u001B[2K${text.slice(0, columns - 1)}`);
      this.#live = true;
      return;
    }
    if (performance.now() - this.#plainAtMs < PLAIN_EVERY_MS) return;
    this.#plainAtMs = performance.now();
    stderr.write(`${text}\n`);
  }

  endLive(): void {
    if (this.#live) this.#host.stderr.write("\r\u001B[2K");
    this.#live = false;
  }

  paint(tone: Tone, text: string): string {
    return this.#colour ? styleText(STYLES[tone], text, { validateStream: false }) : text;
  }
}

/** What stands below the line it belongs to. */
export const BELOW = 4;

/** Broken between words where a terminal would break anywhere; as it is for a pipe. Escape sequences take no room. */
export function fitted(text: string, stream: NodeJS.WriteStream, indent = 0): string {
  if (!stream.isTTY) return text;
  const columns = stream.columns > 0 ? stream.columns : FALLBACK_COLUMNS;
  return text
    .split("\n")
    .map((line) => fittedLine(line, columns, indent))
    .join("\n");
}

function fittedLine(line: string, columns: number, indent: number): string {
  if (stripVTControlCharacters(line).length <= columns) return line;
  const own = /^ */.exec(line)?.[0] ?? "";
  let out = own;
  let room = columns - own.length;
  for (const word of wordsOf(line.trimStart(), columns - Math.max(own.length, indent))) {
    const width = stripVTControlCharacters(word).length;
    if (width > room && room < columns - Math.max(own.length, indent)) {
      const pad = " ".repeat(Math.max(own.length, indent));
      out = `${out.trimEnd()}\n${pad}`;
      room = columns - pad.length;
    }
    out += `${word} `;
    room -= width + 1;
  }
  return out.trimEnd();
}

/** What a line may be broken between. A command to type is one word where a line has room for it: broken, it is another command. */
function wordsOf(text: string, room: number): readonly string[] {
  const glued = text.replaceAll(COMMANDS, (command) => (command.length > room ? command : command.replaceAll(" ", GLUE)));
  return glued.split(" ").map((word) => word.replaceAll(GLUE, " "));
}

const COMMANDS = /`satchel [^`]*`|\(satchel [^)]*\)|(?<=: )satchel .*$/g;
/** In no text that is shown: `shown` takes control characters out of names. */
const GLUE = "\u0001";

/** Columns aligned by two spaces; the last one is left ragged. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((row) => row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join("  ")).join("\n");
}

/** `1 file`, `3 files`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? "B"}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** Local time, sortable. */
export function when(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function ago(atMs: number, nowMs = Date.now()): string {
  return nowMs - atMs < 1000 ? "just now" : `${duration(nowMs - atMs)} ago`;
}

/** Control characters in names must not steer the terminal. */
export function shown(name: string): string {
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are exactly what is looked for
  return name.replace(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g, "�");
}
