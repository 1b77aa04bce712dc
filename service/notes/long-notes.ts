/**
 * Long notes, read in parts: the parser's time grows with the square of a text's length, and of an edited note all parts but one are as they were.
 * What is found is exactly what a look at the whole finds. A part ends before a heading at the margin that follows a blank line: there every list,
 * quote and paragraph has ended. What may go on (a fence, a comment, a tag) is seen by the part's own parse, and then it ends later.
 */
import { endsInTag, findReferences, frontMatterEnd, mayRefer, readNote, type MediaReference } from "./references.ts";

/** Shorter texts are read at one go: some 250 ms of the worker. */
const LONG_CHARS = 64 * 1024;
const PART_CHARS = 16 * 1024;
/** All remembered parts together: a few notes of the largest size. */
const REMEMBERED_CHARS = 16 * 1024 * 1024;
/** Where a part may end: before a heading at the margin, behind a blank line. */
const HEADING = /\n[ \t]*\r?\n(?=#{1,6}[ \t])/g;
/** A text that can only be a heading's if nothing is open before it. */
const PROBE = "\n\n# x\n";

/** `closed`: nothing goes on behind it. `defined`: labels of reference definitions, as the parser compares them. */
type Part = { readonly references: readonly MediaReference[]; readonly closed: boolean; readonly defined: readonly string[] };

export class LongNotes {
  readonly #longChars: number;
  readonly #partChars: number;
  /** Text, and the labels defined elsewhere that it uses → what is in it; the one that was asked for last stands last. */
  readonly #known = new Map<string, Part>();
  #knownChars = 0;

  constructor(longChars = LONG_CHARS, partChars = PART_CHARS) {
    this.#longChars = longChars;
    this.#partChars = partChars;
  }

  /** As `findReferences`. */
  find(text: string): readonly MediaReference[] {
    if (text.length <= this.#longChars) return findReferences(text);
    if (!mayRefer(text)) return [];
    const parts = this.#split(text);
    const defined = new Set(parts.flatMap(({ part }) => part.defined));
    return parts.flatMap(({ at, text: own, part }) => {
      const used = labelsIn(own, part, defined);
      const { references } = used.length === 0 ? part : this.#read(own, used);
      return references.map((reference) => ({ ...reference, start: reference.start + at, end: reference.end + at }));
    });
  }

  #split(text: string): readonly { readonly at: number; readonly text: string; readonly part: Part }[] {
    const parts: { at: number; text: string; part: Part }[] = [];
    let at = 0;
    let least = Math.max(this.#partChars, frontMatterEnd(text));
    while (at < text.length) {
      const end = borderAt(text, at + least);
      const own = text.slice(at, end);
      const part = this.#read(own, []);
      if (end === text.length || (part.closed && !endsInTag(own))) {
        parts.push({ at, text: own, part });
        at = end;
        least = this.#partChars;
        // What is never closed reaches to the end: then few steps must lead there.
      } else least = (end - at) * 2;
    }
    return parts;
  }

  /** `labels`: defined in other parts. */
  #read(text: string, labels: readonly string[]): Part {
    const key = [...labels, text].join("\n");
    const known = this.#known.get(key) ?? readPart(text, labels);
    if (!this.#known.delete(key)) this.#knownChars += key.length;
    this.#known.set(key, known);
    for (const oldest of this.#known.keys()) {
      if (this.#knownChars <= REMEMBERED_CHARS) break;
      this.#known.delete(oldest);
      this.#knownChars -= oldest.length;
    }
    return known;
  }
}

function borderAt(text: string, from: number): number {
  HEADING.lastIndex = from;
  const found = HEADING.exec(text);
  return found === null ? text.length : found.index + found[0].length;
}

function readPart(text: string, labels: readonly string[]): Part {
  const probed = text + PROBE + labels.map((label) => `\n[${label}]: x\n`).join("");
  const { references, tree } = readNote(probed);
  const defined = tree.children.flatMap((node) => definitionsIn(node)).filter(({ start }) => start < text.length);
  return {
    references: references.filter(({ start }) => start < text.length),
    closed: tree.children.some(({ type, position }) => type === "heading" && position?.start.offset === text.length + 2),
    defined: defined.map(({ label }) => label),
  };
}

type Definition = { readonly label: string; readonly start: number };
type Node = { readonly type: string };

/** Definitions may stand in quotes and lists. */
function definitionsIn(node: Node): readonly Definition[] {
  if (node.type === "definition" && "identifier" in node && "position" in node) {
    const { identifier, position } = node;
    const start = typeof position === "object" && position !== null && "start" in position ? position.start : null;
    const offset = typeof start === "object" && start !== null && "offset" in start ? start.offset : null;
    return typeof identifier === "string" && typeof offset === "number" ? [{ label: identifier, start: offset }] : [];
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- children of a tree of nodes
  return "children" in node && Array.isArray(node.children) ? (node.children as Node[]).flatMap((child) => definitionsIn(child)) : [];
}

/** A label that is defined makes `[label]` a link, whatever follows it: only parts with such a text are read again. */
function labelsIn(text: string, { defined: own }: Part, defined: ReadonlySet<string>): readonly string[] {
  const others = [...defined].filter((label) => !own.includes(label));
  if (others.length === 0) return [];
  const plain = folded(text);
  return others.filter((label) => plain.includes(folded(`[${label}]`))).toSorted();
}

/** As the parser compares labels: white space counts once, and not at the ends; case does not count. */
function folded(text: string): string {
  return text
    .replaceAll(/[\t\n\r ]+/g, " ")
    .replaceAll(/\[ /g, "[")
    .replaceAll(/ \]/g, "]")
    .toLowerCase()
    .toUpperCase();
}
