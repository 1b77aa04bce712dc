/**
 * A machine's file system: what every program sees, and beside it what would survive a power cut (RELIABILITY 3.3). Everything here happens
 * in one instant; `disk.ts` makes it a port whose calls take time and fail.
 */
import { foldKey } from "../../service/core/case-folding.ts";
import type { Stat } from "../../service/core/model.ts";
import { DiskError, type DiskFault } from "../../service/core/ports.ts";
import type { Rng } from "./rng.ts";

export type Node = {
  id: number;
  readonly kind: "file" | "directory" | "symlink" | "special";
  bytes: Uint8Array;
  /** What a power cut leaves of `bytes`; null: nothing was ever made durable. */
  synced: Uint8Array | null;
  /** An fsync failed: what is not durable now never will be, whatever later fsyncs say (rule 11). */
  pagesLost: boolean;
  mtimeNs: number;
  ctimeNs: number;
  mode: number;
  links: number;
  readonly children: Map<string, Node>;
  /** Directory entries that survive a power cut. */
  durable: Map<string, Node>;
};
/** One name given (node) or taken away (null); those of one `step` are one operation. */
type NameChange = { readonly step: number; readonly directory: Node; readonly name: string; readonly node: Node | null };

export type VolumeProfile = {
  /** `ordered`: ext4, names survive in order and any fsync takes all earlier ones along. `weak`: each name for itself, only by its directory's fsync. */
  readonly durability: "ordered" | "weak";
  /** Steps of the file times. Linux: a tick of 1 to 10 ms; FAT: 2 s. */
  readonly timeStepMs: number;
  /** The state directory is on another disk: no links or renames across. */
  readonly stateElsewhere: boolean;
  readonly noLinks: boolean;
  readonly names: NameRule;
};
/**
 * How names meet (FN09–FN12). `exact`: bytes, as on Linux. `case`: spellings that differ in case alone are one name, the first stays
 * (NTFS, ext4 with casefold). `all`: normalisation too, the last one stays (APFS). `nfd`: as `all`, and names are kept decomposed (HFS+).
 */
export type NameRule = "exact" | "case" | "all" | "nfd";

/** What the engine did to a name; `before`/`after`: what stood and stands there. */
export type Replaced = { readonly path: string; readonly before: Node | null; readonly after: Node | null; readonly op: string };

/** What a disk writes whole or not at all. */
const BLOCK_BYTES = 512;

export class Volume {
  readonly profile: VolumeProfile;
  readonly root: Node;
  /** Below this folder nothing can be seen or listed (its rights were taken away); null: all can. */
  denied: string | null = null;
  /** Told of any change at a path, the engine's own too: watchers. */
  readonly listeners = new Set<(path: string) => void>();
  readonly #wallMs: () => number;
  readonly #rng: Rng;
  #pending: NameChange[] = [];
  #step = 0;
  #nextId = 100;
  #freeIds: number[] = [];

  constructor(profile: VolumeProfile, rng: Rng, wallMs: () => number) {
    this.profile = profile;
    this.#rng = rng;
    this.#wallMs = wallMs;
    this.root = this.#make("directory", 0o755);
    this.root.links = 1;
  }

