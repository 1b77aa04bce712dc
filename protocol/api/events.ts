import * as z from "zod";

import { method } from "../method.ts";
import { count, eventLog, eventSeq, storedEvent } from "./model.ts";

export const eventsApi = [
  method("events/list", {
    params: z.strictObject({
      since: count.optional().describe("Strictly after this number. Default 0."),
      limit: z.int().min(1).max(1000).optional().describe("Default 1000."),
    }),
    result: z.object({
      events: z.array(storedEvent),
      gap: z.boolean().describe("Events after `since` are gone (kept: 30 days, 100 000)."),
      lastSeq: eventSeq,
    }),
    errors: [],
    scope: "read",
    doc: "Stored events, oldest first. Fewer than `limit` means caught up.",
    source: "SPEC §5 Events",
  }),
  method("events/subscribe", {
    params: z.strictObject({
      since: count.optional().describe("Replays what came after this number, also from before a restart. Left out: only what is new."),
      log: eventLog
        .optional()
        .describe("The log that `since` is a number of. If it is not the one there is, a `gap` says so and all of this one is sent."),
      progress: z.boolean().optional().describe("Also send `sync/progress` notifications."),
    }),
    result: z.object({ since: eventSeq, lastSeq: eventSeq, log: eventLog }),
    errors: [],
    scope: "read",
    doc: "From now on `event` notifications arrive in order, each number once. Where stored events are gone, or `since` is no number of this log, an event of kind `gap` says so. A slow reader is waited for, never skipped. A second call replaces the first.",
    source: "SPEC §5 Events",
  }),
  method("events/unsubscribe", {
    params: z.strictObject({}),
    result: z.object({}),
    errors: [],
    scope: "read",
    doc: "No more notifications on this connection.",
    source: "SPEC §5 Events",
  }),
] as const;
