import { conflictName } from "../core/conflict-names.ts";
import type { Sha1 } from "../core/model.ts";
import type { FolderParts } from "./parts.ts";

/** A free name for a conflict copy of `path` with these bytes, or one that has them already. */
export function conflictCopyName(parts: FolderParts, path: string, sha1: Sha1): string {
  const { rows, clock, device } = parts;
  const taken = (name: string): Sha1 | null => rows.entries.get(name)?.sha1 ?? rows.remote.get(name)?.sha1 ?? null;
  return conflictName({ path, atMs: clock.wallMs(), device, sha1, taken });
}
