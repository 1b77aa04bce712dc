/** Taking away one of two names of a file, and never another file that a program put under that name meanwhile. */
import type { Stat } from "../core/model.ts";
import { exitPath, tempBeside, type ApplyContext } from "./apply-context.ts";
import { isFault } from "./disk-steps.ts";

/**
 * Moves aside what stands at `path` (root-relative, as on disk) if it is the file `own` shows; looked at once more there, and anything else goes back.
 * Returns what is to be removed now, with the other name durable; null: nothing. @throws DiskError
 */
export async function moveSecondNameAside(context: ApplyContext, path: string, own: Stat): Promise<string | null> {
  const { disk, root } = context;
  const target = `${root}/${path}`;
  const isOwn = (stat: Stat | null): boolean => stat !== null && stat.fileId === own.fileId && stat.dev === own.dev;
  if (!isOwn(await disk.lstat(target))) return null;
  const exit = await moveAside(context, path, target);
  return isOwn(await disk.lstat(exit)) || (await putBack(context, exit, target)) ? exit : null;
}

/**
 * Moves the file `target` to where it waits for its end; `path` is its own, root-relative. Where `.satchel/` is on another file system (DK05) it
 * waits in the root, which every start sweeps, and beside its name only where that is on yet another one. Returns where it is. @throws DiskError
 */
export async function moveAside(context: ApplyContext, path: string, target: string): Promise<string> {
  const { disk, root } = context;
  for (const exit of [exitPath(context, path), tempBeside(context, `${root}/x`)]) {
    try {
      await disk.rename(target, exit);
      return exit;
    } catch (error) {
      if (!isFault(error, "crossDevice")) throw error;
    }
  }
  const beside = tempBeside(context, target);
  await disk.rename(target, beside);
  return beside;
}

/** False: the name is taken again already; the bytes stay aside until the next start keeps them. */
export async function putBack({ disk }: ApplyContext, exit: string, target: string): Promise<boolean> {
  try {
    await disk.link(exit, target);
    return true;
  } catch (error) {
    if (isFault(error, "exists")) return false;
    if (!isFault(error, "notSupported", "crossDevice")) throw error;
  }
  if ((await disk.lstat(target)) !== null) return false;
  await disk.rename(exit, target);
  return true;
}
