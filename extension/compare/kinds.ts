/** What a file is for people, by its name and, where that says nothing, by its first bytes. Pure. */
import type { ShowAs } from "./messages.ts";

/** `text` goes to the diff editor; everything else to the compare page. */
export type Kind = { readonly as: ShowAs | "text"; readonly mime: string };

const KINDS: Readonly<Record<string, Kind>> = {
  png: { as: "picture", mime: "image/png" },
  apng: { as: "picture", mime: "image/apng" },
  jpg: { as: "picture", mime: "image/jpeg" },
  jpeg: { as: "picture", mime: "image/jpeg" },
  gif: { as: "picture", mime: "image/gif" },
  webp: { as: "picture", mime: "image/webp" },
  avif: { as: "picture", mime: "image/avif" },
  bmp: { as: "picture", mime: "image/bmp" },
  ico: { as: "picture", mime: "image/x-icon" },
  svg: { as: "picture", mime: "image/svg+xml" },
  mp3: { as: "sound", mime: "audio/mpeg" },
  m4a: { as: "sound", mime: "audio/mp4" },
  aac: { as: "sound", mime: "audio/aac" },
  ogg: { as: "sound", mime: "audio/ogg" },
  oga: { as: "sound", mime: "audio/ogg" },
  opus: { as: "sound", mime: "audio/ogg" },
  spx: { as: "sound", mime: "audio/ogg" },
  wav: { as: "sound", mime: "audio/wav" },
  flac: { as: "sound", mime: "audio/flac" },
  mp4: { as: "film", mime: "video/mp4" },
  m4v: { as: "film", mime: "video/mp4" },
  webm: { as: "film", mime: "video/webm" },
  ogv: { as: "film", mime: "video/ogg" },
  mov: { as: "film", mime: "video/quicktime" },
};
const TEXT =
  /^(txt|md|markdown|csv|tsv|json|xml|html?|css|js|mjs|ts|tex|bib|yaml|yml|toml|ini|log|srt|vtt|gpx|kml|geojson|mmd|dot|puml|drawio|excalidraw|asc)$/;
const SNIFFED_BYTES = 8192;

/** @param head the first bytes of both sides, as far as they are known */
export function kindOf(path: string, head: readonly Uint8Array[]): Kind {
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const known = KINDS[extension];
  if (known !== undefined) return known;
  if (TEXT.test(extension)) return { as: "text", mime: "text/plain" };
  const isText = head.length > 0 && head.every((bytes) => looksLikeText(bytes));
  return isText ? { as: "text", mime: "text/plain" } : { as: "facts", mime: "application/octet-stream" };
}

/** Its source can be compared as text as well. */
export function hasSource(kind: Kind): boolean {
  return kind.mime === "image/svg+xml";
}

/** Whole UTF-8 without control characters other than white space; empty is text. */
function looksLikeText(bytes: Uint8Array): boolean {
  try {
    // As a stream: a letter that is cut in half at the end is none that is broken.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, SNIFFED_BYTES), { stream: true });
    // oxlint-disable-next-line no-control-regex -- what no text holds
    return !/[\u0000-\u0008\u000e-\u001a\u001c-\u001f]/.test(text);
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
