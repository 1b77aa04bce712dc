/**
 * The change of the disk itself. For each step: look, keep the version (durable, N1), look again, rename; then the directories are made
 * durable, once each. A reader of the path sees the whole old or the whole new file at every instant (N4).
 */
import type { ApplyResult, ApplyStep } from "../core/local.ts";
import type { Entry, Sha1, Stat, Version } from "../core/model.ts";
import { DiskError, type DiskFault, type Expected } from "../core/ports.ts";
import {
  checkParents,
  diskPathOf,
  entryOf,
  foldersAbove,
  isTwinEntry,
  parentOf,
  tempBeside,
  twinPath,
  type ApplyContext,
} from "./apply-context.ts";
import { expectedOf, forAll, isAsExpected, isFault, isSameFile, unlinkIfThere } from "./disk-steps.ts";
import { moveAside, moveSecondNameAside, putBack } from "./second-name.ts";
import { Spellings } from "./spellings.ts";
import type { Kept } from "./versions.ts";

type Put = Extract<ApplyStep, { kind: "put" }>;
type Remove = Extract<ApplyStep, { kind: "remove" }>;

/** One step on its way. */
type Work = {
  readonly step: ApplyStep;
  /** Root-relative, spelled as on disk; a twin gets another one. */
  diskPath: string;
  /** What stood there at the first look. */
  before: Stat | null;
  held: { readonly kept: Kept; readonly version: Version } | null;
  /** The visible copy under a conflict name, when it was made. */
  copyMade: boolean;
  /** It is a second name of the very file, made just now. */
  copyLinked: boolean;
  /** The staged file, just before it took the name. */
  staged: Stat | null;
  result: Exclude<ApplyResult, { kind: "done" }> | null;
};

/** What one commit touches: directories to be made durable, files that then go. */
type Touched = { readonly directories: Set<string>; readonly goners: Set<string> };

/** See `Applier.commit`. */
export async function commitSteps(context: ApplyContext, steps: readonly ApplyStep[], run: string): Promise<readonly ApplyResult[]> {
  const works = steps.map((step): Work => ({
    step,
    diskPath: diskPathOf(step.path, step.expect),
    before: null,
    held: null,
    copyMade: false,
    copyLinked: false,
    staged: null,
    result: null,
  }));
  const touched: Touched = { directories: new Set(), goners: new Set() };
  const spellings = new Spellings(context);
  await phase(works, async (work) => await prepare(context, work, touched, spellings));
  await phase(works, async (work) => await keep(context, work, run));
  await journal(context, works);
  const now = new Spellings(context);
  await phase(works, async (work) => await swap(context, work, touched, now));
  await forAll([...works], async (work) => await backOut(context, work, touched));
  context.faults("apply/beforeFsyncDir");
  await forAll([...touched.directories], async (directory) => await context.disk.fsyncDir(directory));
  await forAll([...touched.goners], async (path) => await unlinkIfThere(context.disk, path));
  await removeEmptied(context, works);
  return await results(context, works);
}

/** Runs one phase for every step still under way; what the disk refuses ends that step alone. */
async function phase(works: readonly Work[], run: (work: Work) => Promise<void>): Promise<void> {
  await forAll(
    works.filter((work) => work.result === null),
    async (work) => {
      try {
        await run(work);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        work.result = trouble(work, error);
      }
    },
  );
}

function trouble(work: Work, error: DiskError): ApplyResult & { kind: "trouble" | "changed" } {
  if (error.fault === "notFound") return { kind: "changed" };
  const doing = work.step.kind === "put" ? "write" : "remove";
  const detail = `Could not ${doing} ${work.step.path}: ${error.message} The old state is intact; it is tried again.`;
  return { kind: "trouble", reason: REASONS.get(error.fault) ?? "applyFailed", detail };
}

const REASONS: ReadonlyMap<DiskFault, "diskFull" | "locked" | "badName"> = new Map([
  ["noSpace", "diskFull"],
  ["quota", "diskFull"],
  ["busy", "locked"],
  ["nameTooLong", "badName"],
]);

