/** How the folders stand, as the service last told: asked again after every event, at most a few times a second. Nothing is kept of its own. */
import path from "node:path";

import type { FolderStatus } from "../protocol/api/model.ts";
import type { ResultOf } from "../protocol/api/table.ts";
import type { Listening, ProgressNotice, Session } from "./session.ts";

/** Events come in bursts; one question answers them all. */
const ASK_AFTER_MS = 80;
/** A run that found nothing to do begins and ends without an event, so what is to be done isn't told to be done: asked again, ever less often. */
const ASK_WHILE_SYNCING_MS = 1000;
const ASK_WHILE_PENDING_MAX_MS = 30_000;

type Status = ResultOf<"service/status">;
/** A file as the API names it. */
export type Place = { readonly folder: FolderStatus; readonly path: string };

export class Board {
  readonly #session: Session;
  readonly #listeners = new Set<() => void>();
  readonly #listening: readonly Listening[];
  readonly #progress = new Map<string, ProgressNotice>();
  #status: Status | null = null;
  #timer: NodeJS.Timeout | null = null;
  #dueMs = 0;
  #asking = false;
  #stale = false;
  #askPendingMs = ASK_WHILE_SYNCING_MS;

  constructor(session: Session) {
    this.#session = session;
    this.#listening = [
      session.onState((state) => {
        if (state.kind === "ready") return void this.refresh();
        this.#status = null;
        this.#progress.clear();
        this.#tell();
      }),
      session.onEvent(() => {
        this.#askPendingMs = ASK_WHILE_SYNCING_MS;
        this.#askSoon(ASK_AFTER_MS);
      }),
      session.onProgress((notice) => {
        this.#progress.set(notice.folder, notice);
        this.#askSoon(ASK_AFTER_MS);
      }),
    ];
  }

  get folders(): readonly FolderStatus[] {
    return this.#status?.folders ?? [];
  }

  get remotes(): Status["remotes"] {
    return this.#status?.remotes ?? [];
  }

  /** null: not told yet, or not connected. */
  get status(): Status | null {
    return this.#status;
  }

  /** How far the run of a folder is; undefined: none is under way. */
  progressOf(folder: string): ProgressNotice | undefined {
    return this.#progress.get(folder);
  }

  /** After every change of what the board tells. */
  onChange(listener: () => void): Listening {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  /** The folder by its id. */
  folder(id: string): FolderStatus | undefined {
    return this.folders.find(({ folder }) => folder === id);
  }

  /** Which file of which folder stands at this absolute path on disk; undefined: in no folder. */
  placeOf(file: string): Place | undefined {
    for (const folder of this.folders) {
      const relative = path.relative(folder.root, file);
      if (relative === "" || relative === ".." || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative)) continue;
      return { folder, path: relative.split(path.sep).join("/").normalize("NFC") };
    }
    return undefined;
  }

  /** Asks now; resolves when told. Trouble is shown by the session's state. */
  async refresh(): Promise<void> {
    if (this.#asking) {
      this.#stale = true;
      return;
    }
    this.#asking = true;
    this.#stale = false;
    try {
      const status = await this.#session.call("service/status", {});
      this.#status = status;
      for (const folder of this.#progress.keys())
        if (status.folders.every((one) => one.folder !== folder || one.state !== "syncing")) this.#progress.delete(folder);
    } catch {
      // The connection went: the session says so, and asks here again when it is back.
      this.#status = null;
    } finally {
      this.#asking = false;
    }
    this.#tell();
    if (this.#stale) this.#askSoon(ASK_AFTER_MS);
    else if (this.folders.some(({ state }) => state === "syncing")) this.#askSoon(ASK_WHILE_SYNCING_MS);
    else if (this.folders.some(({ state }) => state === "pending")) {
      this.#askSoon(this.#askPendingMs);
      this.#askPendingMs = Math.min(2 * this.#askPendingMs, ASK_WHILE_PENDING_MAX_MS);
    }
  }

  dispose(): void {
    for (const listening of this.#listening) listening.dispose();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  #askSoon(ms: number): void {
    const dueMs = performance.now() + ms;
    if (this.#timer !== null && this.#dueMs <= dueMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.refresh();
    }, ms);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
