/** A file and a folder can't share a name: what waited for one of them to go is tried when it has gone. */
import type { FolderState } from "../core/state.ts";
import { foldersAbove } from "../files/apply-context.ts";

type Named = { readonly path: string };

/** Those of `incoming` whose names one of `leaving` still takes: a file where a folder is needed, or files in a folder where a file is to stand. */
export function inTheWay<T extends Named>(incoming: readonly T[], leaving: readonly Named[]): ReadonlySet<T> {
  if (incoming.length === 0 || leaving.length === 0) return new Set();
  const files = new Set(leaving.map(({ path }) => path));
  const folders = new Set(leaving.flatMap(({ path }) => foldersAbove(path)));
  return new Set(incoming.filter(({ path }) => folders.has(path) || foldersAbove(path).some((folder) => files.has(folder))));
}

/** These paths went: a file that could not be put in place because of one of them deserves a try at once. Inside a transaction. */
export function clearWay({ problems }: Pick<FolderState, "problems">, gone: readonly string[]): void {
  if (gone.length === 0 || problems.count() === 0) return;
  const failed = problems.list().filter(({ side, reason }) => side === "remote" && reason === "applyFailed");
  const leaving = gone.map((path) => ({ path }));
  for (const { path, side } of inTheWay(failed, leaving)) problems.clear(path, side);
}
