/** The facade's `guard` area: the user's answer to what waits. */
import type { Hold } from "../core/model.ts";
import type { EngineContext } from "./deps.ts";
import { EngineError, type Engine } from "./facade.ts";
import { meetAnew } from "./fetch.ts";
import type { Folder } from "./folder.ts";

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
  const { rows } = folder;
  if (hold.reason === "otherServer")
    throw new EngineError(
      "holdNotFound",
      "Put the old server back under its address, or sign in to another remote; there are no files to bring back.",
    );
  if (hold.scope === "folder") await folder.parts.local.checkRoot({ makeMarker: true });
  state.transaction(() => {
    const paths = hold.scope === "folder" ? [...rows.base.livePaths()].filter((path) => rows.entries.get(path) !== undefined) : hold.paths;
    // Without a base both "absent here, there" and "here, absent there" mean a new file on the side that has it.
    for (const path of paths) rows.base.remove(path);
    rows.holds.remove(hold.id);
    state.events.append("guard/rejected", rows.id, { reason: hold.reason, files: paths.length }, clock.wallMs());
  });
}
