import type { Database } from "better-sqlite3";

import { foldKey } from "../core/case-folding.ts";
import type { Row } from "../core/server-rows.ts";
import { withFault } from "./errors.ts";

/**
 * Names that differ in case alone (W13). The one that came first leads, the others stand in its shadow: a device whose disk folds names is not told
 * of those. All here follows from the rows in the order of their writes, so no note tells of it.
 */
export interface TwinRows {
  /** Names with bytes that stand in another's shadow. */
  shadows(): ReadonlySet<string>;
  /** Whether to write these names may have to do with shadows: some stand, or one of the names has a twin that stands or is written too. */
  meets(names: readonly string[]): boolean;
  /** Shadows whose leader went; one for each name, the one that came first. They stay hidden until `released`. */
  freed(): readonly string[];
}
/** What whoever writes rows tells. */
export type TwinMarks = TwinRows & {
  /** A row has bytes now, or has none any more. */
  stood(name: string, live: boolean): void;
  /** A freed one was numbered anew, so that every device that was not told of it is. */
  released(name: string): void;
  /** The rows are not any more what they were. */
  forget(): void;
};

/** Names that are not their own key, by key: few, as Anki itself writes new names in lower case. */
type Odd = Map<string, Set<string>>;

/** `row`: as it stands now. */
export function prepareTwins(db: Database, row: (name: string) => Row | undefined): TwinMarks {
  // The key of plain lower-case ASCII is itself: the rest is looked at one by one.
  const candidates = db
    .prepare<[], string>("SELECT name FROM file WHERE sha1 IS NOT NULL AND (name <> lower(name) OR name GLOB '*[^ -~]*') ORDER BY usn")
    .pluck();
  const marked = db.prepare<[], string>("SELECT name FROM shadow").pluck();
  const mark = db.prepare<[string]>("INSERT OR IGNORE INTO shadow VALUES (?)");
  const unmark = db.prepare<[string]>("DELETE FROM shadow WHERE name = ?");
  let known: { readonly odd: Odd; readonly shadows: Set<string> } | null = null;
  const isLive = (name: string): boolean => (row(name)?.sha1 ?? null) !== null;
  /** All names with bytes of this key, in the order in which they came as far as the rows tell. */
  const family = (odd: Odd, key: string): string[] =>
    [...(odd.get(key) ?? []), ...(isLive(key) ? [key] : [])].toSorted((a, b) => (row(a)?.usn ?? 0) - (row(b)?.usn ?? 0));
  const cast = (shadows: Set<string>, name: string): void => {
    mark.run(name);
    shadows.add(name);
  };
  const load = (): NonNullable<typeof known> => {
    if (known !== null) return known;
    const odd: Odd = new Map();
    for (const name of candidates.all()) add(odd, name);
    const shadows = new Set(marked.all());
    // Twins from before there were marks.
    for (const key of odd.keys())
      for (const name of family(odd, key)
        .filter((one) => !shadows.has(one))
        .slice(1))
        cast(shadows, name);
    known = { odd, shadows };
    return known;
  };
  return {
    shadows: () => withFault("read twins", () => load().shadows),
    meets: (names) =>
      withFault("read twins", () => {
        const { odd, shadows } = load();
        const stands = (name: string, key: string): boolean =>
          (odd.has(key) || key !== name) && family(odd, key).some((one) => one !== name);
        return shadows.size > 0 || meetEachOther(names) || names.some((name) => stands(name, foldKey(name)));
      }),
    freed: () =>
      withFault("read twins", () => {
        const { odd, shadows } = load();
        const keys = new Set([...shadows].map((name) => foldKey(name)));
        return [...keys].flatMap((key) => {
          const all = family(odd, key);
          return all.every((name) => shadows.has(name)) ? all.slice(0, 1) : [];
        });
      }),
    stood: (name, live) =>
      withFault("mark twins", () => {
        const { odd, shadows } = load();
        const key = foldKey(name);
        if (!live) {
          odd.get(key)?.delete(name);
          if (shadows.delete(name)) unmark.run(name);
          return;
        }
        if ((odd.has(key) || key !== name) && family(odd, key).some((one) => one !== name)) cast(shadows, name);
        add(odd, name);
      }),
    released: (name) =>
      withFault("mark twins", () => {
        if (load().shadows.delete(name)) unmark.run(name);
      }),
    forget: () => (known = null),
  };
}

function meetEachOther(names: readonly string[]): boolean {
  const all = new Set(names);
  return new Set([...all].map((name) => foldKey(name))).size < all.size;
}

function add(odd: Odd, name: string): void {
  const key = foldKey(name);
  if (key === name) return;
  const names = odd.get(key);
  if (names === undefined) odd.set(key, new Set([name]));
  else names.add(name);
}
