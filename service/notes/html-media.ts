/** The media tags of HTML inside a note: where the values of `src` and `poster` are written. */

type Span = { readonly start: number; readonly end: number };
/** Of the value, without its quotes. */
export type HtmlValue = Span & { readonly quote: '"' | "'" | "" };

/** Raw text elements and comments hold no tags; a tag's quoted values may hold `>`. */
const PIECE =
  /<!--[\s\S]*?(?:-->|$)|<(script|style|textarea)\b[\s\S]*?(?:<\/\1\s*>|$)|<(img|audio|video|source)\b((?:[^"'>]|"[^"]*"|'[^']*')*)>/gi;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:(\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g;
const COMMENT = /<!--[\s\S]*?(?:-->|$)/g;

/** Values of `src` (and `poster` of `video`) inside one piece of HTML. `srcset` is a list of its own syntax and is left alone. */
export function mediaTagsIn(source: string, { start, end }: Span): HtmlValue[] {
  const found: HtmlValue[] = [];
  for (const match of source.slice(start, end).matchAll(PIECE)) {
    const [, , tag, attributes] = match;
    if (tag === undefined || attributes === undefined) continue;
    const wanted = tag.toLowerCase() === "video" ? ["src", "poster"] : ["src"];
    const base = start + match.index + 1 + tag.length;
    found.push(...valuesOf(attributes, wanted).map((value) => ({ ...value, start: base + value.start, end: base + value.end })));
  }
  return found;
}

export function commentsIn(source: string, { start, end }: Span): Span[] {
  return [...source.slice(start, end).matchAll(COMMENT)].map(({ index, 0: text }) => ({
    start: start + index,
    end: start + index + text.length,
  }));
}

function valuesOf(attributes: string, wanted: readonly string[]): HtmlValue[] {
  const found = new Map<string, HtmlValue>();
  for (const match of attributes.matchAll(ATTRIBUTE)) {
    const [, name = "", equals, double, single, bare] = match;
    const value = double ?? single ?? bare;
    const key = name.toLowerCase();
    // The first of two equal attributes counts.
    if (equals === undefined || value === undefined || !wanted.includes(key) || found.has(key)) continue;
    const quote = double === undefined ? (single === undefined ? "" : "'") : '"';
    const at = match.index + name.length + equals.length + quote.length;
    const lead = value.length - value.trimStart().length;
    found.set(key, { start: at + lead, end: at + lead + value.trim().length, quote });
  }
  return [...found.values()];
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const HIGHEST = 0x10ffff;

/** The entities that writers of paths use: numbers, and the named ones of XML. Others stay as they are. */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replaceAll(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,5}));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (name !== undefined) return NAMED[name.toLowerCase()] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0 && code <= HIGHEST ? String.fromCodePoint(code) : whole;
  });
}
