/** Media references in the text of one note: what is referred to and where exactly it is written. Pure: text in, references out. */
import type { Root, RootContent } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";

import { commentsIn, decodeEntities, mediaTagsIn } from "./html-media.ts";
import { isNote } from "./paths.ts";

export type Syntax = "image" | "link" | "definition" | "html" | "embed" | "sound";

/** One place that names a file. Offsets count UTF-16 units from the start of the text; `end` is behind the last one. */
export type MediaReference = {
  readonly syntax: Syntax;
  /** Of the path as it is written: without brackets, quotes, `?query`, `#fragment` and `|size`. */
  readonly start: number;
  readonly end: number;
  /** The path that is meant: escapes, entities and percent-encoding undone. */
  readonly target: string;
  /** Only escapes and entities undone: a name that really holds `%20` is spelled so by some editors. */
  readonly literal: string;
  /** The destination stands in `<…>`: spaces need no encoding. */
  readonly angle: boolean;
  /** What stands around an HTML value; empty where nothing does. */
  readonly quote: '"' | "'" | "";
};

/** All references of one note, ascending. Addresses with a scheme (`https:`, `data:`), bare anchors and links to notes are none. */
export function findReferences(text: string): readonly MediaReference[] {
  return mayRefer(text) ? readNote(text).references : [];
}

/** What one look at a note finds; `tree`: its blocks, with offsets of the text. */
export type NoteParse = { readonly references: readonly MediaReference[]; readonly tree: Root };

/** The look itself, whatever the text. */
export function readNote(text: string): NoteParse {
  const source = withoutFootnoteMarks(withoutFrontMatter(text));
  const destinations: Destination[] = [];
  const tree = parse(source, destinations);
  const masks = new Masks(tree, source);
  const found = [
    ...destinations.map((destination) => ofDestination(source, destination)),
    ...htmlReferences(source, [...masks.html, ...looseTags(source, masks.noText)]),
    ...embeds(source, masks.noText),
    ...sounds(source, masks.noSound),
  ];
  const references = found
    .filter(({ literal }) => isPath(literal))
    .toSorted((a, b) => a.start - b.start)
    .filter(beginsBehind());
  return { references, tree };
}

