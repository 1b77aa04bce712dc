/** A media folder and Satchel's own directories have nothing in common: neither holds the other. */
import { EngineError } from "./errors.ts";

/**
 * Keys would be uploaded as media (X3), and each write to the database would wake the watcher that writes to it. The words don't tell where
 * our files are (WS20). @throws EngineError nested
 */
export function checkNotOurs(ownDirectories: readonly string[], root: string): void {
  if (ownDirectories.some((own) => holds(own, root)))
    throw new EngineError(
      "nested",
      `${root} can't be a media folder: Satchel keeps its own files (database, kept versions, keys) there. Choose a folder outside of it.`,
    );
  if (!ownDirectories.some((own) => holds(root, own))) return;
  throw new EngineError(
    "nested",
    `${root} can't be a media folder: Satchel's own files (database, kept versions, keys) lie somewhere in it and would be uploaded too. Choose the folder in it that holds your media alone, or keep Satchel's files elsewhere with SATCHEL_HOME.`,
  );
}

/** Whether `inner` is `outer` or lies below it; both real and absolute. */
export function holds(outer: string, inner: string): boolean {
  const separator = outer.startsWith("/") ? "/" : "\\";
  return inner === outer || inner.startsWith(outer.endsWith(separator) ? outer : `${outer}${separator}`);
}
