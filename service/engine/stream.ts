/** The change stream of a remote that has one: kept open, re-opened with patience, and told to the folder's loop. */
import { backOffMs } from "../core/back-off.ts";
import type { FolderLoop } from "./folder-loop.ts";
import type { FolderParts } from "./parts.ts";

/** How long to wait before asking again whether the remote has a stream at all. */
const ASK_AGAIN_MS = 5_000;

/** Follows until aborted. A stream is a hint: without it the folder polls. */
export async function followRemote(parts: FolderParts, loop: FolderLoop, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const remote = parts.remote();
    const cursor = parts.rows.cursor.get();
    if (remote !== null && remote.can.changeStream && cursor !== undefined) {
      try {
        await remote.follow(
          cursor.position,
          (position) => {
            failures = 0;
            loop.setStream(position);
          },
          signal,
        );
      } catch (error) {
        if (!signal.aborted) parts.observer.trouble?.(parts.id, null, error);
      }
      failures += 1;
      loop.setStream(null);
    }
    const delayMs = failures === 0 ? ASK_AGAIN_MS : backOffMs(failures, parts.random, null);
    await parts.clock.sleep(delayMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
