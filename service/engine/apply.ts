/** Phase 4: the remote's changes → disk. Bytes are fetched or found here, verified, staged; intents first, then the disk, then the rows. */
import type { ApplyResult, ApplyStep } from "../core/local.ts";
import type { Sha1 } from "../core/model.ts";
import type { Action } from "../core/plan.ts";
import type { Download, Remote } from "../core/ports.ts";
import { conflictCopyName } from "./conflict-copy.ts";
import { inTheWay } from "./in-the-way.ts";
import { recordApplied, type LateWrite } from "./record-applied.ts";
import { settleIntents } from "./recover.ts";
import { rescueLateWrites } from "./rescue.ts";
import { meter, skip, tellProgress, type RunContext } from "./run-context.ts";

export type Incoming = Extract<Action, { kind: "download" | "conflict" }>;
export type Removal = Extract<Action, { kind: "deleteLocal" }>;
/** One step with what it came from; `conflict` is the row made for it. */
export type Staged = { readonly action: Incoming | Removal; readonly step: ApplyStep; readonly conflict: number | null };

/** Files and bytes that one apply transaction and its fsyncs share. */
const BATCH_FILES_MAX = 512;
const BATCH_BYTES_MAX = 16 * 1024 * 1024;

/** Carries out what the plan wants of the disk. @throws RemoteError; DiskError when there is no room. */
export async function applyIncoming(
  context: RunContext,
  remote: Remote,
  actions: readonly Action[],
  approved: ReadonlySet<string>,
): Promise<void> {
  const incoming = actions
    .filter((action) => action.kind === "download" || action.kind === "conflict")
    .filter((action) => ready(context, action.path));
  const removals = actions.filter((action) => action.kind === "deleteLocal").filter((action) => ready(context, action.path));
  context.totals.filesDown += incoming.length + removals.length;
  const late = inTheWay(incoming, removals);
  const first = late.size === 0 ? incoming : incoming.filter((action) => !late.has(action));
  await applyFromRemote(context, remote, await applyFromHere(context, first));
  for (let at = 0; at < removals.length; at += BATCH_FILES_MAX) {
    const steps = removals.slice(at, at + BATCH_FILES_MAX).flatMap((action) => removalStep(context, action));
    await commitBatch(context, steps, approved);
  }
  if (late.size > 0) await applyFromRemote(context, remote, await applyFromHere(context, [...late]));
}

/** A path that vanished or re-appeared just now belongs to an editor: not to be written to (RELIABILITY 3.8). */
function ready(context: RunContext, path: string): boolean {
  if (context.skipped.has(path)) return false;
  if (!context.parts.local.isRestless(path)) return true;
  context.restless.add(path);
  skip(context, path);
  return false;
}

/** Bytes that a kept version or another file already has are not fetched again (N7). Returns what must be fetched. */
async function applyFromHere(context: RunContext, incoming: readonly Incoming[]): Promise<readonly Incoming[]> {
  const { parts } = context;
  const { rows } = parts;
  // A first sync has nothing to look in; asking for each of its files would cost as much as storing them.
  if (rows.entries.totals().files === 0 && rows.versions.totalBytes() === 0) return incoming;
  const absent: Incoming[] = [];
  let batch: Staged[] = [];
  for (const action of incoming) {
    const sha1 = wanted(action);
    const source = rows.entries.withSha1(sha1);
    if (source === undefined && !rows.versions.has(sha1)) {
      absent.push(action);
      continue;
    }
    const temp = await parts.applier.stageLocal(action.path, sha1, source);
    if (temp === null) {
      absent.push(action);
      continue;
    }
    batch.push(...(await stagedStep(context, action, temp)));
    if (batch.length >= BATCH_FILES_MAX) {
      await commitBatch(context, batch, null);
      batch = [];
    }
  }
  await commitBatch(context, batch, null);
  return absent;
}

/** While one batch is being put in place the next is fetched and staged. What was fetched is put in place even if the rest fails. */
async function applyFromRemote(context: RunContext, remote: Remote, incoming: readonly Incoming[]): Promise<void> {
  if (incoming.length === 0) return;
  const batches = openBatches(context);
  try {
    await fetchBatches(context, remote, incoming, batches);
  } finally {
    await batches.end();
  }
}

async function fetchBatches(context: RunContext, remote: Remote, incoming: readonly Incoming[], batches: Batches): Promise<void> {
  const byName = new Map(incoming.map((action) => [action.wireName, action]));
  for (const { sizeBytes } of incoming) addSize(context, sizeBytes);
  const { onBytes, end } = meter(context, "down");
  try {
    await takeAll(
      context,
      remote.download([...byName.keys()], context.signal, onBytes, (name) => byName.get(name)?.sizeBytes ?? null),
      byName,
      batches,
    );
  } finally {
    end();
  }
}

function addSize({ totals }: RunContext, sizeBytes: number | null): void {
  totals.bytesDown = totals.bytesDown === null || sizeBytes === null ? null : totals.bytesDown + sizeBytes;
}

