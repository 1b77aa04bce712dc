import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { conflict, conflictId, count, filePath, folderId, hold, holdId, sha1, timeMs } from "./model.ts";

const conflictSide = z
  .object({
    sha1,
    sizeBytes: count.nullable(),
    path: z.string().nullable().describe("Where these bytes stand in the folder now; null: nowhere."),
    readable: z.boolean().describe("`versions/read` with the folder's id can hand them out."),
    atMs: timeMs
      .nullable()
      .describe(
        "When they were saved here, or reached the remote by its clock; where it does not tell, when they came in here. null: not known any more.",
      ),
    device: z.string().nullable().describe("The device that saved or sent them; null: the remote does not tell, or not any more."),
  })
  .meta({ id: "ConflictSide" });

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
    source: "SPEC §3 Conflicts",
  }),
  method("conflicts/get", {
    params: z.strictObject({ id: conflictId }),
    result: conflict.extend({
      mine: conflictSide,
      theirs: conflictSide,
      base: conflictSide.nullable().describe("What both had before; null: they never agreed."),
    }),
    errors: [ErrorCode.ConflictNotFound],
    scope: "read",
    doc: "One conflict, with what is known of both sides' bytes.",
    source: "SPEC §3 Conflicts",
  }),
  method("conflicts/resolve", {
    params: z.strictObject({
      id: conflictId,
      keep: z.enum(["mine", "theirs", "both"]),
      as: filePath.nullable().optional().describe("With `both`: the path that the copy gets. Left out or null: it keeps its own."),
    }),
    result: conflict,
    errors: [
      ErrorCode.ConflictNotFound,
      ErrorCode.ChangedMeanwhile,
      ErrorCode.VersionNotFound,
      ErrorCode.BadPath,
      ErrorCode.Exists,
      ErrorCode.Disk,
    ],
    scope: "write",
    doc: "`mine`: this device's bytes take the name; `theirs`: the remote's keep it; `both`: both stay. What goes is kept as a version.",
    source: "SPEC §3 Conflicts",
  }),
] as const;

const holdHash = z.string().min(1).max(128).describe("The `hash` of the hold that the user was shown.");

export const guardApi = [
  method("guard/list", {
    params: z.strictObject({ folder: folderId.nullable().optional() }),
    result: z.object({ holds: z.array(hold) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "What waits for the user's answer, with the exact set of paths.",
    source: "SPEC §3 Guard",
  }),
  method("guard/approve", {
    params: z.strictObject({ id: holdId, hash: holdHash }),
    result: z.object({}),
    errors: [ErrorCode.HoldNotFound, ErrorCode.HoldChanged, ErrorCode.NotADirectory, ErrorCode.Disk],
    scope: "admin",
    doc: "The deletions are meant. `hash` names the set that the user was shown; another set is refused.",
    source: "SPEC §3 Guard",
  }),
  method("guard/reject", {
    params: z.strictObject({ id: holdId, hash: holdHash }),
    result: z.object({}),
    errors: [ErrorCode.HoldNotFound, ErrorCode.HoldChanged, ErrorCode.Disk],
    scope: "admin",
    doc: "They were an accident: the files come back, fetched where they are gone here, sent again where they are gone there.",
    source: "SPEC §3 Guard",
  }),
] as const;
