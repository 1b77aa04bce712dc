/** `photo.twin-1a2b.png`: where the later of two twins stands on a disk that folds names, on that device alone (FN10). */

const STAND_IN = /^(?<stem>.*)\.twin-(?<hash4>[0-9a-f]{4})(?<extension>\.[^./]*)?$/su;

/** `sha1`: of a text's UTF-8 bytes. The hash is of the path: an edit keeps the name. */
export function twinName(path: string, sha1: (text: string) => string): string {
  const dot = path.lastIndexOf(".");
  const cut = dot > path.lastIndexOf("/") + 1 ? dot : path.length;
  return `${path.slice(0, cut)}.twin-${sha1(path).slice(0, 4)}${path.slice(cut)}`;
}

/** The path that this name stands in for; null: it is a name like any other. */
export function standsFor(name: string, sha1: (text: string) => string): string | null {
  const { stem, hash4, extension } = STAND_IN.exec(name)?.groups ?? {};
  if (stem === undefined || hash4 === undefined) return null;
  const path = `${stem}${extension ?? ""}`;
  return sha1(path).startsWith(hash4) && twinName(path, sha1) === name ? path : null;
}
