import type { WalkBatch, WalkFound } from "../core/ports.ts";

/** All files of a batch, one by one. */
export function* everyFound(batch: WalkBatch): Generator<WalkFound, void> {
  yield* batch.found;
  for (const { diskPaths, found } of batch.packs ?? []) for (let index = 0; index < diskPaths.length; index++) yield found(index);
}
