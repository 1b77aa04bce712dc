import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

import { runToEnd } from "./children.ts";

/** pip may have to fetch some 20 MB. */
const INSTALL_MS = 600_000;

/** A Python with what was asked for, or why there is none. */
export type Venv = { readonly python: string } | { readonly missing: string };

export type VenvSpec = {
  /** Begins the folder's name. */
  readonly name: string;
  /** A requirements file with pins. */
  readonly requirements: string;
  /** Python that fails where the installation does not work. */
  readonly probe: string;
};

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

/** Finds the virtual environment with these pins, or makes it: under its own name at the last step only, so that a half-made one is never found. */
export async function findVenv({ name, requirements, probe }: VenvSpec): Promise<Venv> {
  const pins = await readFile(requirements, "utf8");
  const home = path.join(cacheFolder(), `${name}-${createHash("sha1").update(pins).digest("hex").slice(0, 12)}`);
  const python = path.join(home, "bin", "python");
  const ready = path.join(home, "ready");
  if (await exists(ready)) return { python };
  await rm(home, { recursive: true, force: true });
  await mkdir(path.dirname(home), { recursive: true });
  process.stderr.write(`making a virtual environment with ${pins.trim()} in ${home}\n`);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "-r", requirements];
  const trouble =
    (await step("python3 -m venv", "python3", ["-m", "venv", home])) ??
    (await step("pip install", python, pip)) ??
    (await step(probe, python, ["-c", probe]));
  if (trouble !== undefined) return { missing: trouble };
  await writeFile(`${ready}.tmp`, pins);
  await rename(`${ready}.tmp`, ready);
  return { python };
}
