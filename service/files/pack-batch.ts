import type { Sha1 } from "../core/model.ts";
import type { Place } from "../core/server-rows.ts";

/** Magic, length (4 bytes, big-endian), SHA-1 (20 bytes) stand before each record's bytes. */
export const HEADER_BYTES = 28;
/** "Sblb" and "Snot". */
export const MAGIC = { blob: 0x53_62_6c_62, note: 0x53_6e_6f_74 } as const;

/** An offset in a pack. */
export type PackPosition = { readonly pack: number; readonly at: number };
type Mark = { readonly chunks: number; readonly at: number };

/** What is to be appended to a pack at once: bytes with the place they will have, and the note that ends it. */
export class PackBatch {
  readonly chunks: Uint8Array[] = [];
  readonly start: PackPosition;
  private at: number;

  constructor(start: PackPosition) {
    this.start = start;
    this.at = start.at;
  }

  get end(): PackPosition {
    return { pack: this.start.pack, at: this.at };
  }

  /** Where these bytes will stand if they are added next. */
  plan(sha1: Sha1, bytes: Uint8Array): Place {
    return { sha1, sizeBytes: bytes.length, pack: this.start.pack, start: this.at + HEADER_BYTES };
  }

  blob(sha1: Sha1, bytes: Uint8Array): Place {
    const place = this.plan(sha1, bytes);
    this.add(MAGIC.blob, sha1, bytes);
    return place;
  }

  /** `sha1`: of the note's bytes. */
  note(sha1: Sha1, bytes: Uint8Array): void {
    this.add(MAGIC.note, sha1, bytes);
  }

  mark(): Mark {
    return { chunks: this.chunks.length, at: this.at };
  }

  /** Takes back what was added since. */
  undo(mark: Mark): void {
    this.chunks.length = mark.chunks;
    this.at = mark.at;
  }

  private add(magic: number, sha1: Sha1, bytes: Uint8Array): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(magic, 0);
    header.writeUInt32BE(bytes.length, 4);
    header.write(sha1, 8, "hex");
    this.chunks.push(header, bytes);
    this.at += HEADER_BYTES + bytes.length;
  }
}
