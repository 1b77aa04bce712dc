/** Phase 5: our changes → remote, in batches. The intent is durable before the request, the base moves after the reply (W31, S3). */
import type { Action } from "../core/plan.ts";
import type { Remote, Upload, UploadResult } from "../core/ports.ts";
import { toWire } from "../core/wire-names.ts";
import { skip, tellProgress, type RunContext } from "./run-context.ts";

type Outgoing = Extract<Action, { kind: "upload" | "deleteRemote" }>;
/** An action with its bytes read and its intent written. */
type Sent = { readonly action: Outgoing; readonly upload: Upload; readonly intent: number };

/** Sends what the plan wants of the remote, `uploadsInFlight` batches at once. @throws RemoteError; what was acknowledged stays. */
export async function push(context: RunContext, remote: Remote, actions: readonly Action[], approved: ReadonlySet<string>): Promise<void> {
  const outgoing = actions
    .filter((action) => action.kind === "upload" || action.kind === "deleteRemote")
    .filter((action) => !context.skipped.has(action.path));
  context.totals.filesUp += outgoing.length;
  for (const action of outgoing) if (action.kind === "upload") context.totals.bytesUp += action.sizeBytes;
  const batches = batchesOf(outgoing, remote.limits, context);
  const workers = Array.from({ length: remote.limits.uploadsInFlight }, async () => {
    for (const batch of batches) {
      context.signal.throwIfAborted();
      await sendBatch(context, remote, batch, approved);
    }
  });
  // One worker's failure lets the others finish what they have in flight: their acknowledgements count.
  const ends = await Promise.allSettled(workers);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** One iterator that all workers draw from: each batch is taken once. Closed by entries and by bytes, one large file goes alone. */
function* batchesOf(outgoing: readonly Outgoing[], limits: Remote["limits"], context: RunContext): Generator<readonly Outgoing[], void> {
  const entriesMax = context.parts.faults("upload/splitBatch") ? 1 : limits.uploadEntries;
  let batch: Outgoing[] = [];
  let bytes = 0;
  for (const action of outgoing) {
    const size = action.kind === "upload" ? action.sizeBytes : 0;
    if (batch.length > 0 && (batch.length >= entriesMax || bytes + size > limits.uploadBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(action);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

async function sendBatch(context: RunContext, remote: Remote, batch: readonly Outgoing[], approved: ReadonlySet<string>): Promise<void> {
  const { parts, signal } = context;
  const uploads = await readBatch(context, remote, batch);
  if (uploads.length === 0) return;
  parts.faults("upload/beforeIntent");
  const sent = parts.state.transaction(() =>
    uploads.map(({ action, upload }) => ({ action, upload, intent: parts.rows.uploadIntents.add(action.path, upload.sha1, context.run) })),
  );
  parts.faults("upload/afterIntent");
  const results = await remote.upload(
    sent.map(({ upload }) => upload),
    signal,
  );
  if (parts.faults("upload/replyIgnored")) return;
  parts.state.transaction(() => {
    for (const [index, item] of sent.entries()) {
      const result = results[index];
      if (result === undefined) throw new Error("push: fewer results than entries");
      recordResult(context, item, result, approved);
    }
  });
  tellProgress(context);
}

/** Reads the batch's files; one that is not what was planned any more is left for the next look. */
async function readBatch(context: RunContext, remote: Remote, batch: readonly Outgoing[]): Promise<{ action: Outgoing; upload: Upload }[]> {
  const { parts } = context;
  const uploads = await Promise.all(
    batch.map(async (action) => {
      const name = wireNameFor(action);
      const baseSha1 = action.remote;
      if (action.kind === "deleteRemote") return { action, upload: { name, bytes: null, sha1: null, baseSha1 } };
      const entry = parts.rows.entries.get(action.path);
      if (entry?.sha1 !== action.sha1) return null;
      if (entry.sizeBytes > remote.limits.fileBytes) return null;
      const bytes = await parts.applier.read(entry);
      if (bytes === "changed") {
        parts.local.hint(entry.diskPath ?? entry.path);
        return null;
      }
      return { action, upload: { name, bytes, sha1: action.sha1, baseSha1 } };
    }),
  );
  for (const [index, upload] of uploads.entries()) {
    const action = batch[index];
    if (upload === null && action !== undefined) skip(context, action.path);
  }
  return uploads.filter((upload) => upload !== null);
}

/** The remote's own spelling where it has one, else ours. */
function wireNameFor(action: Outgoing): string {
  if (action.wireName !== null) return action.wireName;
  const wire = toWire(action.path);
  // The scan makes a problem of what can't be encoded, so it never gets into a plan.
  if (wire.kind !== "name") throw new Error(`push: ${action.path} has no wire name`);
  return wire.name;
}

function recordResult(context: RunContext, sent: Sent, result: UploadResult, approved: ReadonlySet<string>): void {
  const { rows, clock, state } = context.parts;
  const { action, upload, intent } = sent;
  switch (result.kind) {
    case "changed":
      // Not taken, so no row of the feed can be its echo: left standing, somebody else's deletion would be read as ours one day.
      rows.uploadIntents.remove(action.path, intent);
      context.refetch = true;
      return;
    case "refused": {
      rows.uploadIntents.remove(action.path, intent);
      skip(context, action.path);
      const detail = `The remote refused ${action.path}: ${result.detail}`;
      rows.problems.put({ path: action.path, side: "remote", reason: "refused", detail, sinceMs: clock.wallMs() });
      state.events.append("problem", rows.id, { path: action.path, reason: "refused", detail }, clock.wallMs());
      return;
    }
    case "done": {
      rows.base.put(action.path, upload.sha1);
      const generation = rows.cursor.get()?.generation ?? 0;
      rows.remote.put(
        { path: action.path, wireName: upload.name, sha1: upload.sha1, usn: null, sizeBytes: upload.bytes?.length ?? null },
        generation,
      );
      rows.uploadIntents.removeUpTo(action.path, intent);
      // Both sides hold these bytes now, and only a run changes the trees: nothing is left to plan for this path.
      rows.pending.remove(action.path);
      if (action.kind === "upload") {
        context.counts.uploadedFiles += 1;
        context.counts.uploadedBytes += upload.bytes?.length ?? 0;
        return;
      }
      context.counts.deletedRemote += 1;
      const wanted = action.to !== null || approved.has(`deleteRemote\0${action.path}`);
      if (!wanted) rows.deletions.add("deleteRemote", action.path, clock.wallMs());
    }
  }
}