const ANYTHING = /!\[\[|\[sound:|<(?:img|audio|video|source)\b/i;
/** What stands behind `](` or `]:`, as far as a path may go; on the next line, in a quote, behind its mark. */
const DESTINATIONS = /\](?:\(|:)[\s>]*(?:<([^<>\n]*)|([^\s<>()]*)(\()?)/g;
const NO_MEDIA = /^(?:(?!file:)[a-z][a-z0-9+.-]+:|#|$)|\.(?:md|markdown)(?:[#?].*)?$/i;

/** False: there is no reference. Parsing costs a thousand times this look, and most notes of a large collection link to notes and the web alone. */
export function mayRefer(text: string): boolean {
  if (ANYTHING.test(text)) return true;
  for (const [, angled, bare, more] of text.matchAll(DESTINATIONS))
    if (more !== undefined || !NO_MEDIA.test(angled ?? bare ?? "")) return true;
  return false;
}

/** Of two that overlap (`![](![[a)]]` can be read in two ways) the first counts: an edit of both would destroy the note. */
function beginsBehind(): (reference: MediaReference) => boolean {
  let end = -1;
  return (reference) => {
    if (reference.start < end) return false;
    ({ end } = reference);
    return true;
  };
}

/** No path but an address: a scheme (one letter is a Windows drive) or a host. */
export const ADDRESS = /^(?:[a-z][a-z0-9+.-]+:|\/\/)/i;

function isPath(literal: string): boolean {
  return literal !== "" && !isNote(literal) && (!ADDRESS.test(literal) || /^file:/i.test(literal));
}

type Span = { readonly start: number; readonly end: number };
type Destination = Span & { readonly syntax: "image" | "link" | "definition"; readonly url: string };

/** The parser tells destinations by their tokens: the tree alone has no positions for them. */
function parse(source: string, destinations: Destination[]): Root {
  return fromMarkdown(source, {
    mdastExtensions: [
      {
        exit: {
          resourceDestinationString(token) {
            const url = this.resume();
            const node = this.stack.at(-1);
            if (node?.type !== "link" && node?.type !== "image") return;
            node.url = url;
            destinations.push({ syntax: node.type, start: token.start.offset, end: token.end.offset, url });
          },
          definitionDestinationString(token) {
            const url = this.resume();
            const node = this.stack.at(-1);
            if (node?.type !== "definition") return;
            node.url = url;
            // A footnote of other dialects looks like a definition.
            if (source[source.lastIndexOf("[", token.start.offset) + 1] === "^") return;
            destinations.push({ syntax: "definition", start: token.start.offset, end: token.end.offset, url });
          },
        },
      },
    ],
  });
}

/** YAML between `---` lines at the very start is no text; blanks of the same length keep every offset. */
function withoutFrontMatter(text: string): string {
  const end = frontMatterEnd(text);
  return end === 0 ? text : text.slice(0, end).replaceAll(/[^\r\n]/g, " ") + text.slice(end);
}

/** Where the text behind it begins; 0: there is none. */
export function frontMatterEnd(text: string): number {
  const found = /^\uFEFF?---[ \t]*\r?\n(?:[\s\S]*?\r?\n)?(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/.exec(text);
  return found?.[0].length ?? 0;
}

/** The parser takes `[^1]: ![](a.png)` for a definition that leads to `![](a.png)`, but it is a footnote's text. */
function withoutFootnoteMarks(text: string): string {
  return text.replaceAll(/^([ \t>]*)(\[\^[^\]\s]+\]:)/gm, (_, lead: string, mark: string) => lead + "x".repeat(mark.length));
}

/** Parts of a note in which a pattern means nothing. */
class Masks {
  readonly html: readonly Span[];
  /** For embeds: code, HTML, definitions. */
  readonly noText: readonly Span[];
  /** For `[sound:…]`, which is HTML's as much as Markdown's: code and comments. */
  readonly noSound: readonly Span[];

  constructor(tree: Root, source: string) {
    const [code, html, definitions]: Span[][] = [[], [], []];
    collect(tree, (node, span) => {
      if (node.type === "code" || node.type === "inlineCode") code?.push(span);
      else if (node.type === "html") html?.push(span);
      else if (node.type === "definition") definitions?.push(span);
    });
    this.html = html ?? [];
    this.noText = [...(code ?? []), ...this.html, ...(definitions ?? [])];
    this.noSound = [...(code ?? []), ...(definitions ?? []), ...this.html.flatMap((span) => commentsIn(source, span))];
  }
}

function collect(node: Root | RootContent, visit: (node: RootContent, span: Span) => void): void {
  if (!("children" in node)) return;
  for (const child of node.children) {
    const [start, end] = [child.position?.start.offset, child.position?.end.offset];
    if (start !== undefined && end !== undefined) visit(child, { start, end });
    collect(child, visit);
  }
}

function ofDestination(source: string, { syntax, start, end, url }: Destination): MediaReference {
  const cut = url.search(/[?#]/);
  const literal = cut < 0 ? url : url.slice(0, cut);
  const written = source.slice(start, end);
  return {
    syntax,
    start,
    end: start + (cut < 0 ? written.length : suffixAt(written)),
    target: percentDecoded(literal),
    literal,
    angle: source[start - 1] === "<",
    quote: "",
  };
}

/** Where `?query` or `#fragment` begins as written; the `#` of `&#35;` is a character's, and `\#` is two. */
function suffixAt(written: string): number {
  const found = /(?:\\[?#]|\?|(?<!&)#)/.exec(written);
  return found?.index ?? written.length;
}

/** Undoes `%20` and its like; what is not valid stays as it is. */
function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Not encoded at all, or in another character set: the name is meant as it stands.
    return text;
  }
}

/** A tag that began and did not end: what follows may belong to it. */
export function endsInTag(text: string): boolean {
  return OPEN_TAG.test(text);
}

const OPEN_TAG = /<(?:img|audio|video|source)\b(?:[^"'<>]|"[^"\n]*"|'[^'\n]*')*$/i;
const LOOSE_TAG = /<(?:img|audio|video|source)\b(?:[^"'<>]|"[^"\n]*"|'[^'\n]*')*>/gi;

/** The parser takes a tag for text where a value without quotes holds a slash (`src=a/b.png`); browsers don't. */
function looseTags(source: string, masks: readonly Span[]): Span[] {
  return matches(source, LOOSE_TAG, masks).map(({ at, whole }) => ({ start: at, end: at + whole.length }));
}

function htmlReferences(source: string, spans: readonly Span[]): MediaReference[] {
  return spans.flatMap((span) =>
    mediaTagsIn(source, span).map(({ start, end, quote }): MediaReference => {
      const written = source.slice(start, end);
      const length = suffixAt(written);
      const literal = decodeEntities(written.slice(0, length)).trim();
      return { syntax: "html", start, end: start + length, target: percentDecoded(literal), literal, angle: false, quote };
    }),
  );
}

const EMBED = /!\[\[([^[\]\n|#]+)(?:#[^[\]\n|]*)?(?:\|[^[\]\n]*)?\]\]/g;

/** `![[name|size]]`; in a table the bar is written `\|`. */
function embeds(source: string, masks: readonly Span[]): MediaReference[] {
  return matches(source, EMBED, masks).flatMap(({ at, groups: [inner = ""] }) => {
    const name = inner.replace(/\\$/, "");
    const start = at + "![[".length + (name.length - name.trimStart().length);
    const literal = name.trim();
    return [{ syntax: "embed", start, end: start + literal.length, target: literal, literal, angle: false, quote: "" } as const];
  });
}

const SOUND = /\[sound:([^[\]\n]+)\]/g;

function sounds(source: string, masks: readonly Span[]): MediaReference[] {
  return matches(source, SOUND, masks).map(({ at, groups: [written = ""] }) => {
    const start = at + "[sound:".length;
    const literal = decodeEntities(written);
    return { syntax: "sound", start, end: start + written.length, target: literal, literal, angle: false, quote: "" } as const;
  });
}

type Match = { readonly at: number; readonly whole: string; readonly groups: readonly string[] };

function matches(source: string, pattern: RegExp, masks: readonly Span[]): Match[] {
  return [...source.matchAll(pattern)]
    .filter(({ index }) => !isEscaped(source, index) && !masks.some(({ start, end }) => index >= start && index < end))
    .map((match) => ({ at: match.index, whole: match[0], groups: match.slice(1) }));
}

function isEscaped(source: string, at: number): boolean {
  let slashes = 0;
  while (source[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
}
