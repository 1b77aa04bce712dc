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
