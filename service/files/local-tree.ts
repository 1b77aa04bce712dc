/** What is dirty, until it has settled and was looked at. One per folder, in memory only: a scan finds again what a restart forgets. */
import { foldKey } from "../core/case-folding.ts";
import type { LocalTree, Observation, RootState } from "../core/local.ts";
import type { Entry, Stat } from "../core/model.ts";
import { DiskError } from "../core/ports.ts";
import { OWN_DIRECTORY } from "./apply-context.ts";
import { DiskNames, type NamesLook, type Seen } from "./disk-names.ts";
import { isSameFile } from "./disk-steps.ts";
import { everyFound } from "./every-found.ts";
import { Absence } from "./local-absence.ts";
import { scanTree, type ScanState } from "./local-scan.ts";
import {
  classify,
  isCached,
  isOwn,
  isTwin,
  lookOrFault,
  readAll,
  refused,
  twinProblem,
  type LookContext,
  type Read,
  type ToRead,
} from "./local-look.ts";
import { dueMs, judge, lastAbsenceMs, newDirty, type Dirty } from "./settle.ts";

/** No write to a path that vanished or re-appeared this lately: an editor is at work (RELIABILITY 3.8). */
const RESTLESS_MS = 4_000;
/** After a passing refusal (locked, too many open files). */
const LATER_MS = 2_000;
/** FAT's clock: a racy file is read again when its tick is over. */
const RACY_MS = 2_000;
/** Paths hashed together when events come in thousands. */
const READ_MAX = 2_000;
const IGNORE_FILE = `${OWN_DIRECTORY}ignore`;

/** @see LookContext for the options. */
export function openLocalTree(options: LookContext): LocalTree {
  return new Tree(options);
}

class Tree implements LocalTree, ScanState {
  readonly context: LookContext;
  readonly dirty = new Map<string, Dirty>();
  readonly troubled = new Set<string>();
  readonly folders = new Set<string>();
  readonly names: DiskNames;
  readonly #restless = new Map<string, number>();
  #scanDue = true;
  #identity: { readonly dev: number; readonly fileId: number } | null = null;

  constructor(context: LookContext) {
    this.context = context;
    this.names = new DiskNames(context);
  }

  hint(diskPath: string | null, agoMs?: number): void {
    // Other rules may bring in, or leave alone, any path.
    if (diskPath === null || diskPath === IGNORE_FILE) this.#scanDue = true;
    else if (!isOwn(diskPath)) this.#mark(diskPath, agoMs);
  }

  dirtyCount(): number {
    return this.dirty.size;
  }

  needsScan(): boolean {
    return this.#scanDue;
  }

  settlesAtMs(): number | null {
    let soonestMs: number | null = null;
    const lastAbsence = lastAbsenceMs(this.dirty.values());
    for (const dirty of this.dirty.values()) soonestMs = Math.min(soonestMs ?? Infinity, dueMs(dirty, lastAbsence));
    return soonestMs;
  }

  isRestless(path: string): boolean {
    const atMs = this.#restless.get(path);
    if (atMs === undefined) return false;
    if (this.context.clock.monoMs() - atMs < RESTLESS_MS) return true;
    this.#restless.delete(path);
    return false;
  }

  async checkRoot(options: { readonly makeMarker: boolean }): Promise<RootState> {
    const { disk, root } = this.context;
    const { stat, fault } = await lookOrFault(this.context, "");
    if (fault !== null) return "unreadable";
    if (stat?.kind !== "directory") return "missing";
    const known = this.#identity;
    if (known !== null && (known.dev !== stat.dev || known.fileId !== stat.fileId) && !options.makeMarker) return "replaced";
    const marker = `${root}/${OWN_DIRECTORY}`;
    const own = await lookOrFault(this.context, OWN_DIRECTORY);
    // A folder that may not be entered hides its marker: that says nothing about whether the marker is there (N2).
    if (own.fault !== null) return "unreadable";
    if (own.stat?.kind !== "directory") {
      if (!options.makeMarker) return "markerGone";
      await disk.mkdir(marker, 0o700);
      await disk.fsyncDir(root);
    }
    this.#identity = { dev: stat.dev, fileId: stat.fileId };
    return "ok";
  }

