/**
 * Which path a name on disk stands for. The two differ where a disk writes names in another normal form (FN09), and where one that folds names
 * holds a twin under a stand-in name (FN10).
 */
import { foldKey } from "../core/case-folding.ts";
import type { Stat } from "../core/model.ts";
import type { DiskFault } from "../core/ports.ts";
import { standsFor } from "../core/twin-names.ts";
import type { Absence } from "./local-absence.ts";
import { lookOrFault, mayStandIn, ownerOf, type LookContext } from "./local-look.ts";
import { Spellings } from "./spellings.ts";

/** Only such names have other spellings. */
// oxlint-disable-next-line no-control-regex -- the range is meant
const NOT_ASCII = /[^\u0000-\u007f]/;

/** What stands under a name; both null: nothing does. */
export type Seen = { readonly stat: Stat | null; readonly fault: DiskFault | null };

export class DiskNames {
  /** Two names of one folder may be one file. */
  readonly folds: boolean;
  readonly #context: LookContext;
  /** Name on disk, composed → path, where it is more than a spelling. */
  readonly #standIns = new Map<string, string>();

  constructor(context: LookContext) {
    this.#context = context;
    this.folds = context.caps.foldsCase || context.caps.foldsNormalization;
  }

  /** The path that a name on disk stands for. */
  pathOf(diskPath: string): string {
    const path = NOT_ASCII.test(diskPath) ? diskPath.normalize("NFC") : diskPath;
    return this.#standIns.size === 0 ? path : (this.#standIns.get(path) ?? path);
  }

  /** The rows are read anew: `remember` tells what they say. */
  forgetAll(): void {
    this.#standIns.clear();
  }

  /** A row says that this name on disk stands for this path. */
  remember(diskPath: string, path: string): void {
    const name = diskPath.normalize("NFC");
    if (name !== path) this.#standIns.set(name, path);
  }

  /** Finds out whose a stand-in name is; from then on `pathOf` knows. @throws DiskError */
  async resolve(diskPath: string, stat: Stat, spellings: Spellings): Promise<void> {
    const name = diskPath.normalize("NFC");
    const owner = await ownerOf(this.#context, diskPath, stat, spellings);
    if (owner === name) this.#standIns.delete(name);
    else this.#standIns.set(name, owner);
  }

  /** What stood there may have been put since the last scan. */
  recall(diskPath: string): void {
    const name = diskPath.normalize("NFC");
    const real = standsFor(name, this.#context.sha1);
    if (real !== null && this.#context.entries.get(real)?.diskPath?.normalize("NFC") === name) this.#standIns.set(name, real);
  }

  /** One round of looks at `dirty` names on disk: each folder is listed once at most. */
  beginLook(absence: Absence, dirty: Iterable<string>): NamesLook {
    return new NamesLook(this, this.#context, absence, this.folds ? doublesOf(dirty) : new Set());
  }
}

/** Looks where neither a symlinked folder nor a disk that folds names can deceive. */
export class NamesLook {
  readonly #names: DiskNames;
  readonly #context: LookContext;
  readonly #absence: Absence;
  readonly #doubles: ReadonlySet<string>;
  readonly #spellings: Spellings;

  constructor(names: DiskNames, context: LookContext, absence: Absence, doubles: ReadonlySet<string>) {
    this.#names = names;
    this.#context = context;
    this.#absence = absence;
    this.#doubles = doubles;
    this.#spellings = new Spellings(context);
  }

  /** From then on `pathOf` knows whose the name is. `wasAway`: the last look found nothing there. @throws DiskError when it can't be told which name stands */
  async at(diskPath: string, wasAway: boolean): Promise<Seen> {
    const seen = await this.#statOf(diskPath, wasAway);
    if (!mayStandIn(this.#context, diskPath)) return seen;
    if (seen.stat === null) this.#names.recall(diskPath);
    else await this.#names.resolve(diskPath, seen.stat, this.#spellings);
    return seen;
  }

  async #statOf(diskPath: string, wasAway: boolean): Promise<Seen> {
    if ((await this.#absence.folderAbove(diskPath)) === "symlink") return { stat: null, fault: "symlink" };
    const seen = await lookOrFault(this.#context, diskPath);
    if (!this.#names.folds || seen.stat === null) return seen;
    const doubtful = wasAway || this.#doubles.has(foldKey(diskPath)) || this.#isDoubtful(diskPath, seen.stat);
    // Asked for `a.jpg`, such a disk shows `A.jpg`: only the listing tells which name stands (FN11).
    return doubtful && (await this.#spellings.other(diskPath)) !== null ? { stat: null, fault: null } : seen;
  }

  /** What stands there may bear another spelling: all but a plain edit of a file whose name nothing else comes near. */
  #isDoubtful(diskPath: string, stat: Stat): boolean {
    const path = this.#names.pathOf(diskPath);
    const { entries } = this.#context;
    const entry = entries.get(path);
    if (entry === undefined || (entry.diskPath ?? path) !== diskPath || entry.fileId !== stat.fileId) return true;
    if (entry.mtimeNs === stat.mtimeNs && entry.ctimeNs !== stat.ctimeNs) return true;
    return entries.twinOf(path, foldKey(path)) !== undefined;
  }
}

/** Folded names that more than one of these has. */
function doublesOf(diskPaths: Iterable<string>): ReadonlySet<string> {
  const [seen, doubles] = [new Set<string>(), new Set<string>()];
  for (const diskPath of diskPaths) {
    const key = foldKey(diskPath);
    (seen.has(key) ? doubles : seen).add(key);
  }
  return doubles;
}
