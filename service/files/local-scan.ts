/** The whole look: every path on disk against every entry. Hashing goes on while the walk does; batches may be committed one by one. */
import type { Observation } from "../core/local.ts";
import type { Stat } from "../core/model.ts";
import { DiskError, PACK_NUMBERS, type DiskFault, type WalkFound, type WalkPack } from "../core/ports.ts";
import { foldersAbove, parentOf } from "./apply-context.ts";
import type { DiskNames } from "./disk-names.ts";
import { EarlyWalk } from "./early-walk.ts";
import { KnownFiles } from "./known-files.ts";
import {
  classify,
  isCached,
  isOwn,
  isTwin,
  mayStandIn,
  readAll,
  refused,
  twinProblem,
  type LookContext,
  type Read,
  type ToRead,
} from "./local-look.ts";
import { isOld, newDirty, type Dirty } from "./settle.ts";
import { Spellings } from "./spellings.ts";

/** One batch: so much is hashed, committed and forgotten together. */
const BATCH_FILES = 2_000;
const BATCH_BYTES = 64 * 1024 * 1024;
/** Batches being hashed while the walk goes on. */
const BATCHES_AHEAD = 2;
/** Entries are read in slices of this long and a page more, so that nobody waits. */
const SLICE_MS = 2;

/** What the scan shares with the tree. */
export interface ScanState {
  readonly context: LookContext;
  readonly dirty: Map<string, Dirty>;
  /** Paths with a problem. */
  readonly troubled: Set<string>;
  /** Directories seen. */
  readonly folders: Set<string>;
  readonly names: DiskNames;
  note(observation: Observation): Observation;
  settle(read: Read): Observation | null;
  vanished(path: string, diskPath: string): void;
}

/** @throws DiskError when the root can't be listed. */
export async function* scanTree(
  state: ScanState,
  options: { readonly rehash: boolean },
  signal: AbortSignal,
): AsyncGenerator<readonly Observation[]> {
  const { context } = state;
  const ahead: Promise<Settled>[] = [];
  const skip = (diskPath: string, directory: boolean): boolean => isOwn(diskPath) || (directory && context.ignored(diskPath, true));
  // A worker lists already while the table is read here.
  const walk = new EarlyWalk(context.disk.walk(context.root, skip, signal));
  const scan = new Scan(state, options.rehash, await loadKnown(state, walk));
  let untilMs = context.clock.monoMs() + SLICE_MS;
  try {
    for await (const batch of walk.batches()) {
      for (const found of batch.found) if (!scan.isUnchanged(found) && !scan.lookNow(found)) await lookAt(scan, state, found);
      for (const pack of batch.packs ?? []) {
        scan.enterFolderOf(pack);
        for (let index = 0; index < pack.diskPaths.length; index++) {
          if (scan.isUnchangedIn(pack, index)) continue;
          const found = pack.found(index);
          if (!scan.lookNow(found)) await lookAt(scan, state, found);
        }
      }
      for (const { diskPath, fault } of batch.unlisted) scan.blocked(diskPath, fault);
      for (const items of scan.fullBatches()) ahead.push(settled(readAll(context, items, signal)));
      while (ahead.length > BATCHES_AHEAD) yield await finish(state, ahead.shift());
      if (scan.observations.length >= BATCH_FILES) yield scan.takeObservations();
      if (context.clock.monoMs() < untilMs) continue;
      // What came while the table was read waits in a row.
      await context.clock.sleep(0);
      untilMs = context.clock.monoMs() + SLICE_MS;
    }
    await lookAtStandIns(scan, state);
    for (const items of scan.lastBatches()) ahead.push(settled(readAll(context, items, signal)));
    while (ahead.length > 0) yield await finish(state, ahead.shift());
  } finally {
    // An aborted scan leaves no hashing behind its back.
    await Promise.all(ahead);
  }
  scan.lookForAbsent();
  if (scan.observations.length > 0) yield scan.takeObservations();
}

/** Last of all: what a crash left under both of its names is then recorded under the one that has to go. */
async function lookAtStandIns(scan: Scan, state: ScanState): Promise<void> {
  const spellings = new Spellings(state.context);
  for (const found of scan.standIns) {
    try {
      if (found.stat !== null) await state.names.resolve(found.diskPath, found.stat, spellings);
      await lookAt(scan, state, found);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      scan.blocked(parentOf(found.diskPath), error.fault);
    }
  }
}

async function lookAt(scan: Scan, state: ScanState, found: WalkFound): Promise<void> {
  const { context } = state;
  if (found.validUnicode && mayStandIn(context, found.diskPath) && !scan.standIns.has(found)) {
    scan.standIns.add(found);
    return;
  }
  const doubtful = scan.doubtful(found);
  if (doubtful === null || !(await isTwin(context, doubtful.path, found.diskPath, doubtful.stat))) scan.look(found);
  else scan.twin(doubtful.path, found.diskPath);
}

type Settled = { readonly reads: readonly Read[] } | { readonly error: unknown };