  async allStand(paths: Iterable<string>): Promise<boolean> {
    // Collected first: the rows may not be read while others are written.
    const wanted = Array.from(paths);
    for (const path of wanted) {
      const { stat } = await lookOrFault(this.context, this.context.entries.get(path)?.diskPath ?? path);
      if (stat === null) return false;
    }
    return true;
  }

  async *observeAll(options: { readonly rehash: boolean }, signal: AbortSignal): AsyncGenerator<readonly Observation[]> {
    // A hint for a scan that comes while this one runs asks for another.
    this.#scanDue = false;
    let finished = false;
    try {
      yield* scanTree(this, options, signal);
      finished = true;
    } finally {
      if (!finished) this.#scanDue = true;
    }
  }

  async observeDirty(signal: AbortSignal): Promise<readonly Observation[]> {
    const nowMs = this.context.clock.monoMs();
    const lastAbsence = lastAbsenceMs(this.dirty.values());
    const due = [...this.dirty].filter(([, dirty]) => dueMs(dirty, lastAbsence) <= nowMs);
    if (due.length === 0) return [];
    const absence = new Absence(this.context, this.#identity);
    const look = this.names.beginLook(absence, this.dirty.keys());
    const observations: Observation[] = [];
    const reads: ToRead[] = [];
    const gone: string[] = [];
    for (const [diskPath, dirty] of due) {
      signal.throwIfAborted();
      const found = await this.#look(diskPath, dirty, look);
      if (found === "gone") gone.push(diskPath);
      else if (found === null) continue;
      else if ("kind" in found) observations.push(this.note(found));
      else reads.push(found);
    }
    for (let at = 0; at < reads.length; at += READ_MAX) {
      for (const read of await readAll(this.context, reads.slice(at, at + READ_MAX), signal)) {
        const observation = this.settle(read);
        if (observation !== null) observations.push(observation);
      }
    }
    // A path that was just read under another spelling is not gone, whatever became of this one.
    const standing = new Set(observations.flatMap((one) => ("entry" in one ? [one.entry.path] : [])));
    for (const diskPath of gone)
      if (!standing.has(this.names.pathOf(diskPath))) observations.push(...(await this.#conclude(diskPath, absence)));
    return observations;
  }

  /** Remembers what an observation means for later ones. */
  note(observation: Observation): Observation {
    if (observation.kind === "problem") this.troubled.add(observation.path);
    else {
      const path = observation.kind === "gone" ? observation.path : observation.entry.path;
      this.troubled.delete(path);
    }
    return observation;
  }

  /** After hashing: an observation, or the path stays dirty. */
  settle(read: Read): Observation | null {
    const { item, observation, again } = read;
    const nowMs = this.context.clock.monoMs();
    const dirty = this.dirty.get(item.diskPath);
    const news = observation === null || this.#isNoNews(observation) ? null : this.note(observation);
    if (again === null) {
      // An event that came while it was read asks for another look.
      if (dirty !== undefined && dirty.seen !== undefined) this.dirty.delete(item.diskPath);
      return news;
    }
    const next = dirty ?? newDirty(nowMs);
    this.dirty.set(item.diskPath, next);
    next.movedMs = again === "later" ? nowMs + LATER_MS : again === "racy" ? nowMs + RACY_MS : nowMs;
    if (again === "absent") this.vanished(item.path, item.diskPath);
    if (again === "racy") next.firstMs = nowMs;
    if (again === "moved" && nowMs - next.firstMs > 30_000) {
      next.firstMs = nowMs;
      const detail = `${item.path} has been changing for half a minute, so it can't be read whole. It is synced when it rests.`;
      return this.note({ kind: "problem", path: item.path, reason: "unsettled", detail });
    }
    return news;
  }

  /** A known path is not there: its window begins. */
  vanished(path: string, diskPath: string): void {
    const nowMs = this.context.clock.monoMs();
    const dirty = this.dirty.get(diskPath) ?? newDirty(nowMs);
    this.dirty.set(diskPath, dirty);
    if (dirty.absentMs !== null) return;
    dirty.seen = null;
    dirty.absentMs = nowMs;
    this.#restless.set(path, nowMs);
  }

  /** Read again and found as recorded: a row written for it would be work for nothing, 100 000 times a day. */
  #isNoNews(observation: Observation): boolean {
    if (observation.kind !== "touched" || this.troubled.has(observation.entry.path)) return false;
    const { entry } = observation;
    const known = this.context.entries.get(entry.path);
    return known !== undefined && known.racy === entry.racy && isSameFile(asStat(entry), known, true) && known.diskPath === entry.diskPath;
  }

  #mark(diskPath: string, agoMs = 0): void {
    const nowMs = this.context.clock.monoMs();
    const dirty = this.dirty.get(diskPath);
    if (dirty === undefined) this.dirty.set(diskPath, newDirty(nowMs, agoMs));
    else {
      dirty.movedMs = Math.max(dirty.movedMs, nowMs - agoMs);
      // What an earlier look saw is old news; an absence keeps its start until a look finds the file again.
      if (dirty.absentMs === null) dirty.seen = undefined;
    }
  }

  /** One due path: null when there is nothing to say (yet). */
  async #look(diskPath: string, dirty: Dirty, look: NamesLook): Promise<Observation | ToRead | "gone" | null> {
    const { clock } = this.context;
    const wasAway = dirty.absentMs !== null;
    let seen: Seen;
    try {
      seen = await look.at(diskPath, wasAway);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // Which name stands can't be told now: nothing is concluded. A scan says what keeps the folder from being listed.
      dirty.movedMs = clock.monoMs() + LATER_MS;
      return null;
    }
    const { stat: found, fault } = seen;
    const path = this.names.pathOf(diskPath);
    const entry = this.#ownerOf(path, diskPath, found);
    // A folder in a file's place: the file is away, for as long as any other before it counts as gone.
    const stat = found?.kind === "directory" && (entry?.diskPath ?? entry?.path) === diskPath ? null : found;
    if (fault !== null) {
      this.dirty.delete(diskPath);
      // Behind a symlink stands nothing of ours, unless something stood there before.
      return fault === "symlink" && entry === undefined && !this.troubled.has(diskPath) ? null : refused(path, fault);
    }
    if (stat === null && entry === undefined && !this.troubled.has(diskPath)) return this.#forget(diskPath);
    if (stat?.kind === "directory" && entry === undefined) return await this.#enter(diskPath);
    const verdict = judge(dirty, stat, clock.monoMs(), clock.wallMs());
    if (wasAway !== (stat === null)) this.#restless.set(path, clock.monoMs());
    if (verdict === "wait") return null;
    if (verdict === "gone" || stat === null) return "gone";
    return await this.#settled(path, diskPath, stat, entry);
  }

