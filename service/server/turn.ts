/** One after another, in the order of asking. */
export class Turns {
  private tail: Promise<void> = Promise.resolve();

  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.tail;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.tail = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }
}

/** At most `atOnce` at a time; the others wait in their order, at most `waitingMax` of them. */
export class Slots {
  private free: number;
  private readonly waitingMax: number;
  private readonly waiting: (() => void)[] = [];

  constructor(atOnce: number, waitingMax: number = Number.POSITIVE_INFINITY) {
    this.free = atOnce;
    this.waitingMax = waitingMax;
  }

  /** Resolves with the function that gives the slot back; null: too many wait already. */
  async take(signal?: AbortSignal): Promise<(() => void) | null> {
    if (this.free > 0) this.free -= 1;
    else {
      if (this.waiting.length >= this.waitingMax) return null;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const leave = (): void => {
        const at = this.waiting.indexOf(resolve);
        if (at < 0) return;
        this.waiting.splice(at, 1);
        reject(signal?.reason instanceof Error ? signal.reason : new Error("The request ended while it waited for its turn."));
      };
      this.waiting.push(resolve);
      signal?.addEventListener("abort", leave, { once: true });
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", leave);
      }
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    };
  }
}