  /** null: nothing is there, or a part of the path is no directory. */
  find(path: string): Node | null {
    let at: Node | undefined = this.root;
    for (const name of partsOf(path)) {
      if (at?.kind !== "directory") return null;
      at = at.children.get(this.#standing(at, name));
    }
    return at ?? null;
  }

  /** The path as the disk spells it: where its names stand, as they stand there. */
  spell(path: string): string {
    let at: Node | undefined = this.root;
    let spelled = "";
    for (const part of partsOf(path)) {
      const name = at?.kind === "directory" ? this.#standing(at, part) : this.#stored(part);
      spelled += `/${name}`;
      at = at?.children.get(name);
    }
    return spelled;
  }

  /** One key for all spellings that are one name here. */
  keyOf(name: string): string {
    switch (this.profile.names) {
      case "exact":
        return name;
      case "case":
        // Composed and decomposed stay two names: only the case is folded.
        return name.toLowerCase();
      case "all":
      case "nfd":
        return foldKey(name);
    }
  }

  stat(node: Node, path: string): Stat {
    return {
      kind: node.kind,
      sizeBytes: node.kind === "directory" ? 4096 : node.bytes.length,
      mtimeNs: node.mtimeNs,
      ctimeNs: node.ctimeNs,
      fileId: node.id,
      dev: this.#device(path),
      links: node.links,
      mode: node.mode,
    };
  }

  /** A new file with nothing in it, in the folder that must be there. */
  makeFile(path: string, mode: number): Node {
    const { directory, name } = this.#place(path, "write");
    if (directory.children.has(name)) throw refuse("exists", "write", path);
    const node = this.#make("file", mode);
    this.#change([[directory, name, node]], [path]);
    return node;
  }

  /** Something that is no regular file (CT07, CT08). */
  makeOdd(path: string, kind: "symlink" | "special"): void {
    const { directory, name } = this.#place(path, "make");
    if (directory.children.has(name)) throw refuse("exists", "make", path);
    this.#change([[directory, name, this.#make(kind, 0o777)]], [path]);
  }

  write(node: Node, bytes: Uint8Array, path: string): void {
    node.bytes = bytes;
    this.#touch(node, true);
    this.#tell(path);
  }

  makeDirectory(path: string): void {
    let at = this.root;
    let walked = "";
    for (const part of partsOf(path)) {
      const name = this.#standing(at, part);
      walked += `/${name}`;
      const there = at.children.get(name);
      if (there !== undefined && there.kind !== "directory") throw refuse("notDirectory", "make the folder", path);
      const next = there ?? this.#make("directory", 0o755);
      if (there === undefined) this.#change([[at, name, next]], [walked]);
      at = next;
    }
  }

  removeDirectory(path: string): void {
    const { directory, name } = this.#place(path, "remove the folder");
    const node = directory.children.get(name);
    if (node === undefined) throw refuse("notFound", "remove the folder", path);
    if (node.kind !== "directory") throw refuse("notDirectory", "remove the folder", path);
    if (node.children.size > 0) throw refuse("notEmpty", "remove the folder", path);
    this.#change([[directory, name, null]], [path]);
  }

  link(from: string, to: string): Node {
    const node = this.find(from);
    if (node === null) throw refuse("notFound", "link", from);
    const { directory, name } = this.#place(to, "link");
    if (directory.children.has(name)) throw refuse("exists", "link", to);
    if (this.#device(from) !== this.#device(to)) throw refuse("crossDevice", "link", to);
    if (this.profile.noLinks || node.kind === "directory") throw refuse("notSupported", "link", to);
    this.#change([[directory, name, node]], [to]);
    this.#touch(node, false);
    return node;
  }

  /** Replaces a file that is there. */
  rename(from: string, to: string): void {
    const source = this.#place(from, "rename");
    const node = source.directory.children.get(source.name);
    if (node === undefined) throw refuse("notFound", "rename", from);
    const target = this.#place(to, "rename");
    if (this.#device(from) !== this.#device(to)) throw refuse("crossDevice", "rename", to);
    const there = target.directory.children.get(target.name);
    const wanted = this.#stored(to.slice(to.lastIndexOf("/") + 1));
    const respelled = target.name !== wanted && (there === node || this.profile.names !== "case");
    if (there === node && (!respelled || target.name !== source.name || target.directory !== source.directory)) return;
    if (there?.kind === "directory" && node.kind !== "directory") throw refuse("isDirectory", "rename", to);
    if (there?.kind === "directory" && there.children.size > 0) throw refuse("notEmpty", "rename", to);
    // One entry gets another spelling: such a disk does that in one piece.
    if (respelled) {
      this.settleAll();
      node.links += 1;
      this.#change([[target.directory, target.name, null]], [to]);
      node.links -= 1;
    }
    const changes: (readonly [Node, string, Node | null])[] = [[target.directory, respelled ? wanted : target.name, node]];
    if (there !== node) changes.push([source.directory, source.name, null]);
    this.#change(changes, [from, to]);
    if (respelled) this.settleAll();
    this.#touch(node, false);
  }

  unlink(path: string): void {
    const { directory, name } = this.#place(path, "remove");
    const node = directory.children.get(name);
    if (node === undefined) throw refuse("notFound", "remove", path);
    if (node.kind === "directory") throw refuse("isDirectory", "remove", path);
    this.#change([[directory, name, null]], [path]);
  }

  /** False: the disk failed, and what it has not written yet is gone. */
  syncFile(node: Node, works: boolean): void {
    if (!works) {
      node.pagesLost = true;
      return;
    }
    if (!node.pagesLost) node.synced = node.bytes;
    if (this.profile.durability === "ordered") this.#settle(this.#pending.splice(0));
  }

  syncDirectory(directory: Node): void {
    const mine =
      this.profile.durability === "ordered" ? this.#pending.splice(0) : this.#pending.filter((one) => one.directory === directory);
    this.#pending = this.#pending.filter((one) => one.directory !== directory);
    this.#settle(mine);
  }

  /** Everything a user's programs did is taken as durable: only the product's own promises are judged. */
  settleName(path: string): void {
    const { directory, name } = this.#place(path, "settle");
    const node = directory.children.get(name);
    if (node !== undefined) node.synced = node.bytes;
    if (this.profile.durability === "ordered") this.#settle(this.#pending.splice(0));
    else {
      const key = this.keyOf(name);
      const due = this.#pending.filter((one) => one.directory === directory && this.keyOf(one.name) === key);
      this.#pending = this.#pending.filter((one) => !due.includes(one));
      this.#settle(due);
    }
  }

  settleAll(): void {
    this.#settle(this.#pending.splice(0));
  }

  setModified(node: Node, mtimeNs: number): void {
    node.mtimeNs = mtimeNs;
    node.ctimeNs = this.#now();
  }

  /** Takes a whole tree away, as an unmount does. */
  detach(path: string): Node {
    const { directory, name } = this.#place(path, "unmount");
    const node = directory.children.get(name);
    if (node === undefined) throw refuse("notFound", "unmount", path);
    this.settleAll();
    directory.children.delete(name);
    directory.durable.delete(name);
    this.#tell(path);
    return node;
  }

  /** Puts it back over what stands there. */
  attach(path: string, node: Node): void {
    const { directory, name } = this.#place(path, "mount");
    this.settleAll();
    directory.children.set(name, node);
    directory.durable.set(name, node);
    this.#tell(path);
  }

  /** A program without rights meets this path, or would list it. */
  isDenied(path: string, listing: boolean): boolean {
    return this.denied !== null && (path.startsWith(`${this.denied}/`) || (listing && path === this.denied));
  }

  /** Everything as it is now, for `restore`. */
  copy(): Node {
    this.settleAll();
    return copyOf(this.root, new Map());
  }

  restore(copied: Node): void {
    this.settleAll();
    const fresh = copyOf(copied, new Map());
    this.root.children.clear();
    this.root.durable.clear();
    for (const [name, node] of fresh.children) this.root.children.set(name, node);
    for (const [name, node] of fresh.durable) this.root.durable.set(name, node);
  }

  /** A power cut now would leave this file whole, under some name. */
  survives(node: Node): boolean {
    return node.synced === node.bytes && this.#durablyNamed(this.root, node);
  }

  /** The power is cut: what the disk had not promised is lost, in every way that the profile allows. */
  cutPower(): void {
    const pending = this.#pending.splice(0);
    if (this.profile.durability === "ordered") {
      const steps = [...new Set(pending.map(({ step }) => step))];
      const kept = new Set(steps.slice(0, this.#rng.below(steps.length + 1)));
      this.#settle(pending.filter(({ step }) => kept.has(step)));
    } else this.#settle(this.#anyOf(pending));
    this.#reload(this.root);
    this.#recount();
  }

  /** Per name, a prefix of what was done to it; a name goes away by a rename only if the new name came. */
  #anyOf(pending: readonly NameChange[]): NameChange[] {
    const stopped = new Set<string>();
    const came = new Set<number>();
    const kept: NameChange[] = [];
    for (const one of pending) {
      const key = `${one.directory.id} ${this.keyOf(one.name)}`;
      const needs = one.node === null && pending.some((other) => other.step === one.step && other.node !== null);
      if (stopped.has(key) || (needs && !came.has(one.step)) || this.#rng.chance(0.5)) {
        stopped.add(key);
        continue;
      }
      came.add(one.step);
      kept.push(one);
    }
    return kept;
  }

  #reload(directory: Node): void {
    directory.children.clear();
    for (const [name, node] of directory.durable) {
      directory.children.set(name, node);
      if (node.kind === "directory") this.#reload(node);
      else if (node.synced !== node.bytes) {
        node.bytes = this.#afterCut(node);
        node.synced = node.bytes;
        node.pagesLost = false;
      }
    }
  }

  /** What was durable stays; of the rest each block may have been written or not. Sizes are written before data: zeros where nothing was. */
  #afterCut(node: Node): Uint8Array {
    const old = node.synced ?? new Uint8Array();
    const kind = this.#rng.below(3);
    if (kind === 0) return old;
    if (kind === 1) return node.bytes;
    const torn = new Uint8Array(node.bytes.length);
    torn.set(old.subarray(0, torn.length));
    for (let at = 0; at < torn.length; at += BLOCK_BYTES) {
      if (this.#rng.chance(0.5)) torn.set(node.bytes.subarray(at, at + BLOCK_BYTES), at);
    }
    return torn;
  }

  #recount(): void {
    const counts = new Map<Node, number>();
    const visit = (directory: Node): void => {
      for (const node of directory.children.values()) {
        counts.set(node, (counts.get(node) ?? 0) + 1);
        if (node.kind === "directory") visit(node);
      }
    };
    visit(this.root);
    for (const [node, links] of counts) node.links = links;
  }

  #durablyNamed(directory: Node, wanted: Node): boolean {
    for (const node of directory.durable.values()) {
      if (node === wanted) return true;
      if (node.kind === "directory" && this.#durablyNamed(node, wanted)) return true;
    }
    return false;
  }

  #settle(changes: readonly NameChange[]): void {
    for (const { directory, name, node } of changes) {
      if (node === null) directory.durable.delete(name);
      else directory.durable.set(name, node);
    }
  }

  #change(changes: readonly (readonly [directory: Node, name: string, node: Node | null])[], paths: readonly string[]): void {
    const step = this.#step++;
    const told = new Set(paths.map((path) => this.spell(path)));
    for (const [directory, name, node] of changes) {
      const before = directory.children.get(name);
      if (node === null) directory.children.delete(name);
      else {
        directory.children.set(name, node);
        node.links += 1;
      }
      if (before !== undefined) {
        before.links -= 1;
        this.#touch(before, false);
        if (before.links === 0) this.#freeIds.push(before.id);
      }
      this.#touch(directory, true);
      this.#pending.push({ step, directory, name, node });
    }
    for (const path of paths) told.add(this.spell(path));
    for (const path of told) this.#tell(path);
  }

