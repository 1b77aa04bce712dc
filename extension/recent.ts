/** What happened lately, file by file: the end of the service's change log. */
import type { change } from "../protocol/api/model.ts";
import type { Session } from "./session.ts";
import type * as z from "zod";

export type Change = Readonly<z.infer<typeof change>>;

/** As many as one answer holds; more than are shown, because a file that changed often is shown once. */
const LOOKED_AT = 200;

/** Reads the newest changes. The log is asked from a number on, so its end is searched for once and followed from then on. */
export class RecentChanges {
  readonly #session: Session;
  #known = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The newest change of each of the paths that changed last, newest first; what was only found again after a loss is left out. */
  async read(most: number): Promise<readonly Change[]> {
    const last = await this.#lastSeq();
    const { changes } = await this.#session.call("changes/list", { since: Math.max(0, last - LOOKED_AT), limit: LOOKED_AT });
    const seen = new Set<string>();
    return changes
      .toReversed()
      .filter(({ folder, path, origin }) => {
        const key = `${folder}/${path}`;
        if (origin === "rebuild" || seen.has(key)) return false;
        seen.add(key);
        return true;
      })
      .slice(0, most);
  }

  /** Numbers are contiguous (S20), so the last one is found by halving: one question where nothing is new. */
  async #lastSeq(): Promise<number> {
    // A database that was built anew counts from the start again.
    if (!(await this.#has(this.#known))) this.#known = 0;
    let step = 1;
    while (await this.#has(this.#known + step)) step *= 2;
    let low = this.#known + Math.floor(step / 2);
    let high = this.#known + step;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (await this.#has(middle)) low = middle;
      else high = middle;
    }
    this.#known = low;
    return low;
  }

  async #has(seq: number): Promise<boolean> {
    if (seq === 0) return true;
    return (await this.#session.call("changes/list", { since: seq - 1, limit: 1 })).changes.length > 0;
  }
}
