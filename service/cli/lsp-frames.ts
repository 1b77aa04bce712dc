/** The language server protocol's framing on a byte stream: `Content-Length` headers around JSON. */

const HEADER_MAX_BYTES = 4096;
const SEPARATOR = Buffer.from("\r\n\r\n");

/** An `exit` is no longer than this. */
const EXIT_MAX_CHARS = 1000;

export function framed(text: string): Buffer {
  const body = Buffer.from(text);
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
}

/** Cuts a stream into messages. */
export class LspFrames {
  /** The stream is not the protocol's. */
  onBroken: () => void = () => undefined;
  /** The last message was the editor's `exit`. */
  exited = false;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the message that is being collected; null: its header is still to come. */
  #wanted: number | null = null;

  /** The texts that are complete with this piece. */
  push(piece: Buffer): string[] {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    const texts: string[] = [];
    for (let text = this.#next(); text !== null; text = this.#next()) texts.push(text);
    return texts;
  }

  #next(): string | null {
    if (this.#wanted === null && !this.#readHeader()) return null;
    const wanted = this.#wanted ?? 0;
    if (this.#bytes < wanted) return null;
    const all = this.#joined();
    this.#keep(all.subarray(wanted));
    this.#wanted = null;
    const text = all.toString("utf8", 0, wanted);
    if (text.length <= EXIT_MAX_CHARS && text.includes('"exit"')) this.exited = isExit(text);
    return text;
  }

  #readHeader(): boolean {
    const all = this.#joined();
    const end = all.indexOf(SEPARATOR);
    if (end < 0) {
      if (all.length > HEADER_MAX_BYTES) this.onBroken();
      return false;
    }
    const length = /^content-length:\s*(\d{1,10})\s*$/im.exec(all.toString("latin1", 0, end));
    if (length === null) {
      this.onBroken();
      return false;
    }
    this.#wanted = Number(length[1]);
    this.#keep(all.subarray(end + SEPARATOR.length));
    return true;
  }

  #joined(): Buffer {
    const all = this.#pieces.length === 1 && this.#pieces[0] !== undefined ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }

  #keep(rest: Buffer): void {
    this.#pieces = [rest];
    this.#bytes = rest.length;
  }
}

function isExit(text: string): boolean {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null && "method" in message && message.method === "exit";
  } catch {
    // The service answers what is not JSON.
    return false;
  }
}
