/** What one session knows of the folders: names and standing, cached until the engine tells of a change. */
import type { Engine, MediaName } from "../engine/facade.ts";
import { knowledgeOf, type Knowledge, type MediaFacts } from "../notes/knowledge.ts";
import { standsOnDisk, type NotesDisk } from "../notes/note-files.ts";
import { baseName } from "../notes/paths.ts";
import type { MediaIndex, MediaPlace, MediaRoot } from "../notes/resolve.ts";

/** A remote's rows may change without an event (a paused folder): names are listed anew after this. */
const NAMES_FRESH_MS = 10_000;

type MediaNames = ReadonlyMap<string, readonly MediaName[]>;

type Listed = {
  readonly byFolder: MediaNames;
  /** By the last part of the path. */
  readonly byLast: ReadonlyMap<string, readonly MediaPlace[]>;
  readonly atMs: number;
};

export class Media implements MediaIndex {
  readonly #engine: Engine;
  readonly #disk: NotesDisk;
  #names: Listed | null = null;

  constructor(engine: Engine, disk: NotesDisk) {
    this.#engine = engine;
    this.#disk = disk;
  }

  /** Something changed: what was listed is not trusted any more. */
  forget(): void {
    this.#names = null;
  }

  get roots(): readonly MediaRoot[] {
    return this.#engine.notes.roots();
  }

  standing(place: MediaPlace): ReturnType<MediaIndex["standing"]> {
    return this.#engine.notes.standing(place);
  }

  named(name: string): readonly MediaPlace[] {
    return this.#listed().byLast.get(name) ?? [];
  }

  /** Every file of every folder. */
  names(): MediaNames {
    return this.#listed().byFolder;
  }

  async exists(absolute: string): Promise<boolean> {
    return await standsOnDisk(this.#disk, absolute);
  }

  async know(place: MediaPlace): Promise<{ readonly facts: MediaFacts; readonly knowledge: Knowledge }> {
    const facts = this.#engine.notes.know(place);
    return { facts, knowledge: knowledgeOf(facts, await this.exists(facts.diskPath)) };
  }

  #listed(): Listed {
    const nowMs = performance.now();
    if (this.#names !== null && nowMs - this.#names.atMs < NAMES_FRESH_MS) return this.#names;
    const byFolder = new Map(this.roots.map(({ folder }) => [folder, this.#engine.notes.names(folder)]));
    const byLast = new Map<string, MediaPlace[]>();
    for (const [folder, names] of byFolder)
      for (const { path } of names) {
        const last = baseName(path);
        const list = byLast.get(last);
        if (list === undefined) byLast.set(last, [{ folder, path }]);
        else list.push({ folder, path });
      }
    return (this.#names = { byFolder, byLast, atMs: nowMs });
  }
}
