/** What tells that the API has another shape than before: a fingerprint, and the list of those that had a number. */
import { createHash } from "node:crypto";

import * as z from "zod";

import type { OpenRpcDocument } from "./openrpc.ts";

/** `schema-hashes.json`: one fingerprint for each `PROTOCOL_VERSION`, oldest first. Rows are added, never changed. */
export const schemaHashes = z.array(
  z.strictObject({
    protocolVersion: z.int().min(1),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe("Of the document without what is only said to people."),
  }),
);
export type SchemaHashes = z.infer<typeof schemaHashes>;

/** Said to people, or the version itself: may change without making another API. */
const SAID = new Set(["description", "message", "x-source", "title", "license", "version", "x-protocol-version"]);

/** SHA-256, hex, of everything that a program sees: names, types, limits, scopes, codes. The order of keys counts for nothing. */
export function schemaHash(document: OpenRpcDocument): string {
  return createHash("sha256").update(canonical(document, true)).digest("hex");
}

/**
 * The list as it has to be for this version and fingerprint.
 * @throws Error when the shape has changed and the version has not: raise `PROTOCOL_VERSION`
 */
export function withHash(known: SchemaHashes, protocolVersion: number, sha256: string): SchemaHashes {
  const last = known.at(-1);
  if (last?.protocolVersion === protocolVersion && last.sha256 === sha256) return known;
  const due = (last?.protocolVersion ?? 0) + 1;
  if (protocolVersion === due && last?.sha256 !== sha256) return [...known, { protocolVersion, sha256 }];
  throw new Error(
    last?.sha256 === sha256
      ? `The API's shape is that of protocol version ${last.protocolVersion}; PROTOCOL_VERSION says ${protocolVersion}. Set it back.`
      : `The API's shape has changed, so it needs a number of its own: set PROTOCOL_VERSION in protocol/version.ts to ${due}, then run this again.`,
  );
}

/** JSON with sorted keys. Names of properties are data: `said` is only looked for where a schema's own keywords stand. */
function canonical(value: unknown, keywords: boolean): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, keywords)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value)
    .filter(([key]) => !keywords || !SAID.has(key))
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field, !keywords || key !== "properties")}`).join(",")}}`;
}
