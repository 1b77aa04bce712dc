/** Somebody wrote to a file in the very instant it was replaced: what they wrote becomes a visible conflict copy (N3). */
import { conflictCopyName } from "./conflict-copy.ts";
import type { LateWrite } from "./record-applied.ts";
import type { RunContext } from "./run-context.ts";

/** The bytes are in the version store already; nothing can be lost here, only shown late. */
export async function rescueLateWrites(context: RunContext, late: readonly LateWrite[]): Promise<void> {
  const { parts, run } = context;
  for (const write of late) {
    const copyPath = conflictCopyName(parts, write.path, write.sha1);
    const standing = parts.rows.entries.get(copyPath);
    if (standing === undefined) {
      const temp = await parts.applier.stageLocal(copyPath, write.sha1, undefined);
      if (temp === null) throw new Error(`rescue: the version store lost the bytes of ${write.path} that it kept a moment ago`);
      const step = { kind: "put", path: copyPath, temp, sha1: write.sha1, expect: null, copyTo: null, why: "conflict" } as const;
      const [result] = await parts.applier.commit([step], run);
      if (result?.kind !== "done" || result.entry === null) {
        await parts.applier.discard([temp]);
        // No name was to be had at this moment: the bytes are kept, and the conflict says so.
        noteConflict(context, write, null);
        continue;
      }
      const { entry } = result;
      const atMs = parts.clock.wallMs();
      parts.state.transaction(() => {
        parts.rows.entries.put(entry);
        parts.rows.changes.append({ path: copyPath, kind: "put", sha1: entry.sha1, sizeBytes: entry.sizeBytes, origin: "apply", atMs });
      });
    }
    noteConflict(context, write, copyPath);
  }
}

function noteConflict(context: RunContext, write: LateWrite, copyPath: string | null): void {
  const { rows, state, clock, policy } = context.parts;
  const atMs = clock.wallMs();
  state.transaction(() => {
    const id = rows.conflicts.add({
      path: write.path,
      copyPath,
      localSha1: write.sha1,
      remoteSha1: write.remoteSha1 ?? write.sha1,
      baseSha1: write.baseSha1,
      policy: policy(),
      state: "open",
      resolution: null,
      atMs,
      run: context.run,
    });
    state.events.append("conflict", rows.id, { id, path: write.path, copyPath }, atMs);
  });
  context.counts.conflicts += 1;
}
