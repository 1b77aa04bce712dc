import { chmodSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";

import { placesOf, type Places } from "../../protocol/places.ts";
import { SettingsError } from "./json-file.ts";

/** The places of this process, not yet made. `cwd`: what a relative `SATCHEL_HOME` is relative to. @throws Error */
export function currentPlaces(env: Readonly<Record<string, string | undefined>>, cwd: string): Places {
  return placesOf({ platform: process.platform, env, homeDir: homedir(), tmpDir: tmpdir(), cwd, uid: process.getuid?.() ?? null });
}

/**
 * Makes the directories, 0700. Ours that others may enter are closed. @throws SettingsError `unsafe` when one belongs to another user,
 * or the socket's directory in a shared /tmp is a symlink; `io` when it can't be made
 */
export function makePlaces(places: Places): void {
  for (const directory of [places.config, places.state, places.run]) makePrivate(directory, { symlinkAllowed: directory !== places.run });
  if (places.socketDir !== null) makePrivate(places.socketDir, { symlinkAllowed: false });
}

function makePrivate(directory: string, options: { readonly symlinkAllowed: boolean }): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const stat = options.symlinkAllowed ? statSync(directory) : lstatSync(directory);
    if (!stat.isDirectory())
      throw new SettingsError("unsafe", directory, `Could not use ${directory}: it is not a directory. Move it away.`);
    const self = process.getuid?.();
    if (self === undefined) return;
    if (stat.uid !== self)
      throw new SettingsError(
        "unsafe",
        directory,
        `Could not use ${directory}: it belongs to another user (${stat.uid}). Set SATCHEL_HOME.`,
      );
    if ((stat.mode & 0o077) !== 0) chmodSync(directory, 0o700);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError("io", directory, `Could not make the directory ${directory}: ${why}. Check its permissions.`, { cause: error });
  }
}
