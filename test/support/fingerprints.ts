import type { Entry } from "../../service/core/model.ts";
import type { Fingerprints } from "../../service/core/state.ts";

/** What the store tells of its entries, of entries that are in memory: pages as small as can be. */
export function* fingerprintsOf(entries: Iterable<Entry>): Generator<Fingerprints, void> {
  for (const { path, sizeBytes, mtimeNs, ctimeNs, fileId, racy, diskPath } of entries)
    yield {
      paths: [path],
      numbers: Float64Array.of(sizeBytes, mtimeNs, ctimeNs, fileId, racy ? 1 : 0),
      diskPaths: diskPath === null ? [] : [[0, diskPath]],
    };
}
