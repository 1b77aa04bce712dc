/** Large buffers used again: a fresh one for every body and reply costs more garbage collection than all the rest of a request. */

/** The smallest buffer that is kept, and the largest; larger ones are made and dropped. */
const MIN_BYTES = 16 * 1024;
const MAX_BYTES = 16 * 1024 * 1024;
/** Kept free, all together. */
const KEPT_BYTES = 48 * 1024 * 1024;

/** Bodies and large replies of all accounts together, while they are being worked on (S17): twice the largest upload, inflated too. */
const HELD_BYTES = 512 * 1024 * 1024;

export type Lease = { readonly bytes: Buffer; release(): void };

/** All accounts together hold too much at the moment (NW08). */
export class NoRoomError extends Error {
  constructor(wantedBytes: number) {
    super(`the server holds as many bodies as it may: there is no room for ${String(wantedBytes)} bytes more`);
    this.name = "NoRoomError";
  }
}

/** Buffers of powers of two. What a lease holds must not be used after its `release`. */
export class Buffers {
  private readonly free = new Map<number, Buffer[]>();
  private keptBytes = 0;
  private heldBytes = 0;
  private readonly heldMax: number;

  constructor(heldMax: number = HELD_BYTES) {
    this.heldMax = heldMax;
  }

  /** Counts memory that somebody else allocates; returns what gives it back. @throws NoRoomError */
  reserve(sizeBytes: number): () => void {
    if (this.heldBytes + sizeBytes > this.heldMax) throw new NoRoomError(sizeBytes);
    this.heldBytes += sizeBytes;
    let held = true;
    return () => {
      if (held) this.heldBytes -= sizeBytes;
      held = false;
    };
  }

  /** At least `sizeBytes`, with whatever content it had. @throws NoRoomError */
  take(sizeBytes: number): Lease {
    const unreserve = this.reserve(sizeBytes);
    const size = 2 ** Math.ceil(Math.log2(Math.max(sizeBytes, MIN_BYTES)));
    const found = this.free.get(size)?.pop();
    if (found !== undefined) this.keptBytes -= size;
    const bytes = found ?? Buffer.allocUnsafeSlow(size > MAX_BYTES ? sizeBytes : size);
    let held = true;
    return {
      bytes,
      release: () => {
        if (!held) return;
        held = false;
        unreserve();
        this.giveBack(bytes);
      },
    };
  }

  private giveBack(bytes: Buffer): void {
    if (bytes.length > MAX_BYTES || this.keptBytes + bytes.length > KEPT_BYTES) return;
    const list = this.free.get(bytes.length);
    if (list === undefined) this.free.set(bytes.length, [bytes]);
    else list.push(bytes);
    this.keptBytes += bytes.length;
  }
}

/** Chunks in one leased buffer that grows. */
export class Gathered {
  private lease: Lease;
  private used = 0;
  private readonly buffers: Buffers;

  constructor(buffers: Buffers, expectedBytes: number) {
    this.buffers = buffers;
    this.lease = buffers.take(expectedBytes);
  }

  add(chunk: Uint8Array): void {
    if (this.used + chunk.length > this.lease.bytes.length) {
      const larger = this.buffers.take(Math.max(this.used + chunk.length, this.lease.bytes.length * 2));
      larger.bytes.set(this.lease.bytes.subarray(0, this.used));
      this.lease.release();
      this.lease = larger;
    }
    this.lease.bytes.set(chunk, this.used);
    this.used += chunk.length;
  }

  get bytes(): Buffer {
    return this.lease.bytes.subarray(0, this.used);
  }

  release(): void {
    this.lease.release();
  }
}