  /** The spelling under which this name stands in the directory, or would be stored. */
  #standing(directory: Node, name: string): string {
    const stored = this.#stored(name);
    if (this.profile.names === "exact" || directory.children.has(stored)) return stored;
    const key = this.keyOf(name);
    for (const other of directory.children.keys()) if (this.keyOf(other) === key) return other;
    return stored;
  }

  #stored(name: string): string {
    return this.profile.names === "nfd" ? name.normalize("NFD") : name;
  }

  #tell(path: string): void {
    for (const listener of this.listeners) listener(path);
  }

  #make(kind: Node["kind"], mode: number): Node {
    // A file system hands out the number of a file that went just now again.
    const reused = this.#freeIds.length > 0 && this.#rng.chance(0.5) ? this.#freeIds.pop() : undefined;
    const now = this.#now();
    return {
      id: reused ?? this.#nextId++,
      kind,
      bytes: new Uint8Array(),
      synced: kind === "file" ? null : new Uint8Array(),
      pagesLost: false,
      mtimeNs: now,
      ctimeNs: now,
      mode,
      links: 0,
      children: new Map(),
      durable: new Map(),
    };
  }

  #touch(node: Node, modified: boolean): void {
    const now = this.#now();
    node.ctimeNs = now;
    if (modified) node.mtimeNs = now;
  }

  #now(): number {
    const step = this.profile.timeStepMs;
    return Math.floor(this.#wallMs() / step) * step * 1e6;
  }

  #device(path: string): number {
    return this.profile.stateElsewhere && path.startsWith("/state") ? 2 : 1;
  }

  #place(path: string, attempt: string): { directory: Node; name: string } {
    const at = path.lastIndexOf("/");
    const directory = this.find(path.slice(0, at));
    if (directory === null) throw refuse("notFound", attempt, path);
    if (directory.kind !== "directory") throw refuse("notDirectory", attempt, path);
    return { directory, name: this.#standing(directory, path.slice(at + 1)) };
  }
}

/** Names of one file stay names of one file. */
function copyOf(node: Node, known: Map<Node, Node>): Node {
  const before = known.get(node);
  if (before !== undefined) return before;
  // Other files, written anew: what the disk had failed to keep of the old ones is no matter of theirs.
  const copy: Node = { ...node, synced: node.bytes, pagesLost: false, children: new Map(), durable: new Map() };
  known.set(node, copy);
  for (const [name, child] of node.children) copy.children.set(name, copyOf(child, known));
  for (const [name, child] of node.durable) copy.durable.set(name, copyOf(child, known));
  return copy;
}

export function refuse(fault: DiskFault, attempt: string, path: string): DiskError {
  return new DiskError(fault, `Could not ${attempt} ${path}: ${fault}.`);
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
