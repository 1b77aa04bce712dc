import * as z from "zod";

import { ErrorCode } from "../errors.ts";
import { method } from "../method.ts";
import { absolutePath, folderId, folderStatus, policy, remoteId } from "./model.ts";

/** What can be wrong with a folder's root and its remote, when they are named for the first time or changed. */
const ROOT_AND_REMOTE = [
  ErrorCode.NotADirectory,
  ErrorCode.Exists,
  ErrorCode.Nested,
  ErrorCode.RemoteNotFound,
  ErrorCode.RemoteTaken,
  ErrorCode.RootLocked,
  ErrorCode.Disk,
];

export const foldersApi = [
  method("folders/add", {
    params: z.strictObject({
      root: absolutePath.describe("Absolute path of the media folder."),
      remote: remoteId.nullable().optional().describe("May be left out where there is only one remote."),
      policy: policy.optional().describe("Default `keep-both`."),
      paused: z.boolean().optional().describe("True: nothing is synced until `sync/resume`; look at `sync/plan` first."),
    }),
    result: folderStatus,
    errors: ROOT_AND_REMOTE,
    scope: "admin",
    doc: "Looks after a folder from now on. Answers when the folder is known and its first run is scheduled. A first merge deletes nothing.",
    source: "SPEC §2 N11",
  }),
  method("folders/list", {
    params: z.strictObject({}),
    result: z.object({ folders: z.array(folderStatus) }),
    errors: [],
    scope: "read",
    doc: "Every folder with its state.",
    source: "SPEC §5",
  }),
  method("folders/get", {
    params: z.strictObject({ folder: folderId }),
    result: folderStatus,
    errors: [ErrorCode.FolderNotFound],
    scope: "read",
    doc: "One folder with its state.",
    source: "SPEC §5",
  }),
  method("folders/update", {
    params: z
      .strictObject({
        folder: folderId,
        remote: remoteId.optional(),
        policy: policy.optional(),
        root: absolutePath.optional().describe("Where the folder has been moved to. Needs `hash`."),
        hash: z
          .string()
          .min(1)
          .max(64)
          .optional()
          .describe("`hash` of the folder as the user was shown it; if it is another by now, nothing is done."),
      })
      .refine(({ root, hash }) => root === undefined || hash !== undefined, "`root` needs the `hash` of the folder that was shown"),
    result: folderStatus,
    errors: [ErrorCode.FolderNotFound, ErrorCode.FolderChanged, ...ROOT_AND_REMOTE],
    scope: "admin",
    doc: "Changes what is given, leaves the rest. Another remote begins with a first merge, which deletes nothing.",
    source: "SPEC §2 N7",
  }),
  method("folders/remove", {
    params: z.strictObject({ folder: folderId }),
    result: z.object({}),
    errors: [ErrorCode.FolderNotFound, ErrorCode.Disk],
    scope: "admin",
    doc: "Forgets the folder. Its files, here and on the remote, stay.",
    source: "SPEC §2 S1",
  }),
] as const;
