/** A machine with one folder: its disk, its user, and the service that runs on it until it is killed. */
import type { Hold, Policy } from "../../service/core/model.ts";
import type { Clock, Disk, Faults, Observer, Remote } from "../../service/core/ports.ts";
import type { State } from "../../service/core/state.ts";
import type { EngineDeps, Settings } from "../../service/engine/deps.ts";
import { createEngine } from "../../service/engine/engine.ts";
import type { Storage } from "../../service/server/storage.ts";
import type { Engine, FolderConfig, RemoteConfig } from "../../service/engine/facade.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { openVersionStore } from "../../service/files/versions.ts";
import { openState, type StateStore } from "../../service/store/open.ts";
import { simClock, wallMs, type Skew } from "./clock.ts";
import { simDisk, type DiskHooks } from "./disk.ts";
import { sha1Of, type Ledger } from "./ledger.ts";
import { openSimRoot, type RootGiven } from "./open-root.ts";
import { pathOf } from "./names.ts";
import { diskFiles, ROOT, short, STATE, userFiles, userPath, type Oracles } from "./oracles.ts";
import type { Rng } from "./rng.ts";
import { Life, type Scheduler } from "./scheduler.ts";
import { User, type Habits } from "./user.ts";
import { Volume, type Node, type VolumeProfile } from "./volume.ts";
import type { WatchFaults } from "./watcher.ts";

const FOLDER = "folder-1";
const REMOTE = "ada@server";
const noReferences = async (): Promise<null> => await Promise.resolve(null);

export type MachineGiven = {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly ledger: Ledger;
  readonly oracles: Oracles;
  readonly profile: VolumeProfile;
  readonly skew: Skew;
  readonly habits: Habits;
  /** Streams of chance for the disk, the user, the product and the watcher. */
  readonly rng: { readonly disk: Rng; readonly user: Rng; readonly product: Rng; readonly watch: Rng };
  readonly diskFault: DiskHooks["fault"];
  readonly watchFaults: () => WatchFaults;
  readonly faults: Faults;
  readonly observer: Observer;
  /** Chance that the process dies right after a commit of its database. */
  readonly dieAfterCommit: () => boolean;
  readonly openRemote: (life: Life, clock: Clock) => Remote;
  /** A path to be told of, or null. */
  readonly about: string | null;
  /** Planted bugs, for the canaries. */
  readonly mutate: Mutation;
};

/** Seams where a canary plants its bug; nothing of it is known to the product. */
export type Mutation = {
  readonly state?: (state: State, volume: Volume) => State;
  readonly root?: (given: RootGiven) => RootGiven;
  readonly remote?: (remote: Remote, state: State) => Remote;
  readonly disk?: (disk: Disk) => Disk;
  readonly policy?: Policy;
  readonly server?: (storage: Storage) => Storage;
};

type Process = { readonly life: Life; readonly store: StateStore; engine: Engine | null; starting: boolean };

export class Machine {
  readonly name: string;
  readonly volume: Volume;
  readonly user: User;
  readonly given: MachineGiven;
  /** What this machine went through: some oracles then say less. */
  readonly history = { powerCuts: 0, statesLost: 0, unmounts: 0 };
  process: Process | null = null;
  #power: Life;
  #image: Buffer | null = null;
  /** What a power cut leaves while commits wait for `settle`. */
  #settledImage: Buffer | null = null;
  #lives = 0;
  #told = "";
  #config: FolderConfig = { id: FOLDER, root: ROOT, remote: REMOTE, policy: "keep-both", paused: false };
  /** Where the folder is while it is not mounted. */
  #unmounted: ReturnType<Volume["detach"]> | null = null;

  constructor(given: MachineGiven) {
    this.name = given.name;
    this.given = given;
    const { scheduler, rng, skew } = given;
    if (given.mutate.policy !== undefined) this.#config = { ...this.#config, policy: given.mutate.policy };
    this.volume = new Volume(given.profile, rng.disk, () => wallMs(scheduler, skew));
    this.#power = new Life(`power ${given.name}`);
    this.volume.makeDirectory(ROOT);
    this.volume.makeDirectory(`${ROOT}/.satchel`);
    this.volume.makeDirectory(STATE);
    this.volume.settleAll();
    this.user = new User({
      name: given.name,
      scheduler,
      power: this.#power,
      volume: this.volume,
      ledger: given.ledger,
      rng: rng.user,
      habits: given.habits,
    });
  }

  get mounted(): boolean {
    return this.#unmounted === null;
  }

  get folder(): string {
    return FOLDER;
  }

