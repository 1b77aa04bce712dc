/** The notes on disk: which there are, and what they say. */
import { DiskError, type Disk } from "../core/ports.ts";
import { isNote } from "./paths.ts";

export type NotesDisk = Pick<Disk, "walk" | "read" | "lstat">;

/** A larger note is not read: no person wrote it. */
const NOTE_MAX_BYTES = 4 * 1024 * 1024;
/** Program folders; those whose names begin with a dot are left out too. */
const SKIPPED = new Set(["node_modules", "__pycache__"]);

export type NoteFile = { readonly path: string; readonly mtimeNs: number; readonly ctimeNs: number; readonly sizeBytes: number };
export type NoteListing = {
  readonly notes: readonly NoteFile[];
  /** Directories that could not be listed to their end: nothing may be concluded from what is not there (N2). */
  readonly unlisted: readonly string[];
};

/** Every note below a directory (absolute, `/`-separated), ascending. @throws DiskError where the directory itself can't be listed */
export async function listNotes(disk: NotesDisk, directory: string, signal: AbortSignal): Promise<NoteListing> {
  const notes: NoteFile[] = [];
  const unlisted: string[] = [];
  const skip = (path: string, isDirectory: boolean): boolean => (isDirectory ? isSkipped(path) : !isNote(path));
  for await (const batch of disk.walk(directory, skip, signal)) {
    for (const { diskPath, stat } of batch.found) {
      const path = `${directory === "/" ? "" : directory}/${diskPath}`;
      if (stat === null) unlisted.push(path);
      else if (stat.kind === "file") notes.push({ path, mtimeNs: stat.mtimeNs, ctimeNs: stat.ctimeNs, sizeBytes: stat.sizeBytes });
    }
    unlisted.push(...batch.unlisted.map(({ diskPath }) => `${directory}/${diskPath}`));
  }
  return { notes: notes.toSorted((a, b) => (a.path < b.path ? -1 : 1)), unlisted };
}

/** null: it can't be read now (gone, too large, being written, refused). */
export async function readNote(disk: NotesDisk, path: string): Promise<string | null> {
  try {
    const read = await disk.read(path, NOTE_MAX_BYTES);
    return read === "changed" ? null : new TextDecoder().decode(read.bytes);
  } catch (error) {
    if (error instanceof DiskError) return null;
    throw error;
  }
}

/** Something stands at this absolute path. What can't be told counts as there: nothing is called missing on no evidence. */
export async function standsOnDisk(disk: NotesDisk, path: string): Promise<boolean> {
  try {
    return (await disk.lstat(path)) !== null;
  } catch (error) {
    if (error instanceof DiskError) return error.fault !== "nameTooLong";
    throw error;
  }
}

function isSkipped(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.startsWith(".") || SKIPPED.has(name);
}

/** Larger images are not put into a hover's text. */
const PREVIEW_MAX_BYTES = 64 * 1024;

/** Bytes of a small file, or null: too large, or it can't be read. */
export async function readPreview(disk: NotesDisk, path: string): Promise<Uint8Array | null> {
  try {
    const read = await disk.read(path, PREVIEW_MAX_BYTES);
    return read === "changed" ? null : read.bytes;
  } catch (error) {
    if (error instanceof DiskError) return null;
    throw error;
  }
}
