/** Names that somebody may have meant. */
import { baseName, extensionOf } from "./paths.ts";

/** Further apart than this is another word. */
const DISTANCE_MAX = 3;

/** The paths whose last name is nearest to that of `wanted`, best first, at most `limit`. Pure. */
export function similarPaths(wanted: string, paths: Iterable<string>, limit: number): readonly string[] {
  const name = folded(baseName(wanted));
  const stem = stemOf(name);
  const scored: { readonly path: string; readonly score: number }[] = [];
  for (const path of paths) {
    if (path === wanted) continue;
    const score = scoreOf(name, stem, folded(baseName(path)));
    if (score !== null) scored.push({ path, score });
  }
  return scored
    .toSorted((a, b) => a.score - b.score || (a.path < b.path ? -1 : 1))
    .slice(0, limit)
    .map(({ path }) => path);
}

/** 0: the same name elsewhere or in other letters; 0.5: another extension; then by distance. null: not similar. */
function scoreOf(name: string, stem: string, other: string): number | null {
  if (other === name) return 0;
  const otherStem = stemOf(other);
  if (otherStem === stem) return 0.5;
  const most = Math.min(DISTANCE_MAX, Math.floor(Math.max(stem.length, otherStem.length) / 3));
  if (Math.abs(stem.length - otherStem.length) > most) return null;
  const apart = distance(stem, otherStem, most);
  return apart === null ? null : apart + (extensionOf(name) === extensionOf(other) ? 0 : 0.5);
}

/** Case, accents and the kind of blank don't make another name. */
function folded(name: string): string {
  return name
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, "-");
}

function stemOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot <= 0 ? name : name.slice(0, dot);
}

/** Insertions, deletions, replacements and swaps of neighbours; null: more than `most`. */
function distance(one: string, other: string, most: number): number | null {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let at = 1; at <= other.length; at++) {
      const same = one[row - 1] === other[at - 1];
      let least = Math.min((last[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1, (last[at - 1] ?? 0) + (same ? 0 : 1));
      if (row > 1 && at > 1 && one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1])
        least = Math.min(least, (before[at - 2] ?? 0) + 1);
      next.push(least);
    }
    if (Math.min(...next) > most) return null;
    [before, last] = [last, next];
  }
  const found = last.at(-1) ?? most + 1;
  return found > most ? null : found;
}
