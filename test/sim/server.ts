/** The sync server as a machine: the real handlers, accounts and storage over a simulated disk, killed and started again. */
import type { ServerHandle } from "../../service/core/ports.ts";
import { syncCompute } from "../../service/files/compute.ts";
import { makeAccounts } from "../../service/server/accounts.ts";
import { createHandle } from "../../service/server/handle.ts";
import { openLocalStorage } from "../../service/server/local-storage.ts";
import type { Account, Storage } from "../../service/server/storage.ts";
import type { Faults } from "../../service/core/ports.ts";
import { simClock, wallMs, type Skew } from "./clock.ts";
import { simDisk, type DiskHooks } from "./disk.ts";
import type { NetServer } from "./net.ts";
import type { Rng } from "./rng.ts";
import { Life, type Scheduler } from "./scheduler.ts";
import { Volume, type VolumeProfile } from "./volume.ts";

const BASE = "/srv";
export const USER = "ada";
export const PASSWORD = "secret";

export type ServerGiven = {
  readonly scheduler: Scheduler;
  readonly profile: VolumeProfile;
  readonly skew: Skew;
  readonly rng: { readonly disk: Rng; readonly product: Rng };
  readonly diskFault: DiskHooks["fault"];
  readonly faults: Faults;
  /** A canary's hand on what the handlers store. */
  readonly mutate?: (storage: Storage) => Storage;
  /** An error that the server did not expect. */
  readonly onTrouble: (text: string) => void;
};

type Database = { serialize(): Buffer };
type Flushing = Database & { flush(durable: boolean): void };
type Process = { readonly life: Life; readonly databases: Map<string, Database>; handle: ServerHandle | null; storage: Storage | null };

export class SimServer implements NetServer {
  readonly #given: ServerGiven;
  readonly #volume: Volume;
  readonly #power = new Life("server's power");
  readonly #images = new Map<string, Buffer>();
  /** What the disk has of a database whatever happens: as of its last durable commit. */
  readonly #synced = new Map<string, Buffer>();
  readonly #mourners = new Map<Life, Set<() => void>>();
  #process: Process | null = null;
  /** It was restored, and the administrator runs `satchel server renew` before it is reached again. */
  #toRenew = false;
  #lives = 0;

  constructor(given: ServerGiven) {
    this.#given = given;
    this.#volume = new Volume(given.profile, given.rng.disk, () => wallMs(given.scheduler, given.skew));
    this.#volume.makeDirectory(BASE);
    this.#volume.settleAll();
  }

  get up(): boolean {
    return this.#process?.handle != null;
  }

  current(): ReturnType<NetServer["current"]> {
    const { handle, life } = this.#process ?? {};
    return handle === undefined || handle === null || life === undefined ? null : { handle, life };
  }

  onDeath(life: Life, work: () => void): () => void {
    const mourners = this.#mourners.get(life) ?? new Set();
    this.#mourners.set(life, mourners.add(work));
    return () => mourners.delete(work);
  }

