import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

import type { Entry, RemoteRow } from "../../service/core/model.ts";
import type { FolderState } from "../../service/core/state.ts";
import { StoreError, type StoreFault } from "../../service/store/errors.ts";
import { openState, type StateStore } from "../../service/store/open.ts";

/** SHA-1 of a text. */
export function sha(text: string): string {
  return createHash("sha1").update(text).digest("hex");
}

/** An entry with these bytes; times and file id are beyond 2^53. */
export function entry(name: string, text = name, over: Partial<Entry> = {}): Entry {
  const times = { mtimeNs: 1.7e18 + 256, ctimeNs: 1.7e18 + 512, fileId: 2 ** 60 + 2 ** 10 };
  return { path: name, sizeBytes: text.length, ...times, sha1: sha(text), diskPath: null, racy: false, ...over };
}

/** A remote row with these bytes, or a tombstone. */
export function remoteRow(name: string, text: string | null = name, over: Partial<RemoteRow> = {}): RemoteRow {
  return { path: name, wireName: name, sha1: text === null ? null : sha(text), usn: 7, sizeBytes: text?.length ?? null, ...over };
}

/** A state in memory for one test. */
export function memory(t: TestContext, now = (): number => 0): { state: StateStore; folder: FolderState } {
  const state = openState({ path: ":memory:", now });
  t.after(() => state.close());
  return { state, folder: state.folder("f1") };
}

/** A temporary directory for one test. */
export function directory(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), "satchel-store-"));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** What the store says went wrong; other errors pass. */
export function faultOf(work: () => unknown): StoreFault | "none" {
  try {
    work();
    return "none";
  } catch (error) {
    if (error instanceof StoreError) return error.fault;
    throw error;
  }
}

/** The pending paths in the store's order. */
export function pendingPaths(folder: FolderState): readonly string[] {
  return folder.pending.rows(1000).map((row) => row.path);
}

/** A change-log row to append; text null: a removal. */
export function changeOf(name: string, text: string | null, atMs = 1) {
  const sha1 = text === null ? null : sha(text);
  return { path: name, kind: text === null ? "remove" : "put", sha1, sizeBytes: text?.length ?? null, origin: "user", atMs } as const;
}

/** Runs `work` in its own transaction after pending was emptied, and gives what it marked. */
export function marked(state: StateStore, folder: FolderState, work: () => void): readonly string[] {
  state.transaction(() => {
    for (const name of pendingPaths(folder)) folder.pending.remove(name);
  });
  state.transaction(work);
  return pendingPaths(folder);
}
