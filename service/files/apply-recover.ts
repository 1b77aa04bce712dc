/**
 * After a start (or a disk that failed half way): which renames happened? The temp decides (gone: it took the name), and what stands at the
 * path. Then everything of ours is swept; bytes that are nowhere else are kept first (N5, DK07).
 */
import type { ApplyIntent, Entry, Sha1, Version } from "../core/model.ts";
import { DiskError } from "../core/ports.ts";
import { entryOf, exitPrefix, OWN_DIRECTORY, parentOf, twinPath, type ApplyContext } from "./apply-context.ts";
import { forAll, isFault, unlinkIfThere } from "./disk-steps.ts";
import { Spellings } from "./spellings.ts";

type Outcome = { readonly intent: ApplyIntent; readonly done: boolean; readonly entry: Entry | null };
type Standing = { readonly entry: Entry | null; readonly told: boolean };

/** See `Applier.recover`. @throws DiskError when what was done can't be made durable. */
export async function recoverApply(context: ApplyContext, intents: readonly ApplyIntent[]): Promise<readonly Outcome[]> {
  const own = `${context.root}/${OWN_DIRECTORY}`;
  // Without the marker the root may be an empty mount point: what is not there proves nothing, and nothing may be swept. No outcome: the
  // intents stay until the folder is back.
  if ((await context.disk.lstat(own))?.kind !== "directory") return [];
  // Asked for only where it is needed: what was put must not wait for a folder that can't be listed.
  const removals = intents.some((intent) => intent.sha1 === null);
  const exits = removals ? (await context.disk.list(own)).filter((name) => name.startsWith("del-")) : [];
  const outcomes: Outcome[] = [];
  for (const intent of intents) {
    const outcome = intent.sha1 === null ? await removed(context, intent, exits) : await put(context, intent, intent.sha1);
    if (outcome !== null) outcomes.push(outcome);
  }
  const directories = new Set(outcomes.filter((one) => one.done).map((one) => parentOf(`${context.root}/${one.intent.path}`)));
  await forAll([...directories], async (directory) => await syncIfThere(context, directory));
  // A temp that is still there proves that its rename was not done: it stays until the engine has forgotten the intent, or a failure in
  // between would leave an edit of the user's to pass for ours. Then the engine discards it.
  const done = new Set(outcomes.filter((one) => one.done).map((one) => one.intent));
  const spared = new Set(intents.flatMap((intent) => (done.has(intent) || intent.temp === null ? [] : [intent.temp])));
  try {
    await sweep(context, intents, spared);
  } catch (error) {
    // What was found out counts, whether the litter can be removed now or at the next start.
    if (!(error instanceof DiskError)) throw error;
  }
  return outcomes;
}

/** null: what stands there can't be read now, so nothing is concluded; the intent stays. */
async function put(context: ApplyContext, intent: ApplyIntent, sha1: Sha1): Promise<Outcome | null> {
  const now = await standing(context, intent.path, sha1);
  if (now.entry?.sha1 === sha1) return { intent, done: true, entry: now.entry };
  if (!now.told) return null;
  const staged = intent.temp !== null && (await context.disk.lstat(intent.temp)) !== null;
  // The temp is gone and something stands there that was not there before: ours stood there, and was changed since. Where nothing stands,
  // nothing is concluded: fetched once more at worst, never taken for a deletion.
  const stood = !staged && now.entry !== null && now.entry.sha1 !== intent.expectSha1;
  return { intent, done: stood, entry: stood ? now.entry : null };
}

async function removed(context: ApplyContext, intent: ApplyIntent, exits: readonly string[]): Promise<Outcome | null> {
  const { disk, root } = context;
  const target = `${root}/${intent.path}`;
  const prefix = exitPrefix(context, intent.path);
  let moved = false;
  for (const name of exits.filter((exit) => exit.startsWith(prefix))) {
    const exit = `${root}/${OWN_DIRECTORY}/${name}`;
    if ((await hashOf(context, exit)) === intent.expectSha1) moved = true;
    // What came along was not the file meant: it goes back to its name, where that is still free.
    else if ((await disk.lstat(target)) === null) await giveBack(context, exit, target);
  }
  const now = await standing(context, intent.path, intent.expectSha1);
  if (!moved && !now.told) return null;
  return { intent, done: moved || now.entry === null, entry: now.entry };
}

async function giveBack(context: ApplyContext, exit: string, target: string): Promise<void> {
  const { disk } = context;
  try {
    await disk.link(exit, target);
  } catch (error) {
    if (isFault(error, "exists")) return;
    if (!isFault(error, "notSupported", "crossDevice")) throw error;
    await disk.rename(exit, target);
  }
  await disk.fsyncDir(parentOf(target));
}

