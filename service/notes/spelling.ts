/** How a path is written into a note so that the note means it: the inverse of `references.ts`. */
import { ADDRESS, type MediaReference } from "./references.ts";

type Place = Pick<MediaReference, "syntax" | "angle" | "quote">;

/** `path` as it must be written in place of the reference's own text. Ask `canSpell` first. */
export function spellTarget(place: Place, path: string): string {
  // A name like `http:x.png` would be an address.
  const parts = ADDRESS.exec(path) === null ? [path] : [path.slice(0, path.indexOf(":")), "%3A", path.slice(path.indexOf(":") + 1)];
  return parts.map((part) => (part === "%3A" && parts.length > 1 ? part : spelled(place, part))).join("");
}

/** Whether this syntax can hold the path at all: embeds and sounds have no way to escape their own brackets. */
export function canSpell({ syntax }: Pick<Place, "syntax">, path: string): boolean {
  if (syntax === "embed") return !/[[\]|#\n\\]/.test(path) && path === path.trim() && !ADDRESS.test(path);
  if (syntax === "sound") return !/[[\]\n]/.test(path) && !ADDRESS.test(path);
  return true;
}

function spelled({ syntax, angle, quote }: Place, path: string): string {
  switch (syntax) {
    case "image":
    case "link":
    case "definition":
      // A bare destination ends at a space and its parentheses must pair; backticks and bars would bind first (code, tables).
      return path.replaceAll(angle ? /[<>[\]\\`|&#?%\r\n]/g : /[\s<>()[\]\\`|&#?%"']/g, encoded);
    case "html":
      return inHtml(path, quote);
    case "embed":
      return path;
    case "sound":
      return path.replaceAll(/&(?=#?\w+;)/g, "&amp;");
  }
}

function inHtml(path: string, quote: MediaReference["quote"]): string {
  const plain = path
    .replaceAll(/[%#?[\]`\r\n\t]|^\s+|\s+$/g, encoded)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  if (quote === "") return plain.replaceAll(/[\s"'=]/g, encoded);
  return quote === '"' ? plain.replaceAll('"', "&quot;") : plain.replaceAll("'", "&#39;");
}

const encoder = new TextEncoder();

function encoded(text: string): string {
  return Array.from(encoder.encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
