/** A reference that follows its file to another place, written the way its author writes. Pure. */
import { baseName, below, directoryOf, isAbsolute, joined, relativeTo } from "./paths.ts";
import type { MediaReference } from "./references.ts";
import type { NotePlace } from "./resolve.ts";
import { canSpell, spellTarget } from "./spelling.ts";

/** A file's place: absolute, and relative to its folder's root (null: in no folder). */
export type FilePlace = { readonly absolute: string; readonly path: string | null };

/**
 * What to write in place of the reference's own text, so that it means `to` instead of `from`. Relative stays relative, rooted in the
 * workspace stays so, a bare name stays bare. null: this syntax can't hold the new path.
 */
export function relink(reference: MediaReference, note: NotePlace, from: FilePlace, to: FilePlace): string | null {
  const path = meant(reference, note, from, to);
  return canSpell(reference, path) ? spellTarget(reference, path) : null;
}

function meant({ target, syntax }: MediaReference, { note, workspace }: NotePlace, from: FilePlace, to: FilePlace): string {
  const here = directoryOf(note);
  const beside = relativeTo(here, to.absolute);
  const named = syntax === "embed" || syntax === "sound";
  if (isAbsolute(target)) {
    const inWorkspace = workspace === null ? null : below(workspace, to.absolute);
    return inWorkspace !== null && target.startsWith("/") ? `/${inWorkspace}` : to.absolute;
  }
  if (named && (target === baseName(from.absolute) || syntax === "sound"))
    return syntax === "sound" ? (to.path ?? baseName(to.absolute)) : baseName(to.absolute);
  if (joined(here, target) === from.absolute || to.path === null)
    return target.startsWith("./") && !beside.startsWith("../") ? `./${beside}` : beside;
  const rooted = workspace !== null && named && joined(workspace, target) === from.absolute ? below(workspace, to.absolute) : null;
  if (rooted !== null) return rooted;
  // Written relative to the folder's root, or pointing nowhere: a path that any reader follows is the safe one.
  return target === from.path ? to.path : named ? to.path : beside;
}

/** As `relink`, for a note that goes elsewhere while its media stay: only what was written relative to the note changes. null: it stays as it is. */
export function relinkMoved(reference: MediaReference, oldNote: string, newNote: string, media: string): string | null {
  if (isAbsolute(reference.target) || joined(directoryOf(oldNote), reference.target) !== media) return null;
  const way = relativeTo(directoryOf(newNote), media);
  const path = reference.target.startsWith("./") && !way.startsWith("../") ? `./${way}` : way;
  return path !== reference.target && canSpell(reference, path) ? spellTarget(reference, path) : null;
}
