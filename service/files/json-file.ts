import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import * as z from "zod";

/** `corrupt`: not what the schema wants. `future`: a newer Satchel wrote it. `unsafe`: others could read or swap it. `io`: the disk refused. */
export type SettingsFault = "corrupt" | "future" | "unsafe" | "io";

/** A file of ours could not be used. The message names it and says what to do. */
export class SettingsError extends Error {
  readonly fault: SettingsFault;
  readonly file: string;
  constructor(fault: SettingsFault, file: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SettingsError";
    this.fault = fault;
    this.file = file;
  }
}

/** More than any file of ours ever has. */
const FILE_MAX_BYTES = 16 * 1024 * 1024;

/** The parsed file, or null where there is none. `secret`: refused when it is a symlink or others may read it. @throws SettingsError */
export function readJson<Schema extends z.ZodType>(
  file: string,
  schema: Schema,
  options: { readonly secret: boolean; readonly version: number },
): z.infer<Schema> | null {
  const text = readText(file, options.secret);
  if (text === null) return null;
  let raw: unknown;
  try {
    raw = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    // The parser quotes what it could not read: of a secret nothing may be quoted (X3), not even as a cause.
    throw options.secret ? corrupt(file, "not JSON") : corrupt(file, error instanceof Error ? error.message : "not JSON", error);
  }
  const found = z.looseObject({ version: z.number().optional() }).safeParse(raw);
  if (found.success && found.data.version !== undefined && found.data.version > options.version)
    throw new SettingsError("future", file, `Could not read ${file}: a newer Satchel wrote it. Install the newer version again.`);
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const told = parsed.error.issues.map(({ path: key, message }) => (key.length === 0 ? message : `${z.core.toDotPath(key)}: ${message}`));
    throw corrupt(file, told.join("; "), parsed.error);
  }
  return parsed.data;
}

/**
 * Replaces the file in one step, durable when it returns: temp beside it, fsync, rename, fsync of the directory. Always 0600.
 * `secret`: never written through a symlink; else a symlink (a dotfiles repository) stays and its target is replaced.
 * `passing`: of this process's life alone, so a power cut may take it or leave it empty: no fsync. @throws SettingsError
 */
export function writeJson(file: string, value: unknown, options: { readonly secret: boolean; readonly passing?: true }): void {
  let temp: string | null = null;
  try {
    const target = options.secret ? file : followed(file);
    temp = path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
    writeNew(temp, `${JSON.stringify(value, null, 2)}\n`, options.passing !== true);
    renameSync(temp, target);
    temp = null;
    if (options.passing !== true) syncDirectory(path.dirname(target));
  } catch (error) {
    if (temp !== null) rmSync(temp, { force: true });
    throw new SettingsError("io", file, `Could not save ${file}: ${reasonOf(error)}. The old file is unchanged.`, { cause: error });
  }
}

function readText(file: string, secret: boolean): string | null {
  let handle: number | null = null;
  try {
    // O_NONBLOCK: a FIFO put there must not hang the start.
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | (secret ? constants.O_NOFOLLOW : 0));
    const stat = fstatSync(handle);
    if (!stat.isFile()) throw new SettingsError("unsafe", file, `Could not read ${file}: it is not a regular file. Move it away.`);
    if (stat.size > FILE_MAX_BYTES) throw corrupt(file, `${stat.size} bytes are too many`);
    if (secret) refuseLoose(file, stat.mode, stat.uid);
    return readFileSync(handle, "utf8");
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    if (codeOf(error) === "ENOENT") return null;
    if (codeOf(error) === "ELOOP")
      throw new SettingsError("unsafe", file, `Could not read ${file}: secrets are not read through a symlink. Put the file itself there.`);
    throw new SettingsError("io", file, `Could not read ${file}: ${reasonOf(error)}. Check the disk and the permissions.`, {
      cause: error,
    });
  } finally {
    if (handle !== null) closeSync(handle);
  }
}

function refuseLoose(file: string, mode: number, uid: number): void {
  const self = process.getuid?.();
  if (self === undefined) return;
  if (uid !== self) throw new SettingsError("unsafe", file, `Could not read ${file}: it belongs to another user (${uid}).`);
  if ((mode & 0o077) !== 0)
    throw new SettingsError("unsafe", file, `Could not read ${file}: others may read or change it. Run: chmod 600 ${file}`);
}

function writeNew(temp: string, text: string, synced: boolean): void {
  const handle = openSync(temp, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    writeFileSync(handle, text);
    if (synced) fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Makes the rename itself durable; Windows knows no such thing. */
function syncDirectory(directory: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function followed(file: string): string {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true ? realpathSync(file) : file;
}

function corrupt(file: string, why: string, cause?: unknown): SettingsError {
  const next = "Correct it, or move it away to begin with an empty one (media files are not touched either way)";
  return new SettingsError("corrupt", file, `Could not understand ${file}: ${why}. ${next}.`, { cause });
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
