/** Where a wave of uploads keeps the bytes of its files. */

/** Waves that there are at once: one is sent, one is read, and the last ones of the one before are still under way. */
const WAVES_KEPT = 3;

/** Memory for the files of one wave, one behind another. Used again once all that was read into it is answered for. */
export class Wave {
  readonly #memory: Uint8Array;
  readonly #over: (memory: Uint8Array) => void;
  #used = 0;
  #open = 0;

  constructor(memory: Uint8Array, over: (memory: Uint8Array) => void) {
    this.#memory = memory;
    this.#over = over;
  }

  /** Room for a file of this size and one byte more, by which a file that grew is known; undefined when the wave is full. */
  room(sizeBytes: number): Uint8Array | undefined {
    const end = this.#used + sizeBytes + 1;
    if (end > this.#memory.length) return undefined;
    const room = this.#memory.subarray(this.#used, end);
    this.#used = end;
    return room;
  }

  /** So many entries were read. */
  begin(entries: number): void {
    this.#open = entries;
    if (entries === 0) this.#over(this.#memory);
  }

  /** So many of them are answered for: nobody reads their bytes any more. */
  end(entries: number): void {
    this.#open -= entries;
    if (this.#open === 0) this.#over(this.#memory);
  }
}

/** Memories of `bytes` each. Fresh megabytes for each wave would cost more than the reading: the system must find and clear every page. They
 * are shared, so that another thread can read files into them. */
export function openMemories(bytes: number): { readonly take: () => Wave } {
  const idle: Uint8Array[] = [];
  const giveBack = (memory: Uint8Array): void => {
    if (idle.length < WAVES_KEPT) idle.push(memory);
  };
  return { take: () => new Wave(idle.pop() ?? new Uint8Array(new SharedArrayBuffer(bytes)), giveBack) };
}
