import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

import { runToEnd } from "../support/children.ts";

const REQUIREMENTS = path.join(import.meta.dirname, "requirements.txt");
/** pip may have to fetch some 20 MB. */
const INSTALL_MS = 600_000;

/** The Python that has the real Anki, or why there is none. */
export type Anki = { readonly python: string } | { readonly missing: string };

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}

/** The folder for things that may be fetched again: `SATCHEL_CACHE`, else below the user's cache folder. */
function cacheFolder(): string {
  return process.env["SATCHEL_CACHE"] ?? path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "satchel");
}

async function step(what: string, program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const ended = await runToEnd(program, args, { timeoutMs: INSTALL_MS });
    return ended.code === 0 ? undefined : `${what} failed: ${(ended.stderr || ended.stdout).trim().split("\n").slice(-3).join(" ")}`;
  } catch (error) {
    return `${what} failed: ${String(error)}`;
  }
}

/** Finds the virtual environment with the pinned Anki, or makes it: in a folder beside its place first, so that a half-made one is never found. */
export async function findAnki(): Promise<Anki> {
  const pins = await readFile(REQUIREMENTS, "utf8");
  const home = path.join(cacheFolder(), `anki-${createHash("sha1").update(pins).digest("hex").slice(0, 12)}`);
  const python = path.join(home, "bin", "python");
  const ready = path.join(home, "ready");
  if (await exists(ready)) return { python };
  await rm(home, { recursive: true, force: true });
  await mkdir(path.dirname(home), { recursive: true });
  process.stderr.write(`making a virtual environment with ${pins.trim()} in ${home}\n`);
  const trouble =
    (await step("python3 -m venv", "python3", ["-m", "venv", home])) ??
    (await step("pip install", python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])) ??
    (await step("import anki", python, ["-c", "import anki.collection, anki.syncserver"]));
  if (trouble !== undefined) return { missing: `the real Anki can't be had: ${trouble}` };
  await writeFile(`${ready}.tmp`, pins);
  await rename(`${ready}.tmp`, ready);
  return { python };
}
