/** A file that stands beside its twin under a made-up name gets its own name when that is free (FN10, FN11). */
import type { Entry } from "../core/model.ts";
import { checkParents, entryOf, parentOf, twinPath, type ApplyContext } from "./apply-context.ts";
import { isFault, isSameFile, unlinkIfThere } from "./disk-steps.ts";
import { moveSecondNameAside } from "./second-name.ts";
import { Spellings } from "./spellings.ts";

/**
 * The second name first, so that nothing is ever replaced and the bytes always stand somewhere; `commit` books it; then the old name goes.
 * Killed in between, both names show the same file. False: the name is not free, the file was changed, or this disk makes no second names.
 * @throws DiskError
 */
export async function freeTwin(context: ApplyContext, entry: Entry, commit: (entry: Entry) => void): Promise<boolean> {
  const { disk, root, clock } = context;
  const { path, diskPath, sha1 } = entry;
  if (diskPath === null || (await new Spellings(context).other(path)) !== null) return false;
  const [from, to] = [`${root}/${diskPath}`, `${root}/${path}`];
  await checkParents(context, path);
  const before = await disk.lstat(from);
  if (before === null || !isSameFile(before, entry, false)) return false;
  try {
    await disk.link(from, to);
  } catch (error) {
    if (!isFault(error, "exists", "notSupported", "crossDevice", "notFound")) throw error;
    // One of ours, from a try that was cut short; anything else has the name now.
    if ((await disk.lstat(to))?.fileId !== before.fileId) return false;
  }
  await disk.fsyncDir(parentOf(to));
  const after = await disk.lstat(to);
  if (after === null || !isSameFile(after, entry, false)) return false;
  commit(entryOf(path, path, after, sha1, clock.wallMs()));
  await unlinkIfThere(disk, from);
  await disk.fsyncDir(parentOf(from));
  return true;
}

/** What `freeTwin` left undone: the file has its own name, and the made-up one still shows it. False: nothing of the kind. @throws DiskError */
export async function dropStandIn(context: ApplyContext, { path }: Entry): Promise<boolean> {
  const { disk, root } = context;
  await checkParents(context, path);
  const own = await disk.lstat(`${root}/${path}`);
  if (own === null || (own.links ?? 1) < 2) return false;
  const standIn = twinPath(context, path);
  const exit = await moveSecondNameAside(context, standIn, own);
  if (exit === null) return false;
  await disk.fsyncDir(parentOf(`${root}/${standIn}`));
  await unlinkIfThere(disk, exit);
  return true;
}
