import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { runToEnd } from "../support/children.ts";

const SOURCE = path.join(import.meta.dirname, "floor.c");

/** The C program that scans and hashes a folder with two threads, or why it could not be built. */
export type Floor =
  | { readonly scan: (folder: string) => Promise<number>; readonly close: () => Promise<void> }
  | { readonly missing: string };

/** Compiles the floor with the machine's `cc` and libcrypto. `scan` resolves with milliseconds. */
export async function buildFloor(): Promise<Floor> {
  const folder = await mkdtemp(path.join(tmpdir(), "satchel-floor-"));
  const program = path.join(folder, "floor");
  const close = async (): Promise<void> => await rm(folder, { recursive: true, force: true });
  try {
    const built = await runToEnd("cc", ["-O2", "-o", program, SOURCE, "-lcrypto", "-lpthread"]);
    if (built.code !== 0) throw new Error(built.stderr.split("\n")[0]);
  } catch (error) {
    await close();
    return { missing: `the C floor can't be built (cc and libcrypto's headers are needed): ${String(error)}` };
  }
  return {
    close,
    async scan(root) {
      const ended = await runToEnd(program, [root]);
      const ms = Number(ended.stdout.split(" ")[2]);
      if (ended.code !== 0 || !(ms > 0)) throw new Error(`the floor failed on ${root}: ${ended.stderr}`);
      return ms;
    },
  };
}
