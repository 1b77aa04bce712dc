/** Mistyped sub-commands. Commander suggests by itself, but not where a group has a default command: there the word passes for its argument. */
import type { Command } from "commander";

/** More slips than this are another word. */
const SLIPS_MAX = 2;

/**
 * A word that stands where a sub-command may stand, is none, and is nearly one: `guard aprove 7`. null: nothing of that kind.
 * `group`: the words before it. A path is never taken for a verb: `./lists` stays a folder.
 */
export function mistypedVerb(
  program: Command,
  argv: readonly string[],
): { readonly group: Command; readonly word: string; readonly meant: string } | null {
  let group = program;
  for (const word of argv) {
    if (word.startsWith("-")) continue;
    const child = commandNamed(group, word);
    if (child === undefined) {
      const meant = group === program ? null : nearest(word, group);
      return meant === null ? null : { group, word, meant };
    }
    if (child.commands.length === 0) return null;
    group = child;
  }
  return null;
}

/** The sub-command of `group` that `word` nearly is; null: none. */
export function nearest(word: string, group: Command): string | null {
  return nearestName(
    word,
    group.commands.map((command) => command.name()),
  );
}

/** The one of these names that `word` nearly is; null: none. */
export function nearestName(word: string, names: readonly string[]): string | null {
  let best: string | null = null;
  let bestSlips = SLIPS_MAX + 1;
  for (const name of names) {
    const slips = slipsBetween(word.toLowerCase(), name);
    // Two slips in a short word leave nothing of it.
    if (slips >= bestSlips || slips * 2 >= name.length) continue;
    best = name;
    bestSlips = slips;
  }
  return best;
}

export function commandNamed(group: Command, word: string): Command | undefined {
  return group.commands.find((command) => command.name() === word || command.aliases().includes(word));
}

/** Letters put in, left out, replaced or swapped with their neighbour (optimal string alignment). */
function slipsBetween(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= from.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      line.push(
        Math.min(
          cell(rows, row - 1, column) + 1,
          cell([line], 0, column - 1) + 1,
          cell(rows, row - 1, column - 1) + (same ? 0 : 1),
          swapped ? cell(rows, row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    rows.push(line);
  }
  return cell(rows, from.length, to.length);
}

function cell(rows: readonly (readonly number[])[], row: number, column: number): number {
  return rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
}
