/** The visible name of a conflict's losing bytes (DESIGN §4): `photo.conflict-20260102T030405Z-<device>-<hash4>.png`. */
import { cutToBytes, utf8Bytes } from "./anki-names.ts";
import type { Sha1 } from "./model.ts";
import { toWire } from "./wire-names.ts";

export type ConflictCopy = {
  /** Where both sides changed; may be a conflict copy itself. */
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** The device whose bytes the copy holds: `[a-z0-9-]{1,16}`; anything else is brought into that form. */
  readonly device: string;
  /** Of the copy's bytes. */
  readonly sha1: Sha1;
  /** What stands at a path, on either side; null: nothing. */
  readonly taken: (path: string) => Sha1 | null;
};

/** A copy's last part: stem, mark, extension. The extension may be absent. */
const COPY = /^(.+)\.conflict-\d{8}T\d{6}Z-[a-z0-9-]{1,16}-[0-9a-f]{4}(?:-\d+)?(\.[^.]*)?$/s;
/** Longer "extensions" are part of a name with a dot in it. */
const EXTENSION_BYTES = 16;

/**
 * A path for the copy that is free, or that holds these very bytes already (a crash in between, or the other device's copy). Its wire name
 * always fits: the stem is cut, and where even one character is too long below deep folders, the copy stands in a folder further up.
 */
export function conflictName(copy: ConflictCopy): string {
  const { folder, stem, extension } = partsOf(copy.path);
  const device =
    copy.device
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, "-")
      .slice(0, 16) || "device";
  const mark = `.conflict-${utcStamp(copy.atMs)}-${device}-${copy.sha1.slice(0, 4)}`;
  let count = 0;
  let path: string;
  do {
    count += 1;
    const numbered = `${mark}${count === 1 ? "" : `-${String(count)}`}`;
    // Stem of one character, mark and extension fit at the root whatever they are: only a path that could never travel gets `file`.
    path = fit(folder, stem, numbered + extension) ?? `file${numbered}`;
  } while (![null, copy.sha1].includes(copy.taken(path)));
  return path;
}

/** The original whose copy this would be: a conflict on a copy takes the original's stem, so names do not grow. */
function partsOf(path: string): { folder: string; stem: string; extension: string } {
  const slash = path.lastIndexOf("/") + 1;
  const folder = path.slice(0, slash);
  const name = path.slice(slash);
  const copy = COPY.exec(name);
  if (copy !== null) {
    const [, stem = "", extension = ""] = copy;
    return { folder, stem, extension };
  }
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 ? name.slice(dot) : "";
  return utf8Bytes(extension) > EXTENSION_BYTES
    ? { folder, stem: name, extension: "" }
    : { folder, stem: dot > 0 ? name.slice(0, dot) : name, extension };
}

/** The longest start of the stem, in the deepest folder, with which the path has a wire name; null: none has. */
function fit(folder: string, stem: string, tail: string): string | null {
  for (let bytes = utf8Bytes(stem); bytes > 0; bytes--) {
    const cut = cutToBytes(stem, bytes);
    const path = folder + cut + tail;
    if (cut !== "" && toWire(path).kind === "name") return path;
  }
  return folder === "" ? null : fit(folder.slice(0, folder.slice(0, -1).lastIndexOf("/") + 1), stem, tail);
}

/** `20260102T030405Z`, by arithmetic: the decisions know no clock and no time zone. */
function utcStamp(atMs: number): string {
  const seconds = Math.floor(atMs / 1000);
  const days = Math.floor(seconds / 86_400);
  const rest = seconds - days * 86_400;
  const { year, month, day } = civilDate(days);
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = two(Math.floor(rest / 3600)) + two(Math.floor(rest / 60) % 60) + two(rest % 60);
  return `${String(year).padStart(4, "0")}${two(month)}${two(day)}T${time}Z`;
}

/** Days since 1970 to a date of the Gregorian calendar; years begin in March, so that the leap day is a year's last. */
function civilDate(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1 };
}
