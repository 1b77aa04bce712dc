/** The facade's `files` area: what is known of each path, and changes made through the API. */
import type { FolderState } from "../core/state.ts";
import { UNKNOWN, type SideState } from "../core/model.ts";
import { decide, reasonOf } from "../core/reconcile.ts";
import { toWire } from "../core/wire-names.ts";
import { carryOutRename } from "./change-local.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine, Explanation, FileView } from "./facade.ts";
import type { Folder } from "./folder.ts";
import { legalPath, refuseIgnored } from "./legal-path.ts";

const CHANGES_SHOWN = 50;

export function filesArea(context: EngineContext): Engine["files"] {
  const { need } = context;
  return {
    list: ({ folder, state, after, limit }) => {
      const files = need(folder);
      const views: FileView[] = [];
      for (const path of pathsOf(files.rows)) {
        if (path <= after) continue;
        const view = viewOf(files, path);
        if (state !== null && view.state !== state) continue;
        views.push(view);
        if (views.length >= limit) break;
      }
      return views;
    },
    add: async (id, path) => {
      const folder = need(id);
      const asked = legalPath(path);
      refuseIgnored(folder.parts, asked);
      folder.parts.local.hint(asked);
      folder.loop.wake();
      await folder.run(false);
      const seen = viewOf(folder, path);
      if (seen.sha1 === null && seen.problems.length === 0)
        throw new EngineError("pathNotFound", `${path} is not in ${folder.config.root}. Put the file there first, then tell the service.`);
      return viewOf(folder, path);
    },
    rename: async (id, from, to) => {
      const folder = need(id);
      await folder.loop.exclusive(async () => await carryOutRename(folder.parts, legalPath(from), legalPath(to)));
      folder.loop.tryAgain();
      return viewOf(folder, to);
    },
    find: (id, sha1) => {
      const folder = need(id);
      const entry = folder.rows.entries.withSha1(sha1);
      return entry === undefined ? null : viewOf(folder, entry.path);
    },
    explain: (id, path) => explain(need(id), legalPath(path)),
  };
}

/** Every path of the local tree and every problem, ascending: the three classes of N9. */
function pathsOf(rows: FolderState): readonly string[] {
  const paths = new Set<string>();
  for (const entry of rows.entries.all()) paths.add(entry.path);
  for (const problem of rows.problems.list()) paths.add(problem.path);
  return [...paths].toSorted();
}

/** While the root can't be opened its rules can't be read, and no path counts as ignored. */
function viewOf({ rows, partsIfOpen }: Folder, path: string): FileView {
  const entry = rows.entries.get(path);
  const problems = rows.problems.get(path);
  const base = rows.base.get(path);
  const isIgnored = (partsIfOpen?.ignoredBy(path) ?? null) !== null;
  const agreed = entry !== undefined && base === entry.sha1 ? "synced" : "pending";
  const state = problems.length > 0 ? "problem" : isIgnored ? "ignored" : agreed;
  return { path, state, sizeBytes: entry?.sizeBytes ?? null, sha1: entry?.sha1 ?? null, problems };
}

function explain(folder: Folder, path: string): Explanation {
  const { rows } = folder;
  const row = rows.pending.row(path);
  const ignoredBy = folder.parts.ignoredBy(path);
  const wire = toWire(path);
  return {
    ...viewOf(folder, path),
    wireName: row.wireName ?? (wire.kind === "name" ? wire.name : null),
    wouldDo: ignoredBy === null ? decide(row) : "none",
    reason: ignoredBy === null ? reasonOf(row) : `ignored by the rule ${ignoredBy}`,
    local: shown(row.local),
    remote: shown(row.remote),
    base: row.base ?? null,
    deleted: row.remote === null ? rows.remoteAuthors.get(path, null) : null,
    ignoredBy,
    changes: rows.changes.ofPath(path, CHANGES_SHOWN),
    versions: rows.versions.ofPath(path),
    conflicts: rows.conflicts.ofPath(path),
  };
}

function shown(side: SideState): string | null {
  return side === UNKNOWN ? "unknown" : side;
}
