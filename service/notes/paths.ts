/** Absolute paths as notes see them: `/`-separated on every system, without a trailing slash. */

/** From a path of this system. */
export function slashed(absolute: string): string {
  const even = /^[a-z]:[\\/]/i.test(absolute) || absolute.startsWith("\\\\") ? absolute.replaceAll("\\", "/") : absolute;
  return even.length > 1 && even.endsWith("/") ? even.slice(0, -1) : even;
}

export function isAbsolute(path: string): boolean {
  return path.startsWith("/") || /^[a-z]:\//i.test(path);
}

export function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Lower case, without the dot; empty where there is none. */
export function extensionOf(path: string): string {
  const name = baseName(path);
  const dot = name.lastIndexOf(".");
  return dot <= 0 ? "" : name.slice(dot + 1).toLowerCase();
}

/** `directory` and `relative` as one path, with `.` and `..` carried out. */
export function joined(directory: string, relative: string): string {
  const parts: string[] = [];
  for (const part of `${directory}/${relative}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const path = parts.join("/");
  return /^[a-z]:$/i.test(parts[0] ?? "") ? path : `/${path}`;
}

/** What leads from `directory` to `root`, or null where it does not lie in it; `""` for itself. */
export function below(root: string, path: string): string | null {
  if (path === root) return "";
  const prefix = root.endsWith("/") ? root : `${root}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : null;
}

/** How a note in `directory` writes `path`: relative, with `..` where it must be. */
export function relativeTo(directory: string, path: string): string {
  const from = directory.split("/").filter((part) => part !== "");
  const to = path.split("/").filter((part) => part !== "");
  let same = 0;
  while (same < from.length && same < to.length - 1 && from[same] === to[same]) same += 1;
  return [...from.slice(same).map(() => ".."), ...to.slice(same)].join("/");
}

/** Extensions of notes, lower case. */
export const NOTE_EXTENSIONS: readonly string[] = ["md", "markdown", "mdown", "mkd", "mdx", "qmd", "rmd"];
const NOTES = new Set(NOTE_EXTENSIONS);
const MEDIA = new Set(
  `png jpg jpeg gif svg webp avif bmp tif tiff ico heic heif jxl mp3 m4a ogg oga opus wav flac aac 3gp aiff spx
  mp4 m4v webm mov mkv avi ogv mpg mpeg flv swf pdf epub djvu drawio excalidraw psd xcf ai eps
  zip 7z gz tar doc docx odt xls xlsx ods ppt pptx odp csv tsv`.split(/\s+/),
);

export function isNote(path: string): boolean {
  return NOTES.has(extensionOf(path));
}

/** By its extension. `![[name]]` means a note unless the name says otherwise. */
export function isMedia(path: string): boolean {
  return MEDIA.has(extensionOf(path));
}
