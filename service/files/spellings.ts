/** On a disk that folds names: which spellings stand. Each directory is listed once for all that ask together (FN10, FN11). */
import { foldKey } from "../core/case-folding.ts";
import type { Disk } from "../core/ports.ts";
import { isFault } from "./disk-steps.ts";
import type { DiskCaps } from "./apply-context.ts";

export class Spellings {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #folds: boolean;
  /** Folder → folded name → the spelling that stands. */
  readonly #listings = new Map<string, Promise<Map<string, string>>>();

  constructor(context: { readonly disk: Disk; readonly root: string; readonly caps: DiskCaps }) {
    this.#disk = context.disk;
    this.#root = context.root;
    this.#folds = context.caps.foldsCase || context.caps.foldsNormalization;
  }

  /** The other spelling that stands at this name, or null where the very name stands, or nothing does. @throws DiskError */
  async other(diskPath: string): Promise<string | null> {
    if (!this.#folds) return null;
    const { folder, name } = parts(diskPath);
    const standing = (await this.#in(folder)).get(foldKey(name));
    return standing === undefined || standing === name || standing.normalize("NFC") === name ? null : standing;
  }

  /** As `other`; where it is null, the name counts as taken from now on. */
  async claim(diskPath: string): Promise<string | null> {
    const other = await this.other(diskPath);
    if (other !== null || !this.#folds) return other;
    const { folder, name } = parts(diskPath);
    const names = await this.#in(folder);
    // Somebody asked at the same time and was first.
    const now = names.get(foldKey(name));
    if (now !== undefined && now.normalize("NFC") !== name.normalize("NFC")) return now;
    names.set(foldKey(name), name);
    return null;
  }

  async #in(folder: string): Promise<Map<string, string>> {
    let listing = this.#listings.get(folder);
    if (listing === undefined) this.#listings.set(folder, (listing = this.#list(folder)));
    return await listing;
  }

  async #list(folder: string): Promise<Map<string, string>> {
    try {
      const names = await this.#disk.list(folder === "" ? this.#root : `${this.#root}/${folder}`);
      return new Map(names.map((name) => [foldKey(name), name]));
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
