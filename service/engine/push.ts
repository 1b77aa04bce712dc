/** Phase 5: our changes → remote, in batches. The intent is durable before the request, the base moves after the reply (W31, S3). */
import { partBytes } from "../core/line-batches.ts";
import type { Action } from "../core/plan.ts";
import type { Remote, Upload, UploadResult } from "../core/ports.ts";
import { toWire } from "../core/wire-names.ts";
import { meter, skip, tellProgress, type RunContext } from "./run-context.ts";
import { openMemories, type Wave } from "./wave-memory.ts";

type Outgoing = Extract<Action, { kind: "upload" | "deleteRemote" }>;
/** An action with its bytes read and its intent written; `wave`: the files it was read with. */
type Sent = { readonly action: Outgoing; readonly upload: Upload; readonly intent: number; readonly wave: Wave };

/** Entries whose intents share one commit, and bytes that are read ahead for them: a commit waits for the disk, a batch must not. */
const WAVE_ENTRIES = 500;
const WAVE_BYTES = 16 * 1024 * 1024;
/** How much of that the first one is: nothing is sent before it is read. */
const FIRST_WAVE = 0.25;
/** Acknowledged entries and bytes that share one commit. A kill before it costs nothing: the intents know the echoes. */
const RESULTS_ENTRIES = 500;
const RESULTS_BYTES = 16 * 1024 * 1024;
/** On a slow line somebody watches the progress. */
const RESULTS_MS = 500;

