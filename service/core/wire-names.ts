/**
 * Paths and Anki's flat names, both ways (DESIGN §11 "Wire names"). A flat name that Anki's rules leave alone is its own wire name; in any
 * other, `~hex_` stands for each character that Anki would delete or change. A name is decoded only if it encodes back to itself.
 */
import { LIMITS } from "../../protocol/anki/limits.ts";
import { ANKI_DEVICE, codePointOf, isDeletedByAnki, isNormalised, utf8Bytes } from "./anki-names.ts";
import type { LocalReason } from "./model.ts";
import { checkPath, displayName, wireNameProblem } from "./paths.ts";

export type WireName =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "problem"; readonly reason: LocalReason; readonly detail: string };
export type WirePath =
  | { readonly kind: "path"; readonly path: string }
  /** `detail` is a sentence that says why. */
  | { readonly kind: "unsafe"; readonly detail: string };

/** An escape. The digits are those of a code point; the closing `_` keeps a following combining mark off. */
const FORM = /~([0-9a-f]{2,6})_/g;
/** The escape of `/`. */
const SLASH = "~2f_";

/**
 * Paths of plain characters, whose segments neither begin with a dot nor end with one or a space: legal everywhere, and only their slashes
 * need an escape. Nearly all paths; the rest takes the long way to the same answer.
 */
const PLAIN = /^[A-Za-z0-9_-](?:[A-Za-z0-9_ .,()+=@-]*[A-Za-z0-9_-])?(?:\/[A-Za-z0-9_-](?:[A-Za-z0-9_ .,()+=@-]*[A-Za-z0-9_-])?)*$/;

/** The name under which `path` travels, or why it can't. The only question a scan has to ask: it checks the path as well. */
export function toWire(path: string): WireName {
  const quick = quickName(path);
  if (quick !== null) return { kind: "name", name: quick };
  const checked = checkPath(path);
  if (checked.kind === "problem") return checked;
  const name = encode(path);
  const bytes = utf8Bytes(name);
  if (bytes <= LIMITS.nameBytes) return { kind: "name", name };
  const over = bytes - LIMITS.nameBytes;
  const spelled = name === path ? "" : `, spelled for Anki as ${displayName(name)},`;
  return {
    kind: "problem",
    reason: "nameTooLong",
    detail: `"${displayName(path)}"${spelled} is ${String(over)} ${over === 1 ? "byte" : "bytes"} longer than the ${String(LIMITS.nameBytes)} that Anki allows. Shorten its name, or those of its folders, by that much.`,
  };
}

/** Where the file of this remote name belongs. Names that nobody encoded are taken literally, if they are safe paths. */
export function fromWire(name: string): WirePath {
  if (quickName(name) === name) return { kind: "path", path: name };
  const decoded = decode(name);
  if (decoded !== name) {
    const back = toWire(decoded);
    if (back.kind === "name" && back.name === name) return { kind: "path", path: decoded };
  }
  const literal = name.normalize("NFC");
  const unsafe = wireNameProblem(literal);
  if (unsafe !== null) return { kind: "unsafe", detail: `${unsafe}.` };
  const checked = checkPath(literal);
  return checked.kind === "ok" ? { kind: "path", path: literal } : { kind: "unsafe", detail: checked.detail };
}

/** The wire name of a plain path that fits, else null. ASCII: a character is a byte. */
function quickName(path: string): string | null {
  if (path.length > LIMITS.nameBytes || !PLAIN.test(path) || ANKI_DEVICE.test(path)) return null;
  const name = path.includes("/") ? path.replaceAll("/", SLASH) : path;
  return name.length > LIMITS.nameBytes ? null : name;
}

function encode(path: string): string {
  // A literal form would be decoded at the other end, so its `~` is spelled out first. What comes next adds forms, never halves of them.
  const plain = path.replaceAll(FORM, (found) => form("~") + found.slice(1));
  if (plain === path && isNormalised(path)) return path;
  let name = "";
  for (const character of plain) name += character === "\u00a0" || isDeletedByAnki(character) ? form(character) : character;
  const device = ANKI_DEVICE.exec(name)?.[1];
  if (device !== undefined) name = device.slice(0, -1) + form(device.slice(-1)) + name.slice(device.length);
  return name.replace(/[ .]$/, form);
}

function decode(name: string): string {
  return name.replaceAll(FORM, (found, digits: string) => {
    const codePoint = Number.parseInt(digits, 16);
    return codePoint <= 0x10_ff_ff ? String.fromCodePoint(codePoint) : found;
  });
}

function form(character: string): string {
  return `~${codePointOf(character).toString(16).padStart(2, "0")}_`;
}
