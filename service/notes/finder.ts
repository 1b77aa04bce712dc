/** Finds references without holding up anybody: short notes here and at once, long ones and those of many in a worker. */
import { Worker } from "node:worker_threads";

import type { NotesDisk } from "./note-files.ts";
import { findReferences, mayRefer, type MediaReference } from "./references.ts";

/** Parsed here: a few milliseconds at most. */
const HERE_CHARS = 8 * 1024;
/** The parser's time grows with the square of a paragraph. A text that takes longer was made to. */
const LONGEST_MS = 20_000;
/** An editor's next keystroke finds the worker awake. */
const IDLE_MS = 60_000;

/** null: the text can't be looked at in reasonable time. */
export type FindReferences = (text: string) => Promise<readonly MediaReference[] | null>;

/** Where notes come from and what is in them. `findAmongMany`: for one note of a whole workspace, where nobody waits for this one. */
export type NotesSource = { readonly disk: NotesDisk; readonly find: FindReferences; readonly findAmongMany: FindReferences };

export interface Finder extends Pick<NotesSource, "find" | "findAmongMany"> {
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
  const inTurn: FindReferences = async (text) => {
    const found = turn.then(async () => await findThere(text));
    turn = found.catch(() => undefined);
    return await found;
  };
  return {
    find: async (text) => (text.length <= HERE_CHARS ? findReferences(text) : await inTurn(text)),
    // A few milliseconds each, and seconds for a workspace: those are the worker's. What needs no parser needs no message either.
    findAmongMany: async (text) => (mayRefer(text) ? await inTurn(text) : []),
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

/** null: it takes too long. @throws Error where the worker died. One at a time; plain listeners, as there are thousands of calls in a row. */
async function askWorker(worker: Worker, text: string, longestMs: number): Promise<readonly MediaReference[] | null> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly MediaReference[] | null>();
  const died = () => reject(new Error("the note worker ended in the middle of a note"));
  const late = setTimeout(() => resolve(null), longestMs);
  worker.once("message", resolve);
  worker.once("exit", died);
  worker.postMessage(text);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    worker.off("message", resolve);
    worker.off("exit", died);
  }
}