/** Sends what the plan wants of the remote, `uploadsInFlight` batches at once. @throws RemoteError; what was acknowledged stays. */
export async function push(context: RunContext, remote: Remote, actions: readonly Action[], approved: ReadonlySet<string>): Promise<void> {
  const outgoing = actions
    .filter((action) => action.kind === "upload" || action.kind === "deleteRemote")
    .filter((action) => !context.skipped.has(action.path));
  if (outgoing.length === 0) return;
  context.totals.filesUp += outgoing.length;
  for (const action of outgoing) if (action.kind === "upload") context.totals.bytesUp += action.sizeBytes;
  const results = openResults(context);
  const batches = readyBatches(context, remote, { outgoing, approved }, results);
  const workers = Array.from({ length: remote.limits.uploadsInFlight }, async () => {
    for await (const batch of batches) {
      context.signal.throwIfAborted();
      await sendBatch(context, remote, batch, results);
    }
  });
  // One worker's failure lets the others finish what they have in flight: their acknowledgements count.
  const ends = await Promise.allSettled(workers);
  results.end();
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** What the remote answered, and what was never sent after all, on the way to the rows. */
type Results = {
  /** The intents are durable; until an answer comes, nothing is known of these. */
  readonly announced: (sent: readonly Sent[]) => void;
  /** The request is about to leave: from here on it may have been taken. */
  readonly leaving: (batch: readonly Sent[]) => void;
  readonly answered: (batch: readonly Sent[], results: readonly UploadResult[]) => void;
  /** Writes what is left, and takes back the intents of what was never sent. */
  readonly end: () => void;
};

function openResults(context: RunContext): Results {
  const { state, rows, clock } = context.parts;
  let writtenMs = clock.monoMs();
  const unsent = new Set<Sent>();
  let waiting: { readonly item: Sent; readonly result: UploadResult }[] = [];
  let bytes = 0;
  const write = (): void => {
    const taken = waiting;
    waiting = [];
    bytes = 0;
    writtenMs = clock.monoMs();
    if (taken.length === 0) return;
    state.transaction(() => {
      for (const { item, result } of taken) recordResult(context, item, result);
    });
    tellProgress(context);
  };
  return {
    announced: (sent) => sent.forEach((item) => unsent.add(item)),
    leaving: (batch) => batch.forEach((item) => unsent.delete(item)),
    answered: (batch, results) => {
      for (const [index, item] of batch.entries()) {
        const result = results[index];
        if (result === undefined) throw new Error("push: fewer results than entries");
        waiting.push({ item, result });
        bytes += item.upload.bytes?.length ?? 0;
      }
      if (waiting.length >= RESULTS_ENTRIES || bytes >= RESULTS_BYTES || clock.monoMs() - writtenMs >= RESULTS_MS) write();
    },
    end: () => {
      write();
      if (unsent.size === 0) return;
      state.transaction(() => unsent.forEach(({ action, intent }) => rows.uploadIntents.remove(action.path, intent)));
    },
  };
}

/** Batches with their bytes read and their intents durable; the next wave is read while this one is sent. All workers draw from it. */
async function* readyBatches(
  context: RunContext,
  remote: Remote,
  { outgoing, approved }: { readonly outgoing: readonly Outgoing[]; readonly approved: ReadonlySet<string> },
  results: Results,
): AsyncGenerator<readonly Sent[], void> {
  const waves = wavesOf(outgoing, remote.limits, context);
  const allBytes = outgoing.reduce((sum, action) => sum + sizeOf(action) + 1, 0);
  const memories = openMemories(Math.min(allBytes, WAVE_BYTES + WAVE_ENTRIES));
  const prepare = async (): Promise<readonly (readonly Sent[])[] | null> => {
    const next = waves.next();
    return next.done === true ? null : await announce(context, remote, { batches: next.value, memory: memories.take(), approved }, results);
  };
  let next = prepare();
  try {
    for (;;) {
      const wave = await next;
      if (wave === null) return;
      next = prepare();
      // Whoever asks for the next wave gets its failure; until then it is not unhandled.
      next.catch(() => undefined);
      yield* wave;
    }
  } finally {
    // A wave that was read ahead and is not wanted any more has announced itself before `end` takes its intents back.
    await next.catch(() => undefined);
  }
}

/**
 * Reads a wave's files and writes its intents, all in one commit. A deletion counts for the guard from here on: when a crash or the network takes the
 * answer, it is its echo that tells of it, and nothing then tells an accident from anything else.
 */
async function announce(
  context: RunContext,
  remote: Remote,
  {
    batches,
    memory: wave,
    approved,
  }: { readonly batches: readonly (readonly Outgoing[])[]; readonly memory: Wave; readonly approved: ReadonlySet<string> },
  results: Results,
): Promise<readonly (readonly Sent[])[]> {
  const { parts, run } = context;
  const read = await Promise.all(batches.map(async (batch) => await readBatch(context, remote, batch, wave)));
  const full = read.filter((batch) => batch.length > 0);
  wave.begin(full.reduce((sum, batch) => sum + batch.length, 0));
  if (full.length === 0) return [];
  parts.faults("upload/beforeIntent");
  const sent = parts.state.transaction(() =>
    full.map((batch) =>
      batch.map(({ action, upload }): Sent => {
        const wanted = action.kind === "upload" || action.to !== null || approved.has(`deleteRemote\0${action.path}`);
        if (!wanted) parts.rows.deletions.add("deleteRemote", action.path, parts.clock.wallMs());
        return { action, upload, intent: parts.rows.uploadIntents.add(action.path, upload.sha1, run), wave };
      }),
    ),
  );
  results.announced(sent.flat());
  parts.faults("upload/afterIntent");
  return sent;
}

/** Batches within the remote's limits, several to a wave; the first wave is small, so that the line is soon busy. */
function* wavesOf(
  outgoing: readonly Outgoing[],
  limits: Remote["limits"],
  context: RunContext,
): Generator<readonly (readonly Outgoing[])[], void> {
  let wave: (readonly Outgoing[])[] = [];
  let entries = 0;
  let bytes = 0;
  let share = FIRST_WAVE;
  for (const batch of batchesOf(outgoing, limits, context)) {
    wave.push(batch);
    entries += batch.length;
    bytes += batch.reduce((sum, action) => sum + sizeOf(action), 0);
    if (entries < WAVE_ENTRIES * share && bytes < WAVE_BYTES * share) continue;
    yield wave;
    share = 1;
    wave = [];
    entries = 0;
    bytes = 0;
  }
  if (wave.length > 0) yield wave;
}

/** Closed by entries and by bytes; one large file goes alone. */
function* batchesOf(outgoing: readonly Outgoing[], limits: Remote["limits"], context: RunContext): Generator<readonly Outgoing[], void> {
  const entriesMax = context.parts.faults("upload/splitBatch") ? 1 : limits.uploadEntries;
  const allBytes = outgoing.reduce((sum, action) => sum + sizeOf(action), 0);
  const bytesMax = limits.lineBytes === null ? limits.uploadBytes : partBytes(allBytes, limits.lineBytes, limits.uploadBytes);
  let batch: Outgoing[] = [];
  let bytes = 0;
  for (const action of outgoing) {
    const size = sizeOf(action);
    if (batch.length > 0 && (batch.length >= entriesMax || bytes + size > bytesMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(action);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function sizeOf(action: Outgoing): number {
  return action.kind === "upload" ? action.sizeBytes : 0;
}

async function sendBatch(context: RunContext, remote: Remote, batch: readonly Sent[], results: Results): Promise<void> {
  const { parts, signal } = context;
  results.leaving(batch);
  const { onBytes, end } = meter(context, "up");
  const uploads = batch.map(({ upload }) => upload);
  const answers = await remote.upload(uploads, signal, onBytes).finally(end);
  if (parts.faults("upload/replyIgnored")) return;
  results.answered(batch, answers);
  batch[0]?.wave.end(batch.length);
}

/** Reads the batch's files; one that is not what was planned any more is left for the next look. */
async function readBatch(
  context: RunContext,
  remote: Remote,
  batch: readonly Outgoing[],
  wave: Wave,
): Promise<{ action: Outgoing; upload: Upload }[]> {
  const { parts } = context;
  const uploads = await Promise.all(
    batch.map(async (action) => {
      const name = wireNameFor(action);
      const baseSha1 = action.remote;
      const entry = parts.rows.entries.get(action.path);
      if (action.kind === "deleteRemote") {
        // A conflict's copy may have come to stand there since this was planned.
        return entry === undefined ? { action, upload: { name, bytes: null, sha1: null, baseSha1 } } : null;
      }
      if (entry?.sha1 !== action.sha1) return null;
      if (entry.sizeBytes > remote.limits.fileBytes) return tooLarge(context, action.path, remote.limits.fileBytes);
      const bytes = await parts.applier.read(entry, wave.room(entry.sizeBytes));
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

/** A problem that says so, not a file that is tried for ever (N9). */
function tooLarge({ parts }: RunContext, path: string, maxBytes: number): null {
  const detail = `${path} is larger than the ${Math.floor(maxBytes / 1024 / 1024)} MiB that the remote takes. It stays here, unsynced; make it smaller, or let the server allow more.`;
  parts.state.transaction(() =>
    parts.rows.problems.put({ path, side: "remote", reason: "tooLargeThere", detail, sinceMs: parts.clock.wallMs() }),
  );
  return null;
}

/** The remote's own spelling where it has one, else ours. */
function wireNameFor(action: Outgoing): string {
  if (action.wireName !== null) return action.wireName;
  const wire = toWire(action.path);
  // The scan makes a problem of what can't be encoded, so it never gets into a plan.
  if (wire.kind !== "name") throw new Error(`push: ${action.path} has no wire name`);
  return wire.name;
}

function recordResult(context: RunContext, sent: Sent, result: UploadResult): void {
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
    }
  }
}
