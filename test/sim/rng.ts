/** Chance of a session: every draw comes from one seed, in streams of their own, so that leaving out one kind of fault moves nothing else. */

/** A stream of draws. The same seed and name give the same draws for ever. */
export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, name: string) {
    let mixed = (seed ^ 0x9e3779b9) >>> 0;
    for (let at = 0; at < name.length; at += 1) mixed = Math.imul(mixed ^ name.charCodeAt(at), 0x85ebca6b) >>> 0;
    const next = () => {
      mixed = (mixed + 0x6d2b79f5) >>> 0;
      let value = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
      value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
      return (value ^ (value >>> 14)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next();
  }

  /** sfc32: passes the usual batteries, four adds a draw. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#d) >>> 0;
    this.#d = (this.#d + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) >>> 0;
    this.#c = (this.#c + sum) >>> 0;
    return sum;
  }

  /** 0 … n - 1. */
  below(n: number): number {
    return Math.floor((this.u32() / 0x1_00_00_00_00) * n);
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 0x1_00_00_00_00;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("rng: nothing to pick from");
    return item;
  }

  /** Picks by weight. */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T {
    let at = this.below(items.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, item] of items) {
      if (at < weight) return item;
      at -= weight;
    }
    throw new Error("rng: nothing to pick from");
  }
}
