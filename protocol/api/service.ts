import * as z from "zod";

import { method } from "../method.ts";
import { count, eventLog, folderStatus, progressToken, timeMs } from "./model.ts";

const processId = z.int().describe("Process id of the service.");

export const serviceApi = [
  method("service/hello", {
    params: z.strictObject({
      nonce: z.string().min(16).max(256).optional().describe("Random, chosen by the client."),
      client: z.string().max(200).optional().describe("Name and version of the front end, for the service's log."),
    }),
    result: z.object({
      version: z.string(),
      protocolVersion: z.int().describe("Another one: the API differs from what a front end was made for."),
      pid: processId,
      session: z.string().describe("Another one after every start of the service: subscriptions are gone then, numbers are not."),
      device: z.string(),
      scope: z.enum(["read", "write", "admin"]),
      proof: z.string().nullable().describe("HMAC-SHA-256, hex, of `satchel-hello:` + nonce, keyed with `serviceKey` of service.json."),
      lastSeq: count.describe("Number of the newest event."),
      log: eventLog,
    }),
    errors: [],
    scope: "read",
    doc: "Who answers. A client that is about to send a password checks `proof` first: only the service that wrote service.json can make it.",
    source: "SPEC §5 Proof",
  }),
  method("service/status", {
    params: z.strictObject({}),
    result: z.object({
      service: z.object({
        version: z.string(),
        pid: processId,
        uptimeMs: count,
        port: z.int().nullable().describe("Loopback TCP port; null: none is open."),
        device: z.string(),
      }),
      folders: z.array(folderStatus),
      remotes: z.array(z.object({ id: z.string(), url: z.string(), user: z.string(), signedIn: z.boolean() })),
    }),
    errors: [],
    scope: "read",
    doc: "The service, every folder and every remote as they are now. Looks at nothing on disk or network.",
    source: "SPEC §5",
  }),
  method("service/shutdown", {
    params: z.strictObject({}),
    result: z.object({ stopping: z.literal(true) }),
    errors: [],
    scope: "admin",
    doc: "Stops the service cleanly: runs under way are ended between two steps, what they finished stays. Answers before it stops; the connection closes when it has.",
    source: "SPEC §2 N5",
  }),
  method("service/metrics", {
    params: z.strictObject({}),
    result: z.object({
      text: z.string().describe("Prometheus' text format. Folders stand by their id, names of files and people nowhere."),
    }),
    errors: [],
    scope: "read",
    doc: "Figures since the start of the service and of every folder now. Sizes in bytes, times in seconds.",
    source: "SPEC §5",
  }),
  method("service/doctor", {
    params: z.strictObject({}),
    result: z.object({
      checks: z.array(
        z.object({
          name: z.string(),
          result: z.enum(["ok", "warning", "failed"]),
          detail: z.string(),
          advice: z.string().nullable(),
        }),
      ),
    }),
    errors: [],
    scope: "read",
    doc: "Looks at what usually goes wrong: directories, free space, watching, folders, remotes. Asks every remote once.",
    source: "SPEC §4",
  }),
] as const;

/** `sync/progress`: work known so far and done so far in a run; at most one per folder and 100 ms. */
export const progressNotice = z.object({
  folder: z.string(),
  run: z.string(),
  phase: z.string(),
  progress: z
    .record(z.string(), z.number().describe("Files, or bytes where the name begins with `bytes`."))
    .describe(
      "filesUp, filesUpTotal, bytesUp, bytesUpTotal, filesDown, filesDownTotal, bytesDown, bytesDownTotal (0: the remote does not tell sizes). Bytes count as they move, within a file too.",
    ),
  atMs: timeMs,
});

/** `$/progress`: the same for one request that brought a `progressToken`; none comes after its answer. */
export const requestProgress = z.object({ token: progressToken, value: progressNotice });
