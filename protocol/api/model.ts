/** The plain data of the API. Times are milliseconds since 1970, sizes bytes of file content. */
import * as z from "zod";

import { RUN_FAULTS } from "../run-faults.ts";

/** Read-only all the way down. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

export const folderId = z.string().min(1).max(64).describe("Folder id, from `folders/list`.");
export const remoteId = z.string().min(1).max(1024).describe("Remote id: `user@host[:port][/path]`.");
export const sha1 = z
  .string()
  .regex(/^[0-9a-f]{40}$/)
  .describe("SHA-1 of the bytes, lower-case hex.");
/** Never absolute, never `..` (WS15); the engine checks the rest. */
export const filePath = z.string().min(1).max(4096).describe("Relative to the folder's root, `/`-separated, NFC.");
/** No network path: asking Windows for `\\host\share` sends the user's credentials there (WS15). */
export const absolutePath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^(?:\/(?!\/)|[A-Za-z]:[\\/])/, "must be an absolute path on this machine");
export const policy = z.enum(["keep-both", "remote-wins", "local-wins"]).describe("What happens when both sides changed a file.");
export const timeMs = z.number().describe("Milliseconds since 1970.");
/** How many, or a number that something is known by; which of the two is said where it is used. */
export const count = z.int().min(0);
export const eventSeq = count.describe("Number of an event. One sequence for all folders; it only rises, across restarts too.");
export const eventLog = z
  .string()
  .max(64)
  .describe("Names the log that event numbers belong to. Another one: the service's state was lost and rebuilt, and numbers began anew.");
export const progressToken = z
  .union([z.string().min(1).max(256), z.int()])
  .describe("Chosen by the caller: `$/progress` notifications with it tell how far this request is.");
export const conflictId = count.describe("Conflict id, from `conflicts/list`.");
export const holdId = count.describe("Hold id, from `guard/list`.");

const runFault = z.enum(RUN_FAULTS);

export const runSummary = z
  .object({
    run: z.string().describe("Run id."),
    folder: folderId,
    root: z.string(),
    result: z.enum(["insync", "conflicts", "problems", "held", "failed"]),
    uploadedFiles: count,
    uploadedBytes: count,
    downloadedFiles: count,
    downloadedBytes: count,
    deletedLocal: count.describe("Files that the run removed here (kept as versions)."),
    deletedRemote: count.describe("Files that the run removed on the remote."),
    conflicts: count.describe("Made by this run; older ones are not counted."),
    problems: count.describe("Paths that can't be synced now."),
    durationMs: count,
    startedAtMs: timeMs,
    error: z.string().nullable().describe("Why the run failed, for people."),
    fault: runFault.nullable().describe("The word behind `error`; null: it did not fail."),
  })
  .meta({ id: "RunSummary" });
export type RunSummary = Frozen<z.infer<typeof runSummary>>;

export const folderStatus = z
  .object({
    folder: folderId,
    root: z.string(),
    remote: z.string().nullable(),
    policy,
    state: z.enum(["insync", "pending", "syncing", "offline", "held", "paused", "error"]),
    detail: z.string().nullable().describe("One sentence that says why, where the state is not plain."),
    fault: runFault.nullable().describe("The word behind `detail`; null where there is none."),
    files: count.describe("Files here."),
    bytes: count.describe("Their content, in bytes."),
    pending: count.describe("Paths that the next run will look at."),
    conflicts: count.describe("Unresolved."),
    problems: count.describe("Paths that can't be synced now."),
    held: count.describe("Questions that wait for an answer: `guard/list`."),
    lastRunAt: timeMs.nullable(),
    watching: z.enum(["events", "timed"]).describe("`timed`: file events can't be had, the folder is looked at by the clock."),
    nextRunAt: timeMs.nullable(),
    hash: z.string().describe("Names the folder's settings as they are told here; moving the root must repeat it."),
  })
  .meta({ id: "FolderStatus" });
export type FolderStatus = Frozen<z.infer<typeof folderStatus>>;

const problem = z
  .object({
    path: z.string(),
    side: z.enum(["local", "remote"]),
    reason: z.string(),
    detail: z.string(),
    sinceMs: timeMs,
  })
  .meta({ id: "Problem" });

export const change = z
  .object({
    seq: count.describe("Number in the change log; it only rises."),
    folder: folderId,
    path: z.string(),
    kind: z.enum(["put", "remove"]),
    sha1: sha1.nullable(),
    sizeBytes: count.nullable(),
    origin: z.enum(["user", "apply", "restore", "rebuild"]),
    atMs: timeMs,
  })
  .meta({ id: "Change" });

export const conflict = z
  .object({
    id: conflictId,
    folder: folderId,
    path: z.string(),
    copyPath: z.string().nullable().describe("Where the bytes that lost the name stand; null: in the version store."),
    localSha1: sha1,
    remoteSha1: sha1,
    baseSha1: sha1.nullable(),
    policy,
    state: z.enum(["planned", "open", "resolved"]),
    resolution: z.enum(["mine", "theirs", "both"]).nullable(),
    atMs: timeMs,
    run: z.string(),
  })
  .meta({ id: "Conflict" });
export type Conflict = Frozen<z.infer<typeof conflict>>;

export const hold = z
  .object({
    id: holdId,
    folder: folderId,
    scope: z.enum(["deleteLocal", "deleteRemote", "paths", "folder"]).describe("What waits: these deletions, these paths, or everything."),
    reason: z.enum(["manyDeletions", "allDeleted", "rootMissing", "rootReplaced", "markerGone", "otherServer", "pingPong"]),
    paths: z.array(z.string()),
    hash: z.string().describe("Names exactly this set; `guard/approve` and `guard/reject` must repeat it."),
    state: z.enum(["held", "approved", "rejected"]),
    atMs: timeMs,
  })
  .meta({ id: "Hold" });
export type Hold = Frozen<z.infer<typeof hold>>;

export const version = z
  .object({
    folder: folderId,
    path: z.string(),
    sha1,
    sizeBytes: count,
    why: z.enum(["replaced", "removed", "conflict", "restored", "fetched"]),
    run: z.string(),
    atMs: timeMs,
  })
  .meta({ id: "Version" });
export type Version = Frozen<z.infer<typeof version>>;

export const keptVersion = version
  .extend({ where: z.enum(["here", "remote"]).describe("Who keeps the bytes. Of the remote's, `run` is empty.") })
  .meta({ id: "KeptVersion" });

export const fileState = z
  .enum(["synced", "pending", "problem", "ignored"])
  .describe("`ignored`: a rule leaves the path alone here, so it is neither looked at nor applied.");
export const fileView = z
  .object({
    path: z.string(),
    state: fileState,
    sizeBytes: count.nullable(),
    sha1: sha1.nullable(),
    problems: z.array(problem),
  })
  .meta({ id: "FileView" });
export type FileView = Frozen<z.infer<typeof fileView>>;

export const storedEvent = z
  .object({
    seq: eventSeq,
    atMs: timeMs,
    kind: z.string().describe("See the list of event kinds; new kinds may appear: ignore what you don't know."),
    folder: folderId.nullable(),
    data: z.unknown(),
  })
  .meta({ id: "StoredEvent" });
export type StoredEvent = Frozen<z.infer<typeof storedEvent>>;
