/** One session: a world is drawn from a seed, agitated, healed, brought to rest and judged (RELIABILITY 3.2, 3.5). */
import type { DiskFault, FaultPoint } from "../../service/core/ports.ts";
import { EngineError } from "../../service/engine/facade.ts";
import { MemoryAccount } from "../support/memory-remote.ts";
import { mutationOf } from "./canaries.ts";
import type { DiskOp } from "./disk.ts";
import { Ledger, sha1Of } from "./ledger.ts";
import { Machine } from "./machine.ts";
import { modelRemote } from "./model-server.ts";
import type { NetFault } from "./net.ts";
import { keptHashes, Oracles, userFiles, type Violation } from "./oracles.ts";
import { withPoisonedGlobals } from "./poison.ts";
import { Rng } from "./rng.ts";
import { Life, Scheduler } from "./scheduler.ts";
import { drawSwarm, type FaultClass, type SessionOptions, type Swarm } from "./swarm.ts";

/** A session that does not end is a bug of its own. */
const AGITATE_STEPS_MAX = 150_000;
const RUN_STEPS_MAX = 120_000;
const ROUNDS_MAX = 40;

export type Report = {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly traceHash: number;
  readonly steps: number;
  readonly simulatedMs: number;
  /** What was met on the way, by name. */
  readonly seen: ReadonlyMap<string, number>;
  readonly trace: readonly string[] | null;
  readonly swarm: Swarm;
};

/** Plays the session of this seed. The same options give the same trace. */
export async function playSession(options: SessionOptions): Promise<Report> {
  const session = new Session(options);
  return await withPoisonedGlobals(async () => await session.play());
}

