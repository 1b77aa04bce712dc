import { NO_COUNTS, type Hold, type RunSummary } from "../../service/core/model.ts";
import type { StoredEvent } from "../../service/core/state.ts";
import { EngineError } from "../../service/engine/errors.ts";
import type { Engine, FolderStatus } from "../../service/engine/facade.ts";

/** The facade in memory, for tests of what stands above it. Runs end when the test says so. */
export class EngineDouble implements Engine {
  readonly list: StoredEvent[] = [];
  readonly rows: FolderStatus[] = [];
  readonly calls: string[] = [];
  readonly held: Hold[] = [];
  /** What `undo` says. */
  refusal = new EngineError("nothingToUndo", "There is nothing to undo.");
  /** Events up to and including this number are "not kept any more". */
  trimmedThrough = 0;
  /** The highest number after which events were asked for. */
  askedAfter = 0;
  /** Runs under way, ended by `endRuns`. */
  readonly runs: PromiseWithResolvers<readonly RunSummary[]>[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #progress = new Set<Parameters<Engine["onProgress"]>[0]>();

  constructor() {
    this.rows.push(folderStatus("f1", "/media/one"));
  }

  emit(kind: string, data: unknown = {}, count = 1): void {
    for (let at = 0; at < count; at++) this.list.push({ seq: (this.list.at(-1)?.seq ?? 0) + 1, atMs: 1000, kind, folder: "f1", data });
    for (const listener of this.#listeners) listener();
  }

  progress(counts: Record<string, number>): void {
    for (const listener of this.#progress) listener("f1", "r1", "push", counts);
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  readonly events: Engine["events"] = {
    id: "0123456789abcdef",
    append: () => 0,
    since: (seq, limit) => {
      this.askedAfter = Math.max(this.askedAfter, seq);
      const from = Math.max(this.trimmedThrough, seq);
      const kept = this.list.slice(from, from + limit);
      const trimmed = kept.length > 0 && (kept[0]?.seq ?? 0) > seq + 1;
      return { events: kept, gap: trimmed || seq > this.events.lastSeq() };
    },
    lastSeq: () => this.list.at(-1)?.seq ?? 0,
    trim: () => undefined,
  };

  readonly folders: Engine["folders"] = {
    list: () => this.rows,
    get: (folder) => this.#need(folder),
    add: async ({ root, remote, policy, paused }) => {
      const row = {
        ...folderStatus(`f${this.rows.length + 1}`, root),
        remote,
        policy,
        state: paused ? ("paused" as const) : ("pending" as const),
      };
      this.rows.push(row);
      return await Promise.resolve(row);
    },
    update: async (folder, change) => {
      const row = this.#need(folder);
      const next = { ...row, ...change };
      this.rows[this.rows.indexOf(row)] = next;
      return await Promise.resolve(next);
    },
    remove: async (folder) => {
      this.rows.splice(this.rows.indexOf(this.#need(folder)), 1);
      await Promise.resolve();
    },
    locate: async () => await Promise.resolve(null),
  };

  readonly remotes: Engine["remotes"] = {
    list: () => [{ id: "ada@example.org", url: "https://proxy:hush@example.org/", user: "ada", signedIn: true }],
    login: async ({ password }) => {
      if (password !== "secret") throw new EngineError("auth", "the user name or the password is wrong");
      return await Promise.resolve({ remote: "ada@example.org" });
    },
    logout: async () => await Promise.resolve(),
    test: async () => await Promise.resolve({ ok: true, kind: "anki", detail: "a Satchel server", roundTripMs: 1 }),
  };

  readonly sync: Engine["sync"] = {
    run: async ({ folder }, signal) => {
      if (folder !== null) this.#need(folder);
      const run = Promise.withResolvers<readonly RunSummary[]>();
      signal.addEventListener("abort", () => run.reject(new Error("aborted")), { once: true });
      this.runs.push(run);
      return await run.promise;
    },
    plan: async (folder) => await Promise.resolve({ folder, hash: "abc", actions: [], holds: [] }),
    apply: async () => await Promise.reject(new EngineError("planDrifted", "The plan has changed.")),
    cancel: async () => await Promise.resolve(),
    pause: async (folder) => {
      this.calls.push(`pause ${folder}`);
      await Promise.resolve();
    },
    resume: async () => await Promise.resolve(),
    undo: async () => await Promise.reject(this.refusal),
    lastRuns: () => [],
  };

  readonly files: Engine["files"] = {
    list: () => [],
    add: async () => await Promise.reject(new Error("SELECT secret FROM /home/ada/state.db")),
    rename: async () => await Promise.reject(new EngineError("exists", "It is there already.")),
    find: () => null,
    explain: () => {
      throw new EngineError("badPath", "no");
    },
  };

  changes(): readonly [] {
    return [];
  }

  readonly conflicts: Engine["conflicts"] = {
    list: () => [],
    get: (id) => {
      throw new EngineError("conflictNotFound", `There is no conflict ${id}.`);
    },
    resolve: async () => await Promise.reject(new EngineError("conflictNotFound", "no")),
  };

  readonly versions: Engine["versions"] = {
    list: async () => await Promise.resolve({ versions: [], remoteDetail: null }),
    removed: () => [],
    read: async ({ offsetBytes, lengthBytes }) =>
      await Promise.resolve(Buffer.from("0123456789").subarray(offsetBytes, offsetBytes + lengthBytes)),
    restore: async () => await Promise.reject(new EngineError("versionNotFound", "no")),
  };

  readonly guard: Engine["guard"] = {
    list: () => this.held,
    approve: async (_id, hash) => {
      if (hash !== "shown") throw new EngineError("holdChanged", "What waits has changed.");
      await Promise.resolve();
    },
    reject: async () => await Promise.resolve(),
  };

  readonly notes: Engine["notes"] = {
    roots: () => this.rows.map(({ folder, root }) => ({ folder, root })),
    standing: () => "unknown",
    know: () => {
      throw new EngineError("folderNotFound", "no");
    },
    names: async () => await Promise.resolve([]),
    named: async () => await Promise.resolve([]),
    renames: (_folder, since) => ({ renames: [], through: since ?? 0 }),
    check: async () => await Promise.reject(new EngineError("folderNotFound", "no")),
    clean: async () => await Promise.reject(new EngineError("folderNotFound", "no")),
  };

  onProgress(listener: Parameters<Engine["onProgress"]>[0]): () => void {
    this.#progress.add(listener);
    return () => this.#progress.delete(listener);
  }

  onEvent(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  #need(folder: string): FolderStatus {
    const row = this.rows.find((one) => one.folder === folder);
    if (row === undefined) throw new EngineError("folderNotFound", `There is no folder ${folder}.`);
    return row;
  }
}

export function folderStatus(folder: string, root: string): FolderStatus {
  return {
    folder,
    root,
    remote: "ada@example.org",
    policy: "keep-both",
    state: "insync",
    detail: null,
    fault: null,
    files: 3,
    bytes: 3000,
    pending: 0,
    conflicts: 0,
    problems: 0,
    held: 0,
    lastRunAt: 1000,
    watching: "events",
    nextRunAt: null,
  };
}

export function runSummary(change: Partial<RunSummary> = {}): RunSummary {
  return {
    run: "r1",
    folder: "f1",
    root: "/media/one",
    result: "insync",
    ...NO_COUNTS,
    problems: 0,
    durationMs: 1,
    startedAtMs: 1000,
    error: null,
    fault: null,
    ...change,
  };
}
