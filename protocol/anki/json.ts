import type * as z from "zod";

import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Parses JSON that somebody else wrote: nothing deeper than 16 levels reaches `JSON.parse`, bytes must be UTF-8.
 * `what` names it in the error, e.g. "the body of mediaChanges".
 * @throws WireError `tooLarge` (more than `maxBytes`, or too deep), `json`.
 */
export function parseJson(source: Uint8Array | string, what: string, maxBytes: number = LIMITS.jsonBytes): unknown {
  if (source.length > maxBytes) throw new WireError("tooLarge", `Reading ${what}: it has more than ${String(maxBytes)} bytes.`);
  const text = typeof source === "string" ? source : decodeUtf8(source, what);
  if (deeperThan(text, LIMITS.jsonDepth))
    throw new WireError("tooLarge", `Reading ${what}: its JSON is nested deeper than ${String(LIMITS.jsonDepth)} levels.`);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The engine's own error quotes the text, which may hold a password: only the fact is passed on.
    throw new WireError("json", `Reading ${what}: it is not JSON.`);
  }
}

/** `parseJson`, then the schema. @throws WireError as above; `json` names the place where the shape differs. */
export function parseMessage<T extends z.ZodType>(
  schema: T,
  source: Uint8Array | string,
  what: string,
  maxBytes: number = LIMITS.jsonBytes,
): z.output<T> {
  return checkMessage(schema, parseJson(source, what, maxBytes), what);
}

/** Checks a parsed value against its schema. @throws WireError `json`. */
export function checkMessage<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? "as a whole" : `at ${issue.path.map(String).join(".")}`;
  throw new WireError("json", `Reading ${what}: it has another shape than expected ${place}.`);
}

/** @throws WireError `json`. */
function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new WireError("json", `Reading ${what}: it is not valid UTF-8.`, { cause: error });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Counts brackets outside of strings; what is not JSON may be counted wrongly, `JSON.parse` refuses it anyway. */
function deeperThan(text: string, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inString) {
      if (unit === BACKSLASH) at++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) inString = true;
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > depthMax) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return false;
}