async function takeAll(
  context: RunContext,
  downloads: AsyncIterable<Download>,
  byName: ReadonlyMap<string, Incoming>,
  batches: Batches,
): Promise<void> {
  for await (const download of downloads) {
    const action = byName.get(download.name);
    if (action === undefined) continue;
    if (download.kind === "missing") {
      const detail = `The remote lists ${action.path} but could not give its bytes. The list is read again, then it is tried again.`;
      setAside(context, action, "missing", detail);
    } else if (await verified(context, action, download.bytes)) await batches.add({ action, ...download });
    else download.release?.();
  }
}

type Fetched = { readonly action: Incoming; readonly bytes: Uint8Array; readonly release?: () => void };
type Batches = { readonly add: (item: Fetched) => Promise<void>; readonly end: () => Promise<void> };

/** Collects batches; one is staged and one is committed while the next is fetched, in order, never more than these. */
function openBatches(context: RunContext): Batches {
  let batch: Fetched[] = [];
  let batchBytes = 0;
  let staging: Promise<unknown> = Promise.resolve();
  let committing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    const items = batch;
    batch = [];
    batchBytes = 0;
    await staging;
    const staged = stageBatch(context, items);
    const before = committing;
    staging = staged;
    committing = commitAfter(context, before, staged);
    // Whoever waits next gets the failure; until then it is not unhandled.
    committing.catch(() => undefined);
    await before;
  };
  return {
    add: async (item) => {
      batch.push(item);
      batchBytes += item.bytes.length;
      if (batch.length >= BATCH_FILES_MAX || batchBytes >= BATCH_BYTES_MAX) await flush();
    },
    end: async () => {
      if (batch.length > 0) await flush();
      await committing;
    },
  };
}

async function commitAfter(context: RunContext, before: Promise<void>, staged: Promise<readonly StagedFile[]>): Promise<void> {
  const [files] = await Promise.all([staged, before]);
  await commitStaged(context, files);
}

/** Bytes whose hash is not the announced one go nowhere (N8). */
async function verified(context: RunContext, action: Incoming, bytes: Uint8Array): Promise<boolean> {
  const { parts } = context;
  parts.faults("download/beforeHash");
  const found = await parts.compute.sha1Fairly(bytes);
  if (found === wanted(action)) return true;
  const detail = `The remote sent other bytes for ${action.path} than it announced (hash ${found.slice(0, 8)} instead of ${wanted(action).slice(0, 8)}). They were thrown away; the next sync asks again. If it stays so, the server's store is damaged: run \`satchel server check\` there.`;
  setAside(context, action, "hashMismatch", detail);
  return false;
}

/** Not to be had now: a problem until the feed has a newer row, or its time to be tried again has come. */
function setAside(context: RunContext, action: Incoming, reason: "missing" | "hashMismatch", detail: string): void {
  const { state, rows, clock } = context.parts;
  context.skipped.add(action.path);
  context.refetch = true;
  state.transaction(() => rows.problems.put({ path: action.path, side: "remote", reason, detail, sinceMs: clock.wallMs() }));
}

type StagedFile = { readonly action: Incoming; readonly temp: string; readonly bytes: number };

async function stageBatch(context: RunContext, batch: readonly Fetched[]): Promise<readonly StagedFile[]> {
  const { parts } = context;
  const keepOnly = batch.filter(({ action }) => action.kind === "conflict" && parts.policy() === "local-wins");
  for (const { action, bytes } of keepOnly) await keepTheirs(context, action, bytes);
  const rest = batch.filter((item) => !keepOnly.includes(item));
  const temps = await parts.applier.stage(
    rest.map(({ action, bytes }) => ({ path: action.path, bytes, fresh: action.kind === "download" && action.expect === null })),
  );
  for (const { release } of batch) release?.();
  return rest.map(({ action, bytes }, index) => ({ action, temp: must(temps[index]), bytes: bytes.length }));
}

async function commitStaged(context: RunContext, files: readonly StagedFile[]): Promise<void> {
  const staged: Staged[] = [];
  for (const { action, temp, bytes } of files) {
    staged.push(...(await stagedStep(context, action, temp)));
    context.counts.downloadedBytes += bytes;
    context.moving.down = Math.max(0, context.moving.down - bytes);
  }
  await commitBatch(context, staged, null);
}

/** `local-wins`: the remote's bytes are kept, agreed on as the state ours replaces, and the next round sends ours. */
async function keepTheirs(context: RunContext, action: Incoming, bytes: Uint8Array): Promise<void> {
  const { parts, run } = context;
  if (action.kind !== "conflict") return;
  const version = await parts.applier.keep(action.path, bytes, action.remote, "conflict", run);
  parts.state.transaction(() => {
    parts.rows.versions.add(version);
    parts.rows.base.put(action.path, action.remote);
    addConflict(context, action, null, "resolved");
  });
  context.counts.conflicts += 1;
}

