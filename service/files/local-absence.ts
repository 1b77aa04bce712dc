/** The evidence for a disappearance (N2): listings are read once per round and shared by all paths that are asked about. */
import type { DiskFault } from "../core/ports.ts";
import { DiskError } from "../core/ports.ts";
import { foldersAbove, OWN_DIRECTORY } from "./apply-context.ts";
import { lookOrFault, type LookContext } from "./local-look.ts";

type FolderState = "folder" | "symlink" | "missing";
type Listing = { readonly names: ReadonlySet<string> } | { readonly fault: DiskFault };

export class Absence {
  readonly #context: LookContext;
  readonly #identity: { readonly dev: number; readonly fileId: number } | null;
  readonly #folders = new Map<string, FolderState>();
  readonly #listings = new Map<string, Listing>();
  #rootIsRoot: boolean | null = null;

  /** `identity`: what the root was when it was last checked. */
  constructor(context: LookContext, identity: { readonly dev: number; readonly fileId: number } | null) {
    this.#context = context;
    this.#identity = identity;
  }

  /** What the way to the path is like: a symlink anywhere in it spoils every look (CT10). */
  async folderAbove(diskPath: string): Promise<FolderState> {
    for (const folder of foldersAbove(diskPath)) {
      const state = await this.#stateOf(folder);
      if (state !== "folder") return state;
    }
    return "folder";
  }

  /** `gone` is proven; `folder`: gone, and a folder stands in its place; a fault says why it can't be; `unsure`: look again after another window. */
  async conclude(diskPath: string): Promise<"gone" | "folder" | "unsure" | DiskFault> {
    if (!(await this.#isRoot())) return "unsure";
    const parts = diskPath.split("/");
    for (const [index, part] of parts.entries()) {
      const folder = parts.slice(0, index).join("/");
      const listing = await this.#list(folder);
      if ("fault" in listing) return listing.fault === "notFound" ? "unsure" : listing.fault;
      if (!listing.names.has(part)) return "gone";
      const at = parts.slice(0, index + 1).join("/");
      const { stat, fault } = await lookOrFault(this.#context, at);
      if (fault !== null) return fault;
      if (index === parts.length - 1) return stat?.kind === "directory" ? "folder" : "unsure";
      if (stat?.kind === "symlink") return "symlink";
      // A file took the folder's place: what was in the folder is gone.
      if (stat !== null && stat.kind !== "directory") return "gone";
    }
    return "unsure";
  }

  /** An unmounted disk lists nothing, completely: only the marker and the identity tell it from an emptied folder. */
  async #isRoot(): Promise<boolean> {
    if (this.#rootIsRoot === null) {
      const { stat } = await lookOrFault(this.#context, "");
      const marker = await lookOrFault(this.#context, OWN_DIRECTORY);
      const same = this.#identity === null || (this.#identity.dev === stat?.dev && this.#identity.fileId === stat.fileId);
      this.#rootIsRoot = stat?.kind === "directory" && same && marker.stat?.kind === "directory";
    }
    return this.#rootIsRoot;
  }

  async #stateOf(folder: string): Promise<FolderState> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const { stat } = await lookOrFault(this.#context, folder);
    const state = stat?.kind === "directory" ? "folder" : stat?.kind === "symlink" ? "symlink" : "missing";
    this.#folders.set(folder, state);
    return state;
  }

  async #list(folder: string): Promise<Listing> {
    const known = this.#listings.get(folder);
    if (known !== undefined) return known;
    const { disk, root } = this.#context;
    let listing: Listing;
    try {
      listing = { names: new Set(await disk.list(folder === "" ? root : `${root}/${folder}`)) };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      listing = { fault: error.fault };
    }
    this.#listings.set(folder, listing);
    return listing;
  }
}
