/** Which paths are legal, and how names are shown. Pure text: nothing here knows a disk. */
import { LIMITS } from "../../protocol/anki/limits.ts";
import { codePointOf, cutToBytes, utf8Bytes } from "./anki-names.ts";
import { foldKey } from "./case-folding.ts";
import type { LocalReason } from "./model.ts";

/** Whose rules a path must obey: `windows` forbids more names than every other system. */
export type Naming = "posix" | "windows";
/** `detail`: one sentence with a suggestion where there is one. */
export type PathCheck = { readonly kind: "ok" } | { readonly kind: "problem"; readonly reason: LocalReason; readonly detail: string };

const OK: PathCheck = { kind: "ok" };
/** One segment, in bytes (Linux, macOS) and in UTF-16 units (Windows). */
const SEGMENT_MAX = 255;
/** Every path that is joined with a root stays below the least limit of the systems (macOS 1024 bytes, root included). */
const PATH_BYTES = 1024;

// eslint-disable-next-line no-control-regex -- C0, DEL and C1 are what is looked for.
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
// eslint-disable-next-line no-control-regex -- as above.
const CONTROL_ASCII = /[\x00-\x1f\x7f]/;
// eslint-disable-next-line no-control-regex -- as above.
const CONTROLS = /[\x00-\x1f\x7f-\x9f\\]/g;
const WINDOWS_FORBIDDEN = /[<>:"|?*]/;
/** More than Windows documents: digits 0, superscripts and console handles open devices too, also behind spaces before the dot (FN13). */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i;
const IGNORABLES = /\p{Default_Ignorable_Code_Point}/gu;

/**
 * Whether `path` (relative to a root, `/`-separated) may stand in the local tree and on this system's disk.
 * Says nothing about the wire: `toWire` does, and calls this first.
 */
export function checkPath(path: string, naming: Naming = "posix"): PathCheck {
  if (!path.isWellFormed()) return bad(path, "holds half a character (a lone surrogate)");
  if (path.normalize("NFC") !== path) return bad(path, "is not in Unicode normal form C");
  if (utf8Bytes(path) > PATH_BYTES) return tooLong(path, `the whole path has more than ${String(PATH_BYTES)} bytes`);
  for (const segment of path.split("/")) {
    const problem = checkSegment(path, segment, naming);
    if (problem.kind === "problem") return problem;
  }
  return OK;
}

/**
 * Satchel's own files (`.satchel/`, `.satchel-*.tmp`, `.satchelignore`), in any disguise that a disk could take for them: other case,
 * invisible characters, a short name of Windows, a trailing dot (FN20, FN25). Never synced, never touched for a remote.
 */
export function isOwnName(path: string): boolean {
  return bareSegments(path).some((segment) => segment.startsWith(".satchel") || /^satche~\d/.test(segment));
}

/** The segments as a careless disk would read them: lower case, without invisible characters, streams, and trailing dots and spaces. */
export function bareSegments(path: string): string[] {
  return path.split(/[/\\]/).map((segment) => {
    const visible = foldKey(segment.replaceAll(IGNORABLES, ""));
    const stream = visible.indexOf(":");
    return (stream < 0 ? visible : visible.slice(0, stream)).replace(/[ .]+$/, "");
  });
}

/**
 * Why a name must not come over the wire, or null when it may (FN01–FN05, FN15, FN17, FN19, FN22). The server refuses data entries by it.
 * `anki`: C1 control characters pass, since stock clients make such names and refusing one would block their batch for ever (W11); our
 * client never stores them. Names of Satchel's own, and what a disk forbids, are `checkPath`'s to find.
 */
export function wireNameProblem(name: string, sender: "anki" | "satchel" = "satchel"): string | null {
  if (!name.isWellFormed()) return "it holds half a character (a lone surrogate)";
  if (name.normalize("NFC") !== name) return "it is not in Unicode normal form C";
  if (utf8Bytes(name) > LIMITS.nameBytesServer) return `it has more than ${String(LIMITS.nameBytesServer)} bytes`;
  if ((sender === "anki" ? CONTROL_ASCII : CONTROL).test(name)) return "it holds a control character";
  if (/[/\\]/.test(name)) return "it holds a slash or backslash";
  if (name.includes(":")) return "it holds a colon, which is a drive or a hidden stream on Windows";
  if (/^[ .]*$/.test(name)) return "it is empty, or dots and spaces only";
  return null;
}

/**
 * A name as it may be shown in a terminal, a log or a window: control characters, direction overrides, other invisible format characters,
 * lone surrogates and piles of combining marks stand as `\u{…}` (FN21, FN22). Letters and emoji stay.
 */
export function displayName(name: string): string {
  return name.replaceAll(HIDDEN, escapeAll).replaceAll(MARK_PILE, (pile) => {
    const marks = Array.from(pile);
    return marks.slice(0, MARKS_SHOWN).join("") + escapeAll(marks.slice(MARKS_SHOWN).join(""));
  });
}
/** Zero-width joiner and non-joiner stay: emoji and several scripts are spelled with them. */
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const MARKS_SHOWN = 4;
const MARK_PILE = /\p{M}{5,}/gu;

function escapeAll(text: string): string {
  return Array.from(text, (character) => `\\u{${codePointOf(character).toString(16)}}`).join("");
}

function checkSegment(path: string, segment: string, naming: Naming): PathCheck {
  if (segment === "") return bad(path, "begins or ends with a slash, or has two in a row");
  if (segment === "." || segment === "..") return bad(path, "leads out of its folder");
  if (CONTROL.test(segment)) return bad(path, "holds a control character", segment);
  if (segment.includes("\\")) return bad(path, "holds a backslash, which other systems take for a folder", segment);
  if (/^[ .]+$/.test(segment)) return bad(path, "has a name of dots and spaces only");
  if (utf8Bytes(segment) > SEGMENT_MAX) return tooLong(path, `one name has more than ${String(SEGMENT_MAX)} bytes`);
  if (isOwnName(segment))
    return { kind: "problem", reason: "reserved", detail: `${shown(path)} is a name that Satchel keeps for itself. Rename it.` };
  return naming === "windows" ? checkWindows(path, segment) : OK;
}

function checkWindows(path: string, segment: string): PathCheck {
  const found = WINDOWS_DEVICE.exec(segment);
  if (found !== null) {
    const [, device = ""] = found;
    const better = segment.replace(WINDOWS_DEVICE, "$1_$2");
    const detail = `${shown(path)} can't stand on a Windows disk: ${device} is a device there. Rename it on another machine, for example to ${shown(better)}.`;
    return { kind: "problem", reason: "reserved", detail };
  }
  if (WINDOWS_FORBIDDEN.test(segment)) return bad(path, 'holds one of < > : " | ? *, which Windows forbids', segment);
  if (/[ .]$/.test(segment)) return bad(path, "ends with a dot or space, which Windows drops", segment);
  return OK;
}

/** `segment`: the part for which another spelling can be suggested. */
function bad(path: string, why: string, segment?: string): PathCheck {
  const better = segment
    ?.replaceAll(CONTROLS, "_")
    .replaceAll(/[<>:"|?*]/g, "_")
    .replace(/[ .]$/, "_");
  const advice = better === undefined ? "Rename it" : `Rename it, for example to ${shown(better)}`;
  return { kind: "problem", reason: "badName", detail: `${shown(path)} can't be synced: it ${why}. ${advice}.` };
}

function tooLong(path: string, why: string): PathCheck {
  return { kind: "problem", reason: "nameTooLong", detail: `${shown(path)} can't be synced: ${why}. Give it a shorter name.` };
}

/** In a sentence for people: escaped, quoted, and short. */
function shown(path: string): string {
  const short = cutToBytes(path, 200);
  return `"${displayName(short)}${short === path ? "" : "…"}"`;
}