  /** Device, path and bytes of everything a user sees here. */
  standing(): (readonly [device: string, path: string, bytes: Uint8Array])[] {
    return [...diskFiles(this.volume).keys()].map((diskPath) => [
      this.name,
      pathOf(this.volume, ROOT, diskPath),
      this.volume.find(`${ROOT}/${diskPath}`)?.bytes ?? new Uint8Array(),
    ]);
  }

  /** Starts the service on what the last one left. */
  start(): void {
    if (this.process !== null) return;
    this.#lives += 1;
    const life = new Life(`${this.name}.${this.#lives}`);
    const clock = simClock(this.given.scheduler, life, this.given.skew);
    const store = openState({ path: this.#image ?? ":memory:", now: () => clock.wallMs() });
    const process: Process = { life, store, engine: null, starting: true };
    this.process = process;
    this.given.scheduler.note(`${life.name} starts`);
    this.#open(process, clock).catch((error: unknown) => {
      if (!life.alive) return;
      // A service whose own directory can't be used now ends and is started again.
      this.given.scheduler.note(`${life.name} could not start: ${error instanceof Error ? error.message : String(error)}`);
      this.kill("process");
      this.startLater(3_000);
    });
  }

  startLater(delayMs: number): void {
    this.given.scheduler.after(this.#power, delayMs, `start ${this.name}`, () => this.start());
  }

  /** The user says that what is gone is meant to be gone. */
  userApproves(hold: Hold): void {
    const rows = this.process?.store.folder(FOLDER);
    if (rows === undefined) return;
    const standing = userFiles(this.volume);
    for (const path of hold.scope === "folder" ? [...rows.base.livePaths()] : hold.paths) {
      const sha1 = rows.base.get(path);
      if (typeof sha1 === "string" && !standing.has(path)) this.given.ledger.removed(this.name, path, sha1, true);
    }
  }

  /** The user keeps what others deleted. */
  userRejects(hold: Hold): void {
    const standing = userFiles(this.volume);
    for (const path of hold.scope === "folder" ? standing.keys() : hold.paths) {
      const sha1 = standing.get(path);
      if (sha1 !== undefined) this.given.ledger.revived(path, sha1);
    }
  }

  /** The process dies between two steps; `power`: the whole machine does. */
  kill(kind: "process" | "power"): void {
    const { process } = this;
    const { scheduler } = this.given;
    if (process !== null) {
      if (process.life.alive) this.#image = process.store.serialize();
      if (kind === "power") this.#image = this.#settledImage ?? this.#image;
      this.#settledImage = null;
      scheduler.kill(process.life);
      process.store.close();
      this.process = null;
    }
    scheduler.note(`${this.name} dies (${kind})`);
    if (kind === "process") return;
    this.history.powerCuts += 1;
    scheduler.kill(this.#power);
    this.user.powerLost();
    this.volume.cutPower();
    this.given.oracles.checkContents(this.name, this.volume);
    this.#power = new Life(`power ${this.name}`);
    this.user.powerBack(this.#power);
  }

  /** The database is gone or damaged beyond use; files are not (N6). */
  loseState(): void {
    this.#image = null;
    this.history.statesLost += 1;
    this.given.oracles.lostState(this.name);
  }

  unmount(how: "missing" | "empty"): void {
    if (this.#unmounted !== null) return;
    this.given.scheduler.note(`${this.name} unmounts (${how})`);
    this.history.unmounts += 1;
    this.user.powerLost();
    this.#unmounted = this.volume.detach(ROOT);
    if (how === "empty") {
      this.volume.makeDirectory(ROOT);
      this.volume.settleAll();
    }
  }

  /** Nobody may look into the folder, or list it (CT13). */
  deny(): void {
    this.given.scheduler.note(`${this.name} shuts the folder`);
    this.volume.denied = ROOT;
  }

  allow(): void {
    if (this.volume.denied === null) return;
    this.given.scheduler.note(`${this.name} opens the folder`);
    this.volume.denied = null;
  }

  mount(): void {
    if (this.#unmounted === null) return;
    this.given.scheduler.note(`${this.name} mounts`);
    this.volume.attach(ROOT, this.#unmounted);
    this.#unmounted = null;
  }

  async #open(process: Process, clock: Clock): Promise<void> {
    const { given } = this;
    const { life, store } = process;
    const plain = simDisk(given.scheduler, life, this.volume, {
      fault: given.diskFault,
      onWrite: (path, op) => given.oracles.onWrite(this.name, path, op),
      onReplaced: (change) => {
        given.oracles.onReplaced(this.name, this.volume, change);
        const path = userPath(change.path);
        if (path !== null) given.scheduler.note(`engine@${this.name} ${path}: ${nameOf(change.before)} → ${nameOf(change.after)}`);
      },
    });
    const disk = given.mutate.disk?.(plain) ?? plain;
    const random = given.rng.product;
    await disk.mkdir(STATE);
    const versions = await openVersionStore({ disk, clock, random, directory: `${STATE}/versions`, compactLinesMin: 3 });
    const state = given.mutate.state?.(this.#mortal(process), this.volume) ?? this.#mortal(process);
    const rows = state.folder(FOLDER);
    const rootGiven: RootGiven = {
      scheduler: given.scheduler,
      life,
      volume: this.volume,
      watchRng: given.rng.watch,
      watchFaults: given.watchFaults,
      disk,
      clock,
      random,
      versions,
      rows,
      faults: given.faults,
      root: ROOT,
    };
    const deps: EngineDeps = {
      state,
      settings: this.#settings(),
      versions,
      clock,
      random,
      compute: syncCompute,
      device: this.name,
      faults: given.faults,
      observer: given.observer,
      rebuilt: store.fresh && this.#lives > 1,
      realRoot: async (path) => await Promise.resolve(path),
      ownDirectories: [STATE],
      notes: { disk, find: noReferences, findAmongMany: noReferences },
      openRoot: async () => await openSimRoot(given.mutate.root?.(rootGiven) ?? rootGiven),
      openRemote: () => {
        const remote = given.openRemote(life, clock);
        return given.mutate.remote?.(remote, state) ?? remote;
      },
      remoteIdOf: (url) => ({ id: REMOTE, url }),
      login: async () => await Promise.resolve({ key: "key" }),
    };
    process.engine = await createEngine(deps);
    process.starting = false;
  }

  /** The store, with a commit as a place where the process may die: what was committed stays, nothing after it happens. */
  #mortal(process: Process): State {
    const { store, life } = process;
    let depth = 0;
    return {
      transaction: (work, when) => {
        if (depth === 0 && when === "soon") this.#settledImage ??= store.serialize();
        depth += 1;
        let result: ReturnType<typeof work>;
        try {
          result = store.transaction(work, when);
        } finally {
          depth -= 1;
        }
        if (depth > 0) return result;
        if (store.settled) this.#settledImage = null;
        this.#tellAbout(process);
        if (life.alive && this.given.dieAfterCommit()) {
          this.#image = store.serialize();
          this.given.scheduler.kill(life);
          this.given.scheduler.note(`${life.name} dies at a commit`);
          // The code that called us goes on to its next port call, which never returns; then the process is gone.
          this.given.scheduler.after(this.#power, 0, `bury ${life.name}`, () => {
            if (this.process?.life === life) this.kill("process");
          });
          this.startLater(50 + this.given.rng.disk.below(3000));
        }
        return result;
      },
      settle: () => {
        store.settle();
        this.#settledImage = null;
      },
      get settled() {
        return store.settled;
      },
      folder: (id) => store.folder(id),
      dropFolder: (id) => store.dropFolder(id),
      events: store.events,
      changesSince: (...range) => store.changesSince(...range),
      checkChangeLog: () => store.checkChangeLog(),
      close: () => store.close(),
    };
  }

  /** `--about PATH`: what the database says of it, whenever that changes. */
  #tellAbout({ life, store }: Process): void {
    const { about } = this.given;
    if (about === null) return;
    const row = store.folder(FOLDER).pending.row(about);
    const problems = store.folder(FOLDER).problems.get(about);
    const show = (side: unknown): string => (typeof side === "string" ? short(side) : String(side));
    const text = `local ${show(row.local)} base ${show(row.base)} remote ${show(row.remote)} ${problems.map(({ reason }) => reason).join(" ")}`;
    if (text === this.#told) return;
    this.#told = text;
    this.given.scheduler.note(`rows@${life.name} ${about}: ${text}`);
  }

  #settings(): Settings {
    const remote: RemoteConfig = { id: REMOTE, url: "http://server/", user: "ada" };
    return {
      folders: () => [this.#config],
      remotes: () => [remote],
      saveFolders: async ([config]) => {
        if (config !== undefined) this.#config = config;
        await Promise.resolve();
      },
      saveRemotes: async () => await Promise.resolve(),
      key: () => "key",
      saveKey: async () => await Promise.resolve(),
    };
  }
}

function nameOf(node: Node | null): string {
  return node === null ? "nothing" : short(sha1Of(node.bytes));
}
