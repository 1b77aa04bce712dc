import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { change, conflict, count, filePath, fileState, fileView, folderId, keptVersion, sha1, timeMs, version } from "./model.ts";

export const filesApi = [
  method("files/list", {
    params: z.strictObject({
      folder: folderId,
      state: fileState.nullable().optional().describe("Only those; left out: all."),
      after: z.string().max(4096).optional().describe("Only paths behind this one: the last path of the page before."),
      limit: z.int().min(1).max(1000).optional().describe("Default 1000."),
    }),
    result: z.object({ files: z.array(fileView) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "Files by path, ascending. Every file on disk is synced, pending, or a problem with its reason.",
    source: "SPEC §2 N9",
  }),
  method("files/add", {
    params: z.strictObject({ folder: folderId, path: filePath }),
    result: fileView,
    errors: [ErrorCode.FolderNotFound, ErrorCode.BadPath, ErrorCode.PathNotFound, ErrorCode.Disk],
    scope: "write",
    doc: "A file was put there: look at it now, without waiting for an event.",
    source: "SPEC §3 Time",
  }),
  method("files/rename", {
    params: z.strictObject({ folder: folderId, from: filePath, to: filePath }),
    result: fileView,
    errors: [
      ErrorCode.FolderNotFound,
      ErrorCode.BadPath,
      ErrorCode.PathNotFound,
      ErrorCode.Exists,
      ErrorCode.ChangedMeanwhile,
      ErrorCode.Disk,
    ],
    scope: "write",
    doc: "Renames a file inside the folder; never over another one.",
    source: "SPEC §2 N4",
  }),
  method("files/find", {
    params: z.strictObject({ folder: folderId, sha1 }),
    result: z.object({ file: fileView.nullable() }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "A file of the folder that holds exactly these bytes, the first by path; null: none does.",
    source: "SPEC §2 N7",
  }),
  method("files/explain", {
    params: z.strictObject({ folder: folderId, path: filePath }),
    result: fileView.extend({
      wireName: z.string().nullable().describe("The name on the remote."),
      wouldDo: z.string().describe("What the next run would do with it."),
      reason: z.string(),
      local: z.string().nullable().describe("SHA-1 here; null: nothing; `unknown`: could not be told."),
      remote: z.string().nullable().describe("SHA-1 there; likewise."),
      base: z.string().nullable().describe("What both sides last agreed on."),
      deleted: z
        .object({ by: z.string().nullable().describe("The device, by its own name; null: not known (any more)."), atMs: timeMs })
        .nullable()
        .describe(
          "Who deleted it on the remote, and when by its clock, where nothing stands there and the remote tells (our own server does).",
        ),
      ignoredBy: z.string().nullable(),
      changes: z.array(change),
      versions: z.array(version),
      conflicts: z.array(conflict),
    }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.BadPath],
    scope: "read",
    doc: "Everything known about one path, and why.",
    source: "SPEC §3 Reconcile",
  }),
  method("changes/list", {
    params: z.strictObject({
      folder: folderId.nullable().optional(),
      since: count.optional().describe("Strictly after this number. Default 0."),
      limit: z.int().min(1).max(1000).optional().describe("Default 1000."),
    }),
    result: z.object({ changes: z.array(change) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "The change log: what was observed, oldest first. Fewer than `limit` means caught up.",
    source: "SPEC §2 S20",
  }),
] as const;

export const versionsApi = [
  method("versions/list", {
    params: z.strictObject({ folder: folderId, path: filePath }),
    result: z.object({
      versions: z.array(keptVersion),
      remoteDetail: z
        .string()
        .nullable()
        .describe("Why the remote could not be asked; null: what it keeps is in the list, or it keeps nothing."),
    }),
    errors: [ErrorCode.FolderNotFound, ErrorCode.BadPath],
    scope: "read",
    doc: "Kept bytes of one path, newest first: those of this device, and those that only the remote keeps.",
    source: "SPEC §2 N1",
  }),
  method("versions/removed", {
    params: z.strictObject({ folder: folderId, limit: z.int().min(1).max(1000).optional().describe("Default 100.") }),
    result: z.object({ versions: z.array(version) }),
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "Of every path that had a file and has none now, the bytes that were kept last; newest first.",
    source: "SPEC §2 S1",
  }),
  method("versions/read", {
    params: z.strictObject({
      sha1,
      folder: folderId.nullable().optional().describe("Bytes that stand in one of this folder's files count too, not only kept ones."),
      path: filePath
        .nullable()
        .optional()
        .describe(
          "With the folder: bytes that only the remote keeps of this path count too; they are fetched whole, checked, and kept here.",
        ),
      offsetBytes: count.optional().describe("Default 0."),
      lengthBytes: z
        .int()
        .min(1)
        .max(512 * 1024)
        .optional()
        .describe("Default and most: 512 KiB."),
    }),
    result: z.object({ base64: z.string(), lengthBytes: count.describe("0: the end was reached.") }),
    errors: [
      ErrorCode.FolderNotFound,
      ErrorCode.VersionNotFound,
      ErrorCode.BadPath,
      ErrorCode.Disk,
      ErrorCode.Unreachable,
      ErrorCode.NotOurServer,
      ErrorCode.Auth,
    ],
    scope: "read",
    doc: "A range of kept bytes, base64.",
    source: "SPEC §2 N1",
  }),
  method("versions/restore", {
    params: z.strictObject({
      folder: folderId,
      path: filePath,
      sha1: sha1.nullable().optional().describe("Left out or null: the newest that is kept here, else on the remote."),
    }),
    result: z.object({ path: z.string(), sha1: z.string() }),
    errors: [
      ErrorCode.FolderNotFound,
      ErrorCode.VersionNotFound,
      ErrorCode.PathNotFound,
      ErrorCode.BadPath,
      ErrorCode.ChangedMeanwhile,
      ErrorCode.Disk,
      ErrorCode.Unreachable,
      ErrorCode.NotOurServer,
      ErrorCode.Auth,
    ],
    scope: "write",
    doc: "Puts kept bytes back as a new change, fetched from the remote where only it keeps them; what stands there now is kept first.",
    source: "SPEC §2 N1",
  }),
] as const;
