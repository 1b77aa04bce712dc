/** Files from the server: several requests in flight, as much memory as a few replies, one missing file never in the way of others. */
import { RemoteError, type Download, type SizeOf } from "../../core/ports.ts";

/** Replies under way and files not yet taken by the reader may hold about this much; one reply is always allowed. */
const BUFFER_BYTES = 48 * 1024 * 1024;
/** What a reply is thought to weigh before any was seen: the ZIP target of the official server. */
const FIRST_REPLY_BYTES = 2_621_440;

/** `bytes` null: the server says that it has this file no more. `release`: see `Download`. */
export type Received = { readonly name: string; readonly bytes: Uint8Array | null; readonly release?: () => void };
/** One request. Any non-empty part of `names` may come back. `gone`: the server has at least one of them no more (409). `tooMuch`: several
 * files whose reply is larger than is allowed. */
export type FetchFiles = (names: readonly string[], signal: AbortSignal) => Promise<readonly Received[] | "gone" | "tooMuch">;

export type DownloadOptions = {
  readonly fetchFiles: FetchFiles;
  readonly namesPerRequest: number;
  readonly requestsInFlight: number;
  /** Where the sizes are known: bytes that are asked for at once. One larger file is asked for alone. */
  readonly bytesPerRequest?: number;
  readonly sizeOf?: SizeOf;
};

/**
 * Every name once, as bytes or as missing. Requests run ahead of the reader until the buffer is full; a reader who leaves ends them. When
 * one fails, what the others brought is handed out before the error is thrown. @throws RemoteError, or the signal's reason.
 */
export async function* downloadFiles(options: DownloadOptions, names: readonly string[], signal: AbortSignal): AsyncGenerator<Download> {
  const work = new Work(options, names, signal);
  try {
    for (;;) {
      work.startRequests();
      const next = work.take();
      if (next !== undefined) {
        yield next;
        signal.throwIfAborted();
        continue;
      }
      if (work.failure !== null && work.inFlight === 0) throw work.failure.error;
      if (work.inFlight === 0) return;
      await work.change();
    }
  } finally {
    await work.close();
  }
}

/** The queue of names, the requests under way and the files that wait for the reader. */
class Work {
  inFlight = 0;
  /** The first request that failed; no more are started then. */
  failure: { readonly error: unknown } | null = null;
  private readonly options: DownloadOptions;
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  /** Never asked for yet, from `next` on. */
  private readonly names: readonly string[];
  private next = 0;
  /** Asked for and left out of a reply, or parts of a list that met 409: asked again first, each as a request of its own. */
  private readonly again: (readonly string[])[] = [];
  /** One list per reply, the first of them from `taken` on: to shift one file out of thousands moves all the others. */
  private readonly ready: (readonly Download[])[] = [];
  private taken = 0;
  private readyBytes = 0;
  /** Largest reply of late: decays, so that one large file does not slow the rest. */
  private replyBytes = FIRST_REPLY_BYTES;
  private wake: (() => void) | null = null;

  constructor(options: DownloadOptions, names: readonly string[], signal: AbortSignal) {
    this.options = options;
    // Twice the same name would wait for itself in the guards below.
    this.names = [...new Set(names)];
    this.signal = AbortSignal.any([signal, this.stop.signal]);
  }

  startRequests(): void {
    while (this.failure === null && this.mayStart()) {
      const names = this.nextNames();
      if (names === null) return;
      this.inFlight += 1;
      this.request(names)
        .catch((error: unknown) => {
          this.failure ??= { error };
        })
        .finally(() => {
          this.inFlight -= 1;
          // The reader may be busy with what it has: the line need not wait for it.
          this.startRequests();
          this.wake?.();
        });
    }
  }

  take(): Download | undefined {
    const next = this.ready[0]?.[this.taken];
    this.taken += 1;
    if (this.taken >= (this.ready[0]?.length ?? 0)) {
      this.ready.shift();
      this.taken = 0;
    }
    if (next?.kind === "bytes") this.readyBytes -= next.bytes.length;
    return next;
  }

  /** Resolves when a request has ended. */
  async change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.wake = null;
  }

  async close(): Promise<void> {
    this.failure ??= { error: null };
    this.stop.abort();
    while (this.inFlight > 0) await this.change();
  }

  private mayStart(): boolean {
    if (this.inFlight === 0 && this.ready.length === 0) return true;
    return this.inFlight < this.options.requestsInFlight && this.readyBytes + (this.inFlight + 1) * this.replyBytes <= BUFFER_BYTES;
  }

  private nextNames(): readonly string[] | null {
    const again = this.again.pop();
    if (again !== undefined) return again;
    const names = this.names.slice(this.next, this.next + this.count());
    this.next += names.length;
    return names.length === 0 ? null : names;
  }

  /** How many of the names are asked for next. */
  private count(): number {
    const { namesPerRequest, bytesPerRequest = Number.POSITIVE_INFINITY, sizeOf = () => 0 } = this.options;
    let bytes = 0;
    for (let count = 0; count < namesPerRequest; count += 1) {
      const name = this.names[this.next + count];
      if (name === undefined) return count;
      bytes += sizeOf(name) ?? 0;
      if (count > 0 && bytes > bytesPerRequest) return count;
    }
    return namesPerRequest;
  }

  private async request(names: readonly string[]): Promise<void> {
    const received = await this.options.fetchFiles(names, this.signal);
    if (received === "gone" || received === "tooMuch") {
      this.halve(names);
      return;
    }
    const rest = checkReply(names, received);
    if (rest.length > 0) this.again.push(rest);
    let bytes = 0;
    const files = received.map(({ name, bytes: content, release }): Download => {
      bytes += content?.length ?? 0;
      if (content === null) release?.();
      return content === null ? { kind: "missing", name } : { kind: "bytes", name, bytes: content, ...(release && { release }) };
    });
    this.ready.push(files);
    this.readyBytes += bytes;
    this.replyBytes = Math.max(bytes, this.replyBytes * 0.75);
  }

  /** 409 says only that some name of the list is gone: halves find which, and the others still come (W10). */
  private halve(names: readonly string[]): void {
    const [name] = names;
    if (names.length === 1 && name !== undefined) {
      this.ready.push([{ kind: "missing", name }]);
      return;
    }
    const middle = names.length >> 1;
    this.again.push(names.slice(middle), names.slice(0, middle));
  }
}

/** What is still to be asked for. A reply must bring at least one file, only files that were asked for, each once (W29, ZP19). */
function checkReply(asked: readonly string[], received: readonly Received[]): readonly string[] {
  if (received.length === 0) throw new RemoteError("protocol", "The server answered a request for files with none of them.");
  if (received.length > asked.length) {
    throw new RemoteError("protocol", `The server sent ${received.length} files where ${asked.length} were asked for.`);
  }
  const open = new Set(asked);
  for (const { name } of received) {
    if (!open.delete(name)) throw new RemoteError("protocol", `The server sent “${name}”, which was not asked for, or twice.`);
  }
  return [...open];
}
