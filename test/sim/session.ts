/** One session: a world is drawn from a seed, agitated, healed, brought to rest and judged (RELIABILITY 3.2, 3.5). */
import type { Remote, Upload } from "../../service/core/ports.ts";
import { fromWire } from "../../service/core/wire-names.ts";
import { EngineError } from "../../service/engine/errors.ts";
import { canaryOf } from "./canaries.ts";
import { modelCloud, serverCloud, type Cloud } from "./cloud.ts";
import { judge } from "./judge.ts";
import { officialCloud } from "./official-cloud.ts";
import { Ledger } from "./ledger.ts";
import { Machine } from "./machine.ts";
import { Oracles, userFiles, type Violation } from "./oracles.ts";
import { withPoisonedGlobals } from "./poison.ts";
import { Rng } from "./rng.ts";
import { Life, Scheduler } from "./scheduler.ts";
import { drawSwarm, type SessionOptions, type Swarm } from "./swarm.ts";
import { StockDevice } from "./stock-device.ts";
import { Weather } from "./weather.ts";

/** After these a device may find its own work on the disk without having written it down. */
const CALAMITIES = ["crash", "power", "commitCrash", "diskWrite", "diskRead", "diskSync", "readdir", "buggify"] as const;
/** A session that does not end is a bug of its own. */
const AGITATE_STEPS_MAX = 150_000;
const RUN_STEPS_MAX = 120_000;
const ROUNDS_MAX = 40;
/** Steps between two looks at whether a folder is empty. */
const EMPTINESS_EVERY = 20;
/** Between two rounds at rest: longer than any wait of the product but its back-off. */
const ROUND_MS = 61_000;

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
  readonly #weather: Weather;
  readonly #machines: readonly Machine[];
  readonly #stock: readonly StockDevice[];
  readonly #cloud: Cloud;
  readonly #world = new Life("world");
  readonly #uploaded = new Set<string>();
  readonly #streams = new Map<string, Rng>();
  #opsLeft = 0;
  #backup: (() => void) | null = null;
  #restored = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const streams = {
      main: this.#stream("swarm"),
      later: this.#stream("later swarm"),
      names: this.#stream("names"),
      stock: this.#stream("stock"),
    };
    const canary = canaryOf(options.canary);
    const wanted = { ...options, ...canary?.session };
    this.#swarm = drawSwarm(wanted, streams, canary?.needs ?? []);
    this.#scheduler = new Scheduler(this.#stream("schedule"));
    if (options.trace === true) this.#scheduler.trace = [];
    this.#oracles = new Oracles(this.#ledger, () => this.#scheduler.nowMs);
    this.#weather = new Weather(this.#swarm.faults, (name) => this.#stream(name));
    this.#cloud = this.#makeCloud();
    this.#machines = Array.from({ length: this.#swarm.clients }, (_, index) => this.#makeMachine(index));
    this.#stock = this.#makeStock();
  }

  async play(): Promise<Report> {
    const scheduler = this.#scheduler;
    try {
      await this.#prepare();
      scheduler.afterStep = () => this.#afterStep();
      this.#scheduleUsers();
      const ended = () => this.#failed || (this.#opsLeft <= 0 && !this.#machines.some(({ user }) => user.busy));
      if (!(await scheduler.until(ended, AGITATE_STEPS_MAX))) this.#oracles.fail("L2", "the session did not come to its end");
      if (!this.#failed) await this.#rest();
    } catch (error) {
      this.#oracles.fail("sim", error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    scheduler.afterStep = () => {};
    for (const machine of this.#machines) machine.kill("process");
    this.#cloud.kill("process", 0);
    return {
      seed: this.#options.seed,
      violation: this.#oracles.violation,
      traceHash: scheduler.traceHash,
      steps: scheduler.steps,
      simulatedMs: scheduler.nowMs,
      seen: this.#weather.seen,
      trace: scheduler.trace,
      swarm: this.#swarm,
    };
  }

  get #failed(): boolean {
    return this.#oracles.violation !== null;
  }

  #stream(name: string): Rng {
    let rng = this.#streams.get(name);
    if (rng === undefined) this.#streams.set(name, (rng = new Rng(this.#options.seed, name)));
    return rng;
  }

  #makeCloud(): Cloud {
    const given = { scheduler: this.#scheduler, weather: this.#weather, stream: (name: string) => this.#stream(name) };
    if (this.#swarm.cloud === "model") return modelCloud(given);
    if (this.#swarm.cloud === "official") return officialCloud(given);
    return serverCloud(given, {
      profile: this.#swarm.serverProfile,
      skewMs: this.#swarm.skewsMs.at(-1) ?? 0,
      onTrouble: (text) => this.#oracles.fail("sim", `server: ${text}`),
      mutate: canaryOf(this.#options.canary)?.mutation.server,
    });
  }

  #makeMachine(index: number): Machine {
    const name = `d${index + 1}`;
    const { profiles, skewsMs, habits } = this.#swarm;
    const profile = profiles[index];
    if (profile === undefined) throw new Error("session: no profile");
    const weather = this.#weather;
    const random = this.#stream(`product ${name}`);
    return new Machine({
      name,
      scheduler: this.#scheduler,
      ledger: this.#ledger,
      oracles: this.#oracles,
      profile,
      skew: { ms: skewsMs[index] ?? 0 },
      habits,
      rng: {
        disk: this.#stream(`disk ${name}`),
        user: this.#stream(`user ${name}`),
        product: random,
        watch: this.#stream(`watch ${name}`),
      },
      diskFault: weather.disk(name),
      watchFaults: weather.watch(name),
      faults: weather.points(name),
      observer: {
        trouble: (_folder, path, error) => this.#onTrouble(name, path, error),
        runEnded: (_folder, _run, result) => weather.saw(`run ${result}`),
      },
      dieAfterCommit: weather.dieAfterCommit(name),
      openRemote: (life) => this.#counted(name, this.#cloud.openRemote(name, life, random)),
      about: this.#options.about ?? null,
      mutate: canaryOf(this.#options.canary)?.mutation ?? {},
    });
  }

  #makeStock(): StockDevice[] {
    const { stock, habits } = this.#swarm;
    return Array.from({ length: stock }, (_, index) => `stock${index + 1}`).flatMap((name) => {
      const line = this.#cloud.stockLine(name);
      if (line === null) return [];
      return new StockDevice({
        name,
        line,
        scheduler: this.#scheduler,
        ledger: this.#ledger,
        oracles: this.#oracles,
        rng: this.#stream(name),
        paths: habits.paths,
        deletes: habits.deletes,
        acknowledged: (sha1) => void this.#uploaded.add(sha1),
        restored: () => this.#restored,
        judgesEchoes:
          this.#cloud.keepsAll && (this.#options.stock !== undefined || canaryOf(this.#options.canary)?.session?.stock !== undefined),
      });
    });
  }

  /** Takes down what the server says that it has taken. */
  #counted(name: string, remote: Remote): Remote {
    const upload = remote.upload.bind(remote);
    remote.upload = async (batch, signal) => {
      const before = this.#restored;
      this.#judgeSent(name, batch);
      const results = await upload(batch, signal);
      // A server that was put back while the reply was on its way has not got it any more.
      if (before !== this.#restored) return results;
      for (const [index, { sha1 }] of batch.entries()) if (sha1 !== null && results[index]?.kind === "done") this.#uploaded.add(sha1);
      return results;
    };
    return remote;
  }

  #judgeSent(name: string, batch: readonly Upload[]): void {
    const machine = this.#machines.find((one) => one.name === name);
    if (machine === undefined) return;
    for (const upload of batch) {
      const decoded = fromWire(upload.name);
      if (upload.sha1 === null && upload.baseSha1 !== null && decoded.kind === "path")
        this.#oracles.onDeletionSent(name, machine.volume, decoded.path, upload.baseSha1);
    }
  }

  /** An internal fault is never part of the weather. */
  #onTrouble(name: string, path: string | null, error: unknown): void {
    if (error instanceof Error && (error.message.includes("injected") || "fault" in error || error.name === "AbortError")) return;
    this.#oracles.fail("sim", `${name}: ${path ?? ""} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  /** One tree, perturbed on each device: so edits meet edits and deletions from the first moment; or all begin in step. */
  async #prepare(): Promise<void> {
    const rng = this.#stream("prepare");
    const { habits, ballast } = this.#swarm;
    this.#weather.rough = false;
    if (this.#machines.some(({ volume }) => volume.profile.names !== "exact")) this.#weather.saw("disk that folds names");
    this.#cloud.start();
    for (const { name } of [...this.#machines, ...this.#stock])
      await this.#wait(
        this.#cloudWhenUp(async () => await this.#cloud.admit(name)),
        "login",
      );
    for (const machine of this.#machines) {
      for (let at = 0; at < ballast; at += 1) machine.user.put(`ballast${at}.bin`, Buffer.from(`ballast ${at}`));
      for (const path of habits.paths) {
        if (rng.chance(0.3)) machine.user.put(path, Buffer.from(`original ${path}`));
        else if (rng.chance(0.1)) machine.user.act();
      }
    }
    if (!this.#cloud.keepsAll) this.#ledger.loosenAll();
    this.#ledger.begin(this.#machines.flatMap((machine) => machine.standing()));
    for (const machine of this.#machines) machine.start();
    if (rng.chance(0.6)) {
      for (const machine of [...this.#machines, ...this.#machines]) await this.#syncOnce(machine);
      this.#ledger.met();
    }
    this.#weather.rough = true;
  }

  async #cloudWhenUp(work: () => Promise<void>): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work();
      } catch (error) {
        if (tries === 10) throw error;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#scheduler.after(this.#world, 500, "wait for the server", resolve);
        await promise;
      }
    }
  }

  #scheduleUsers(): void {
    const { ops, clients, hurry } = this.#swarm;
    const rng = this.#stream("agenda");
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
    for (const device of this.#stock) this.#scheduleStock(device, atMs);
  }

  /** Its user saves, deletes and syncs by hand; Anki does nothing by itself that matters here. */
  #scheduleStock(device: StockDevice, untilMs: number): void {
    const rng = this.#stream(`agenda ${device.name}`);
    for (let atMs = rng.below(5_000); atMs < untilMs; atMs += rng.below(untilMs / 4) + 1)
      this.#scheduler.after(this.#world, atMs, `stock ${device.name}`, () => {
        if (rng.chance(0.5)) device.act();
        else void device.sync();
        this.#weather.saw("stock client");
      });
  }

  #userActs(machine: Machine, skipped: boolean): void {
    const rng = this.#stream("acts");
    const choice = rng.below(40);
    if (skipped) return;
    if (this.#weather.on("denied") && this.#stream("doors").chance(0.04)) this.#shut(machine);
    if (this.#weather.on("serverRestored") && this.#stream("backups").chance(0.05)) this.#backUpOrRestore();
    if (choice === 0 && this.#weather.on("unmount") && machine.mounted) {
      machine.unmount(rng.chance(0.5) ? "missing" : "empty");
      this.#weather.saw("unmount");
      this.#scheduler.after(this.#world, rng.below(30_000), "mount", () => machine.mount());
    } else if (choice <= 3) this.#askForSync(machine, rng.chance(0.7));
    else if (machine.mounted && machine.volume.denied === null) machine.user.act();
  }

  /** The folder's rights are taken away for a while. */
  #shut(machine: Machine): void {
    if (!machine.mounted || machine.volume.denied !== null) return;
    machine.deny();
    this.#weather.saw("denied");
    this.#scheduler.after(this.#world, this.#stream("doors").below(40_000), "open", () => machine.allow());
  }

  /** A copy is made; some time later the server goes back to it, once (L6). */
  #backUpOrRestore(): void {
    if (this.#restored) return;
    if (this.#backup === null) {
      this.#backup = this.#cloud.backup();
      return;
    }
    this.#restored = true;
    this.#backup();
    this.#weather.saw("server restored");
    // What only the server still had is gone with it: nobody promised to have it twice.
    this.#uploaded.clear();
    // What a device never had here it can't know to be older: both stay visible.
    for (const { name } of this.#machines) this.#oracles.lostState(name);
  }

  #askForSync(machine: Machine, scan: boolean): void {
    const engine = machine.process?.engine;
    engine?.sync.run({ folder: machine.folder, scan }, AbortSignal.any([])).catch((error: unknown) => {
      if (!(error instanceof EngineError)) this.#oracles.fail("sim", `sync.run threw ${String(error)}`);
    });
  }

  #afterStep(): void {
    if (this.#scheduler.steps % EMPTINESS_EVERY === 0)
      for (const { name, volume } of this.#machines) this.#oracles.watchEmptiness(name, volume);
    this.#maybeCrash();
  }

  #maybeCrash(): void {
    const weather = this.#weather;
    if (!weather.rough) return;
    const rng = this.#stream("crash");
    const kind = rng.below(2_500);
    if (kind > 7) return;
    const downMs = rng.below(rng.chance(0.5) ? 100 : 8_000);
    if (kind > 4) {
      const how = kind === 7 ? "power" : "process";
      if (!weather.on(how === "power" ? "serverPower" : "serverCrash")) return;
      this.#cloud.kill(how, downMs);
      weather.saw(`server ${how === "power" ? "lost power" : "killed"}`);
      return;
    }
    const machine = rng.pick(this.#machines);
    if (machine.process === null) return;
    if (kind <= 2 && weather.on("crash")) machine.kill("process");
    else if (kind > 2 && weather.on("power") && machine.mounted) machine.kill("power");
    else return;
    weather.saw(kind <= 2 ? "process killed" : "power cut");
    if (weather.on("stateLost") && rng.chance(0.3)) {
      machine.loseState();
      weather.saw("state lost");
    }
    machine.startLater(downMs);
  }

  /** Faults off, everybody up, no user: two rounds without a change are rest (RELIABILITY 2.1). */
  async #rest(): Promise<void> {
    this.#weather.rough = false;
    this.#scheduler.note("heal");
    this.#cloud.start();
    for (const machine of this.#machines) {
      machine.allow();
      machine.mount();
      machine.start();
    }
    let before = "";
    let quiet = 0;
    for (let round = 0; quiet < (this.#options.quietRounds ?? 2); round += 1) {
      if (round === ROUNDS_MAX) return this.#oracles.fail("L2", `no rest after ${ROUNDS_MAX} rounds: ${before.slice(0, 2000)}`);
      for (const machine of this.#machines) await this.#syncOnce(machine);
      for (const device of this.#stock) {
        await this.#scheduler.until(() => !device.syncing, RUN_STEPS_MAX);
        await this.#wait(device.sync(), `sync of ${device.name}`);
      }
      if (this.#failed) return;
      const untilMs = this.#scheduler.nowMs + ROUND_MS;
      await this.#scheduler.until(() => this.#scheduler.nowMs >= untilMs, RUN_STEPS_MAX);
      const now = await this.#picture();
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
    const judged = {
      cloud: this.#cloud,
      ledger: this.#ledger,
      oracles: this.#oracles,
      machines: this.#machines,
      stock: this.#stock,
      uploaded: this.#uploaded,
      calm: !CALAMITIES.some((fault) => this.#swarm.faults.has(fault)),
    };
    await this.#wait(judge(judged), "judgement");
  }

  async #syncOnce(machine: Machine): Promise<void> {
    const scheduler = this.#scheduler;
    // One that died at a commit is not buried yet.
    const isUp = () => machine.process?.life.alive === true && machine.process.engine !== null;
    if (!(await scheduler.until(isUp, RUN_STEPS_MAX))) return this.#oracles.fail("L2", `${machine.name} does not start`);
    const engine = machine.process?.engine;
    if (engine === undefined || engine === null) return;
    await this.#wait(engine.sync.run({ folder: machine.folder, scan: true }, AbortSignal.any([])), `sync of ${machine.name}`);
    // The user answers what still waits.
    for (const hold of engine.guard.list(machine.folder)) {
      this.#weather.saw(`held ${hold.reason}`);
      if (hold.reason === "rootMissing") continue;
      const approve = this.#stream("guard").chance(0.5);
      this.#oracles.approved(machine.name);
      if (approve) machine.userApproves(hold);
      else {
        machine.userRejects(hold);
        this.#oracles.lostState(machine.name);
      }
      await this.#wait(approve ? engine.guard.approve(hold.id, hold.hash) : engine.guard.reject(hold.id, hold.hash), "guard");
    }
  }

  async #wait(work: Promise<unknown>, what: string): Promise<void> {
    let over = false;
    work.then(
      () => (over = true),
      (error: unknown) => {
        over = true;
        if (error instanceof EngineError) return;
        this.#oracles.fail("sim", `${what} threw ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
      },
    );
    await this.#scheduler.drain();
    if (!(await this.#scheduler.until(() => over, RUN_STEPS_MAX))) this.#oracles.fail("L2", `${what} does not end`);
  }

  async #picture(): Promise<string> {
    const trees = this.#machines.map(({ volume }) =>
      [...userFiles(volume)]
        .map(([path, sha1]) => `${path}=${sha1}`)
        .toSorted()
        .join(";"),
    );
    const holds = this.#machines.map(({ process }) => process?.engine?.guard.list(null).length ?? 0);
    let position = "";
    await this.#wait(
      this.#cloud.position().then((told) => (position = told)),
      "the server's position",
    );
    const stock = this.#stock.map((device) =>
      [...device.files()]
        .map(([name, sha1]) => `${name}=${sha1}`)
        .toSorted()
        .join(";"),
    );
    return [...trees, ...stock, position, ...holds].join("\n");
  }
}
