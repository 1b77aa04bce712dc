import assert from "node:assert/strict";

import * as z from "zod";

import { COMMAND_SHAPES, commandError } from "../../protocol/command-shapes.ts";
import type { Ended } from "./children.ts";

/** Which shapes of `protocol/command-shapes.ts` have been seen here. */
export type Told = {
  /**
   * Runs a command with `--json`: what it prints must have this shape (`error`: an error, on stderr) and nothing beside it, its exit code must
   * be this one. Returns the last line's value.
   */
  readonly as: (
    device: { cli(args: readonly string[], stdin?: string): Promise<Ended> },
    shape: string,
    args: readonly string[],
    exit?: number,
    stdin?: string,
  ) => Promise<ReturnType<typeof JSON.parse>>;
  /** What this text, one value a line, is; it must have the shape. */
  readonly read: (shape: string, text: string) => readonly ReturnType<typeof JSON.parse>[];
  readonly seen: ReadonlySet<string>;
};

export function openTold(): Told {
  const seen = new Set<string>();
  const read: Told["read"] = (name, text) => {
    const { shape, lines } =
      name === "error" ? { shape: commandError, lines: false } : (COMMAND_SHAPES[name] ?? { shape: z.never(), lines: false });
    const values: ReturnType<typeof JSON.parse>[] = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    if (!lines) assert.equal(values.length, 1, `${name}: one object, not ${text}`);
    for (const value of values) {
      const { error } = shape.safeParse(value);
      assert.equal(error, undefined, `${name}: ${error === undefined ? "" : z.prettifyError(error)}\n${JSON.stringify(value)}`);
    }
    seen.add(name);
    return values;
  };
  return {
    read,
    seen,
    as: async (device, shape, args, exit = 0, stdin) => {
      const ended = await device.cli([...args, "--json"], stdin);
      assert.equal(ended.code, exit, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
      return read(shape, shape === "error" ? ended.stderr : ended.stdout).at(-1);
    },
  };
}