/** First look, and the folders that a new path needs. */
async function prepare(context: ApplyContext, work: Work, touched: Touched, spellings: Spellings): Promise<void> {
  const { step } = work;
  await makeParents(context, work.diskPath, step, touched);
  if (step.kind === "put" && step.copyTo !== null) await makeParents(context, step.copyTo, step, touched);
  // Two twins may come in one batch.
  if (step.expect === null && (await spellings.claim(work.diskPath)) !== null) work.diskPath = twinPath(context, step.path);
  // A name that shall be new is taken by a link, which fails where anything stands: looking before would say no more.
  if (step.expect === null) return;
  work.before = await context.disk.lstat(`${context.root}/${work.diskPath}`);
  if (!isAsExpected(work.before, expectedOf(step.expect, true)) || (await isHalfFreed(context, work.before, step.expect)))
    work.result = { kind: "changed" };
}

/**
 * A twin was given its own name, and the made-up one did not go: one file under two names. What is put at one, or removed there, would leave the
 * old bytes at the other. A made-up name that is left over goes here; the step waits until the file is known by its own name.
 */
async function isHalfFreed(context: ApplyContext, before: Stat | null, expect: Entry): Promise<boolean> {
  const { disk, root, caps } = context;
  if (before === null || (before.links ?? 1) < 2 || !(caps.foldsCase || caps.foldsNormalization)) return false;
  const own = expect.diskPath === null || !isTwinEntry(expect);
  const other = `${root}/${own ? twinPath(context, expect.path) : expect.path}`;
  if ((await disk.lstat(other))?.fileId !== before.fileId) return false;
  if (own) await unlinkIfThere(disk, other);
  return true;
}

async function makeParents(context: ApplyContext, diskPath: string, step: ApplyStep, touched: Touched): Promise<void> {
  const { disk, root } = context;
  const missing = await checkParents(context, diskPath);
  if (step.kind === "remove") return;
  for (const folder of missing) {
    await disk.mkdir(`${root}/${folder}`);
    touched.directories.add(parentOf(`${root}/${folder}`));
  }
}

/** The bytes that stand there go to the version store. */
async function keep(context: ApplyContext, work: Work, run: string): Promise<void> {
  const { step, before } = work;
  if (step.expect === null) return;
  // Bytes that another name shows too would change under the store's feet: those are copied (CT11, and the conflict copy to come).
  const byCopy = (before?.links ?? 1) > 1 || (step.kind === "put" && step.copyTo !== null);
  const kept = await context.versions.hold(`${context.root}/${work.diskPath}`, byCopy);
  const { sha1, sizeBytes } = step.expect;
  const version = { folder: context.folder, path: step.path, sha1, sizeBytes, why: step.why, run, atMs: context.clock.wallMs() };
  work.held = { kept, version };
  // A copy can't take in what is written from now on: it must be what the plan saw, and the file must not move until the rename.
  if (!kept.shared && !(await holdsBytes(context, kept.path, sha1))) work.result = { kind: "changed" };
}

async function holdsBytes(context: ApplyContext, path: string, sha1: Sha1): Promise<boolean> {
  const [result] = await context.disk.hash([path], Number.MAX_SAFE_INTEGER, new AbortController().signal);
  return result?.kind === "hashed" && result.sha1 === sha1;
}

/** One fsync for the lines of all. Without them nothing is replaced. */
async function journal(context: ApplyContext, works: readonly Work[]): Promise<void> {
  const held = works.filter((work) => work.result === null).flatMap((work) => (work.held === null ? [] : [work.held]));
  try {
    await context.versions.journalKept(held);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    for (const work of works) if (work.held !== null) work.result ??= trouble(work, error);
  }
}

async function swap(context: ApplyContext, work: Work, touched: Touched, spellings: Spellings): Promise<void> {
  const { step } = work;
  context.faults("apply/beforeRename");
  const missing = await checkParents(context, work.diskPath);
  if (missing.length > 0) {
    work.result = { kind: "changed" };
    return;
  }
  // Asked for `a.png`, a disk that folds names shows `A.png`: what is replaced or removed must stand under its very name.
  if (step.expect !== null && (await spellings.other(work.diskPath)) !== null) {
    work.result = { kind: "changed" };
    return;
  }
  const target = `${context.root}/${work.diskPath}`;
  if (step.kind === "put") work.staged = context.staged.get(step.temp) ?? (await context.disk.lstat(step.temp));
  // What is removed is moved aside first, and the visible copy is made of what stands there; a plain replacement looks as it renames.
  if (step.expect !== null && (step.kind === "remove" || step.copyTo !== null) && !(await stillStands(context, work, target))) {
    work.result = { kind: "changed" };
    return;
  }
  touched.directories.add(parentOf(target));
  if (step.kind === "remove") await remove(context, work, step, target, touched);
  else if (step.expect === null) await putNew(context, work, step, target, touched);
  else await putOver(context, work, step, target, touched);
  if (work.result === null) context.faults("apply/afterRename");
}

