/** When a path has stood still for long enough to be read, and when it has been away for long enough to be gone. Pure; milliseconds. */
import type { Stat } from "../core/model.ts";

/** A file is read when nothing moved for this long. */
const WINDOW_MS = 200;
/** Large files are written in pieces with pauses between them. */
const LARGE_BYTES = 16 * 1024 * 1024;
const LARGE_WINDOW_MS = 1_000;
/** One that was seen growing is a download or an export under way. */
const GROWING_WINDOW_MS = 2_000;
/** A path that never rests is read all the same after this long; what is then read must hold still for the read itself. */
const WAIT_MAX_MS = 30_000;
/** Editors save by unlink and create, or by renames: an absence counts only after this long. */
const ABSENT_MS = 2_000;
/** Whoever empties a folder takes a while: absences are concluded together, so that the guard sees all of them (S14). One waits for
 * others no longer than this. */
const TOGETHER_MAX_MS = 8_000;
/** A scan, which knows of no event, trusts a file only when its last change is this old. */
const SCAN_AGE_MS = 2_000;

/** The wall clock is told in whole milliseconds, a file's own time is not: a look that comes on time must not find it a fraction too young. */
const WALL_TICK_MS = 1;

/** What is known of one path that an event or a scan named. Times are of Clock.monoMs. */
export type Dirty = {
  /** When it became dirty. */
  firstMs: number;
  /** The last sign of movement: an event, or another stat than at the last look. */
  movedMs: number;
  /** What the last look saw; undefined: not looked yet, null: absent. */
  seen: Stat | null | undefined;
  /** Since when it is away; null: it is not. */
  absentMs: number | null;
  growing: boolean;
};

export type Verdict = "settled" | "wait" | "gone";

/** `agoMs`: how long before now it last moved, as far as is known. */
export function newDirty(nowMs: number, agoMs = 0): Dirty {
  return { firstMs: nowMs, movedMs: nowMs - agoMs, seen: undefined, absentMs: null, growing: false };
}

/** When the last of these absences will have lasted its window; null: none of them is away. */
export function lastAbsenceMs(all: Iterable<Dirty>): number | null {
  let lastMs: number | null = null;
  for (const { absentMs } of all) if (absentMs !== null) lastMs = Math.max(lastMs ?? -Infinity, absentMs + ABSENT_MS);
  return lastMs;
}

/** When to look next. `lastAbsence`: see `lastAbsenceMs`. */
export function dueMs(dirty: Dirty, lastAbsence: number | null): number {
  if (dirty.absentMs !== null) {
    const endsMs = dirty.absentMs + ABSENT_MS;
    const togetherMs = Math.min(lastAbsence ?? endsMs, endsMs + TOGETHER_MAX_MS);
    return Math.max(endsMs, togetherMs, dirty.movedMs + WINDOW_MS);
  }
  return Math.min(dirty.movedMs + windowMs(dirty), Math.max(dirty.firstMs + WAIT_MAX_MS, dirty.movedMs));
}

/** Takes in one look and says what it means. `wallMs` is compared with the file's own ctime only. */
export function judge(dirty: Dirty, stat: Stat | null, nowMs: number, wallMs: number): Verdict {
  const before = dirty.seen;
  dirty.seen = stat;
  if (stat === null) {
    if (dirty.absentMs === null) dirty.absentMs = nowMs;
    return nowMs >= dirty.absentMs + ABSENT_MS ? "gone" : "wait";
  }
  if (dirty.absentMs !== null) {
    dirty.absentMs = null;
    dirty.movedMs = nowMs;
  }
  if (before !== undefined && before !== null && !still(before, stat)) {
    dirty.growing = stat.sizeBytes > before.sizeBytes;
    dirty.movedMs = nowMs;
  }
  if (nowMs >= dirty.firstMs + WAIT_MAX_MS) return "settled";
  if (nowMs < dirty.movedMs + windowMs(dirty)) return "wait";
  const ageMs = wallMs - stat.ctimeNs / 1e6;
  if (ageMs + WALL_TICK_MS >= windowMs(dirty)) return "settled";
  // Young by the wall clock, or from the future: two equal looks a window apart say as much.
  if (before !== undefined && before !== null && still(before, stat)) return "settled";
  dirty.movedMs = ageMs > 0 ? nowMs - ageMs : nowMs;
  return "wait";
}

/** A scan need not look twice at a file that was last changed long ago. */
export function isOld(stat: Stat, wallMs: number): boolean {
  return wallMs - stat.ctimeNs / 1e6 >= SCAN_AGE_MS;
}

function windowMs(dirty: Dirty): number {
  if (dirty.growing) return GROWING_WINDOW_MS;
  return (dirty.seen?.sizeBytes ?? 0) >= LARGE_BYTES ? LARGE_WINDOW_MS : WINDOW_MS;
}

function still(a: Stat, b: Stat): boolean {
  return a.kind === b.kind && a.sizeBytes === b.sizeBytes && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.fileId === b.fileId;
}
