/** Before anything is looked at: is the root what it was? An unmounted or emptied folder must never look like deletions (S14, N2). */
import type { Hold } from "../core/model.ts";
import { holdHash } from "../core/plan.ts";
import { Halt } from "./halt.ts";
import { digestOf, type FolderParts } from "./parts.ts";

const WORDS: Readonly<Record<"rootMissing" | "rootReplaced" | "markerGone", string>> = {
  rootMissing:
    "The folder is not there (moved, deleted, or on a disk that is not mounted). Nothing was synced. Put it back; if it has moved, `satchel remove` it and `satchel add` the new place (equal files are recognised).",
  rootReplaced:
    "Another folder stands where this one was, and not all of its files are in it. Nothing was synced. Put the old one back, or approve with `satchel guard approve` to go on with what is there.",
  markerGone:
    "The folder's `.satchel` marker is gone and so are some of its files: it may be an empty mount point. Nothing was synced. Mount it again, or approve with `satchel guard approve` to go on with what is there.",
};

/** @throws Halt when the whole folder must wait. A hold that the facts have answered goes by itself. */
export async function checkRoot(parts: FolderParts): Promise<void> {
  const { rows, local } = parts;
  const waiting = rows.holds.list("held").filter((row) => row.scope === "folder" && row.reason !== "otherServer");
  const state = await local.checkRoot({ makeMarker: false });
  if (state === "ok") return dissolve(parts, waiting);
  if (state === "unreadable") throw unreadable(parts);
  const reason = state === "missing" ? "rootMissing" : state === "replaced" ? "rootReplaced" : "markerGone";
  if (state !== "missing") {
    const approved = rows.holds.list("approved").find((row) => row.scope === "folder" && row.reason === reason);
    const known = Array.from(knownPaths(parts));
    // Of nothing, all would stand: before anything was seen, another folder in this one's place is not it.
    const same = known.length > 0 ? await local.allStand(known) : state === "markerGone";
    if (approved !== undefined || same) {
      await local.checkRoot({ makeMarker: true });
      dissolve(parts, approved === undefined ? waiting : [...waiting, approved]);
      return;
    }
  }
  hold(parts, waiting, reason);
  throw new Halt("held", reason, `${parts.root}: ${WORDS[reason]}`, true);
}

/** The root is there, but what is in it can't be told: no question for the user, and nothing is concluded from it (N2). */
export function unreadable({ root }: Pick<FolderParts, "root">): Halt {
  return new Halt(
    "failed",
    "unreadable",
    `${root} is there but can't be read: permission denied, or the disk refuses. Nothing was synced and nothing counts as deleted. Give yourself the right to read and enter it (chmod u+rwx), or check the disk; Satchel looks again by itself.`,
    true,
  );
}

/** What must stand for the folder to be the same one. Before anything was agreed on, what was seen there. */
function knownPaths({ rows }: FolderParts): Iterable<string> {
  return rows.base.liveCount() > 0 ? rows.base.livePaths() : Array.from(rows.entries.all(), ({ path }) => path);
}

function dissolve(parts: FolderParts, waiting: readonly Hold[]): void {
  if (waiting.length === 0) return;
  parts.state.transaction(() => {
    for (const row of waiting) parts.rows.holds.remove(row.id);
  });
}

function hold(parts: FolderParts, waiting: readonly Hold[], reason: "rootMissing" | "rootReplaced" | "markerGone"): void {
  if (waiting.some((row) => row.reason === reason)) return;
  const { rows, state, clock } = parts;
  const hash = holdHash(`folder ${reason}`, [], digestOf(parts));
  state.transaction(() => {
    for (const row of waiting) rows.holds.remove(row.id);
    rows.holds.add({ scope: "folder", reason, paths: [], hash, state: "held", atMs: clock.wallMs() });
    state.events.append("guard/held", rows.id, { reason, hash }, clock.wallMs());
  });
}
