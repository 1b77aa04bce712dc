/** What one session asks of the folders and of the disk they stand on. */
import type { Engine, MediaName } from "../engine/facade.ts";
import { knowledgeOf, type Knowledge, type MediaFacts } from "../notes/knowledge.ts";
import { standsOnDisk, type NotesDisk } from "../notes/note-files.ts";
import type { MediaIndex, MediaPlace, MediaRoot } from "../notes/resolve.ts";

export class Media implements MediaIndex {
  readonly #engine: Engine;
  readonly #disk: NotesDisk;

  constructor(engine: Engine, disk: NotesDisk) {
    this.#engine = engine;
    this.#disk = disk;
  }

  get roots(): readonly MediaRoot[] {
    return this.#engine.notes.roots();
  }

  standing(place: MediaPlace): ReturnType<MediaIndex["standing"]> {
    return this.#engine.notes.standing(place);
  }

  async named(name: string): Promise<readonly MediaPlace[]> {
    return await this.#engine.notes.named(name);
  }

  /** Every file of a folder. */
  async names(folder: string): Promise<readonly MediaName[]> {
    return await this.#engine.notes.names(folder);
  }

  async exists(absolute: string): Promise<boolean> {
    return await standsOnDisk(this.#disk, absolute);
  }

  async know(place: MediaPlace): Promise<{ readonly facts: MediaFacts; readonly knowledge: Knowledge }> {
    const facts = this.#engine.notes.know(place);
    return { facts, knowledge: knowledgeOf(facts, await this.exists(facts.diskPath)) };
  }
}
