/** The note worker: long notes are parsed here, so that nobody waits for them. One text in, its references out, in order. */
import { parentPort } from "node:worker_threads";

import { LongNotes } from "./long-notes.ts";

const notes = new LongNotes();
parentPort?.on("message", (text: string) => parentPort?.postMessage(notes.find(text)));
