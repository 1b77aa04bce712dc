/** What stands in notes on disk, shared by all sessions of the service: a second window on the same workspace parses nothing again. */
import type { Range } from "vscode-languageserver";

import type { NoteFile } from "../notes/note-files.ts";
import type { MediaReference } from "../notes/references.ts";

/** `ranges`: where each reference stands, in the same order. */
export type OnDisk = { readonly file: NoteFile; readonly references: readonly MediaReference[]; readonly ranges: readonly Range[] };

/** Holds nothing by itself: what no session remembers any more is forgotten here too. */
export class KnownNotes {
  readonly #parsed = new Map<string, WeakRef<OnDisk>>();
  readonly #coming = new Map<string, Promise<OnDisk>>();
  readonly #forgotten = new FinalizationRegistry<string>((path) => {
    if (this.#parsed.get(path)?.deref() === undefined) this.#parsed.delete(path);
  });

  /** The note as it is in `file`: known, being looked at for another session, or parsed now. */
  async get(file: NoteFile, parse: () => Promise<Omit<OnDisk, "file">>): Promise<OnDisk> {
    const known = this.#parsed.get(file.path)?.deref() ?? (await this.#coming.get(file.path));
    if (known !== undefined && isSame(known.file, file)) return known;
    const coming = parse().then((found): OnDisk => ({ file, ...found }));
    this.#coming.set(file.path, coming);
    try {
      const parsed = await coming;
      this.#parsed.set(file.path, new WeakRef(parsed));
      this.#forgotten.register(parsed, file.path);
      return parsed;
    } finally {
      if (this.#coming.get(file.path) === coming) this.#coming.delete(file.path);
    }
  }
}

function isSame(one: NoteFile, other: NoteFile): boolean {
  return one.mtimeNs === other.mtimeNs && one.ctimeNs === other.ctimeNs && one.sizeBytes === other.sizeBytes;
}
