/** A folder in memory behind the engine's local ports: for engine tests that need neither disk nor settle time. */
import { hash } from "node:crypto";

import type { Applier, ApplyResult, ApplyStep, LocalTree, Observation, RootState, VersionStore } from "../../service/core/local.ts";
import type { ApplyIntent, Entry, LocalReason, Sha1, Version } from "../../service/core/model.ts";

export const sha1 = (bytes: Uint8Array | string): Sha1 => hash("sha1", bytes);

type File = { bytes: Uint8Array; stamp: number };

/** The user's side (`write`, `remove`) and the engine's side (`local`, `applier`, `versions`) of one folder. */
export class MemoryFolder {
  readonly files = new Map<string, File>();
  readonly kept = new Map<Sha1, Uint8Array>();
  readonly lines: Version[] = [];
  readonly troubles = new Map<string, LocalReason>();
  readonly restless = new Set<string>();
  rootState: RootState = "ok";
  /** So often a path that went is looked for before it counts as gone: the settle window, in looks. */
  looksBeforeGone = 0;
  /** Called before each step of a commit: a test may change a file in that instant. */
  beforeStep: (step: ApplyStep) => void = () => {};
  readonly #folder: string;
  readonly #entries: () => Iterable<Entry>;
  #stamp = 1;
  #temp = 0;
  readonly #temps = new Map<string, Uint8Array>();
  #dirty = new Set<string>();
  #scan = true;
  readonly #looked = new Map<string, number>();

  constructor(folder: string, entries: () => Iterable<Entry>) {
    this.#folder = folder;
    this.#entries = entries;
  }