/** The step that puts a staged file in place, if what stands there is still what the plan saw. */
async function stagedStep(context: RunContext, action: Incoming, temp: string): Promise<Staged[]> {
  const { parts } = context;
  const entry = parts.rows.entries.get(action.path);
  const expected = action.kind === "conflict" ? action.local : action.expect;
  if ((entry?.sha1 ?? null) !== expected) {
    await parts.applier.discard([temp]);
    skip(context, action.path);
    return [];
  }
  const sha1 = wanted(action);
  const common = { kind: "put", path: action.path, temp, sha1, expect: entry ?? null } as const;
  if (action.kind === "download") return [{ action, step: { ...common, copyTo: null, why: "replaced" }, conflict: null }];
  const keepBoth = parts.policy() === "keep-both";
  const copyTo = keepBoth ? copyNameFor(context, action) : null;
  const conflict = parts.state.transaction(() => addConflict(context, action, copyTo, keepBoth ? "planned" : "resolved"));
  const there = copyTo === null ? undefined : parts.rows.entries.get(copyTo);
  return [{ action, step: { ...common, copyTo: there === undefined ? copyTo : null, why: "conflict" }, conflict }];
}

/** The visible copy's name; one chosen before a crash, for the same bytes, is used again. */
function copyNameFor(context: RunContext, action: Extract<Action, { kind: "conflict" }>): string {
  const { parts } = context;
  const { rows } = parts;
  const planned = rows.conflicts
    .ofPath(action.path)
    .find((conflict) => conflict.state === "planned" && conflict.localSha1 === action.local && conflict.copyPath !== null);
  if (planned?.copyPath !== undefined && planned.copyPath !== null) return planned.copyPath;
  return conflictCopyName(parts, action.path, action.local);
}

function addConflict(
  context: RunContext,
  action: Extract<Action, { kind: "conflict" }>,
  copyPath: string | null,
  state: "planned" | "resolved",
): number {
  const { rows, clock, policy } = context.parts;
  const again = rows.conflicts
    .ofPath(action.path)
    .find((row) => row.state === "planned" && row.localSha1 === action.local && row.copyPath === copyPath);
  if (again !== undefined) return again.id;
  return rows.conflicts.add({
    path: action.path,
    copyPath,
    localSha1: action.local,
    remoteSha1: action.remote,
    baseSha1: action.base,
    policy: policy(),
    state,
    resolution: state === "planned" ? null : policy() === "local-wins" ? "mine" : "theirs",
    atMs: clock.wallMs(),
    run: context.run,
  });
}

function removalStep(context: RunContext, action: Removal): Staged[] {
  const entry = context.parts.rows.entries.get(action.path);
  if (entry?.sha1 !== action.expect) {
    skip(context, action.path);
    return [];
  }
  return [{ action, step: { kind: "remove", path: action.path, expect: entry, why: "removed" }, conflict: null }];
}

/** Intents → disk → rows. A crash in between is settled at the next start from the intents (N5). */
async function commitBatch(context: RunContext, batch: readonly Staged[], approved: ReadonlySet<string> | null): Promise<void> {
  if (batch.length === 0) return;
  const { parts, run, signal } = context;
  if (signal.aborted) {
    await parts.applier.discard(batch.flatMap(({ step }) => (step.kind === "put" ? [step.temp] : [])));
    signal.throwIfAborted();
  }
  parts.faults("apply/beforeIntent");
  parts.state.transaction(() => {
    for (const { step } of batch) {
      parts.rows.applyIntents.put({
        path: step.path,
        sha1: step.kind === "put" ? step.sha1 : null,
        expectSha1: step.expect?.sha1 ?? null,
        temp: step.kind === "put" ? step.temp : null,
        movesBase: true,
        origin: "apply",
        run,
      });
    }
  });
  parts.faults("apply/afterIntent");
  const results = await commitSteps(
    context,
    batch.map(({ step }) => step),
  );
  parts.faults("apply/beforeCommit");
  const late: LateWrite[] = recordApplied(context, batch, results, approved);
  await parts.applier.discard(undoneTemps(batch, results));
  await rescueLateWrites(context, late);
  tellProgress(context);
}

/** While an intent stands, the temp of a step not done is the proof of that; now the intents are forgotten. */
function undoneTemps(batch: readonly Staged[], results: readonly ApplyResult[]): readonly string[] {
  return batch.flatMap(({ step }, index) => (step.kind === "put" && results[index]?.kind !== "done" ? [step.temp] : []));
}

/** A disk that fails half way leaves some steps done: which, is found out at once, as after a crash. */
async function commitSteps(context: RunContext, steps: readonly ApplyStep[]): Promise<readonly ApplyResult[]> {
  const { parts, run } = context;
  try {
    return await parts.applier.commit(steps, run);
  } catch (error) {
    parts.local.hint(null);
    await settleIntents(parts);
    throw error;
  }
}

/** The bytes that shall stand at the path afterwards. */
function wanted(action: Incoming): Sha1 {
  return action.kind === "conflict" ? action.remote : action.sha1;
}

function must(temp: string | undefined): string {
  if (temp === undefined) throw new Error("apply: stage returned fewer files than it was given");
  return temp;
}