/** A rejection waits here until it is asked for: the walk may still be busy. */
async function settled(work: Promise<readonly Read[]>): Promise<Settled> {
  try {
    return { reads: await work };
  } catch (error) {
    return { error };
  }
}

async function finish(state: ScanState, next: Promise<Settled> | undefined): Promise<readonly Observation[]> {
  const result = (await next) ?? { reads: [] };
  if ("error" in result) throw result.error;
  const observations: Observation[] = [];
  for (const read of result.reads) {
    const observation = state.settle(read);
    if (observation !== null) observations.push(observation);
  }
  return observations;
}

/** The tree as recorded. Freed when the scan ends. */
async function loadKnown(state: ScanState, walk: Pick<EarlyWalk<unknown>, "stop">): Promise<KnownFiles> {
  try {
    return await readKnown(state);
  } catch (error) {
    await walk.stop();
    throw error;
  }
}

async function readKnown(state: ScanState): Promise<KnownFiles> {
  const { entries, clock, problems } = state.context;
  const known = new KnownFiles();
  state.names.forgetAll();
  // The worker that lists was started a moment ago, which takes a slice of its own.
  await clock.sleep(0);
  let untilMs = clock.monoMs() + SLICE_MS;
  for (const page of entries.fingerprints()) {
    known.add(page);
    for (const [index, diskPath] of page.diskPaths) state.names.remember(diskPath, page.paths[index] ?? "");
    if (clock.monoMs() < untilMs) continue;
    await clock.sleep(0);
    untilMs = clock.monoMs() + SLICE_MS;
  }
  for (const path of problems()) state.troubled.add(path);
  return known;
}

class Scan {
  readonly #state: ScanState;
  readonly #rehash: boolean;
  readonly #known: KnownFiles;
  /** Problem paths not met yet. */
  readonly #troubledLeft: Set<string>;
  /** Directories of which nothing is known, and why. */
  readonly #blocked = new Map<string, DiskFault>();
  /** Under a name that may stand in for another. */
  readonly standIns = new Set<WalkFound>();
  #reads: ToRead[] = [];
  #readBytes = 0;
  #full: ToRead[][] = [];
  #observations: Observation[] = [];
  #lastFolder = "/";
  /** The numbers of one file, used again and again. */
  readonly #one = new Float64Array(PACK_NUMBERS);

  constructor(state: ScanState, rehash: boolean, known: KnownFiles) {
    this.#state = state;
    this.#rehash = rehash;
    this.#known = known;
    this.#troubledLeft = new Set(state.troubled);
  }

  get observations(): readonly Observation[] {
    return this.#observations;
  }

  takeObservations(): readonly Observation[] {
    const taken = this.#observations;
    this.#observations = [];
    return taken;
  }

