/** What is done once a day, at rest: old events, old counts, and kept versions beyond the cap (never one younger than 30 days). */
import { GUARD_WINDOW_MS } from "../core/guard.ts";
import type { Version } from "../core/model.ts";
import { RETENTION, trimVersions } from "../files/versions.ts";
import type { EngineContext } from "./deps.ts";

const FIRST_MS = 10 * 60_000;
const EVERY_MS = 24 * 3_600_000;
const EVENTS_KEEP_MS = 30 * 86_400_000;
const EVENTS_MAX = 100_000;

/** Works until aborted; a day that fails is reported and tried again the next. */
export async function maintainDaily(context: EngineContext, signal: AbortSignal): Promise<void> {
  const { clock, observer } = context.deps;
  for (let delayMs = FIRST_MS; !signal.aborted; delayMs = EVERY_MS) {
    try {
      await clock.sleep(delayMs, signal);
      await maintain(context);
    } catch (error) {
      if (!signal.aborted) observer.trouble?.("", null, error);
    }
  }
}

/** One such day's work. */
async function maintain(context: EngineContext): Promise<void> {
  const { state, clock, versions } = context.deps;
  const nowMs = clock.wallMs();
  state.transaction(() => {
    state.events.trim(nowMs - EVENTS_KEEP_MS, EVENTS_MAX);
    for (const { rows } of context.folders.values()) rows.deletions.trim(nowMs - GUARD_WINDOW_MS);
  });
  // The journal knows the bytes of folders that are not looked after any more, too.
  const kept: Version[] = [];
  for await (const version of versions.journal()) kept.push(version);
  const gone = await trimVersions(versions, kept, RETENTION, clock);
  if (gone.length === 0) return;
  state.transaction(() => {
    for (const { rows } of context.folders.values()) for (const sha1 of gone) rows.versions.remove(sha1);
  });
}
