/** What is done once a day, at rest: old events, old counts, and kept versions beyond the cap (never one younger than 30 days). */
import { GUARD_WINDOW_MS } from "../core/guard.ts";
import type { Version } from "../core/model.ts";
import { RETENTION, trimVersions } from "../files/versions.ts";
import type { EngineContext } from "./deps.ts";

const FIRST_MS = 10 * 60_000;
const EVERY_MS = 24 * 3_600_000;
const EVENTS_KEEP_MS = 30 * 86_400_000;
const EVENTS_MAX = 100_000;
/** The first day after a start, then monthly. */
const SCRUB_EVERY_DAYS = 30;

/** Works until aborted; a day that fails is reported and tried again the next. */
export async function maintainDaily(context: EngineContext, signal: AbortSignal): Promise<void> {
  const { clock, observer } = context.deps;
  let day = 0;
  for (let delayMs = FIRST_MS; !signal.aborted; delayMs = EVERY_MS) {
    try {
      await clock.sleep(delayMs, signal);
      await maintain(context);
      if (day % SCRUB_EVERY_DAYS === 0) await examine(context, signal);
      day += 1;
    } catch (error) {
      if (!signal.aborted) observer.trouble?.("", null, error);
    }
  }
}

/** Looks for rot: in the change log's chain (S20) and in kept bytes (DK09). Damage is told, never repaired silently or passed on. */
async function examine(context: EngineContext, signal: AbortSignal): Promise<void> {
  const { state, clock, versions, observer } = context.deps;
  const broken = state.checkChangeLog();
  if (broken !== null) observer.trouble?.("", null, new Error(`the change log is damaged from number ${broken} on`));
  const damaged = await versions.scrub(signal);
  if (broken === null && damaged.length === 0) return;
  state.transaction(() => {
    for (const { rows } of context.folders.values()) for (const sha1 of damaged) rows.versions.remove(sha1);
    state.events.append("damage", null, { changeLogFrom: broken, versions: damaged }, clock.wallMs());
  });
}

/** One such day's work. */
async function maintain(context: EngineContext): Promise<void> {
  const { state, clock, versions, retention = RETENTION } = context.deps;
  const nowMs = clock.wallMs();
  state.transaction(() => {
    state.events.trim(nowMs - EVENTS_KEEP_MS, EVENTS_MAX);
    for (const { rows } of context.folders.values()) rows.deletions.trim(nowMs - GUARD_WINDOW_MS);
  });
  // The journal knows the bytes of folders that are not looked after any more, too.
  const kept: Version[] = [];
  for await (const version of versions.journal()) kept.push(version);
  const gone = await trimVersions(versions, kept, retention, clock);
  await versions.compact();
  if (gone.length === 0) return;
  state.transaction(() => {
    for (const { rows } of context.folders.values()) for (const sha1 of gone) rows.versions.remove(sha1);
  });
}
