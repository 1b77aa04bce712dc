/** The change stream of a remote that has one: kept open, re-opened with patience, and told to the folder's loop. */
import { streamRetryMs } from "../core/schedule.ts";
import type { FolderLoop } from "./folder-loop.ts";
import type { FolderParts } from "./parts.ts";

/** A stream that was open for this long works: when it breaks, the tries begin anew. */
const STEADY_MS = 30_000;

/** Follows until aborted. A stream is a hint: without it the folder polls. */
export async function followRemote(parts: FolderParts, loop: FolderLoop, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    const remote = parts.remote();
    const cursor = parts.rows.cursor.get();
    if (remote !== null && remote.can.changeStream && cursor !== undefined) {
      const stream = loop.streamSignal;
      let openedMs: number | null = null;
      try {
        await remote.follow(
          cursor.position,
          (position) => {
            openedMs ??= parts.clock.monoMs();
            loop.setStream(position);
          },
          AbortSignal.any([signal, stream]),
        );
      } catch (error) {
        if (!signal.aborted && !stream.aborted) parts.observer.trouble?.(parts.id, null, error);
      }
      if (stream.aborted) continue;
      failures = openedMs !== null && parts.clock.monoMs() - openedMs >= STEADY_MS ? 1 : failures + 1;
      loop.setStream(null);
      const waitMs = streamRetryMs(failures, parts.random);
      loop.setStreamTry(parts.clock.monoMs() + waitMs);
      await parts.clock.sleep(waitMs, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      loop.setStreamTry(null);
    } else {
      // Only a run that has spoken with the remote knows whether it has a stream.
      failures = 0;
      await loop.nextRunEnd();
    }
  }
}
