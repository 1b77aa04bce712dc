/**
 * How a file name stands in a TEXT column. SQLite stores UTF-8 and compares bytes, which loses lone surrogates (Windows names may have
 * them, a hostile remote may send them: DB11) and sorts U+E000–U+FFFF before the astral planes, while JavaScript sorts code units.
 * Nearly every name is stored as it is. In the others U+10FFFF (a non-character that sorts last) introduces what has to move or would be lost.
 */
const MARK = "\u{10FFFF}";
const RARE = /[\uD800-\uFFFF]/;
/** `@` stands for the mark itself, `=` for the lone surrogate in the four digits behind; both sort before U+E000. */
const MARKED = /\u{10FFFF}(?:@|=([0-9a-f]{4})|(.))/gsu;

/** The text to store: round-trips every string, and byte order is code unit order for every well-formed name. */
export function toText(name: string): string {
  return RARE.test(name) ? mark(name) : name;
}

/** The name that `toText` stored. */
export function fromText(text: string): string {
  if (!text.includes(MARK)) return text;
  return text.replace(MARKED, (_all, lone: string | undefined, moved: string | undefined) => {
    if (lone !== undefined) return String.fromCharCode(Number.parseInt(lone, 16));
    return moved ?? MARK;
  });
}

function mark(name: string): string {
  let text = "";
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0;
    if (code === 0x10ffff) text += `${MARK}@`;
    else if (code >= 0xd800 && code <= 0xdfff) text += `${MARK}=${code.toString(16)}`;
    else if (code >= 0xe000 && code <= 0xffff) text += MARK + char;
    else text += char;
  }
  return text;
}
