/** On a disk that folds names: which spellings stand. Each directory is listed once for all that ask together (FN10, FN11). */
import { foldKey } from "../core/case-folding.ts";
import type { Disk } from "../core/ports.ts";
import { isFault } from "./disk-steps.ts";
import type { DiskCaps } from "./apply-context.ts";

type Names = Map<string, string[]>;

export class Spellings {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #folds: boolean;
  /** Folder → folded name → the spellings that stand. */
  readonly #listings = new Map<string, Promise<Names>>();

  constructor(context: { readonly disk: Disk; readonly root: string; readonly caps: DiskCaps }) {
    this.#disk = context.disk;
    this.#root = context.root;
    this.#folds = context.caps.foldsCase || context.caps.foldsNormalization;
  }

  /** The other spelling that stands at this name, or null where the very name stands, or nothing does. @throws DiskError */
  async other(diskPath: string): Promise<string | null> {
    if (!this.#folds) return null;
    const { folder, name } = parts(diskPath);
    const standing = (await this.#in(folder)).get(foldKey(name)) ?? [];
    return standing.some((one) => one === name || one.normalize("NFC") === name) ? null : (standing[0] ?? null);
  }

  /** As `other`; where it is null, the name counts as taken from now on. @throws DiskError */
  async claim(diskPath: string): Promise<string | null> {
    const other = await this.other(diskPath);
    if (other !== null || !this.#folds) return other;
    const { folder, name } = parts(diskPath);
    const names = await this.#in(folder);
    // From here on without a pause: another step of the batch may ask for the same name.
    const standing = names.get(foldKey(name)) ?? [];
    const rival = standing.find((one) => one.normalize("NFC") !== name.normalize("NFC"));
    if (rival !== undefined) return rival;
    names.set(foldKey(name), [...standing, name]);
    return null;
  }

  async #in(folder: string): Promise<Names> {
    let listing = this.#listings.get(folder);
    if (listing === undefined) this.#listings.set(folder, (listing = this.#list(folder)));
    return await listing;
  }

  async #list(folder: string): Promise<Names> {
    try {
      const names = await this.#disk.list(folder === "" ? this.#root : `${this.#root}/${folder}`);
      return Map.groupBy(names, foldKey);
    } catch (error) {
      if (isFault(error, "notFound", "notDirectory")) return new Map();
      throw error;
    }
  }
}

function parts(diskPath: string): { folder: string; name: string } {
  const slash = diskPath.lastIndexOf("/");
  return { folder: slash < 0 ? "" : diskPath.slice(0, slash), name: diskPath.slice(slash + 1) };
}
