/** The facade's `guard` area: the user's answer to what waits. */
import type { Hold } from "../core/model.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { Engine } from "./facade.ts";
import { meetAnew } from "./fetch.ts";
import type { Folder } from "./folder.ts";
import type { FolderParts } from "./parts.ts";

export function guardArea(context: EngineContext): Engine["guard"] {
  const { folders, need } = context;
  const held = (folder: string | null): readonly Hold[] => {
    const chosen = folder === null ? [...folders.values()] : [need(folder)];
    return chosen.flatMap(({ rows }) => rows.holds.list("held"));
  };
  const ownerOf = (id: number, hash: string): { folder: Folder; hold: Hold } => {
    for (const folder of folders.values()) {
      const hold = folder.rows.holds.list("held").find((row) => row.id === id);
      if (hold === undefined) continue;
      if (hold.hash === hash) return { folder, hold };
      throw new EngineError(
        "holdChanged",
        `What waits has changed since it was shown to you (${hold.paths.length} files now). Nothing was done. Look again with \`satchel guard\`.`,
      );
    }
    throw new EngineError("holdNotFound", `Nothing waits under the number ${id}. See \`satchel guard\`.`);
  };
  return {
    list: held,
    approve: async (id, hash) => {
      const { folder, hold } = ownerOf(id, hash);
      await exclusively(folder, async () => await approve(context, folder, hold));
    },
    reject: async (id, hash) => {
      const { folder, hold } = ownerOf(id, hash);
      await exclusively(folder, async () => await reject(context, folder, hold));
    },
  };
}

async function exclusively(folder: Folder, work: () => Promise<void>): Promise<void> {
  await folder.loop.exclusive(work);
  folder.loop.tryAgain();
}

async function approve(context: EngineContext, folder: Folder, hold: Hold): Promise<void> {
  const { state, clock } = context.deps;
  const { rows } = folder;
  if (hold.reason === "rootMissing")
    throw new EngineError(
      "notADirectory",
      "A folder that is not there can't be approved: put it back; if it is gone for good, `satchel remove` forgets it (nothing is deleted on the server).",
    );
  state.transaction(() => {
    if (hold.reason === "otherServer") {
      // Nothing was agreed with this server: a first merge, which deletes nothing.
      meetAnew({ rows });
      rows.holds.remove(hold.id);
    } else rows.holds.update(hold.id, "approved");
    state.events.append("guard/approved", rows.id, { reason: hold.reason, files: hold.paths.length }, clock.wallMs());
  });
  await Promise.resolve();
}

/** The files come back: fetched where they are gone here, sent again where they are gone there. */
async function reject(context: EngineContext, folder: Folder, hold: Hold): Promise<void> {
  const { state, clock } = context.deps;
  const { rows, parts } = folder;
  if (hold.reason === "otherServer")
    throw new EngineError(
      "holdNotFound",
      "There are no files to bring back: another server answers at the remote's address. Put the old server back (then the question goes by itself), or choose another remote for the folder. To merge with the new server, approve; nothing is deleted by that.",
    );
  if (hold.reason === "rootMissing")
    throw new EngineError(
      "disk",
      `${parts.root} is not there, so no files can be brought back into it. Mount it, or put it back where it was (then the question goes by itself), or make an empty folder there and answer the question that follows.`,
    );
  if (hold.reason === "pingPong")
    throw new EngineError(
      "holdNotFound",
      "There is nothing to bring back: each of these files is there, but another program here undoes what is synced to it, again and again. Find that program (another sync tool on the same folder?) and keep it from these files, or name them in `.satchelignore`. To send once more what stands here now, approve.",
    );
  const lost = hold.scope === "folder" ? await missingHere(parts) : hold.paths;
  if (hold.scope === "folder") await parts.local.checkRoot({ makeMarker: true });
  state.transaction(() => {
    for (const path of lost) {
      // Without a base both "absent here, there" and "here, absent there" mean a new file on the side that has it.
      rows.base.remove(path);
      if (hold.scope === "folder") forget(parts, path, clock.wallMs());
    }
    rows.holds.remove(hold.id);
    state.events.append("guard/rejected", rows.id, { reason: hold.reason, files: lost.length }, clock.wallMs());
  });
}

async function missingHere({ rows, local }: FolderParts): Promise<readonly string[]> {
  const missing: string[] = [];
  // Collected first: the rows may not be read while others are written.
  const paths = Array.from(rows.base.livePaths());
  for (const path of paths) if (!(await local.allStand([path]))) missing.push(path);
  return missing;
}

/** The user has told what became of it: were it only found out by the next scans, it would be taken for his deletion then. */
function forget({ rows }: FolderParts, path: string, atMs: number): void {
  if (rows.entries.get(path) === undefined) return;
  rows.entries.remove(path);
  rows.changes.append({ path, kind: "remove", sha1: null, sizeBytes: null, origin: "user", atMs });
}
