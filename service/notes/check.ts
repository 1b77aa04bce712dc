/** What is wrong between notes and their media: decided from what was read, nothing looked at here. */
import { isNormalised, normaliseForAnki } from "../core/anki-names.ts";
import type { Problem, Sha1 } from "../core/model.ts";
import { baseName, isMedia, isNote } from "./paths.ts";

/** Where a note names a file. Lines and columns (UTF-16 units) count from 1. */
export type Mention = { readonly note: string; readonly line: number; readonly column: number; readonly written: string };
export type FolderFile = { readonly path: string; readonly sizeBytes: number; readonly sha1: Sha1; readonly mtimeMs: number };

export type UnusedFile = { readonly path: string; readonly sizeBytes: number; readonly sha1: Sha1; readonly mtimeMs: number };
export type Duplicate = {
  readonly sha1: Sha1;
  readonly sizeBytes: number;
  readonly files: readonly { readonly path: string; readonly references: number }[];
};
export type BadName = { readonly path: string; readonly reason: string; readonly detail: string; readonly suggestion: string | null };

/** Files that no note refers to and whose name appears in none. Anki's rule: what begins with `_` is used by templates. */
export function unusedFiles(
  files: readonly FolderFile[],
  referenced: ReadonlyMap<string, unknown>,
  mentioned: ReadonlySet<string>,
): readonly UnusedFile[] {
  return unreferenced(files, referenced).filter(({ path }) => !mentioned.has(baseName(path)));
}

/** Candidates: media that no reference leads to. What is no media (settings, notes) is nobody's to clean up. */
export function unreferenced(files: readonly FolderFile[], referenced: ReadonlyMap<string, unknown>): readonly FolderFile[] {
  return files.filter(({ path }) => !referenced.has(path) && !baseName(path).startsWith("_") && isMedia(path));
}

/** Equal bytes under more than one name; the largest waste first. */
export function duplicatesOf(files: readonly FolderFile[], references: (path: string) => number): readonly Duplicate[] {
  const groups = Map.groupBy(
    files.filter(({ path }) => !isNote(path)),
    ({ sha1 }) => sha1,
  );
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => ({
      sha1: group[0]?.sha1 ?? "",
      sizeBytes: group[0]?.sizeBytes ?? 0,
      files: group.map(({ path }) => ({ path, references: references(path) })),
    }))
    .toSorted((a, b) => b.sizeBytes * (b.files.length - 1) - a.sizeBytes * (a.files.length - 1));
}

const NAME_REASONS: ReadonlySet<string> = new Set(["badName", "nameTooLong", "reserved", "twin", "unsafeName", "secondName"]);

/** Names that can't be synced, and flat names that Anki's own clients would show under another one. */
export function badNames(files: readonly FolderFile[], problems: readonly Problem[]): readonly BadName[] {
  const refused = problems
    .filter(({ reason }) => NAME_REASONS.has(reason))
    .map(({ path, reason, detail }) => ({ path, reason, detail, suggestion: null }));
  const told = new Set(refused.map(({ path }) => path));
  const changed = files
    .filter(({ path }) => !told.has(path) && !path.includes("/") && !isNormalised(path))
    .map(({ path }) => {
      const better = normaliseForAnki(path);
      const detail = `Anki's own clients can't hold the name ${path}; they show the file under an encoded one.`;
      return { path, reason: "changedByAnki", detail, suggestion: better === "" ? null : better };
    });
  return [...refused, ...changed];
}

/** Offsets into a text as lines and columns from 1. */
export function lineFinder(text: string): (offset: number) => { readonly line: number; readonly column: number } {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

const KEY_CHARACTERS = 8;

/** Which of many names appear anywhere in texts, in any of the spellings that notes use. One pass per text, whatever the number of names. */
export class NameSearch {
  readonly found = new Set<string>();
  /** The last characters of a spelling → the spellings that end so. */
  readonly #byEnd = new Map<string, { readonly spelling: string; readonly name: string }[]>();
  readonly #lengths: ReadonlySet<number>;

  constructor(names: Iterable<string>) {
    for (const name of names)
      for (const spelling of new Set([name, encodeURI(name), encodeURIComponent(name), name.replaceAll("&", "&amp;")])) {
        const key = spelling.slice(-KEY_CHARACTERS).toLowerCase();
        const list = this.#byEnd.get(key);
        if (list === undefined) this.#byEnd.set(key, [{ spelling: spelling.toLowerCase(), name }]);
        else list.push({ spelling: spelling.toLowerCase(), name });
      }
    this.#lengths = new Set(Array.from(this.#byEnd.keys(), ({ length }) => length));
  }

  look(text: string): void {
    const plain = text.normalize("NFC").toLowerCase();
    for (const { index, 0: extension } of plain.matchAll(/\.[a-z0-9]{1,10}/g)) {
      // `.jpeg` ends at every length: `photo.jp` is not meant, but a longer run of letters may hold the extension's end.
      for (let end = index + 2; end <= index + extension.length; end++)
        for (const length of this.#lengths) {
          for (const { spelling, name } of this.#byEnd.get(plain.slice(Math.max(0, end - length), end)) ?? [])
            if (plain.startsWith(spelling, end - spelling.length)) this.found.add(name);
        }
    }
  }
}