async function stillStands(context: ApplyContext, work: Work, target: string): Promise<boolean> {
  return isAsExpected(await context.disk.lstat(target), expectedNow(work));
}

/** Our own link has moved the ctime; a copy has not. */
function expectedNow(work: Work): Expected | null {
  return expectedOf(work.step.expect, work.held?.kept.shared === false && !work.copyLinked);
}

/** A link never replaces: a file that came up in this instant is left alone. */
async function putNew(context: ApplyContext, work: Work, step: Put, target: string, touched: Touched): Promise<void> {
  const { disk } = context;
  try {
    await disk.link(step.temp, target);
    // Only when the new name is durable may the old one go: or a power cut could leave neither.
    touched.goners.add(step.temp);
  } catch (error) {
    if (isFault(error, "exists")) return await nameTaken(context, work, target);
    if (!isFault(error, "crossDevice", "notSupported")) throw error;
    await moveOver(context, work, step.temp, target, touched);
    if (work.result !== null) await nameTaken(context, work, target);
  }
}

/** Looked at again, but for a folder: the tree knows folders by what is in them, so it would never tell of this one. */
async function nameTaken(context: ApplyContext, work: Work, target: string): Promise<void> {
  if ((await context.disk.lstat(target))?.kind === "directory")
    throw new DiskError("isDirectory", `Could not change ${work.diskPath}: a folder stands there, where a file is needed. Rename one.`);
  work.result = { kind: "changed" };
}

async function putOver(context: ApplyContext, work: Work, step: Put, target: string, touched: Touched): Promise<void> {
  if (step.copyTo !== null) {
    const copy = await makeCopy(context, step.copyTo, step.expect, target, touched);
    if (copy === null) {
      work.result = { kind: "changed" };
      return;
    }
    work.copyMade = true;
    work.copyLinked = copy === "linked";
  }
  await moveOver(context, work, step.temp, target, touched);
}

/** The last look and the rename over the target are one step: whatever came up there until then stays (N1). Where `.satchel/` is on another file system, by way of a copy beside it (DK05). */
async function moveOver(context: ApplyContext, work: Work, temp: string, target: string, touched: Touched): Promise<void> {
  const { disk } = context;
  try {
    if (!(await disk.replaceIf(temp, target, expectedNow(work)))) work.result = { kind: "changed" };
    return;
  } catch (error) {
    if (!isFault(error, "crossDevice")) throw error;
  }
  const beside = tempBeside(context, target);
  context.leftover.add(beside);
  work.staged = await disk.copy(temp, beside);
  // Copying took its time: looked at once more.
  if (!(await disk.replaceIf(beside, target, expectedNow(work)))) {
    work.result = { kind: "changed" };
    return;
  }
  context.leftover.delete(beside);
  touched.goners.add(temp);
}

/**
 * The file itself gets the conflict name beside its own: an editor that has it open goes on writing to the visible copy. False where
 * other bytes took the name. A copy that a crash left behind is found again.
 */
async function makeCopy(
  context: ApplyContext,
  copyTo: string,
  expect: Entry | null,
  target: string,
  touched: Touched,
): Promise<"linked" | "copied" | null> {
  const { disk, root } = context;
  const copyPath = `${root}/${copyTo}`;
  touched.directories.add(parentOf(copyPath));
  await checkParents(context, copyTo);
  try {
    await disk.link(target, copyPath);
    return "linked";
  } catch (error) {
    if (isFault(error, "exists")) return expect !== null && (await holdsBytes(context, copyPath, expect.sha1)) ? "copied" : null;
    if (!isFault(error, "crossDevice", "notSupported")) throw error;
  }
  const beside = tempBeside(context, copyPath);
  context.leftover.add(beside);
  await disk.copy(target, beside);
  if ((await disk.lstat(copyPath)) !== null) return null;
  await disk.rename(beside, copyPath);
  context.leftover.delete(beside);
  return "copied";
}

