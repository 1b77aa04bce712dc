/**
 * What may stand in the editor's log as it is set by default (EX11): what was attempted, and the kind of trouble. People paste logs into public
 * places, and the words of an error hold names, paths and addresses: those are told at the level `Debug` alone.
 */
import { ErrorCode } from "../protocol/errors.ts";
import { RequestError } from "./session.ts";

export type Log = Readonly<Record<"debug" | "info" | "warn" | "error", (text: string) => void>>;

/** Says that `what` (words of ours, without names) went wrong, and at `Debug` all that is known of it. */
export function logTrouble(log: Log, level: "info" | "warn" | "error", what: string, error: unknown): void {
  log[level](`${what}: ${kindOf(error)}`);
  log.debug(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

/**
 * For the language client, which writes its errors to a channel by itself: their words hold names of notes and media, as the server's own lines may.
 * By default there is what was asked for and the code of the answer, both closed words; the rest is for `Debug`.
 */
export function clientLog(log: Log): Log & Readonly<Record<"trace" | "append" | "appendLine", (text: string) => void>> {
  const atDebug = (text: string): void => log.debug(text);
  const trouble =
    (level: "warn" | "error") =>
    (text: string): void => {
      log[level](`the language client met trouble: ${closedWords(text)}`);
      log.debug(`the language client met trouble: ${text}`);
    };
  return {
    error: trouble("error"),
    warn: trouble("warn"),
    info: atDebug,
    debug: atDebug,
    trace: atDebug,
    append: atDebug,
    appendLine: atDebug,
  };
}

/** Method names of the protocol and numbers of errors, as the client writes them; nothing else of its words. */
function closedWords(text: string): string {
  const method = /\b(?:Request|Notification) ((?:\$|[a-z][a-zA-Z]*)(?:\/[a-zA-Z]+){1,2}) failed/.exec(text)?.[1];
  const code = /\bCode: (-?\d{1,6})\b/.exec(text)?.[1];
  const words = [method === undefined ? null : `${method} failed`, code === undefined ? null : `code ${code}`].filter(
    (word) => word !== null,
  );
  return words.length === 0 ? "no more is told at this level" : words.join(", ");
}

/** A closed word: a code of the API or of the system, or the error's class. */
function kindOf(error: unknown): string {
  if (error instanceof RequestError)
    return error.code === null ? "no answer of the service" : `${NAMES.get(error.code) ?? "code"} ${error.code}`;
  if (!(error instanceof Error)) return "no error that is known";
  return "code" in error && typeof error.code === "string" && /^[A-Z_]{3,40}$/.test(error.code)
    ? `${error.name} ${error.code}`
    : error.name;
}

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ErrorCode).map(([name, code]) => [code, name]));
