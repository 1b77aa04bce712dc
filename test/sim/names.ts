/** What a name on a disk is called everywhere else: spellings of one path, and twins under their stand-in names (FN09–FN12). */
import { hash } from "node:crypto";

import type { Volume } from "./volume.ts";

const TWIN = /^(?<stem>.*)\.twin-(?<hash4>[0-9a-f]{4})(?<extension>\.[^./]*)?$/su;

/** The path that this file has on the other devices. `diskPath` as the disk spells it; both are relative to `root`. */
export function pathOf(volume: Volume, root: string, diskPath: string): string {
  const path = diskPath.normalize("NFC");
  if (volume.profile.names === "exact") return path;
  const real = realOf(path);
  // Where a file stands under the real name, that one is the path's.
  return real === null || stands(volume, root, real) ? path : real;
}

/** The path whose stand-in name this is, or null. */
function realOf(path: string): string | null {
  const { stem, hash4, extension } = TWIN.exec(path)?.groups ?? {};
  if (stem === undefined || hash4 === undefined) return null;
  const real = `${stem}${extension ?? ""}`;
  return hash("sha1", real).startsWith(hash4) ? real : null;
}

/** Where no stand-in is made: the name of one, given by hand. A folding disk could not tell such a file from the twin whose path it spells. */
export function isForeignStandIn(volume: Volume, path: string): boolean {
  return volume.profile.names === "exact" && realOf(path.normalize("NFC")) !== null;
}

/** Where stand-ins are made: the name of one. Made anew when the twin's own name has come free, it would be such a file given by hand. */
export function isOwnStandIn(volume: Volume, path: string): boolean {
  return volume.profile.names !== "exact" && realOf(path.normalize("NFC")) !== null;
}

/** A file for this path stands under the stand-in name, its own being taken. */
export function hasTwin(volume: Volume, root: string, path: string): boolean {
  if (volume.profile.names === "exact") return false;
  const slash = path.lastIndexOf("/") + 1;
  const dot = path.lastIndexOf(".");
  const cut = dot > slash ? dot : path.length;
  return volume.find(`${root}/${path.slice(0, cut)}.twin-${hash("sha1", path).slice(0, 4)}${path.slice(cut)}`) !== null;
}

/** Under this very spelling, composed or not. */
function stands(volume: Volume, root: string, path: string): boolean {
  const spelled = volume.spell(`${root}/${path}`);
  return volume.find(spelled) !== null && spelled.slice(root.length + 1).normalize("NFC") === path;
}
