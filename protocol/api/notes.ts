import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { absolutePath, count, filePath, folderId, sha1, timeMs } from "./model.ts";

const directories = z
  .array(absolutePath)
  .min(1)
  .max(16)
  .describe(
    "Absolute directories; every Markdown note below them is read, hidden directories left out. A leading `/` in a note means its directory.",
  );

const mention = z.object({
  note: z.string().describe("Absolute path of the note."),
  line: z.int().min(1).describe("From 1."),
  column: z.int().min(1).describe("UTF-16 units, from 1."),
  written: z.string(),
});

const missingFacts = z.object({
  sizeBytes: count.nullable().describe("Of the remote's file; null: there is none, or the remote does not say."),
  renamedTo: z.string().nullable().describe("Path that holds the same bytes now; of cause `renamed`."),
  ignoredBy: z.string().nullable().describe("The rule; of cause `ignored`."),
  problem: z.string().nullable().describe("Why it can't be fetched: a problem's `reason`; of `remoteTrouble` and `tooLarge`."),
  deletion: z
    .object({
      where: z
        .enum(["here", "command", "rebuild", "told", "elsewhere"])
        .describe(
          "On this device; by a command of Satchel on this device; while this device's state was lost; on another device, as the server tells; on another device, as far as is known.",
        ),
      by: z.string().nullable().describe("The device, of `told`; null: not known."),
      atMs: timeMs.nullable().describe("When; of `elsewhere` when it arrived here, of `rebuild` at the latest. Null: not known."),
    })
    .nullable()
    .describe("Of cause `deleted`."),
  kept: z
    .object({ sha1, sizeBytes: count, atMs: timeMs })
    .nullable()
    .describe("The kept bytes that `versions/restore` would put back; null: none."),
});

export const notesApi = [
  method("notes/check", {
    params: z.strictObject({ folder: folderId, notes: directories }),
    result: z.object({
      folder: folderId,
      root: z.string(),
      notes: count.describe("Read."),
      references: count.describe("That lead into this folder."),
      unread: z
        .array(z.string())
        .describe("Notes and directories that could not be read: while there are any, nothing is known to be unused."),
      missing: z.array(
        z.object({
          path: z.string(),
          cause: z.enum([
            "present",
            "conflict",
            "ignoredHere",
            "tooLargeHere",
            "troubleHere",
            "remote",
            "remoteTrouble",
            "tooLarge",
            "renamed",
            "deleted",
            "ignored",
            "never",
          ]),
          detail: z.string().describe("One English sentence that says why."),
          facts: missingFacts.describe("What `detail` tells, as data: to say it in another language."),
          references: z.array(mention),
        }),
      ),
      unused: z
        .array(z.object({ path: z.string(), sizeBytes: count, sha1, mtimeMs: timeMs }))
        .describe("Media that no note refers to or mentions by name. A name that begins with `_` is never unused (Anki's rule)."),
      duplicates: z.array(
        z.object({ sha1, sizeBytes: count, files: z.array(z.object({ path: z.string(), references: count.describe("In all notes.") })) }),
      ),
      badNames: z.array(z.object({ path: z.string(), reason: z.string(), detail: z.string(), suggestion: z.string().nullable() })),
    }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Disk],
    scope: "admin",
    doc: "Holds notes against their media: what is missing and why, what nobody uses, what is there twice, what has a bad name. Changes nothing. Asks for scope `admin` because it reads directories of the caller's choice.",
    source: "SPEC §5",
  }),
  method("notes/clean", {
    params: z.strictObject({
      folder: folderId,
      notes: directories,
      paths: z.array(filePath).min(1).max(1000).describe("From `unused`; nothing is chosen for you."),
    }),
    result: z.object({ removed: z.array(z.string()), skipped: z.array(z.object({ path: z.string(), reason: z.string() })) }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Disk],
    scope: "admin",
    doc: "Checks again and removes those of `paths` that are unused still. Their bytes are kept; `sync/undo` brings all of them back.",
    source: "SPEC §2 N1",
  }),
] as const;
