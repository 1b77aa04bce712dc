/** Finds references without holding up anybody: short notes here and at once, long ones in a worker. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

import type { NotesDisk } from "./note-files.ts";
import { findReferences, type MediaReference } from "./references.ts";

/** Parsed here: a few milliseconds at most. */
const HERE_CHARS = 8 * 1024;
/** The parser's time grows with the square of a paragraph. A text that takes longer was made to. */
const LONGEST_MS = 20_000;
/** An editor's next keystroke finds the worker awake. */
const IDLE_MS = 60_000;

/** null: the text can't be looked at in reasonable time. */
export type FindReferences = (text: string) => Promise<readonly MediaReference[] | null>;

/** Where notes come from and what is in them. */
export type NotesSource = { readonly disk: NotesDisk; readonly find: FindReferences };

export interface Finder {
  readonly find: FindReferences;
  close(): Promise<void>;
}

/** `workerUrl`: address of note-worker.ts, or of its bundle. */
export function openFinder(workerUrl: URL, longestMs = LONGEST_MS): Finder {
  let worker: Worker | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let idle: NodeJS.Timeout | null = null;
  const end = async (): Promise<void> => {
    if (idle !== null) clearTimeout(idle);
    const ended = worker;
    worker = null;
    await ended?.terminate();
  };
  const findThere = async (text: string): Promise<readonly MediaReference[] | null> => {
    if (idle !== null) clearTimeout(idle);
    worker ??= start(workerUrl);
    const found = await askWorker(worker, text, longestMs);
    if (found === null) await end();
    idle = setTimeout(() => void end(), IDLE_MS);
    idle.unref();
    return found;
  };
  return {
    find: async (text) => {
      if (text.length <= HERE_CHARS) return findReferences(text);
      const found = turn.then(async () => await findThere(text));
      turn = found.catch(() => undefined);
      return await found;
    },
    close: async () => {
      await end();
    },
  };
}

function start(workerUrl: URL): Worker {
  const worker = new Worker(workerUrl);
  // A worker at rest keeps no process alive.
  worker.unref();
  // Whoever waits is told by `askWorker`; nobody else needs to be.
  worker.on("error", () => undefined);
  return worker;
}

/** null: it takes too long. @throws Error where the worker died */
async function askWorker(worker: Worker, text: string, longestMs: number): Promise<readonly MediaReference[] | null> {
  const late = AbortSignal.timeout(longestMs);
  const over = new AbortController();
  const signal = AbortSignal.any([late, over.signal]);
  const died = once(worker, "exit", { signal }).then(() => {
    throw new Error("the note worker ended in the middle of a note");
  });
  worker.postMessage(text);
  try {
    const answers: unknown[] = await Promise.race([once(worker, "message", { signal }), died]);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own worker answers
    return answers[0] as readonly MediaReference[];
  } catch (error) {
    if (late.aborted) return null;
    throw error;
  } finally {
    over.abort();
  }
}
