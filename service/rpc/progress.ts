/** Progress towards one connection: what is newest of each folder, every 100 ms, and only while the peer keeps up. */
import type { Engine } from "../engine/facade.ts";

const EVERY_MS = 100;

export type ProgressValue = {
  readonly folder: string;
  readonly run: string;
  readonly phase: string;
  readonly progress: Readonly<Record<string, number>>;
  readonly atMs: number;
};
/** `null`: every folder. */
type Watch = { readonly folder: string | null; readonly notice: (value: ProgressValue) => string; readonly newest: Map<string, string> };

export class ProgressFeed {
  readonly #engine: Engine;
  /** Sends, or says that too much waits already. */
  readonly #send: (notice: string) => boolean;
  readonly #watches = new Set<Watch>();
  #stop: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(engine: Engine, send: (notice: string) => boolean) {
    this.#engine = engine;
    this.#send = send;
  }

  /** Returns the end of it. What is newest leaves with the end, so that a short run tells something too; `close` drops it. */
  watch(folder: string | null, notice: (value: ProgressValue) => string): () => void {
    const watch: Watch = { folder, notice, newest: new Map() };
    this.#watches.add(watch);
    this.#stop ??= this.#engine.onProgress((of, run, phase, progress) =>
      this.#note({ folder: of, run, phase, progress, atMs: Date.now() }),
    );
    return () => {
      if (!this.#watches.delete(watch)) return;
      for (const text of watch.newest.values()) this.#send(text);
      if (this.#watches.size === 0) this.close();
    };
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    this.#watches.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #note(value: ProgressValue): void {
    for (const { folder, notice, newest } of this.#watches)
      if (folder === null || folder === value.folder) newest.set(value.folder, notice(value));
    this.#timer ??= setTimeout(() => this.#flush(), EVERY_MS);
  }

  #flush(): void {
    this.#timer = null;
    for (const { newest } of this.#watches) for (const [folder, text] of newest) if (this.#send(text)) newest.delete(folder);
    if ([...this.#watches].some(({ newest }) => newest.size > 0)) this.#timer = setTimeout(() => this.#flush(), EVERY_MS);
  }
}