class Session {
  readonly #options: SessionOptions;
  readonly #swarm: Swarm;
  readonly #scheduler: Scheduler;
  readonly #ledger = new Ledger();
  readonly #oracles: Oracles;
  readonly #machines: Machine[];
  readonly #account = new MemoryAccount();
  readonly #world = new Life("world");
  readonly #rng: (name: string) => Rng;
  readonly #seen = new Map<string, number>();
  readonly #uploaded = new Set<string>();
  #agitating = true;
  #opsLeft = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    const streams = new Map<string, Rng>();
    this.#rng = (name) => {
      let rng = streams.get(name);
      if (rng === undefined) streams.set(name, (rng = new Rng(options.seed, name)));
      return rng;
    };
    this.#swarm = drawSwarm(options, this.#rng("swarm"));
    this.#scheduler = new Scheduler(this.#rng("schedule"));
    if (options.trace === true) this.#scheduler.trace = [];
    this.#oracles = new Oracles(this.#ledger, () => this.#scheduler.nowMs);
    this.#machines = Array.from({ length: this.#swarm.clients }, (_, index) => this.#makeMachine(index));
  }

  async play(): Promise<Report> {
    const scheduler = this.#scheduler;
    try {
      await this.#prepare();
      scheduler.afterStep = () => this.#maybeCrash();
      this.#scheduleUsers();
      const ended = () => this.#oracles.violation !== null || (this.#opsLeft <= 0 && !this.#machines.some(({ user }) => user.busy));
      if (!(await scheduler.until(ended, AGITATE_STEPS_MAX))) this.#oracles.fail("L2", "the session did not come to its end");
      if (this.#oracles.violation === null) await this.#rest();
    } catch (error) {
      this.#oracles.fail("sim", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    scheduler.afterStep = () => {};
    for (const machine of this.#machines) if (machine.process !== null) machine.kill("process");
    return {
      seed: this.#options.seed,
      violation: this.#oracles.violation,
      traceHash: scheduler.traceHash,
      steps: scheduler.steps,
      simulatedMs: scheduler.nowMs,
      seen: this.#seen,
      trace: scheduler.trace,
      swarm: this.#swarm,
    };
  }

  #makeMachine(index: number): Machine {
    const name = `d${index + 1}`;
    const { profiles, skewsMs, habits } = this.#swarm;
    const profile = profiles[index];
    if (profile === undefined) throw new Error("session: no profile");
    const stream = (of: string): Rng => this.#rng(`${of} ${name}`);
    const faults = stream("faults");
    const watching = stream("watching");
    return new Machine({
      name,
      scheduler: this.#scheduler,
      ledger: this.#ledger,
      oracles: this.#oracles,
      profile,
      skew: { ms: skewsMs[index] ?? 0 },
      habits,
      rng: { disk: stream("disk"), user: stream("user"), product: stream("product"), watch: stream("watch") },
      diskFault: (op) => this.#diskFault(op, faults),
      watchFaults: () => ({
        drop: this.#on("watchDrop"),
        dropAll: this.#on("watchOff"),
        double: this.#on("watchDouble"),
        lost: this.#on("watchDrop"),
        impossible: this.#on("watchOff") && watching.chance(0.5),
      }),
      faults: (point) => this.#buggify(point, faults),
      observer: {
        trouble: (_folder, path, error) => this.#onTrouble(name, path, error),
        runEnded: (_folder, _run, result) => this.#saw(`run ${result}`),
      },
      dieAfterCommit: () => this.#on("commitCrash") && faults.chance(0.01),
      openRemote: (life) =>
        modelRemote(
          { scheduler: this.#scheduler, rng: this.#rng("net"), account: this.#account, fault: (fault) => this.#netFault(fault) },
          life,
        ),
      about: this.#options.about ?? null,
      mutate: mutationOf(this.#options.canary),
    });
  }

  /** An internal fault is never part of the weather. */
  #onTrouble(name: string, path: string | null, error: unknown): void {
    if (error instanceof Error && error.message.startsWith("injected")) return;
    const known = error instanceof Error && ("fault" in error || error.name === "AbortError");
    if (!known)
      this.#oracles.fail("sim", `${name}: ${path ?? ""} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  /** One tree, perturbed on each device: so edits meet edits and deletions from the first moment. */
  async #prepare(): Promise<void> {
    const rng = this.#rng("prepare");
    const { habits, ballast } = this.#swarm;
    for (const machine of this.#machines) {
      for (let at = 0; at < ballast; at += 1) machine.user.put(`ballast${at}.bin`, Buffer.from(`ballast ${at}`));
      for (const path of habits.paths) {
        if (rng.chance(0.3)) machine.user.put(path, Buffer.from(`original ${path}`));
        else if (rng.chance(0.1)) machine.user.act();
      }
    }
    this.#ledger.begin(this.#machines.flatMap((machine) => machine.standing()));
    for (const machine of this.#machines) machine.start();
    if (rng.chance(0.4)) return;
    this.#agitating = false;
    for (const machine of [...this.#machines, ...this.#machines]) await this.#syncOnce(machine);
    this.#agitating = true;
    this.#ledger.met();
  }

  #scheduleUsers(): void {
    const { ops, clients, hurry } = this.#swarm;
    const rng = this.#rng("agenda");
    this.#opsLeft = ops;
    let atMs = 0;
    for (let op = 0; op < ops; op += 1) {
      atMs += rng.below(
        rng.weighted([
          [hurry ? 8 : 3, 60],
          [4, 3_000],
          [hurry ? 1 : 3, 40_000],
        ] as const),
      );
      const machine = this.#machines[rng.below(clients)];
      const skipped = this.#options.skip?.has(op) === true;
      this.#scheduler.after(this.#world, atMs, `op ${op}`, () => {
        this.#opsLeft -= 1;
        if (machine !== undefined) this.#userActs(machine, skipped);
      });
    }
  }

  #userActs(machine: Machine, skipped: boolean): void {
    const rng = this.#rng("acts");
    const choice = rng.below(40);
    if (skipped) return;
    if (choice === 0 && this.#on("unmount") && machine.mounted) {
      machine.unmount(rng.chance(0.5) ? "missing" : "empty");
      this.#saw("unmount");
      this.#scheduler.after(this.#world, rng.below(30_000), "mount", () => machine.mount());
    } else if (choice <= 3) this.#askForSync(machine, rng.chance(0.7));
    else if (machine.mounted) machine.user.act();
  }

  #askForSync(machine: Machine, scan: boolean): void {
    const engine = machine.process?.engine;
    engine?.sync.run({ folder: machine.folder, scan }, AbortSignal.any([])).catch((error: unknown) => {
      if (!(error instanceof EngineError)) this.#oracles.fail("sim", `sync.run threw ${String(error)}`);
    });
  }

  #maybeCrash(): void {
    if (!this.#agitating) return;
    const rng = this.#rng("crash");
    const kind = rng.below(2_500);
    if (kind > 4) return;
    const machine = rng.pick(this.#machines);
    const delayMs = rng.below(rng.chance(0.5) ? 100 : 8_000);
    if (machine.process === null) return;
    if (kind <= 2 && this.#on("crash")) machine.kill("process");
    else if (kind > 2 && this.#on("power") && machine.mounted) machine.kill("power");
    else return;
    this.#saw(kind <= 2 ? "process killed" : "power cut");
    if (this.#on("stateLost") && rng.chance(0.3)) {
      machine.loseState();
      this.#saw("state lost");
    }
    machine.startLater(delayMs);
  }

  // ---- faults -------------------------------------------------------------------------------------------------------------------

  #on(fault: FaultClass): boolean {
    return this.#agitating && this.#swarm.faults.has(fault);
  }

  #netFault(fault: NetFault): boolean {
    if (!this.#on(fault) || !this.#rng("net faults").chance(0.06)) return false;
    this.#saw(`net ${fault}`);
    return true;
  }

  #diskFault(op: DiskOp, rng: Rng): DiskFault | null {
    if (!this.#agitating) return null;
    const fault = this.#diskFaultOf(op, rng);
    if (fault !== null) this.#saw(`disk ${op} ${fault}`);
    return fault;
  }

  #diskFaultOf(op: DiskOp, rng: Rng): DiskFault | null {
    switch (op) {
      case "create":
      case "write":
      case "append":
      case "copy":
      case "link":
      case "rename":
      case "unlink":
      case "mkdir":
      case "rmdir":
        return this.#on("diskWrite") && rng.chance(0.02) ? rng.pick(["noSpace", "io", "access", "readOnly", "busy", "tooManyOpen"]) : null;
      case "fsync":
      case "fsyncDir":
        return this.#on("diskSync") && rng.chance(0.03) ? "io" : null;
      case "readdir":
        return this.#on("readdir") && rng.chance(0.08) ? rng.pick(["io", "access", "tooManyOpen"]) : null;
      case "lstat":
      case "hash":
      case "read":
      case "space":
      case "caps":
        return this.#on("diskRead") && rng.chance(0.01) ? rng.pick(["io", "access", "tooManyOpen"]) : null;
    }
  }

  #buggify(point: FaultPoint, rng: Rng): boolean {
    if (!this.#on("buggify")) return false;
    const fires = rng.chance(LEGAL.has(point) ? 0.2 : 0.02);
    if (!fires) return false;
    this.#saw(`point ${point}`);
    if (LEGAL.has(point)) return true;
    throw new Error(`injected: ${point}`);
  }

  #saw(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1);
  }

  // ---- the end ------------------------------------------------------------------------------------------------------------------

  /** Faults off, everybody up, no user: two rounds without a change are rest (RELIABILITY 2.1). */
  async #rest(): Promise<void> {
    this.#agitating = false;
    this.#scheduler.note("heal");
    for (const machine of this.#machines) {
      machine.mount();
      machine.start();
    }
    let before = "";
    let quiet = 0;
    for (let round = 0; quiet < 2; round += 1) {
      if (round === ROUNDS_MAX) return this.#oracles.fail("L2", `no rest after ${ROUNDS_MAX} rounds: ${before.slice(0, 2000)}`);
      for (const machine of this.#machines) await this.#syncOnce(machine);
      if (this.#oracles.violation !== null) return;
      const untilMs = this.#scheduler.nowMs + 61_000;
      await this.#scheduler.until(() => this.#scheduler.nowMs >= untilMs, RUN_STEPS_MAX);
      const now = this.#picture();
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
    this.#judge();
  }

  async #syncOnce(machine: Machine): Promise<void> {
    const scheduler = this.#scheduler;
    if (!(await scheduler.until(() => machine.process?.engine != null, RUN_STEPS_MAX)))
      return this.#oracles.fail("L2", `${machine.name} does not start`);
    const engine = machine.process?.engine;
    if (engine === undefined || engine === null) return;
    await this.#wait(engine.sync.run({ folder: machine.folder, scan: true }, AbortSignal.any([])), `sync of ${machine.name}`);
    // The user answers what still waits.
    for (const hold of engine.guard.list(machine.folder)) {
      this.#saw(`held ${hold.reason}`);
      if (hold.reason === "rootMissing") continue;
      const approve = this.#rng("guard").chance(0.5);
      this.#oracles.approved(machine.name);
      await this.#wait(approve ? engine.guard.approve(hold.id, hold.hash) : engine.guard.reject(hold.id, hold.hash), "guard");
    }
  }

  async #wait(work: Promise<unknown>, what: string): Promise<void> {
    let over = false;
    work.then(
      () => (over = true),
      (error: unknown) => {
        over = true;
        if (!(error instanceof EngineError))
          this.#oracles.fail("sim", `${what} threw ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
      },
    );
    if (!(await this.#scheduler.until(() => over, RUN_STEPS_MAX))) this.#oracles.fail("L2", `${what} does not end`);
  }

  #picture(): string {
    const trees = this.#machines.map(({ volume }) =>
      [...userFiles(volume)]
        .map(([path, sha1]) => `${path}=${sha1}`)
        .toSorted()
        .join(";"),
    );
    const holds = this.#machines.map(({ process }) => process?.engine?.guard.list(null).length ?? 0);
    return [...trees, this.#serverFiles().join(";"), this.#account.usn, ...holds].join("\n");
  }

  #serverFiles(): string[] {
    return [...this.#account.rows].flatMap(([name, { sha1 }]) => (sha1 === null ? [] : [`${name},${sha1}`])).toSorted();
  }

  #judge(): void {
    const devices = this.#machines.map((machine) => {
      const rows = machine.process?.store.folder(machine.folder);
      const problems = new Set((rows?.problems.list() ?? []).map(({ path }) => path));
      return { name: machine.name, machine, files: userFiles(machine.volume), problems, rows };
    });
    const stored = new Set<string>();
    for (const { machine, files } of devices) {
      for (const sha1 of keptHashes(machine.volume, false)) stored.add(sha1);
      for (const sha1 of files.values()) stored.add(sha1);
    }
    for (const { bytes } of this.#account.rows.values()) if (bytes !== null) stored.add(sha1Of(bytes));
    this.#oracles.checkAtRest({ devices, stored, uploaded: this.#uploaded });
    this.#checkAgreement(devices);
  }

  /** L1: all devices and the server agree on every path without a problem; N9: nothing on a disk is unknown to its service. */
  #checkAgreement(
    devices: readonly { name: string; machine: Machine; files: Map<string, string>; problems: Set<string>; rows: RowsOf }[],
  ): void {
    const troubled = new Set(devices.flatMap(({ problems }) => [...problems]));
    const [first] = devices;
    if (first === undefined) return;
    for (const { name, files, rows, problems, machine } of devices) {
      for (const path of new Set([...files.keys(), ...first.files.keys()])) {
        if (troubled.has(path) || files.get(path) === first.files.get(path)) continue;
        this.#oracles.fail(
          "L1",
          `${name} has ${files.get(path) ?? "nothing"} at ${path}, ${first.name} has ${first.files.get(path) ?? "nothing"}`,
        );
      }
      for (const [path, sha1] of files) {
        if (problems.has(path) || rows?.entries.get(path)?.sha1 === sha1) continue;
        this.#oracles.fail("N9", `${name}: ${path} is neither synced, pending nor a problem`);
      }
      const bad = machine.process?.store.checkChangeLog() ?? null;
      if (bad !== null) this.#oracles.fail("S20", `${name}: the change log is broken at ${bad}`);
    }
    const there = new Map([...first.files].filter(([path]) => !troubled.has(path)));
    const names = this.#serverFiles().length - [...troubled].filter((path) => this.#account.rows.get(path)?.sha1 != null).length;
    if (troubled.size === 0 && names !== there.size) this.#oracles.fail("L1", `the server holds ${names} files, the devices ${there.size}`);
  }
}

type RowsOf = ReturnType<NonNullable<Machine["process"]>["store"]["folder"]> | undefined;

/** Points that only choose a rarer way; at the others a step fails. */
const LEGAL: ReadonlySet<FaultPoint> = new Set<FaultPoint>([
  "scan/dropHints",
  "plan/oneOpOnly",
  "fetch/pageOf1",
  "conflict/nameTaken",
  "upload/replyIgnored",
  "upload/splitBatch",
  "server/shortPrefix",
  "server/feedOf1",
  "server/gcNow",
]);