/** What stands at a path, hashed, under any spelling we may have given it; `wanted` bytes are preferred. `told` false: it can't be read. */
async function standing(context: ApplyContext, path: string, wanted: Sha1 | null): Promise<Standing> {
  const names = new Spellings(context);
  const spellings: string[] = [];
  // A disk that folds names would show the twin under this one's name.
  for (const diskPath of new Set([path, path.normalize("NFD"), twinPath(context, path)]))
    if ((await names.other(diskPath)) === null) spellings.push(diskPath);
  const signal = new AbortController().signal;
  const paths = spellings.map((diskPath) => `${context.root}/${diskPath}`);
  const results = await context.disk.hash(paths, Number.MAX_SAFE_INTEGER, signal);
  const entries = results.map((result, index): Entry | null => {
    if (result.kind !== "hashed") return null;
    // The mtime says nothing of a write in this instant: the next look reads it again.
    return { ...entryOf(path, spellings[index] ?? path, result.stat, result.sha1, context.clock.wallMs()), racy: true };
  });
  const entry = entries.find((one) => one?.sha1 === wanted) ?? entries.find((one) => one !== null) ?? null;
  return { entry, told: entry !== null || results.every((result) => result.kind === "absent") };
}

async function hashOf(context: ApplyContext, path: string): Promise<Sha1 | null> {
  const [result] = await context.disk.hash([path], Number.MAX_SAFE_INTEGER, new AbortController().signal);
  return result?.kind === "hashed" ? result.sha1 : null;
}

/** Files on their way out first; then all else. A staged file is a copy of what the remote or the store has: it just goes. */
async function sweep(context: ApplyContext, intents: readonly ApplyIntent[], spared: ReadonlySet<string>): Promise<void> {
  const { disk, root } = context;
  const names = await disk.list(`${root}/${OWN_DIRECTORY}`);
  for (const name of names.toSorted()) {
    const path = `${root}/${OWN_DIRECTORY}/${name}`;
    if ((await disk.lstat(path))?.kind === "directory") continue;
    if (spared.has(path)) continue;
    if (name.startsWith("put-") || (await isKept(context, path, ownerOf(context, name, intents)))) await unlinkIfThere(disk, path);
  }
  // Where `.satchel/` could not be used, ours stand beside the targets of the intents (DK05).
  for (const directory of new Set([root, ...intents.map((intent) => parentOf(`${root}/${intent.path}`))])) {
    for (const name of await namesIn(context, directory)) {
      if (!/^\.satchel-[0-9a-f]{32}\.tmp$/.test(name)) continue;
      if (spared.has(`${directory}/${name}`)) continue;
      if (await isKept(context, `${directory}/${name}`, null)) await unlinkIfThere(disk, `${directory}/${name}`);
    }
  }
}

async function namesIn(context: ApplyContext, directory: string): Promise<readonly string[]> {
  try {
    return await context.disk.list(directory);
  } catch (error) {
    if (isFault(error, "notFound", "notDirectory", "symlink")) return [];
    throw error;
  }
}

function ownerOf(context: ApplyContext, name: string, intents: readonly ApplyIntent[]): ApplyIntent | null {
  return intents.find((intent) => name.startsWith(exitPrefix(context, intent.path))) ?? null;
}

/** Nothing goes whose bytes are not in the version store; false: they can't be read now, so the file stays. @throws DiskError */
async function isKept(context: ApplyContext, path: string, owner: ApplyIntent | null): Promise<boolean> {
  const { disk, versions, clock } = context;
  const stat = await disk.lstat(path);
  if (stat === null || (stat.kind === "file" && stat.sizeBytes === 0)) return true;
  const sha1 = await hashOf(context, path);
  if (sha1 === null) return false;
  const there = await versions.locate(sha1);
  if (there !== null) {
    // It may have been filed a moment ago: a power cut must not take that name after this file's is gone.
    await disk.fsyncDir(parentOf(there));
    return true;
  }
  const version: Version = {
    folder: context.folder,
    path: owner?.path ?? path.slice(context.root.length + 1),
    sha1,
    sizeBytes: stat.sizeBytes,
    why: "removed",
    run: owner?.run ?? "sweep",
    atMs: clock.wallMs(),
  };
  const kept = await versions.hold(path, true);
  await versions.journalKept([{ kept, version }]);
  const [filed] = await versions.file([{ kept, version }]);
  // It may still be written to, and stay under its random name, which is durable.
  const shelved = await versions.locate(filed?.sha1 ?? sha1);
  if (shelved !== null) await disk.fsyncDir(parentOf(shelved));
  return true;
}

async function syncIfThere(context: ApplyContext, directory: string): Promise<void> {
  try {
    await context.disk.fsyncDir(directory);
  } catch (error) {
    if (!isFault(error, "notFound", "notDirectory")) throw error;
  }
}
