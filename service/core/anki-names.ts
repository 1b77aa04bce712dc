/** The file-name rules of Anki's clients (specification §10), exactly, in their order. */
import { LIMITS } from "../../protocol/anki/limits.ts";
import { isUnassigned10 } from "./unicode10.ts";

/** Names of plain letters, digits and a few signs that no rule can touch: most names, told without any table. */
const PLAIN = /^[A-Za-z0-9_-][A-Za-z0-9_ .,()~+=@-]{0,100}[A-Za-z0-9_-]$/;
// eslint-disable-next-line no-control-regex -- control characters are what is deleted.
const FORBIDDEN = /[[\]<>:"/?*^\\|\x00-\x1f\x7f]/;
/** A device name of Windows at the start, before a dot or the end. */
export const ANKI_DEVICE = /^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)/i;
const EXTENSION_BYTES = 10;

/** What Anki would delete from a name: its forbidden set, and what Unicode 10 does not know. One code point. */
export function isDeletedByAnki(character: string): boolean {
  return FORBIDDEN.test(character) || isUnassigned10(codePointOf(character));
}

/** Of a text's first character; NaN for an empty one, which is no character's. */
export function codePointOf(character: string): number {
  return Number(character.codePointAt(0));
}

/** The name under which Anki's clients would store `name`; may be empty. `name` must be well-formed Unicode. */
export function normaliseForAnki(name: string): string {
  if (isPlain(name)) return name;
  let kept = "";
  for (const character of name.normalize("NFC")) if (!isDeletedByAnki(character)) kept += character;
  const renamed = kept.replaceAll("\u00a0", " ").replace(ANKI_DEVICE, "$1_$2");
  return shorten(endSafely(renamed));
}

/** Whether Anki's clients keep this name as it is: only then do they sync it. */
export function isNormalised(name: string): boolean {
  return isPlain(name) || normaliseForAnki(name) === name;
}

/** UTF-8 bytes of well-formed text, without making them. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // A surrogate is half of four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

/** The longest start of `text` that has at most `maxBytes` in UTF-8; never half a character (FN18). */
export function cutToBytes(text: string, maxBytes: number): string {
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += utf8Bytes(character);
    if (bytes > maxBytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}

function isPlain(name: string): boolean {
  return PLAIN.test(name) && !ANKI_DEVICE.test(name);
}

function endSafely(name: string): string {
  return /[ .]$/.test(name) ? `${name}_` : name;
}

function shorten(name: string): string {
  if (utf8Bytes(name) <= LIMITS.nameBytes) return name;
  const dot = name.lastIndexOf(".");
  const extension = cutToBytes(dot < 0 ? "" : name.slice(dot + 1), EXTENSION_BYTES);
  // Two bytes are kept free: for the dot, and for the `_` that a bad last character would get.
  const stem = cutToBytes(dot < 0 ? name : name.slice(0, dot), LIMITS.nameBytes - utf8Bytes(extension) - 2);
  return endSafely(extension === "" ? stem : `${stem}.${extension}`);
}
