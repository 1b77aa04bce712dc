import * as z from "zod";

import { parseMessage } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { WireError } from "./wire-error.ts";

/** Name of the request header that makes a request a "v11" one. */
export const SYNC_HEADER = "anki-sync";
/** Name of the reply header that a client insists on: decimal length of the payload before compression. */
export const SIZE_HEADER = "anki-original-size";

export type SyncHeader = {
  /** Protocol version, 8–11. */
  readonly version: number;
  /** Host key; empty at login. */
  readonly key: string;
  /** Short client version, `<version>,<build>,<os>`. */
  readonly client: string;
  /** Random, one per sync run. */
  readonly session: string;
};

/** The value of `anki-sync`: one line of printable ASCII, anything else as `\uXXXX` (specification §2.4). */
export function buildSyncHeader(header: SyncHeader): string {
  const json = JSON.stringify({ v: header.version, k: header.key, c: header.client, s: header.session });
  return json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const headerSchema = z.object({ v: z.int().min(0).max(255), k: z.string(), c: z.string(), s: z.string() });

/** All four keys are needed, others are ignored. @throws WireError `tooLarge`, `header`, `version` (with the range). */
export function parseSyncHeader(value: string): SyncHeader {
  if (value.length > LIMITS.headerBytes)
    throw new WireError("tooLarge", `Reading the anki-sync header: it has more than ${String(LIMITS.headerBytes)} bytes.`);
  if (!/^[\x20-\x7e]*$/.test(value))
    throw new WireError("header", "Reading the anki-sync header: it holds a character that is not printable ASCII.");
  const { v, k, c, s } = parseHeaderJson(value);
  if (v < LIMITS.versionMin || v > LIMITS.versionMax)
    throw new WireError(
      "version",
      `Reading the anki-sync header: protocol version ${String(v)} is not spoken here, only ${String(LIMITS.versionMin)} to ${String(LIMITS.versionMax)}.`,
    );
  return { version: v, key: k, client: c, session: s };
}

/** @throws WireError `header`, `tooLarge`. */
function parseHeaderJson(value: string): z.output<typeof headerSchema> {
  try {
    return parseMessage(headerSchema, value, "the anki-sync header", LIMITS.headerBytes);
  } catch (error) {
    if (error instanceof WireError && error.fault === "json") throw new WireError("header", error.message, { cause: error });
    throw error;
  }
}

/**
 * Reads `anki-original-size`. The number is to be compared with the payload's real length, never to be allocated from (ZP16).
 * @throws WireError `header` when absent or not an unsigned 32-bit number.
 */
export function parseOriginalSize(value: string | undefined): number {
  if (value === undefined)
    throw new WireError(
      "header",
      "Reading a reply: the header anki-original-size is missing, so this is not an Anki sync server's answer.",
    );
  const size = Number(value);
  if (!/^\d{1,10}$/.test(value) || size > 0xff_ff_ff_ff)
    throw new WireError("header", "Reading a reply: the header anki-original-size is not an unsigned 32-bit number.");
  return size;
}
