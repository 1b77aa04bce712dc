import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { conflict, count, folderId, hold } from "./model.ts";

export const conflictsApi = [
  method("conflicts/list", {
    params: z.strictObject({
      folder: folderId.nullable().optional(),
      open: z.boolean().optional().describe("True (default): only unresolved ones."),
    }),
    result: z.object({ conflicts: z.array(conflict) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "Conflicts, newest first.",
  }),
  method("conflicts/get", {
    params: z.strictObject({ id: count }),
    result: conflict,
    errors: [ErrorCode.ConflictNotFound],
    scope: "read",
    doc: "One conflict.",
  }),
  method("conflicts/resolve", {
    params: z.strictObject({ id: count, keep: z.enum(["mine", "theirs", "both"]) }),
    result: conflict,
    errors: [ErrorCode.ConflictNotFound, ErrorCode.ChangedMeanwhile, ErrorCode.VersionNotFound, ErrorCode.Disk],
    scope: "write",
    doc: "`mine`: this device's bytes take the name; `theirs`: the remote's keep it; `both`: both stay. What goes is kept as a version.",
  }),
] as const;

export const guardApi = [
  method("guard/list", {
    params: z.strictObject({ folder: folderId.nullable().optional() }),
    result: z.object({ holds: z.array(hold) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "What waits for the user's answer, with the exact set of paths.",
  }),
  method("guard/approve", {
    params: z.strictObject({ id: count, hash: z.string().min(1).max(128) }),
    result: z.object({}),
    errors: [ErrorCode.HoldNotFound, ErrorCode.HoldChanged, ErrorCode.NotADirectory, ErrorCode.Disk],
    scope: "admin",
    doc: "The deletions are meant. `hash` names the set that the user was shown; another set is refused.",
  }),
  method("guard/reject", {
    params: z.strictObject({ id: count, hash: z.string().min(1).max(128) }),
    result: z.object({}),
    errors: [ErrorCode.HoldNotFound, ErrorCode.HoldChanged, ErrorCode.Disk],
    scope: "admin",
    doc: "They were an accident: the files come back, fetched where they are gone here, sent again where they are gone there.",
  }),
] as const;
