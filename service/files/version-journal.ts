/**
 * The version store's journal, `journal.ndjson`: which file the kept bytes were, one line each, durable before anything is replaced (N1, N6).
 * Lines are only appended; when most of them tell of bytes that are gone, it is written anew and put in place in one step.
 */
import type { Version } from "../core/model.ts";
import type { Disk } from "../core/ports.ts";
import { openQueue, unlinkIfThere } from "./disk-steps.ts";

/** `keep`: the random name under which the bytes were held when the line was written. */
export type Line = Version & { readonly keep?: string };

export type Journal = {
  /** Durable when it resolves. */
  readonly append: (lines: readonly Line[]) => Promise<void>;
  /** Oldest first. */
  readonly lines: () => AsyncGenerator<Line>;
  /**
   * Written anew without the lines that `live` does not want and without doubles, if that at least halves it. `live` is asked for once
   * nothing is being appended. Returns the lines that went. Who reads it now is not disturbed: then it is left for another day.
   */
  readonly compact: (live: () => Promise<(line: Line) => Promise<boolean>>) => Promise<number>;
  /** Sweeps what a crash left of `compact`. */
  readonly recover: () => Promise<void>;
};

const PIECE_BYTES = 256 * 1024;
/** Shorter journals are read in a moment: not worth a write. */
const COMPACT_LINES_MIN = 1_000;
/** What is written and made durable in one go while it is written anew. */
const REWRITE_BYTES = 4 * 1024 * 1024;

/** `directory`: that of the store. */
export function openJournal(disk: Disk, directory: string, compactLinesMin = COMPACT_LINES_MIN): Journal {
  const path = `${directory}/journal.ndjson`;
  const next = `${path}.new`;
  /** One writer at a time. */
  const inTurn = openQueue();
  let clean = false;
  let readers = 0;
  let compacting: Promise<unknown> = Promise.resolve();
  /** Whole lines only; a line torn by a power cut is closed first. */
  const write = async (lines: readonly Line[]): Promise<void> => {
    let text = textOf(lines);
    if (!clean) {
      const stat = await disk.lstat(path);
      const last = stat === null || stat.sizeBytes === 0 ? null : await disk.readRange(path, stat.sizeBytes - 1, 1);
      if (last !== null && last[0] !== 0x0a) text = `\n${text}`;
    }
    // After a failed append nobody knows what is there: the next one looks again.
    const isNew = !clean && (await disk.lstat(path)) === null;
    clean = false;
    await disk.append(path, encoder.encode(text));
    if (isNew) await disk.fsyncDir(directory);
    clean = true;
  };
  return {
    append: async (lines) => await inTurn(async () => await write(lines)),
    lines: async function* read() {
      // A reader goes by offsets: nothing may be put in the file's place under it.
      await compacting;
      readers += 1;
      try {
        yield* linesOf(disk, path);
      } finally {
        readers -= 1;
      }
    },
    compact: async (live) => {
      if (readers > 0) return 0;
      const work = inTurn(async () => {
        clean = false;
        return await rewrite(disk, { path, next, directory, linesMin: compactLinesMin }, await live());
      });
      compacting = work.catch(() => undefined);
      return await work;
    },
    recover: async () => await unlinkIfThere(disk, next),
  };
}

type Rewrite = { readonly path: string; readonly next: string; readonly directory: string; readonly linesMin: number };

/** Counted first: most days there is nothing to do. The old one stands whole until the new one is durable. */
async function rewrite(disk: Disk, { path, next, directory, linesMin }: Rewrite, live: (line: Line) => Promise<boolean>): Promise<number> {
  let count = 0;
  /** Of each line that stays, where its last double stands. */
  const last = new Map<string, number>();
  for await (const line of linesOf(disk, path)) {
    if (await live(line)) last.set(keyOf(line), count);
    count += 1;
  }
  if (!isWorthRewriting(count, last.size, linesMin)) return 0;
  await unlinkIfThere(disk, next);
  await disk.create(next, new Uint8Array(), FILE_MODE);
  let text = "";
  let at = 0;
  for await (const line of linesOf(disk, path)) {
    if (last.get(keyOf(line)) === at) text += textOf([line]);
    at += 1;
    if (text.length < REWRITE_BYTES) continue;
    await disk.append(next, encoder.encode(text));
    text = "";
  }
  if (text !== "") await disk.append(next, encoder.encode(text));
  await disk.rename(next, path);
  await disk.fsyncDir(directory);
  return count - last.size;
}

/** Pure: at least half of it would go. */
export function isWorthRewriting(lines: number, live: number, linesMin = COMPACT_LINES_MIN): boolean {
  return lines >= linesMin && live * 2 <= lines;
}

const FILE_MODE = 0o600;
const encoder = new TextEncoder();

function textOf(lines: readonly Line[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** What a double repeats; when it was and under which name it was held are not part of it. */
function keyOf({ folder, path, sha1, run, why }: Line): string {
  return JSON.stringify([folder, path, sha1, run, why]);
}

async function* linesOf(disk: Disk, path: string): AsyncGenerator<Line> {
  if ((await disk.lstat(path)) === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for (let at = 0; ;) {
    const piece = await disk.readRange(path, at, PIECE_BYTES);
    at += piece.length;
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = lineOf(text);
      if (line !== null) yield line;
    }
    if (piece.length < PIECE_BYTES) return;
  }
}

/** null: torn by a power cut, or not ours. Its replace never happened, for the line is durable before it. */
function lineOf(text: string): Line | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  return isLine(value) ? value : null;
}

const WHY: ReadonlySet<unknown> = new Set<Version["why"]>(["replaced", "removed", "conflict", "restored", "fetched"]);

function isLine(value: unknown): value is Line {
  if (typeof value !== "object" || value === null) return false;
  const line = new Map<string, unknown>(Object.entries(value));
  const texts = ["folder", "path", "sha1", "run"].every((key) => typeof line.get(key) === "string");
  const numbers = ["sizeBytes", "atMs"].every((key) => typeof line.get(key) === "number");
  return texts && numbers && WHY.has(line.get("why")) && /^[0-9a-f]{40}$/.test(String(line.get("sha1")));
}
