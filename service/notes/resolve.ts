/** From what a note says to the file of a media folder that is meant. */
import { baseName, below, directoryOf, extensionOf, isAbsolute, isMedia, isNote, joined } from "./paths.ts";
import type { MediaReference } from "./references.ts";

/** A path in a folder that the service looks after. */
export type MediaPlace = { readonly folder: string; readonly path: string };
export type MediaRoot = { readonly folder: string; readonly root: string };

/** Where a note stands. Absolute, `/`-separated. `workspace`: the directory that a leading `/` means; null: none. */
export type NotePlace = { readonly note: string; readonly workspace: string | null };

/** What resolving needs to know. */
export interface MediaIndex {
  readonly roots: readonly MediaRoot[];
  /** `here`: it stands on this disk. `known`: it does not, but the remote or the change log tells of it. */
  standing(place: MediaPlace): "here" | "known" | "unknown";
  /** Files of all folders with exactly this last name, here, on the remote, or gone. */
  named(name: string): Promise<readonly MediaPlace[]>;
  /** Something stands at this absolute path. */
  exists(absolute: string): Promise<boolean>;
}

/**
 * The file that is meant, or null: the reference leads out of all folders, to a note, or to a directory. A path is tried relative to
 * the note, then to the workspace, then to the folders' roots; an embed or a sound also by its name alone. What stands here wins over
 * what is only known; what nobody knows is taken where the note points to.
 */
export async function resolve(reference: MediaReference, place: NotePlace, index: MediaIndex): Promise<MediaPlace | null> {
  const names = spellings(reference);
  if (names.length === 0) return null;
  const pointed = names.flatMap((name) => pointsTo(reference, name, place));
  const inFolders: MediaPlace[] = [];
  for (const absolute of pointed) {
    const found = placeOf(index.roots, absolute);
    if (found !== null) inFolders.push(found);
    if (found === null && (await index.exists(absolute))) return null;
    if (found !== null && ((await index.exists(absolute)) || index.standing(found) === "here")) return found;
  }
  const byName = (await Promise.all(names.map(async (name) => await namedBy(reference, name, index)))).flat();
  const standing = [...inFolders, ...byName];
  const best = standing.find((one) => index.standing(one) === "here") ?? standing.find((one) => index.standing(one) === "known");
  return best ?? inFolders[0] ?? homeless(reference, names[0] ?? "", place, index);
}

/** The folder's file at an absolute path, or null where no folder looks after it. */
export function placeOf(roots: readonly MediaRoot[], absolute: string): MediaPlace | null {
  for (const { folder, root } of roots) {
    const path = below(root, absolute);
    if (path !== null && path !== "") return { folder, path: path.normalize("NFC") };
  }
  return null;
}

/** What the reference may mean, the likeliest first. Empty: no media. */
function spellings({ target, literal, syntax }: MediaReference): string[] {
  const meant = [...new Set([target, literal])].map((name) => name.replaceAll("\\", "/").normalize("NFC"));
  return meant.filter((name) => {
    if (name === "" || name.endsWith("/") || name.includes("\0") || isNote(name)) return false;
    return syntax === "embed" ? isMedia(name) : syntax !== "link" || extensionOf(name) !== "";
  });
}

function pointsTo({ syntax }: MediaReference, name: string, { note, workspace }: NotePlace): string[] {
  if (/^file:/i.test(name)) return [joined("/", name.replace(/^file:(?:\/\/(?:localhost)?)?/i, "").replace(/^\/(?=[a-z]:)/i, ""))];
  if (isAbsolute(name)) return [...(workspace === null ? [] : [joined(workspace, name.replace(/^[a-z]:/i, ""))]), joined("/", name)];
  const beside = joined(directoryOf(note), name);
  return syntax === "embed" && workspace !== null ? [beside, joined(workspace, name)] : [beside];
}

/** Relative to each folder's root; embeds and sounds also by the last name, wherever it stands. */
async function namedBy({ syntax }: MediaReference, name: string, index: MediaIndex): Promise<MediaPlace[]> {
  if (isAbsolute(name) || /^file:/i.test(name)) return [];
  const path = inside(name);
  const fromRoots = path === null ? [] : index.roots.map(({ folder }) => ({ folder, path }));
  if (syntax !== "embed" && syntax !== "sound") return fromRoots;
  return [...fromRoots, ...(await index.named(baseName(name))).filter((one) => one.path === name || one.path.endsWith(`/${name}`))];
}

/** Nobody knows it: an embed or a sound is meant for the folder that belongs to the note; anything else points elsewhere. */
function homeless({ syntax }: MediaReference, name: string, { note, workspace }: NotePlace, { roots }: MediaIndex): MediaPlace | null {
  if (syntax !== "embed" && syntax !== "sound") return null;
  const path = inside(name);
  if (path === null || isAbsolute(name)) return null;
  const near = roots.filter(({ root }) => {
    if (below(directoryOf(root), note) !== null || below(root, note) !== null) return true;
    return workspace !== null && below(workspace, root) !== null;
  });
  const [home] = near.toSorted((a, b) => shared(b.root, note) - shared(a.root, note));
  return home === undefined ? null : { folder: home.folder, path };
}

/** A path that stays inside its root, without `.` and `..`; null where it leads out. */
function inside(name: string): string | null {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === ".." && parts.pop() === undefined) return null;
    if (part !== "" && part !== "." && part !== "..") parts.push(part);
  }
  return parts.length === 0 ? null : parts.join("/");
}

function shared(one: string, other: string): number {
  const [a, b] = [one.split("/"), other.split("/")];
  const apart = a.findIndex((part, at) => part !== b[at]);
  return apart < 0 ? a.length : apart;
}
