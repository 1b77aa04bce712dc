/** At start: what a crash left half done is finished or forgotten, from the intents and what stands on disk (N5). */
import type { ApplyIntent, Conflict, Version } from "../core/model.ts";
import type { FolderParts } from "./parts.ts";

/** Settles every apply intent, sweeps our leftovers, relearns kept versions. Upload intents stay: the feed will answer them. */
export async function recoverFolder(parts: FolderParts): Promise<void> {
  await settleIntents(parts);
  await relearnVersions(parts);
}

/** What the intents say was under way: finished where the disk shows it, forgotten where not. Nothing else may be applying now. */
export async function settleIntents(parts: FolderParts): Promise<void> {
  const { rows, state, applier, clock } = parts;
  const outcomes = await applier.recover(rows.applyIntents.all());
  for (const { intent, done } of outcomes) if (done) await showCopy(parts, intent);
  const approved = new Set(rows.holds.list("approved").flatMap((hold) => (hold.scope === "deleteLocal" ? hold.paths : [])));
  state.transaction(() => {
    const atMs = clock.wallMs();
    for (const { intent, done, entry } of outcomes) {
      if (done) {
        if (intent.movesBase) rows.base.put(intent.path, intent.sha1);
        // What stands there now may be newer than what we put: the first scan tells. Only our own bytes are booked as ours.
        if (intent.sha1 === null && entry === null) {
          rows.entries.remove(intent.path);
          // The guard counts it like one that was booked in time (S14): a crash is no way around the user's word.
          const elsewhere = intent.expectSha1 === null ? undefined : rows.entries.withSha1(intent.expectSha1);
          if (intent.movesBase && elsewhere === undefined && !approved.has(intent.path))
            rows.deletions.add("deleteLocal", intent.path, atMs);
        }
        if (entry !== null && entry.sha1 === intent.sha1) rows.entries.put(entry);
        if (entry === null || entry.sha1 === intent.sha1) {
          const kind = intent.sha1 === null ? "remove" : "put";
          rows.changes.append({
            path: intent.path,
            kind,
            sha1: intent.sha1,
            sizeBytes: entry?.sizeBytes ?? null,
            origin: intent.origin,
            atMs,
          });
        }
      }
      rows.applyIntents.remove(intent.path);
      // A conflict whose replace happened is one now; one whose replace did not is planned again, under the same name.
      const planned = plannedAt(parts, intent.path);
      if (done && planned !== undefined) rows.conflicts.update(planned.id, { state: "open" });
    }
  });
  // What proved that a step was not done is not needed any more.
  await applier.discard(outcomes.flatMap(({ intent, done }) => (done || intent.temp === null ? [] : [intent.temp])));
}

function plannedAt({ rows }: FolderParts, path: string): Conflict | undefined {
  return rows.conflicts.ofPath(path).find(({ state }) => state === "planned");
}

/**
 * A disk may keep the replace and forget the visible copy that was made before it: two names, and nothing between them was durable. The bytes
 * are in the version store since before both. @throws DiskError when it can't be made now; then the intent stays.
 */
async function showCopy(parts: FolderParts, intent: ApplyIntent): Promise<void> {
  const { rows, state, applier, clock } = parts;
  const { copyPath, localSha1 } = plannedAt(parts, intent.path) ?? { copyPath: null, localSha1: null };
  if (copyPath === null || localSha1 === null) return;
  const temp = await applier.stageLocal(copyPath, localSha1, undefined);
  if (temp === null) return;
  const step = { kind: "put", path: copyPath, temp, sha1: localSha1, expect: null, copyTo: null, why: "conflict" } as const;
  const [result] = await applier.commit([step], intent.run);
  // Something has the name: the copy itself, as nearly always.
  if (result?.kind !== "done" || result.entry === null) return await applier.discard([temp]);
  const { entry } = result;
  state.transaction(() => {
    rows.entries.put(entry);
    const { sha1, sizeBytes } = entry;
    rows.changes.append({ path: copyPath, kind: "put", sha1, sizeBytes, origin: "apply", atMs: clock.wallMs() });
  });
}

/** Kept bytes whose row was lost (crash before the commit, or a lost database) get it back from the journal. */
async function relearnVersions(parts: FolderParts): Promise<void> {
  const { rows, state, versions } = parts;
  const lost: Version[] = [];
  for await (const version of versions.journal()) {
    if (version.folder !== parts.id) continue;
    const known = rows.versions.ofPath(version.path).some((row) => row.sha1 === version.sha1 && row.run === version.run);
    if (!known && (await versions.locate(version.sha1)) !== null) lost.push(version);
  }
  if (lost.length > 0) state.transaction(() => lost.forEach((version) => rows.versions.add(version)));
}
