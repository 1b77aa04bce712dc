/** Notes in memory beside the folders of a memory engine: what the language server and the check see of a disk. */
import { DiskError } from "../../service/core/ports.ts";
import type { Stat } from "../../service/core/model.ts";
import type { NotesDisk } from "../../service/notes/note-files.ts";

export class MemoryNotes implements NotesDisk {
  /** Absolute path → text. */
  readonly texts = new Map<string, string>();
  /** Notes that are there and can't be read. */
  readonly locked = new Set<string>();
  /** What else stands on this disk: the folders' own files. */
  others: (absolute: string) => Uint8Array | null = () => null;
  reads = 0;
  #stamp = 1;
  readonly #stamps = new Map<string, number>();

  write(path: string, text: string): void {
    this.texts.set(path, text);
    this.#stamps.set(path, this.#stamp++);
  }

  async lstat(path: string): Promise<Stat | null> {
    const bytes = this.#bytes(path);
    return await Promise.resolve(bytes === null ? null : this.#statOf(path, bytes));
  }

  async read(path: string, maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly stat: Stat }> {
    this.reads += 1;
    const bytes = this.#bytes(path);
    if (bytes === null) throw new DiskError("notFound", `${path} is not there`);
    if (this.locked.has(path)) throw new DiskError("access", `${path} may not be read`);
    if (bytes.length > maxBytes) throw new DiskError("tooLarge", `${path} is too large`);
    return await Promise.resolve({ bytes, stat: this.#statOf(path, bytes) });
  }

  async *walk(root: string, skip: (diskPath: string, directory: boolean) => boolean): ReturnType<NotesDisk["walk"]> {
    const found = [...this.texts].flatMap(([path, text]) => {
      if (!path.startsWith(`${root}/`)) return [];
      const diskPath = path.slice(root.length + 1);
      const above = diskPath.split("/").slice(0, -1);
      const hidden = above.some((_, at) => skip(above.slice(0, at + 1).join("/"), true));
      return hidden || skip(diskPath, false) ? [] : [{ diskPath, stat: this.#statOf(path, Buffer.from(text)), validUnicode: true }];
    });
    yield await Promise.resolve({ found, unlisted: [] });
  }

  #bytes(path: string): Uint8Array | null {
    const text = this.texts.get(path);
    return text === undefined ? this.others(path) : Buffer.from(text);
  }

  #statOf(path: string, bytes: Uint8Array): Stat {
    const stamp = this.#stamps.get(path) ?? 0;
    return { kind: "file", sizeBytes: bytes.length, mtimeNs: stamp, ctimeNs: stamp, fileId: stamp, dev: 1 };
  }
}