  write(path: string, text: string): void {
    this.files.set(path, { bytes: Buffer.from(text), stamp: this.#stamp++ });
    this.#dirty.add(path);
  }

  remove(path: string): void {
    this.files.delete(path);
    this.#dirty.add(path);
  }

  text(path: string): string | null {
    const file = this.files.get(path);
    return file === undefined ? null : Buffer.from(file.bytes).toString();
  }

  entryOf(path: string): Entry | null {
    const file = this.files.get(path);
    if (file === undefined) return null;
    return {
      path,
      sizeBytes: file.bytes.length,
      mtimeNs: file.stamp,
      ctimeNs: file.stamp,
      fileId: file.stamp,
      sha1: sha1(file.bytes),
      diskPath: null,
      racy: false,
    };
  }

  readonly local: LocalTree = {
    hint: (path) => {
      if (path === null) this.#scan = true;
      else this.#dirty.add(path);
    },
    dirtyCount: () => this.#dirty.size,
    needsScan: () => this.#scan,
    settlesAtMs: () => (this.#dirty.size > 0 ? 0 : null),
    observeDirty: async () => {
      const paths = [...this.#dirty];
      this.#dirty = new Set();
      return await Promise.resolve(paths.map((path) => this.#look(path)).filter((seen) => seen !== null));
    },
    observeAll: async function* (this: MemoryFolder) {
      this.#scan = false;
      this.#dirty = new Set();
      const known = [...this.#entries()].map(({ path }) => path);
      yield await Promise.resolve(
        [...new Set([...this.files.keys(), ...known, ...this.troubles.keys()])]
          .map((path) => this.#look(path))
          .filter((seen) => seen !== null),
      );
    }.bind(this),
    isRestless: (path) => this.restless.has(path),
    checkRoot: async ({ makeMarker }) => {
      if (makeMarker) this.rootState = "ok";
      return await Promise.resolve(this.rootState);
    },
    allStand: async (paths) => await Promise.resolve([...paths].every((path) => this.files.has(path))),
  };

  readonly applier: Applier = {
    stage: async (items) => await Promise.resolve(items.map(({ bytes }) => this.#newTemp(bytes))),
    stageLocal: async (_path, wanted, entry) => {
      const bytes = this.kept.get(wanted) ?? (entry === undefined ? undefined : this.files.get(entry.path)?.bytes);
      return await Promise.resolve(bytes !== undefined && sha1(bytes) === wanted ? this.#newTemp(bytes) : null);
    },
    commit: async (steps, run) => await Promise.resolve(steps.map((step) => this.#step(step, run))),
    foldsNames: false,
    freeTwin: async () => await Promise.resolve(false),
    discard: async (temps) => {
      for (const temp of temps) this.#temps.delete(temp);
      await Promise.resolve();
    },
    read: async (entry) => {
      const bytes = this.files.get(entry.path)?.bytes;
      return await Promise.resolve(bytes !== undefined && sha1(bytes) === entry.sha1 ? bytes : "changed");
    },
    readRange: async (entry, offset, length) => {
      const bytes = this.files.get(entry.path)?.bytes;
      return await Promise.resolve(
        bytes !== undefined && sha1(bytes) === entry.sha1 ? bytes.subarray(offset, offset + length) : ("changed" as const),
      );
    },
    keep: async (path, bytes, hashed, why, run) => await Promise.resolve(this.#keep(path, bytes, hashed, why, run)),
    recover: async (intents: readonly ApplyIntent[]) =>
      await Promise.resolve(
        intents.map((intent) => {
          const entry = this.entryOf(intent.path);
          return { intent, done: (entry?.sha1 ?? null) === intent.sha1, entry };
        }),
      ),
  };

  readonly versions: VersionStore = {
    locate: async (wanted) => await Promise.resolve(this.kept.has(wanted) ? `memory:${wanted}` : null),
    readRange: async (wanted, offset, length) =>
      await Promise.resolve((this.kept.get(wanted) ?? new Uint8Array()).subarray(offset, offset + length)),
    journal: async function* (this: MemoryFolder) {
      for (const line of this.lines) yield await Promise.resolve(line);
    }.bind(this),
    scrub: async () => await Promise.resolve([]),
    compact: async () => await Promise.resolve(0),
    remove: async (wanted) => {
      this.kept.delete(wanted);
      await Promise.resolve();
    },
  };

  #look(path: string): Observation | null {
    const reason = this.troubles.get(path);
    if (reason !== undefined) return { kind: "problem", path, reason, detail: `${path} is ${reason}` };
    const entry = this.entryOf(path);
    if (entry !== null) {
      this.#looked.delete(path);
      return { kind: "put", entry };
    }
    const looks = (this.#looked.get(path) ?? 0) + 1;
    this.#looked.set(path, looks);
    if (looks > this.looksBeforeGone) return { kind: "gone", path };
    this.#dirty.add(path);
    return null;
  }

  #newTemp(bytes: Uint8Array): string {
    const name = `temp-${this.#temp++}`;
    this.#temps.set(name, bytes);
    return name;
  }

  #step(step: ApplyStep, run: string): ApplyResult {
    this.beforeStep(step);
    const standing = this.entryOf(step.path);
    if ((standing?.sha1 ?? null) !== (step.expect?.sha1 ?? null)) return { kind: "changed" };
    const bytes = this.files.get(step.path)?.bytes;
    const kept = bytes === undefined || standing === null ? null : this.#keep(step.path, bytes, standing.sha1, step.why, run);
    if (step.kind === "remove") {
      this.files.delete(step.path);
      return { kind: "done", entry: null, copy: null, kept };
    }
    const staged = this.#temps.get(step.temp);
    if (staged === undefined) throw new Error(`no such temp ${step.temp}`);
    let copy: Entry | null = null;
    if (step.copyTo !== null && bytes !== undefined) {
      if (this.files.has(step.copyTo)) return { kind: "changed" };
      this.files.set(step.copyTo, { bytes, stamp: this.#stamp++ });
      copy = this.entryOf(step.copyTo);
    }
    this.files.set(step.path, { bytes: staged, stamp: this.#stamp++ });
    this.#temps.delete(step.temp);
    return { kind: "done", entry: this.entryOf(step.path), copy, kept };
  }

  #keep(path: string, bytes: Uint8Array, hashed: Sha1, why: Version["why"], run: string): Version {
    const version: Version = { folder: this.#folder, path, sha1: hashed, sizeBytes: bytes.length, why, run, atMs: this.lines.length };
    this.kept.set(hashed, bytes);
    this.lines.push(version);
    return version;
  }
}
