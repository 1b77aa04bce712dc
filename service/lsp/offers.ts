/** A file was renamed on disk or on another device while notes name it: the user is asked once whether the links shall follow. */
import { setImmediate } from "node:timers/promises";

import type { _Connection } from "vscode-languageserver";

import type { Engine } from "../engine/facade.ts";
import { baseName } from "../notes/paths.ts";
import type { Media } from "./media.ts";
import type { Notes } from "./notes.ts";
import type { SessionOptions } from "./options.ts";
import { applyEdit } from "./say.ts";
import { editsFor, workspaceEdit, type Move } from "./rename.ts";

type Given = {
  readonly engine: Engine;
  readonly connection: _Connection;
  readonly notes: Notes;
  readonly media: Media;
  readonly options: SessionOptions;
};

export class RenameOffers {
  readonly #given: Given;
  /** Per folder: the number of the change log up to which renames were looked for. */
  readonly #through = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();

  constructor(given: Given) {
    this.#given = given;
  }

  /** What happened before the session began is told by diagnostics, not by questions. */
  begin(): void {
    const { engine, media } = this.#given;
    for (const { folder } of media.roots) this.#through.set(folder, engine.notes.renames(folder, null).through);
  }

  /** One look, and one question, at a time. */
  async look(): Promise<void> {
    const looked = this.#turn.then(async () => await this.#lookOnce());
    this.#turn = looked.catch(() => undefined);
    await looked;
  }

  async #lookOnce(): Promise<void> {
    const moves = await this.#newMoves();
    const { options } = this.#given;
    if (moves.length > 0 && options.offerRenames && options.appliesEdits && options.asks) await this.#offer(moves);
  }

  async #newMoves(): Promise<readonly Move[]> {
    const { engine, media } = this.#given;
    const moves: Move[] = [];
    for (const { folder, root } of media.roots) {
      // A folder that is met for the first time counts from now on.
      for (let since = this.#through.get(folder) ?? null; ;) {
        const { renames, through } = engine.notes.renames(folder, since);
        this.#through.set(folder, through);
        moves.push(...renames.map(({ from, to }) => ({ from: `${root}/${from}`, to: `${root}/${to}` })));
        if (through === since || since === null) break;
        since = through;
        // Many files may have gone at once: others have their turn between two pages.
        await setImmediate();
      }
    }
    return moves;
  }

  async #offer(moves: readonly Move[]): Promise<void> {
    const { connection, options } = this.#given;
    const { words } = options;
    const found = await editsFor(moves, false, this.#given);
    if (found.length === 0) return;
    const links = found.reduce((count, { edits }) => count + edits.length, 0);
    const what =
      moves.length === 1 ? words.renamed(baseName(moves[0]?.from ?? ""), baseName(moves[0]?.to ?? "")) : words.renamedMany(moves.length);
    const answer = await connection.window.showInformationMessage(
      words.question(what, links, found.length),
      { title: words.follow },
      { title: words.leave },
    );
    if (answer?.title !== words.follow) return;
    // Notes may have been edited while the question stood.
    const edit = workspaceEdit(await editsFor(moves, false, this.#given), options);
    await applyEdit({ connection, words }, what, edit);
  }
}
