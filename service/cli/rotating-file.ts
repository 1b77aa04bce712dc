/** A log file that stays small: written at once, so that a crash loses no line, and moved aside when it is full. */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

export type RotatingOptions = {
  readonly file: string;
  /** A file beyond this is moved to `.1`, that one to `.2`, … */
  readonly maxBytes: number;
  /** So many are kept beside the one that is written. */
  readonly keep: number;
  /** What could not be written (the disk is full) waits for the next line; beyond this, the oldest lines are dropped. */
  readonly unwrittenMaxBytes: number;
};

export type RotatingFile = { write(line: string): void; close(): void };

/** Never throws after it was opened: a log that can't be written must not end the process that writes it. @throws Error when it can't be opened */
export function openRotatingFile(options: RotatingOptions): RotatingFile {
  const { file, maxBytes } = options;
  let handle: number | null = openSync(file, "a", 0o600);
  let bytes = fstatSync(handle).size;
  let unwritten: string[] = [];

  function rotate(): void {
    if (handle !== null) closeSync(handle);
    handle = null;
    moveAside(options);
    handle = openSync(file, "a", 0o600);
    bytes = 0;
  }

  function writeAll(): void {
    if (bytes > 0 && bytes + Buffer.byteLength(unwritten[0] ?? "") > maxBytes) rotate();
    handle ??= openSync(file, "a", 0o600);
    while (unwritten.length > 0) {
      const line = Buffer.from(unwritten[0] ?? "");
      let done = 0;
      // A disk that fills up takes a part: the rest is the rest of the line.
      while (done < line.length) {
        const taken = writeSync(handle, line, done);
        done += taken;
        bytes += taken;
        if (done < line.length) unwritten[0] = line.subarray(done).toString("utf8");
      }
      unwritten.shift();
    }
  }

  return {
    write: (line) => {
      unwritten.push(line);
      try {
        writeAll();
      } catch {
        // Nowhere to tell it but the log itself: status and doctor tell of the disk.
        unwritten = newest(unwritten, options.unwrittenMaxBytes);
      }
    },
    close: () => {
      if (handle !== null) closeSync(handle);
      handle = null;
    },
  };
}

function moveAside({ file, keep }: RotatingOptions): void {
  rmSync(`${file}.${keep}`, { force: true });
  for (let number = keep - 1; number >= 1; number -= 1) renameIfThere(`${file}.${number}`, `${file}.${number + 1}`);
  if (keep > 0) renameIfThere(file, `${file}.1`);
  else rmSync(file, { force: true });
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

function newest(lines: readonly string[], maxBytes: number): string[] {
  let bytes = 0;
  let from = lines.length;
  while (from > 0 && bytes + Buffer.byteLength(lines[from - 1] ?? "") <= maxBytes) {
    from -= 1;
    bytes += Buffer.byteLength(lines[from] ?? "");
  }
  return lines.slice(from);
}