  async #settled(path: string, diskPath: string, stat: Stat, entry: Entry | undefined): Promise<Observation | ToRead | null> {
    const { context } = this;
    if (context.ignored(diskPath, stat.kind === "directory")) {
      this.dirty.delete(diskPath);
      return null;
    }
    if (isCached(entry, diskPath, stat)) {
      this.dirty.delete(diskPath);
      return this.troubled.has(path) ? { kind: "touched", entry } : null;
    }
    if (await isTwin(context, path, diskPath, stat)) {
      this.dirty.delete(diskPath);
      return twinProblem(path, diskPath);
    }
    // A name that is new here may be the new spelling of one that is recorded.
    const twin = this.names.folds && entry === undefined ? context.entries.twinOf(path, foldKey(path)) : undefined;
    if (twin !== undefined) this.#mark(twin.diskPath ?? twin.path);
    const look = classify(context, path, stat);
    if (look.kind === "read") return { path, diskPath, stat };
    this.dirty.delete(diskPath);
    return look.kind === "problem" ? { ...look, path } : null;
  }

  /** The entry that this very name on disk stands for. Another spelling's absence says nothing of the file (FN09). */
  #ownerOf(path: string, diskPath: string, stat: Stat | null): Entry | undefined {
    const entry = this.context.entries.get(path);
    if (entry === undefined || stat !== null || (entry.diskPath ?? entry.path) === diskPath) return entry;
    this.#mark(entry.diskPath ?? entry.path);
    return undefined;
  }

  /** Nothing is there, and nothing was: an editor's temporary file, or a folder. A folder's files are looked for, each by itself. */
  #forget(diskPath: string): null {
    this.dirty.delete(diskPath);
    if (!this.folders.delete(diskPath)) return null;
    for (const entry of this.#entriesBelow(diskPath)) this.vanished(entry.path, entry.diskPath ?? entry.path);
    for (const path of this.troubled) if (path.startsWith(`${diskPath}/`)) this.#mark(path);
    return null;
  }

  #entriesBelow(diskPath: string): readonly Entry[] {
    const below: Entry[] = [];
    for (const entry of this.context.entries.all()) if ((entry.diskPath ?? entry.path).startsWith(`${diskPath}/`)) below.push(entry);
    return below;
  }

  /** A folder that came: the events of what it brought along may have been lost on the way. */
  async #enter(diskPath: string): Promise<Observation | null> {
    this.dirty.delete(diskPath);
    const { context } = this;
    if (context.ignored(diskPath, true)) return null;
    // Known by this name already: it may be another folder, so what it held is looked for as well.
    if (this.folders.has(diskPath)) for (const entry of this.#entriesBelow(diskPath)) this.#mark(entry.diskPath ?? entry.path);
    this.folders.add(diskPath);
    const below = (path: string): string => `${diskPath}/${path}`;
    const skip = (path: string, directory: boolean): boolean => isOwn(path) || (directory && context.ignored(below(path), true));
    try {
      for await (const batch of context.disk.walk(`${context.root}/${diskPath}`, skip, new AbortController().signal)) {
        for (const { diskPath: path, validUnicode } of everyFound(batch)) {
          if (validUnicode) this.#mark(below(path));
          else this.#scanDue = true;
        }
        if (batch.unlisted.length > 0) this.#scanDue = true;
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.folders.delete(diskPath);
      return error.fault === "notFound" ? null : refused(diskPath.normalize("NFC"), error.fault);
    }
    // It could be listed, so what was said of the folder itself is over.
    const path = diskPath.normalize("NFC");
    return this.troubled.has(path) ? { kind: "gone", path } : null;
  }

  /** Gone only when the root is the root, the directory was listed to its end, and the name is not in it (N2). */
  async #conclude(diskPath: string, absence: Absence): Promise<readonly Observation[]> {
    const entry = this.#ownerOf(this.names.pathOf(diskPath), diskPath, null);
    const path = entry?.path ?? diskPath;
    const verdict = await absence.conclude(diskPath);
    if (verdict === "unsure") {
      const dirty = this.dirty.get(diskPath);
      if (dirty !== undefined) dirty.absentMs = this.context.clock.monoMs();
      return [];
    }
    this.dirty.delete(diskPath);
    // What the folder brought along is looked for when the file's row has gone.
    if (verdict === "folder") this.#mark(diskPath);
    if (verdict === "gone" || verdict === "folder") {
      // A file that the rules leave alone is deleted nowhere; its old problem goes all the same.
      return entry !== undefined && this.context.ignored(diskPath, false) ? [] : [this.note({ kind: "gone", path })];
    }
    return [this.note(refused(path, verdict))];
  }
}

function asStat(entry: Entry): Stat {
  return { ...entry, kind: "file", dev: 0 };
}
