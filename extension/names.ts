/** Where pasted and dropped files go, what they are called, and how a note links to them. Pure; all paths absolute and `/`-separated. */
import path from "node:path";

/** The note that is pasted into. */
export type Note = {
  /** `/notes/trip.md`, on Windows `/c:/notes/trip.md`. */
  readonly path: string;
  /** The workspace folder around it; null: it belongs to none. */
  readonly workspace: string | null;
};

/** The file that comes in. */
export type Incoming = {
  /** As its source calls it; null: it has no name, such as a picture of the screen. */
  readonly name: string | null;
  /** `image/png` … */
  readonly mime: string;
  /** Of its bytes, lower-case hex. */
  readonly sha1: string;
};

export type MediaRoot = { readonly folder: string; readonly root: string };

/** What Anki and some systems forbid in names, beside control characters. Source: protocol/SPEC.md "Wire names". */
// oxlint-disable-next-line no-control-regex -- C0, DEL and C1 are what is looked for
const FORBIDDEN = /[[\]<>:"/?*^\\|\u0000-\u001f\u007f-\u00a0\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff]+/g;
/** Names that open devices on Windows. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;
/** Stem and extension together stay far below Anki's 120 bytes: sub-folders and conflict marks need room too. */
const STEM_BYTES_MAX = 72;
const EXTENSION = /\.([A-Za-z0-9]{1,8})$/;
/** What editors and systems call a picture that has no name. */
const NAMELESS = /^(image|img|clipboard|paste[d-]?.*|screenshot|unnamed|download)$/i;

const EXTENSION_OF: Readonly<Record<string, string>> = {
  "image/jpeg": "jpg",
  "image/svg+xml": "svg",
  "image/x-icon": "ico",
  "image/vnd.microsoft.icon": "ico",
  "audio/mpeg": "mp3",
  "audio/mp4": "m4a",
  "audio/x-wav": "wav",
  "audio/x-m4a": "m4a",
  "video/quicktime": "mov",
  "video/x-matroska": "mkv",
  "application/pdf": "pdf",
};

/** The media folder whose files this note most likely shows: the nearest one around it, beside it, above it or in its workspace; null: none. */
export function mediaRootFor(note: Note, roots: readonly MediaRoot[]): MediaRoot | null {
  const directory = path.posix.dirname(note.path);
  const near = roots.filter(({ root }) => {
    const beside = path.posix.dirname(root);
    return isInside(root, directory) || isInside(beside, directory) || (note.workspace !== null && isInside(note.workspace, root));
  });
  const steps = (root: string): number => path.posix.relative(directory, root).split("/").length;
  return near.toSorted((a, b) => steps(a.root) - steps(b.root) || (a.root < b.root ? -1 : 1))[0] ?? null;
}

/** `inner` is `outer` or lies below it. */
export function isInside(outer: string, inner: string): boolean {
  const from = path.posix.relative(outer, inner);
  return from === "" || (from !== ".." && !from.startsWith("../") && !path.posix.isAbsolute(from));
}

/**
 * The name in the media folder, by the user's template, with its extension: never empty, legal on every system and for Anki. The template
 * may make sub-folders (`/`). A file that has a name of its own keeps it.
 */
export function mediaName(template: string, note: Note, incoming: Incoming, now: Date): string {
  const extension = extensionOf(incoming);
  const own = stemOf(incoming.name ?? "");
  const given = own !== "" && !NAMELESS.test(own) ? own : filled(template, variables(note, incoming, now)).replaceAll(/\s+/g, "-");
  const segments = given
    .split("/")
    .map((segment) => cleanStem(segment))
    .filter((segment) => segment !== "");
  const stem = segments.length === 0 ? `media-${incoming.sha1.slice(0, 8)}` : segments.join("/");
  return extension === "" ? stem : `${stem}.${extension}`;
}

/** Where the editor's own setting `markdown.copyFiles.destination` sends the file, by that setting's rules. */
export function settingDestination(setting: string, note: Note, incoming: Incoming, now: Date): string {
  const directory = path.posix.dirname(note.path);
  const workspace = note.workspace ?? directory;
  let wanted = setting.trim() === "" ? "${fileName}" : setting.trim();
  if (wanted.startsWith("/")) wanted = `\${documentWorkspaceFolder}${wanted}`;
  if (wanted.endsWith("/")) wanted += "${fileName}";
  return path.posix.resolve(directory, filled(wanted, variables({ ...note, workspace }, incoming, now)));
}

/** `a/b.png`, 2 → `a/b-2.png`. */
export function numberedName(name: string, number: number): string {
  const match = EXTENSION.exec(name);
  return match === null ? `${name}-${String(number)}` : `${name.slice(0, match.index)}-${String(number)}${match[0]}`;
}

/** The link's target as it stands in the note: relative, and encoded where Markdown needs it. */
export function linkTarget(notePath: string, filePath: string): string {
  const relative = path.posix.relative(path.posix.dirname(notePath), filePath);
  return relative.replaceAll(/[%\s()<>#?"'\\`[\]]/g, (sign) =>
    [...Buffer.from(sign)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** Markdown for the file, as an editor's snippet: a picture's description is the place to go on typing. */
export function linkSnippet(target: string, mime: string, words: { readonly alt: string; readonly name: string }): string {
  const safe = target.replaceAll(/[$}\\]/g, String.raw`\$&`);
  const kind = mime.slice(0, mime.indexOf("/"));
  const placeholder = (text: string): string => `\${1:${text.replaceAll(/[$}\\]/g, String.raw`\$&`)}}`;
  if (kind === "image") return `![${placeholder(words.alt)}](${safe})`;
  if (kind === "audio" || kind === "video")
    return `<${kind} controls src="${safe.replaceAll("&", "&amp;")}" title="${placeholder(words.name.replaceAll(/["<>&[\]]/g, ""))}"></${kind}>`;
  return `[${placeholder(words.name.replaceAll(/[[\]]/g, ""))}](${safe})`;
}

/** The offset lies in a fenced code block, where a link would only be text. */
export function isInFence(text: string, offset: number): boolean {
  let fence: string | null = null;
  for (const line of text.slice(0, offset).split("\n").slice(0, -1)) {
    const mark = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line);
    const [, signs = "", rest = ""] = mark ?? [];
    if (mark === null) continue;
    if (fence === null) fence = signs.startsWith("`") && rest.includes("`") ? null : signs;
    else if (signs.startsWith(fence) && rest.trim() === "") fence = null;
  }
  return fence !== null;
}

function variables(note: Note, incoming: Incoming, now: Date): ReadonlyMap<string, string> {
  const directory = path.posix.dirname(note.path);
  const documentName = path.posix.basename(note.path);
  const extension = path.posix.extname(documentName);
  const within = (target: string): string => (note.workspace === null ? target : path.posix.relative(note.workspace, target));
  const fileExtension = extensionOf(incoming);
  const stem = stemOf(incoming.name ?? "") || "image";
  const two = (value: number): string => String(value).padStart(2, "0");
  return new Map([
    ["documentDirName", directory],
    ["documentRelativeDirName", within(directory)],
    ["documentFileName", documentName],
    ["documentBaseName", documentName.slice(0, documentName.length - extension.length)],
    ["documentExtName", extension.slice(1)],
    ["documentFilePath", note.path],
    ["documentRelativeFilePath", within(note.path)],
    ["documentWorkspaceFolder", note.workspace ?? directory],
    ["fileName", fileExtension === "" ? stem : `${stem}.${fileExtension}`],
    ["fileBaseName", stem],
    ["fileExtName", fileExtension],
    ["unixTime", String(now.getTime())],
    ["isoTime", now.toISOString()],
    ["date", `${String(now.getFullYear())}-${two(now.getMonth() + 1)}-${two(now.getDate())}`],
    ["time", two(now.getHours()) + two(now.getMinutes()) + two(now.getSeconds())],
    ["hash8", incoming.sha1.slice(0, 8)],
  ]);
}

/** `${name}` and `${name/pattern/replacement/}`; `\$` is a dollar. An unknown name stays as it is, so that the mistake is seen. */
function filled(template: string, values: ReadonlyMap<string, string>): string {
  return template.replaceAll(
    /\\\$|\$\{(\w+)(?:\/((?:\\\/|[^}/])+)\/((?:\\\/|[^}/])*)\/)?\}/g,
    (whole, name: string | undefined, pattern: string | undefined, replacement: string | undefined) => {
      if (name === undefined) return "$";
      const value = values.get(name);
      if (value === undefined) return whole;
      return pattern === undefined ? value : transformed(value, pattern, replacement ?? "");
    },
  );
}

function transformed(value: string, pattern: string, replacement: string): string {
  try {
    return value.replace(new RegExp(pattern.replaceAll(String.raw`\/`, "/")), replacement.replaceAll(String.raw`\/`, "/"));
  } catch (error) {
    // A pattern that is none changes nothing: a paste must not fail on a setting.
    if (error instanceof SyntaxError) return value;
    throw error;
  }
}

function stemOf(name: string): string {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  return base.replace(EXTENSION, "");
}

/** From the kind of the bytes where there is one usual extension for it, else from the name; lower case. */
function extensionOf({ name, mime }: Incoming): string {
  const named = EXTENSION.exec(name ?? "")?.[1]?.toLowerCase();
  if (named !== undefined) return named;
  const [kind = "", subtype = ""] = mime.toLowerCase().replace(/;.*$/, "").split("/");
  const known = EXTENSION_OF[`${kind}/${subtype}`];
  return known ?? (/^[a-z0-9]{1,8}$/.test(subtype) && kind !== "application" && kind !== "text" ? subtype : "");
}

function cleanStem(text: string): string {
  const plain = text
    .normalize("NFC")
    .toWellFormed()
    .replaceAll(FORBIDDEN, "-")
    .replaceAll(/^[.\s-]+|[.\s-]+$/g, "");
  const cut = cutToBytes(plain, STEM_BYTES_MAX).replaceAll(/[.\s-]+$/g, "");
  return DEVICE.test(cut) ? `${cut}-` : cut;
}

/** At most `bytes` of UTF-8, without half a character. */
function cutToBytes(text: string, bytes: number): string {
  let used = 0;
  let cut = "";
  for (const sign of text) {
    used += Buffer.byteLength(sign);
    if (used > bytes) break;
    cut += sign;
  }
  return cut;
}
