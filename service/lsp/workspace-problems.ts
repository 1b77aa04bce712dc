/** Missing media of the notes that are not open: looked for when the session begins and when notes or media change, told where something is new. */
import { setImmediate } from "node:timers/promises";

import type { Diagnostic } from "vscode-languageserver";

import { below, directoryOf } from "../notes/paths.ts";
import { diagnosticAt, isToldAlready } from "./diagnostics.ts";
import type { Media } from "./media.ts";
import { pathOf, uriOf, type ClosedNote, type Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";

/** Changes come in groups: one look serves them together. */
const GROUP_MS = 300;
/** After a look there is a rest of so many times as long: many notes take a small share of the processor, however often media change. */
const REST = 20;
/** References judged between two breaths: others have their turn. */
const AT_ONCE = 50;
/** Notes of one workspace that are told of; more are no list for a person, and would fill a connection that nobody reads. */
const FLAGGED_MAX = 2000;
/** Where the editor does not tell of notes that change on disk, and for directories that go as a whole: the notes are listed again after so long. */
const LISTED_MS = 30_000;

export type ProblemsDeps = {
  readonly notes: Notes;
  readonly media: Media;
  readonly options: SessionOptions;
  readonly send: (uri: string, diagnostics: Diagnostic[]) => Promise<void>;
  /** For the editor's log. */
  readonly say: (sentence: string) => void;
  readonly report: (error: unknown) => void;
};

export class WorkspaceProblems {
  readonly #deps: ProblemsDeps;
  /** Path of a note → what the editor was told last, as JSON. Notes without anything wrong are not in it. */
  readonly #told = new Map<string, string>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #looking = false;
  #again = false;
  #listAgain = true;
  #listedMs = 0;
  #notBeforeMs = 0;
  #saidTooMany = false;
  #healing: NodeJS.Timeout | null = null;
  #healNotBeforeMs = 0;

  constructor(deps: ProblemsDeps) {
    this.#deps = deps;
  }

  /** Files came, went, or are known otherwise. What is flagged may be well now: that is looked at first, and does not wait for the rest. */
  mediaChanged(): void {
    this.#soon();
    if (this.#stop.signal.aborted || this.#healing !== null) return;
    this.#healing = setTimeout(() => this.#heal(), Math.max(GROUP_MS, this.#healNotBeforeMs - performance.now()));
  }

  /** Notes on disk, or the workspace's folders. */
  notesChanged(): void {
    this.#listAgain = true;
    this.#soon();
  }

  /** From now on the open note's own look tells. */
  opened(uri: string): void {
    const path = pathOf(uri);
    if (path !== null) this.#told.delete(path);
  }

  /** What stands on disk counts again, at once: else its problems would go and come back. */
  async closed(uri: string): Promise<void> {
    const path = pathOf(uri);
    const note = path === null || !this.#isOurs(path) ? null : await this.#deps.notes.closedAt(path);
    const diagnostics = note === null ? [] : await this.#judge(note);
    if (path === null || this.#stop.signal.aborted || this.#deps.notes.open(uri) !== undefined) return;
    if (diagnostics.length > 0) this.#told.set(path, JSON.stringify(diagnostics));
    await this.#deps.send(uri, diagnostics);
  }

  close(): void {
    this.#stop.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#healing !== null) clearTimeout(this.#healing);
  }

  #soon(): void {
    if (this.#stop.signal.aborted || this.#timer !== null) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#timer = setTimeout(() => this.#begin(), Math.max(GROUP_MS, this.#notBeforeMs - performance.now()));
  }

  #begin(): void {
    this.#timer = null;
    this.#looking = true;
    const beganMs = performance.now();
    this.#look()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#deps.report(error);
      })
      .finally(() => {
        const now = performance.now();
        this.#notBeforeMs = now + (now - beganMs) * REST;
        this.#looking = false;
        if (!this.#again) return;
        this.#again = false;
        this.#soon();
      });
  }

  #heal(): void {
    const beganMs = performance.now();
    const work = async (): Promise<void> => {
      const known = await this.#deps.notes.closedNotes(false, () => true, this.#stop.signal);
      for (const note of known) {
        if (this.#stop.signal.aborted) return;
        if (this.#told.has(note.path)) await this.#tell(note.path, await this.#judge(note));
      }
    };
    work()
      .catch(this.#deps.report)
      .finally(() => {
        const now = performance.now();
        this.#healNotBeforeMs = now + (now - beganMs) * REST;
        this.#healing = null;
      });
  }

  async #look(): Promise<void> {
    const { notes } = this.#deps;
    const relist = this.#listAgain || performance.now() - this.#listedMs > LISTED_MS;
    if (relist) {
      this.#listAgain = false;
      this.#listedMs = performance.now();
    }
    const { signal } = this.#stop;
    const closed = (await notes.closedNotes(relist, (workspace) => this.#isNear(workspace), signal)).filter(({ path }) =>
      this.#isOurs(path),
    );
    const standing = new Set<string>();
    let judged = 0;
    for (const note of closed) {
      signal.throwIfAborted();
      standing.add(note.path);
      await this.#tell(note.path, await this.#judge(note));
      judged += note.references.length;
      if (judged < AT_ONCE) continue;
      judged = 0;
      await setImmediate();
    }
    for (const path of this.#told.keys()) if (!standing.has(path)) await this.#tell(path, []);
  }

  async #judge({ path, workspace, references, ranges }: ClosedNote): Promise<Diagnostic[]> {
    const { notes, media, options } = this.#deps;
    const diagnostics: Diagnostic[] = [];
    for (const [at, reference] of references.entries()) {
      const range = ranges[at];
      const place = await notes.placeOf(reference, { note: path, workspace });
      if (place === null || range === undefined) continue;
      const looked = { reference, place, ...(await media.know(place)) };
      const diagnostic = isToldAlready(looked, options, false) ? null : diagnosticAt(range, looked, options.words);
      if (diagnostic !== null) diagnostics.push(diagnostic);
    }
    return diagnostics;
  }

  /** Only what is new, and never of a note that was opened meanwhile. */
  async #tell(path: string, diagnostics: Diagnostic[]): Promise<void> {
    const uri = uriOf(path);
    const isOpen = this.#deps.notes.allOpen().some(({ place }) => place.note === path);
    if (isOpen) this.#told.delete(path);
    if (isOpen || this.#stop.signal.aborted) return;
    const before = this.#told.get(path);
    if (diagnostics.length === 0) {
      if (before === undefined) return;
      this.#told.delete(path);
      return await this.#deps.send(uri, []);
    }
    const now = JSON.stringify(diagnostics);
    if (before === now) return;
    if (before === undefined && this.#told.size >= FLAGGED_MAX) return this.#sayTooMany();
    this.#told.set(path, now);
    await this.#deps.send(uri, diagnostics);
  }

  #sayTooMany(): void {
    if (this.#saidTooMany) return;
    this.#saidTooMany = true;
    this.#deps.say(`Media is missing in more than ${FLAGGED_MAX} notes: the first are listed, any other tells when it is opened.`);
  }

  #isOurs(path: string): boolean {
    return this.#deps.notes.workspaces.some((workspace) => below(workspace, path) !== null && this.#isNear(workspace));
  }

  /** Its notes have to do with a media folder: that is inside it, around it or beside it. A workspace of something else is not walked through. */
  #isNear(workspace: string): boolean {
    return this.#deps.media.roots.some(
      ({ root }) => below(workspace, root) !== null || below(root, workspace) !== null || directoryOf(root) === directoryOf(workspace),
    );
  }
}
