/** A walk that begins before anybody asks: a worker lists while this thread does something else. */
type Step<Batch> = { readonly batch: Batch } | { readonly error: unknown };

/** So many batches: the worker is at work then, and its replies take less memory than what is made of them. */
const AHEAD = 4;

/** What is found before `batches` is read waits in memory, up to `AHEAD`. Either `batches` or `stop` ends the walk. */
export class EarlyWalk<Batch> {
  readonly #steps: AsyncIterator<Batch>;
  readonly #kept: Step<Batch>[] = [];
  readonly #pulling: Promise<void>;
  #asked = false;
  #ended = false;

  constructor(walk: AsyncIterable<Batch>) {
    this.#steps = walk[Symbol.asyncIterator]();
    this.#pulling = this.#pull();
  }

  /** @throws what the walk threw, in its turn */
  async *batches(): AsyncGenerator<Batch, void> {
    this.#asked = true;
    try {
      await this.#pulling;
      for (const step of this.#kept.splice(0)) {
        if ("error" in step) throw step.error;
        yield step.batch;
      }
      while (!this.#ended) {
        const step = await this.#steps.next();
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      await this.#steps.return?.();
    }
  }

  /** Nobody will read it. */
  async stop(): Promise<void> {
    this.#asked = true;
    await this.#pulling;
    await this.#steps.return?.();
  }

  async #pull(): Promise<void> {
    while (!this.#asked && !this.#ended && this.#kept.length < AHEAD) {
      try {
        const step = await this.#steps.next();
        if (step.done === true) this.#ended = true;
        else this.#kept.push({ batch: step.value });
      } catch (error) {
        this.#ended = true;
        this.#kept.push({ error });
      }
    }
  }
}
