/** One folder while the service runs: its root opened and locked, its loop, its watcher and its change stream. */
import type { RunFault } from "../../protocol/run-faults.ts";
import { NO_COUNTS, type RunResult, type RunSummary } from "../core/model.ts";
import { DiskError, type Remote, type WatchHint } from "../core/ports.ts";
import type { FolderState } from "../core/state.ts";
import { currentConfig, policyOf, type EngineDeps, type OpenedRoot } from "./deps.ts";
import { EngineError } from "./errors.ts";
import type { FolderConfig, FolderState as FolderWord, FolderStatus } from "./facade.ts";
import { FolderLoop } from "./folder-loop.ts";
import { runFaultOf } from "./halt.ts";
import { checkNotOurs } from "./own-directories.ts";
import { newRunId, type FolderParts } from "./parts.ts";
import { recoverFolder } from "./recover.ts";
import { followRemote } from "./stream.ts";

/** A root that is missing or taken by another service is tried again this often, and so is watching one that is away. */
const REOPEN_MS = 15_000;
/** While events are impossible, watching is tried again this often. */
const REWATCH_MS = 5 * 60_000;
/** The watch ended because the root went or was replaced: what stands there now is watched this soon. */
const REWATCH_GONE_MS = 2_000;

type Opened = { readonly root: OpenedRoot; readonly parts: FolderParts; readonly loop: FolderLoop };

export class Folder {
  readonly config: FolderConfig;
  readonly rows: FolderState;
  readonly #deps: EngineDeps;
  readonly #remote: () => Remote | null;
  readonly #stop = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #opened: Opened | null = null;
  #trouble: EngineError | null = null;
  #watch: { close(): Promise<void> } | null = null;

  private constructor(deps: EngineDeps, config: FolderConfig, remote: () => Remote | null) {
    this.#deps = deps;
    this.config = config;
    this.#remote = remote;
    this.rows = deps.state.folder(config.id);
  }

