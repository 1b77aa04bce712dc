/** Which files of a folder were renamed, by whomever: read from the change log, where a rename is a removal and the same bytes elsewhere. */
import type { Change } from "../core/model.ts";
import type { FolderState } from "../core/state.ts";
import type { Engine } from "./facade.ts";

/** What happened to a path is told from so many of its newest changes. */
const CHANGES_SHOWN = 20;
/** A file that goes here and comes there within this was renamed: the watcher tells of both, the disappearance later. */
const RENAME_WITHIN_MS = 60_000;
/** Changes that one look at renames takes in. */
const RENAMES_PAGE = 1000;

/**
 * Each rename once: when the later of its two halves is told. A disk's events and another device's rows may bring the new name before the old one goes or after,
 * and a look may fall between them.
 */
export function renamesSince(rows: FolderState, after: number | null): ReturnType<Engine["notes"]["renames"]> {
  const since = after ?? rows.changes.lastSeq();
  const changes = rows.changes.since(since, RENAMES_PAGE);
  const through = changes.at(-1)?.seq ?? since;
  const renames = [...removedBefore(rows, since, changes), ...changes].flatMap((change) => {
    const found = change.kind === "remove" ? renameBy(rows, change) : null;
    return found !== null && found.seq > since && found.seq <= through ? [{ from: change.path, to: found.to }] : [];
  });
  return { renames, through };
}

/** What went shortly before the page, where the page has something new that it may have become. */
function removedBefore(rows: FolderState, since: number, page: readonly Change[]): readonly Change[] {
  const put = page.find(({ kind }) => kind === "put");
  if (put === undefined) return [];
  return rows.changes
    .since(Math.max(0, since - RENAMES_PAGE), RENAMES_PAGE)
    .filter(({ seq, kind, atMs }) => seq <= since && kind === "remove" && put.atMs - atMs <= RENAME_WITHIN_MS);
}

/** Where the removed file's bytes stand now, when they came there about when it went; `seq`: of the later half. */
function renameBy(rows: FolderState, { path, seq, atMs }: Change): { readonly to: string; readonly seq: number } | null {
  if (rows.entries.get(path) !== undefined) return null;
  const before = rows.changes.ofPath(path, CHANGES_SHOWN).find((change) => change.kind === "put")?.sha1 ?? null;
  const now = before === null ? undefined : rows.entries.withSha1(before);
  if (now === undefined || now.path === path) return null;
  const put = rows.changes
    .ofPath(now.path, CHANGES_SHOWN)
    .findLast((change) => change.kind === "put" && change.sha1 === before && Math.abs(change.atMs - atMs) <= RENAME_WITHIN_MS);
  return put === undefined ? null : { to: now.path, seq: Math.max(seq, put.seq) };
}
