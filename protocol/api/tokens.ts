import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { timeMs } from "./model.ts";

const tokenId = z
  .string()
  .regex(/^[0-9a-f]{12}$/)
  .describe("Token id, from `tokens/list`. Not secret.");
const scope = z.enum(["read", "write", "admin"]).describe("What it may call: `read` < `write` < `admin`.");
const name = z.string().min(1).max(100).describe("Chosen by the user, to know it by. One name, one token.");

const tokenView = z.object({
  id: tokenId,
  name,
  scope,
  createdAtMs: timeMs,
  lastUsedAtMs: timeMs.nullable().describe("The last connection, to the hour; null: never used."),
});

export const tokensApi = [
  method("tokens/create", {
    params: z.strictObject({ name, scope }),
    result: tokenView.extend({ token: z.string().describe("The secret itself. Told once, kept nowhere: only its hash is.") }),
    errors: [ErrorCode.Exists, ErrorCode.TooMany, ErrorCode.Disk],
    scope: "admin",
    doc: "Makes a token for a script. It stays valid across restarts until it is revoked.",
    source: "SPEC §5 Scopes",
  }),
  method("tokens/list", {
    params: z.strictObject({}),
    result: z.object({ tokens: z.array(tokenView) }),
    errors: [],
    scope: "admin",
    doc: "Every token that was made and not revoked, oldest first. The one of service.json, new at every start, is not among them.",
    source: "SPEC §5 Scopes",
  }),
  method("tokens/revoke", {
    params: z.strictObject({ id: tokenId }),
    result: z.object({ closed: z.int().min(0).describe("Connections that were open with it; they are closed.") }),
    errors: [ErrorCode.TokenNotFound, ErrorCode.Disk],
    scope: "admin",
    doc: "From now on the token opens nothing, and what it opened is closed.",
    source: "SPEC §5 Scopes",
  }),
] as const;
