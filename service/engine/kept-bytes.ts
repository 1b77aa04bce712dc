/** Bytes for people to look at: kept ones, and those that stand in a folder. */
import type { VersionStore } from "../core/local.ts";
import type { Sha1, Version } from "../core/model.ts";
import { EngineError } from "./errors.ts";
import type { FolderParts } from "./parts.ts";

/** One answer reads at most this much: messages are limited to 1 MiB. */
const READ_BYTES_MAX = 512 * 1024;

/** A slice of the bytes with this hash; empty: behind their end. `standing`: a folder whose files count too. @throws EngineError versionNotFound */
export async function readBytes(
  versions: VersionStore,
  standing: Pick<FolderParts, "rows" | "applier"> | null,
  slice: { readonly sha1: Sha1; readonly offsetBytes: number; readonly lengthBytes: number },
): Promise<Uint8Array> {
  const { sha1, offsetBytes } = slice;
  const lengthBytes = Math.min(slice.lengthBytes, READ_BYTES_MAX);
  if ((await versions.locate(sha1)) !== null) return await versions.readRange(sha1, offsetBytes, lengthBytes);
  const entry = standing?.rows.entries.withSha1(sha1);
  const bytes = entry === undefined ? "changed" : await standing?.applier.readRange(entry, offsetBytes, lengthBytes);
  // A file that was changed and not looked at yet holds other bytes than its row says.
  if (bytes === undefined || bytes === "changed") throw new EngineError("versionNotFound", `No kept bytes ${sha1.slice(0, 8)}.`);
  return bytes;
}

/** Of every path that had a file and has none now, what was kept last; newest first. */
export function removedPaths({ rows }: Pick<FolderParts, "rows">, limit: number): readonly Version[] {
  const newest = new Map<string, Version>();
  for (const version of rows.versions.before(Number.MAX_SAFE_INTEGER)) {
    if (version.why === "restored" || version.why === "fetched") continue;
    // Behind its older ones: a map keeps the place of the first.
    newest.delete(version.path);
    newest.set(version.path, version);
  }
  const gone = [...newest.values()].filter(({ path }) => rows.entries.get(path) === undefined);
  return gone.toReversed().slice(0, limit);
}
