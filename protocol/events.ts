/** The kinds of events and what their `data` holds. Numbered, durable (30 days, 100 000), one sequence for all folders. */
import * as z from "zod";

import { conflictId, count, eventSeq, runSummary } from "./api/model.ts";

const root = z.object({ root: z.string() });
const nothing = z.object({});
const paths = (which: string) => count.describe(`How many paths ${which}`);

export const EVENT_KINDS = {
  run: runSummary.describe("A run ended that moved something, or ended otherwise than the one before it."),
  "local/changed": z
    .object({ paths: paths("were seen changed.") })
    .describe("Files were made, changed or removed here by somebody else than Satchel."),
  problem: z
    .object({ path: z.string(), reason: z.string(), detail: z.string().optional() })
    .describe("A path can't be synced now, with the reason."),
  conflict: z
    .object({ id: conflictId, path: z.string().nullable(), copyPath: z.string().nullable() })
    .describe("Both sides changed a path; both byte strings are kept."),
  "conflict/resolved": z.object({ id: conflictId, path: z.string(), keep: z.enum(["mine", "theirs", "both"]) }).describe("Answered."),
  "guard/held": z
    .object({ reason: z.string(), hash: z.string(), scope: z.string().optional(), files: paths("wait.").optional() })
    .describe("What looks like an accident waits for an answer."),
  "guard/approved": z.object({ reason: z.string(), files: paths("waited.") }).describe("It was meant."),
  "guard/rejected": z.object({ reason: z.string(), files: paths("waited.") }).describe("It was an accident; the files come back."),
  undo: z
    .object({ undone: z.array(z.string()), skipped: paths("were changed since and left as they are.") })
    .describe("The last destructive step was taken back."),
  "folder/added": root.extend({ remote: z.string().nullable() }).describe("A folder is looked after from now on."),
  "folder/removed": root.describe("A folder was forgotten; its files stay."),
  "folder/paused": nothing.describe("No runs until it is resumed."),
  "folder/resumed": nothing.describe("Runs again."),
  "remote/login": z.object({ remote: z.string() }).describe("Somebody signed in."),
  "remote/logout": z.object({ remote: z.string() }).describe("The device key was forgotten."),
  "remote/restored": z
    .object({ paths: paths("are sent again.") })
    .describe("The server came back from an older copy; what it lost is sent again."),
  "remote/recounted": z
    .object({ rows: count.describe("Live rows on the remote.") })
    .describe("The remote's check differed; its whole list was read again."),
  damage: z
    .object({ changeLogFrom: count.nullable().describe("Number in the change log; null: it is whole."), versions: z.array(z.string()) })
    .describe("The monthly look found rot: the change log from this number on, or kept bytes (by hash) that were thrown away."),
  gap: z
    .object({ after: eventSeq, through: eventSeq })
    .describe(
      "Never stored: sent to a subscriber in place of events that are not kept any more. `through` below `after`: the log began anew.",
    ),
} as const satisfies Readonly<Record<string, z.ZodType>>;