/** Moved aside first: what comes along is then certain, and a file that was put there in the last instant goes back unharmed. */
async function remove(context: ApplyContext, work: Work, step: Remove, target: string, touched: Touched): Promise<void> {
  const exit = await moveAside(context, step.path, target);
  touched.directories.add(parentOf(exit));
  if (await isStill(context, exit, step.expect)) {
    touched.goners.add(exit);
    return;
  }
  work.result = { kind: "changed" };
  if (await putBack(context, exit, target)) touched.goners.add(exit);
}

/** A disk that can't tell has not said yes: then the file goes back, too. */
async function isStill(context: ApplyContext, exit: string, expect: Entry): Promise<boolean> {
  try {
    return isAsExpected(await context.disk.lstat(exit), expectedOf(expect, false));
  } catch (error) {
    if (error instanceof DiskError) return false;
    throw error;
  }
}

/** A step that was not done lets go of what it held. Its temp stays, the proof that nothing was replaced: the engine discards it. */
async function backOut(context: ApplyContext, work: Work, touched: Touched): Promise<void> {
  if (work.result === null) return;
  if (work.held !== null) await context.versions.release(work.held.kept);
  work.held = null;
  if (work.copyLinked && work.step.kind === "put" && work.step.copyTo !== null) await unmakeCopy(context, work, work.step.copyTo, touched);
}

/** The copy is a second name of the file that still stands at its own: left there, an edit of the one would change the other. */
async function unmakeCopy(context: ApplyContext, work: Work, copyTo: string, touched: Touched): Promise<void> {
  const { disk, root } = context;
  try {
    const own = await disk.lstat(`${root}/${work.diskPath}`);
    const exit = own === null ? null : await moveSecondNameAside(context, copyTo, own);
    if (exit === null) return;
    touched.directories.add(parentOf(exit));
    touched.goners.add(exit);
  } catch (error) {
    // It stays a copy then: the conflict is still due, and will use it.
    if (!(error instanceof DiskError)) throw error;
  }
}

/** Folders that our removals left empty go too, innermost first; the root stays. */
async function removeEmptied(context: ApplyContext, works: readonly Work[]): Promise<void> {
  const folders = new Set(
    works.filter((work) => work.step.kind === "remove" && work.result === null).flatMap((work) => foldersAbove(work.diskPath)),
  );
  for (const folder of [...folders].toSorted((a, b) => b.length - a.length)) {
    try {
      await context.disk.rmdir(`${context.root}/${folder}`);
    } catch (error) {
      // Not empty, gone already, or not ours to remove: an empty folder is nothing that could be lost or synced.
      if (!(error instanceof DiskError)) throw error;
    }
  }
}

/** Reads back what was kept, under its true hash, and tells what stands there now. */
async function results(context: ApplyContext, works: readonly Work[]): Promise<readonly ApplyResult[]> {
  const held = works.flatMap((work) => (work.held === null ? [] : [work.held]));
  const versions = await context.versions.file(held);
  const keptOf = new Map(held.map((one, index) => [one, versions[index] ?? one.version]));
  return await forAll(works, async (work): Promise<ApplyResult> => {
    if (work.result !== null) return work.result;
    const kept = work.held === null ? null : (keptOf.get(work.held) ?? null);
    return { kind: "done", entry: await putEntry(context, work), copy: await copyEntry(context, work), kept };
  });
}

/** What we put, with the ctime that our own renames and links left. Moved on already ⇒ the entry fits nothing on disk and is looked at. */
async function putEntry(context: ApplyContext, work: Work): Promise<Entry | null> {
  const { step, staged } = work;
  if (step.kind === "remove") return null;
  if (staged === null) throw new Error(`apply: ${step.path} was put without a staged file`);
  const now = await context.disk.lstat(`${context.root}/${work.diskPath}`, true);
  const ours = now !== null && isSameFile(now, staged, false);
  return entryOf(step.path, work.diskPath, ours ? now : staged, step.sha1, context.clock.wallMs());
}

async function copyEntry(context: ApplyContext, work: Work): Promise<Entry | null> {
  const { step } = work;
  if (step.kind === "remove" || step.copyTo === null || step.expect === null || !work.copyMade) return null;
  const stat = await context.disk.lstat(`${context.root}/${step.copyTo}`);
  if (stat === null) return null;
  const entry = entryOf(step.copyTo, step.copyTo, stat, step.expect.sha1, context.clock.wallMs());
  // Written to since the plan: the next look must not take the cache's word for it.
  return isSameFile(stat, { ...step.expect, fileId: stat.fileId }, false) ? entry : { ...entry, racy: true };
}