  start(): void {
    if (this.#process !== null) return;
    this.#lives += 1;
    const life = new Life(`server.${this.#lives}`);
    const process: Process = { life, databases: new Map(), handle: null, storage: null };
    this.#process = process;
    this.#given.scheduler.note(`${life.name} starts`);
    this.#open(process).catch((error: unknown) => {
      if (!life.alive) return;
      this.#given.scheduler.note(`${life.name} could not start: ${error instanceof Error ? error.message : String(error)}`);
      this.kill("process");
      this.startLater(2_000);
    });
  }

  startLater(delayMs: number): void {
    this.#given.scheduler.after(this.#power, delayMs, "start server", () => this.start());
  }

  kill(kind: "process" | "power"): void {
    const process = this.#process;
    if (process === null) return;
    this.#given.scheduler.kill(process.life);
    for (const [file, database] of process.databases) {
      // What was not committed is gone with the process.
      if (canRollBack(database)) database.rollback();
      // Later commits may or may not have reached the disk.
      const synced = kind === "power" && this.#lives % 2 === 0 ? this.#synced.get(file) : undefined;
      this.#images.set(file, synced ?? database.serialize());
      process.databases.delete(file);
      if (canClose(database)) database.close();
    }
    this.#process = null;
    this.#given.scheduler.note(`server dies (${kind})`);
    for (const work of this.#mourners.get(process.life) ?? []) work();
    this.#mourners.delete(process.life);
    if (kind === "power") this.#volume.cutPower();
  }

  /** Copies disk and databases as an administrator does with the server stopped; it is stopped and started for it, and for the way back. */
  backup(): () => void {
    this.kill("process");
    const disk = this.#volume.copy();
    const images = new Map(this.#images);
    this.start();
    return () => {
      this.kill("process");
      this.#volume.restore(disk);
      this.#images.clear();
      this.#synced.clear();
      for (const [file, image] of images) this.#images.set(file, image);
      this.#given.scheduler.note("the server is restored from its backup");
      this.#toRenew = true;
      this.start();
    };
  }

  /** The one account, through the storage that is open. */
  async account(): Promise<Account> {
    const storage = this.#process?.storage;
    if (storage === undefined || storage === null) throw new Error("the server is down");
    const record = await storage.accounts.byName(USER);
    if (record === null) throw new Error("the account is gone");
    return await storage.account(record.id);
  }

  #watchFlushes(file: string, database: Flushing): void {
    const flush = database.flush.bind(database);
    database.flush = (durable) => {
      flush(durable);
      if (durable) this.#synced.set(file, database.serialize());
    };
  }

  /** The server closes one itself when a start fails half-way: what it has committed stays. */
  #watchClose(process: Process, file: string, database: Database & { close(): void }): void {
    const close = database.close.bind(database);
    database.close = () => {
      if (process.databases.delete(file)) this.#images.set(file, database.serialize());
      close();
    };
  }

  async #open(process: Process): Promise<void> {
    const { scheduler, skew, rng, faults, diskFault } = this.#given;
    const { life } = process;
    const clock = simClock(scheduler, life, skew);
    const disk = simDisk(scheduler, life, this.#volume, {
      fault: diskFault,
      onWrite: (path, op) => {
        if (!path.startsWith(`${BASE}/`)) this.#given.onTrouble(`the server wrote outside its directory: ${op} ${path}`);
      },
      onReplaced: () => undefined,
    });
    const secrets = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, () => rng.product.below(256));
    const storage = await openLocalStorage({
      directory: `${BASE}/satchel`,
      disk,
      compute: syncCompute,
      clock,
      secrets,
      faults,
      database: (file) => this.#images.get(file) ?? ":memory:",
      onOpen: (file, database) => {
        process.databases.set(file, database);
        if (canFlush(database)) this.#watchFlushes(file, database);
        if (canClose(database)) this.#watchClose(process, file, database);
      },
    });
    const passwords = {
      hash: async (password: string) => await Promise.resolve(`plain ${password}`),
      verify: async (password: string, credential: string) => await Promise.resolve(credential === `plain ${password}`),
    };
    const accounts = makeAccounts({ storage, clock, secrets, passwords, audit: () => undefined });
    if ((await storage.accounts.byName(USER)) === null) await accounts.add(USER, PASSWORD);
    process.storage = storage;
    if (this.#toRenew) {
      const account = await this.account();
      await account.change({ durable: true, files: [] }, async (tx) => await tx.newEpoch());
      this.#toRenew = false;
    }
    process.handle = createHandle({
      storage: this.#given.mutate?.(storage) ?? storage,
      accounts,
      clock,
      compute: syncCompute,
      faults,
      log: (level, event, fields) => {
        const text = JSON.stringify(fields);
        if (level === "error" && event === "unexpected" && !text.includes("injected") && life.alive)
          this.#given.onTrouble(`${event} ${text}`);
      },
      legacy: true,
      payloadMegs: null,
      addressHeader: null,
    });
  }
}

function canFlush(database: Database): database is Flushing {
  return "flush" in database && typeof database.flush === "function";
}

function canRollBack(database: Database): database is Database & { rollback(): void } {
  return "rollback" in database && typeof database.rollback === "function";
}

function canClose(database: Database): database is Database & { close(): void } {
  return "close" in database && typeof database.close === "function";
}