  /** Opens what can be opened; a root that can't is tried again and the status says why. */
  static async open(deps: EngineDeps, config: FolderConfig, remote: () => Remote | null): Promise<Folder> {
    const folder = new Folder(deps, config, remote);
    await folder.#openRoot();
    if (folder.#opened === null) folder.#background(folder.#reopen());
    return folder;
  }

  /** @throws EngineError while the root can't be opened. */
  get parts(): FolderParts {
    return this.#need().parts;
  }

  get loop(): FolderLoop {
    return this.#need().loop;
  }

  /** As `loop`, but null while the root can't be opened. */
  get loopIfOpen(): FolderLoop | null {
    return this.#opened?.loop ?? null;
  }

  /** As `parts`, but null while the root can't be opened. */
  get partsIfOpen(): FolderParts | null {
    return this.#opened?.parts ?? null;
  }

  async run(scan: boolean): Promise<RunSummary> {
    if (this.#opened !== null) return await this.#opened.loop.request(scan);
    const trouble = this.#trouble;
    return this.notRun(
      trouble?.fault === "notADirectory" ? "held" : "failed",
      trouble === null ? "disk" : runFaultOf(trouble),
      trouble?.message ?? "The folder is not open.",
    );
  }

  /** The row of a folder that could not even begin. */
  notRun(result: RunResult, fault: RunFault, error: string): RunSummary {
    return {
      run: newRunId(this.#deps),
      folder: this.config.id,
      root: this.config.root,
      result,
      ...NO_COUNTS,
      problems: this.rows.problems.count(),
      durationMs: 0,
      startedAtMs: this.#deps.clock.wallMs(),
      error,
      fault,
    };
  }

  status(): FolderStatus {
    const config = currentConfig(this.#deps, this.config);
    const { rows } = this;
    const totals = rows.entries.totals();
    const loop = this.#opened?.loop.status() ?? null;
    const held = rows.holds.list("held");
    const failure = loop?.lastEnd?.summary ?? null;
    const pending = rows.pending.count() + (this.#opened?.parts.local.dirtyCount() ?? 0);
    const word = this.#word(config, held.length, pending);
    const nextRunAtMs = loop?.nextRunAtMs ?? null;
    return {
      folder: config.id,
      root: config.root,
      remote: config.remote,
      policy: config.policy,
      state: word,
      detail: this.#detail(config, failure),
      fault: this.#fault(config, failure),
      files: totals.files,
      bytes: totals.bytes,
      pending,
      conflicts: rows.conflicts.openCount(),
      problems: rows.problems.count(),
      held: held.length,
      lastRunAt: failure === null ? (rows.runs.last()?.startedAtMs ?? null) : failure.startedAtMs + failure.durationMs,
      watching: loop?.watching === true ? "events" : "timed",
      nextRunAt: nextRunAtMs === null ? null : this.#deps.clock.wallMs() + Math.round(nextRunAtMs - this.#deps.clock.monoMs()),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the service is stopping"));
    await this.#closeWatch();
    await this.#opened?.loop.close();
    await Promise.all(this.#tasks);
    await this.#opened?.root.close();
    this.#opened = null;
  }

  #need(): Opened {
    if (this.#opened !== null) return this.#opened;
    throw this.#trouble ?? new EngineError("disk", `${this.config.root} is not open.`);
  }

  #word(config: FolderConfig, held: number, pending: number): FolderWord {
    if (config.paused) return "paused";
    const loop = this.#opened?.loop.status();
    if (loop === undefined) return this.#trouble?.fault === "notADirectory" ? "held" : "error";
    if (config.remote !== null && this.#remote() === null) return "error";
    if (loop.running) return "syncing";
    if (held > 0) return "held";
    const fault = loop.lastEnd?.summary.fault ?? null;
    if (fault === "offline" || fault === "retry") return "offline";
    if (fault !== null && fault !== "cancelled") return "error";
    return pending > 0 || loop.lastEnd === null ? "pending" : "insync";
  }

  #detail(config: FolderConfig, failure: RunSummary | null): string | null {
    if (this.#opened === null) return this.#trouble?.message ?? null;
    if (config.remote === null) return "No remote is chosen for this folder yet: run `satchel login URL --user NAME`, then `satchel sync`.";
    if (this.#remote() === null) return `Nobody is signed in to ${config.remote}: run \`satchel login\`.`;
    return failure?.error ?? null;
  }

  #fault(config: FolderConfig, failure: RunSummary | null): RunFault | null {
    if (this.#opened === null) return this.#trouble === null ? null : runFaultOf(this.#trouble);
    if (config.remote === null) return "noRemote";
    if (this.#remote() === null) return "auth";
    return failure?.fault ?? null;
  }

  async #openRoot(): Promise<void> {
    const { config } = this;
    try {
      await this.#checkNotOurs();
      const root = await this.#deps.openRoot(currentConfig(this.#deps, config));
      const parts = this.#makeParts(root);
      await recoverFolder(parts);
      const firstOrigin = this.#deps.rebuilt ? "rebuild" : "user";
      const loop = new FolderLoop(parts, { paused: currentConfig(this.#deps, config).paused, firstOrigin });
      this.#opened = { root, parts, loop };
      this.#trouble = null;
      this.#background(this.#keepWatching(this.#opened));
      this.#background(followRemote(parts, loop, this.#stop.signal));
    } catch (error) {
      if (error instanceof EngineError) this.#trouble = error;
      else if (error instanceof DiskError) this.#trouble = new EngineError("disk", error.message, { cause: error });
      else throw error;
    }
  }

  /** What was allowed when the folder was added may not be any more: a link on the way leads elsewhere, or our files were moved (X3). */
  async #checkNotOurs(): Promise<void> {
    const { ownDirectories, realRoot } = this.#deps;
    const { root } = this.config;
    checkNotOurs(ownDirectories, root);
    checkNotOurs(ownDirectories, (await realRoot(root)) ?? root);
  }

  #makeParts(root: OpenedRoot): FolderParts {
    const deps = this.#deps;
    return {
      id: this.config.id,
      root: this.config.root,
      policy: policyOf(deps, this.config),
      state: deps.state,
      rows: this.rows,
      local: root.local,
      applier: root.applier,
      versions: deps.versions,
      remote: this.#remote,
      clock: deps.clock,
      random: deps.random,
      compute: deps.compute,
      ignoredBy: root.ignoredBy,
      ignoreRules: root.ignoreRules,
      device: deps.device,
      faults: deps.faults,
      observer: deps.observer,
      freed: new Set(),
      streamIsCurrent: () => this.#opened?.loop.streamIsCurrent() ?? false,
    };
  }

  async #reopen(): Promise<void> {
    while (!this.#stop.signal.aborted && this.#opened === null) {
      await this.#sleep(REOPEN_MS);
      if (!this.#stop.signal.aborted) await this.#openRoot();
    }
  }

  /** Events while they are to be had; otherwise timed scans, and another try later. */
  async #keepWatching(opened: Opened): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const again = await this.#watchOnce(opened);
      opened.loop.setWatching(false);
      if (!signal.aborted) await this.#sleep(again);
    }
  }

  /** Until the root goes or the folder is closed. Returns when (ms) another try is worth it. */
  async #watchOnce(opened: Opened): Promise<number> {
    const { signal } = this.#stop;
    const gone = Promise.withResolvers<void>();
    const onAbort = () => gone.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#watch = await opened.root.watch((hint) => this.#onHint(opened, hint, gone.resolve));
      opened.loop.setWatching(true);
      // What changed before the watch stood was told to nobody.
      opened.parts.local.hint(null);
      opened.loop.wake();
      await gone.promise;
      await this.#closeWatch();
      return REWATCH_GONE_MS;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // A root that is away is told by the runs.
      if (error.fault === "notFound") return REOPEN_MS;
      this.#deps.observer.trouble?.(this.config.id, null, error);
      return REWATCH_MS;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #onHint(opened: Opened, hint: WatchHint, gone: () => void): void {
    if (hint.kind === "gone") gone();
    if (hint.kind === "hint") opened.parts.local.hint(hint.diskPath, hint.agoMs);
    else opened.parts.local.hint(null);
    opened.loop.wake();
  }

  async #closeWatch(): Promise<void> {
    const watch = this.#watch;
    this.#watch = null;
    await watch?.close();
  }

  #background(task: Promise<void>): void {
    const done = task
      .catch((error: unknown) => this.#deps.observer.trouble?.(this.config.id, null, error))
      .finally(() => this.#tasks.delete(done));
    this.#tasks.add(done);
  }

  async #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#stop;
    await this.#deps.clock.sleep(delayMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