  fullBatches(): ToRead[][] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  lastBatches(): ToRead[][] {
    return [...this.fullBatches(), ...(this.#reads.length > 0 ? [this.#reads] : [])];
  }

  /** The common case, without a promise: 100 000 of these must pass in moments. */
  isUnchanged(found: WalkFound): boolean {
    const { diskPath, stat } = found;
    this.#enterFolderOf(diskPath);
    if (stat === null || !found.validUnicode || this.#rehash) return false;
    if (stat.kind !== "file") return false;
    const one = this.#one;
    one[0] = stat.sizeBytes;
    one[1] = stat.mtimeNs;
    one[2] = stat.ctimeNs;
    one[3] = stat.fileId;
    return this.#isKnown(diskPath, one, 0);
  }

  /** The same for one of a pack, without an object for it. */
  isUnchangedIn(pack: WalkPack, index: number): boolean {
    return !this.#rehash && this.#isKnown(pack.diskPaths[index] ?? "", pack.stats, index * PACK_NUMBERS);
  }

  /** All of a pack stand in one folder. */
  enterFolderOf({ diskPaths: [first] }: WalkPack): void {
    if (first !== undefined) this.#enterFolderOf(first);
  }

  #isKnown(diskPath: string, stats: Float64Array, at: number): boolean {
    const path = this.#state.names.pathOf(diskPath);
    if (this.#troubledLeft.size > 0 && this.#troubledLeft.has(path)) return false;
    if (!this.#known.isUnchanged(path, diskPath, stats, at)) return false;
    if (this.#state.dirty.size > 0) this.#state.dirty.delete(diskPath);
    return true;
  }

  /** Another spelling of a path: whether it is that path's file, the disk must be asked. */
  doubtful(found: WalkFound): { readonly path: string; readonly stat: Stat } | null {
    const { diskPath, stat } = found;
    if (stat === null || !found.validUnicode) return null;
    const path = this.#state.names.pathOf(diskPath);
    return path === diskPath || this.#state.context.ignored(diskPath, false) ? null : { path, stat };
  }

  /** The common case of what is new, without a promise. False: its name may have something behind it. */
  lookNow(found: WalkFound): boolean {
    const { context, names } = this.#state;
    const { diskPath } = found;
    if (!found.validUnicode || names.pathOf(diskPath) !== diskPath || mayStandIn(context, diskPath)) return false;
    this.look(found);
    return true;
  }

  twin(path: string, diskPath: string): void {
    this.#troubledLeft.delete(diskPath);
    this.#say(twinProblem(path, diskPath));
  }

  look(found: WalkFound): void {
    const state = this.#state;
    const { context } = state;
    const { diskPath, stat } = found;
    const path = state.names.pathOf(diskPath);
    if (context.ignored(diskPath, false)) return this.#met(path);
    this.#troubledLeft.delete(found.validUnicode ? path : diskPath);
    if (!found.validUnicode) {
      const detail = `${diskPath} has a name that is no valid UTF-8 (the bytes that can't be read are shown as \uFFFD). Rename it.`;
      return this.#say({ kind: "problem", path: diskPath, reason: "badName", detail });
    }
    // Met before under another name: then this is not what is recorded.
    const entry = this.#known.isMissing(path) ? context.entries.get(path) : undefined;
    this.#known.meet(path);
    if (stat === null) return this.#dirty(diskPath);
    if (stat.kind === "symlink") this.#blocked.set(diskPath, "symlink");
    if (isCached(entry, diskPath, stat) && !this.#rehash) return this.#say({ kind: "touched", entry });
    // One that may still be written is left to the settle window.
    if (!isOld(stat, context.clock.wallMs()) && !isCached(entry, diskPath, stat)) return this.#dirty(diskPath);
    const look = classify(context, path, stat);
    if (look.kind === "problem") this.#say({ ...look, path });
    else this.#read({ path, diskPath, stat, isNew: !this.#known.has(path) });
    const dirty = state.dirty.get(diskPath);
    if (look.kind === "problem") state.dirty.delete(diskPath);
    else if (dirty !== undefined) dirty.seen = stat;
  }

  /** A directory that could not be listed to its end. */
  blocked(diskPath: string, fault: DiskFault): void {
    const path = diskPath.normalize("NFC");
    this.#blocked.set(diskPath, fault);
    this.#troubledLeft.delete(path);
    // One that went away between its listing and its turn: its files are missed, and looked for, one by one.
    if (fault === "notFound" || fault === "notDirectory") this.#blocked.delete(diskPath);
    else this.#say(refused(path, fault));
  }

  /** What was not met: below a blocked directory a problem, ignored nothing, else the window of absence begins. */
  lookForAbsent(): void {
    const state = this.#state;
    const { context } = state;
    for (const { path, diskPath } of this.#known.missing()) {
      const fault = this.#faultAbove(diskPath);
      if (fault !== null) this.#say(refused(path, fault));
      else if (!isIgnored(context, diskPath)) state.vanished(path, diskPath);
    }
    for (const path of this.#troubledLeft) {
      if (this.#known.isMissing(path) || this.#faultAbove(path) !== null) continue;
      // A problem of a name that can't be asked for (bytes that are no UTF-8), or that is ignored now, is over when it is not met.
      if (path.includes("\uFFFD") || isIgnored(context, path)) this.#over(path);
      else state.vanished(path, path);
    }
  }

  #over(path: string): void {
    if (this.#state.context.entries.get(path) === undefined) this.#say({ kind: "gone", path });
  }

  #faultAbove(diskPath: string): DiskFault | null {
    if (this.#blocked.size === 0) return null;
    for (const folder of foldersAbove(diskPath)) {
      const fault = this.#blocked.get(folder);
      if (fault !== undefined) return fault;
    }
    return null;
  }

  #enterFolderOf(diskPath: string): void {
    const slash = diskPath.lastIndexOf("/");
    if (slash > 0 && (slash + 1 !== this.#lastFolder.length || !diskPath.startsWith(this.#lastFolder))) this.#enter(diskPath);
  }

  #enter(diskPath: string): void {
    for (const folder of foldersAbove(diskPath)) this.#state.folders.add(folder);
    this.#lastFolder = diskPath.slice(0, diskPath.lastIndexOf("/") + 1);
  }

  #met(path: string): void {
    this.#known.meet(path);
  }

  #say(observation: Observation): void {
    this.#observations.push(this.#state.note(observation));
  }

  #dirty(diskPath: string): void {
    const { dirty, context } = this.#state;
    if (!dirty.has(diskPath)) dirty.set(diskPath, newDirty(context.clock.monoMs()));
  }

  #read(item: ToRead): void {
    this.#reads.push(item);
    this.#readBytes += item.stat.sizeBytes;
    if (this.#reads.length < BATCH_FILES && this.#readBytes < BATCH_BYTES) return;
    this.#full.push(this.#reads);
    this.#reads = [];
    this.#readBytes = 0;
  }
}

function isIgnored(context: LookContext, diskPath: string): boolean {
  return context.ignored(diskPath, false) || foldersAbove(diskPath).some((folder) => context.ignored(folder, true));
}
