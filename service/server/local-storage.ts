/** The storage of one server process: a directory with one SQLite file and packs of blobs per account. */
import path from "node:path";

import type { Clock, Compute, Disk, Faults, SecretRandom } from "../core/ports.ts";
import { StoreError } from "../store/errors.ts";
import { openServerAccount } from "../store/server-account.ts";
import { openServerAccounts } from "../store/server-accounts.ts";
import type { CollectionFacts } from "../store/server-collection.ts";
import { epochOf, nothingAnew, withStorageFault, type Anew } from "./local-context.ts";
import { openLocalAccount, type LocalAccount } from "./local-account.ts";
import { StorageError, type Accounts, type Storage, type Tally, type Throttle } from "./storage.ts";

/** Accounts kept open at once; beyond it the one unused longest is closed (a database and its cache each). */
const OPEN_MAX = 200;
/** An account is not closed before it was unused for this long: no request lasts longer between asking for it and using it. */
const IDLE_MS = 10 * 60_000;
/** Buckets of the throttle; beyond it the ones that expire first go, many at once: to find them all are looked at. */
const BUCKETS_MAX = 20_000;
const BUCKETS_LEFT = 18_000;

type Slot = { readonly opening: Promise<LocalAccount>; opened: LocalAccount | null; usedMs: number };

export type LocalStorageOptions = {
  /** `SYNC_BASE/satchel`. */
  readonly directory: string;
  readonly disk: Disk;
  readonly compute: Compute;
  readonly clock: Clock;
  readonly secrets: SecretRandom;
  readonly faults: Faults;
  /** Where a database opens: by default its file. The simulator hands out images in memory. */
  readonly database?: (file: string) => string | Buffer;
  /** Reads an uploaded collection, as `readCollection` of the store does with a real file. */
  readonly readCollection?: (file: string) => Promise<CollectionFacts | null>;
  /** Free bytes below which nothing more is taken; by default 1 % of the disk or 500 MB, whichever is more. */
  readonly keepFreeBytes?: number;
  /** Size at which a pack of blobs is closed; 64 MiB where it is left out. */
  readonly packBytes?: number;
  /** Told when an account's database was found damaged and put aside, and when it was made again from the packs. */
  readonly onDamage?: (account: string, what: "put aside" | "made again") => void;
  /** Told of every database that was opened, for its image (simulator). */
  readonly onOpen?: (file: string, database: { serialize(): Buffer }) => void;
};

/** @throws StorageError io where the directory cannot be used */
export async function openLocalStorage(options: LocalStorageOptions): Promise<Storage> {
  const { directory, disk } = options;
  const homes = path.join(directory, "accounts");
  await disk.mkdir(homes, 0o700);
  // The directories' own names too: what lies in a directory that a power cut takes away was never stored.
  await disk.fsyncDir(path.dirname(directory));
  await disk.fsyncDir(directory);
  const database = options.database ?? ((file: string) => file);
  const accountsFile = path.join(directory, "accounts.db");
  const accounts = openServerAccounts(database(accountsFile));
  options.onOpen?.(accountsFile, accounts);
  const notices = makeNotices();
  /** By last use, oldest first. */
  const open = new Map<string, Slot>();

  const openAccount = makeOpener({
    options,
    homes,
    database,
    exists: (id) => accounts.byId(id) !== null,
    changed: notices.tell,
    evict: (id) => open.delete(id),
  });
  /** Closes the account unused longest, if nobody can still hold it: a request asks for its account before it reads a slow body. */
  const closeOne = async (): Promise<void> => {
    for (const [id, { opened, usedMs }] of open) {
      if (options.clock.monoMs() - usedMs < IDLE_MS) return;
      if (opened === null || opened.busy()) continue;
      open.delete(id);
      await opened.close();
      return;
    }
  };

  return {
    accounts: asyncAccounts(accounts),
    throttle: makeThrottle(options.clock),
    onChange: notices.listen,
    async account(id) {
      const known = open.get(id);
      const slot: Slot = known ?? { opening: withStorageFault(async () => await openAccount(id)), opened: null, usedMs: 0 };
      slot.usedMs = options.clock.monoMs();
      // Re-inserted, so that the first one is the one unused longest.
      open.delete(id);
      open.set(id, slot);
      // To look through all packs once more would not help: the owner has to do something, and start the server again.
      const forget = (error: unknown): void => {
        if (!(error instanceof StorageError && error.fault === "damaged")) open.delete(id);
      };
      if (known === undefined) slot.opening.catch(forget);
      const account = await slot.opening;
      slot.opened = account;
      if (open.size > OPEN_MAX) await closeOne();
      return account;
    },
    async close() {
      for (const { opening } of open.values()) {
        const [ended] = await Promise.allSettled([opening]);
        if (ended.status === "fulfilled") await ended.value.close();
      }
      open.clear();
      accounts.close();
    },
  };
}

type Opener = {
  readonly options: LocalStorageOptions;
  readonly homes: string;
  readonly database: (file: string) => string | Buffer;
  readonly exists: (id: string) => boolean;
  readonly changed: (id: string, top: number) => void;
  readonly evict: (id: string) => void;
};

/** A damaged database is put aside, and its account begins anew from what the packs note. */
function makeOpener({ options, homes, database, exists, changed, evict }: Opener): (id: string) => Promise<LocalAccount> {
  const { disk } = options;
  /** Found damaged while in use, until somebody asks for them again; resolves when nobody has the file any more. */
  const damaged = new Map<string, Promise<void>>();
  const anews = new Map<string, Anew>();
  const attempt = async (id: string, home: string): Promise<LocalAccount> => {
    const file = path.join(home, "rows.db");
    const rows = openServerAccount({ source: database(file), firstEpoch: epochOf(options.secrets) });
    options.onOpen?.(file, rows);
    const isDamaged = (close: () => Promise<void>): void => {
      if (damaged.has(id)) return;
      evict(id);
      damaged.set(id, close());
    };
    const anew = anews.get(id) ?? nothingAnew();
    anews.set(id, anew);
    const parts = { ...options, id, home, rows, damaged: isDamaged, anew };
    try {
      return await openLocalAccount({
        ...parts,
        changed: (top) => changed(id, top),
        madeAgain: () => options.onDamage?.(id, "made again"),
      });
    } catch (error) {
      rows.close();
      throw error;
    }
  };
  return async (id) => {
    if (!exists(id)) throw new StorageError("gone", "There is no such account.");
    const home = path.join(homes, id);
    await disk.mkdir(home, 0o700);
    await disk.fsyncDir(homes);
    const putAside = async (): Promise<void> => {
      options.onDamage?.(id, "put aside");
      await moveAway(disk, home, options.clock.wallMs());
    };
    const closing = damaged.get(id);
    await closing;
    if (closing !== undefined) await putAside();
    damaged.delete(id);
    try {
      return await attempt(id, home);
    } catch (error) {
      if (!(error instanceof StoreError && error.fault === "corrupt")) throw error;
      await putAside();
      return await attempt(id, home);
    }
  };
}

/** The database and what SQLite keeps beside it, for whoever wants to look at it later. */
async function moveAway(disk: Disk, home: string, wallMs: number): Promise<void> {
  for (const name of ["rows.db", "rows.db-wal", "rows.db-shm"]) {
    const file = path.join(home, name);
    if ((await disk.lstat(file)) !== null) await disk.rename(file, path.join(home, `damaged-${String(wallMs)}-${name}`));
  }
  await disk.fsyncDir(home);
}

function asyncAccounts(accounts: ReturnType<typeof openServerAccounts>): Accounts {
  const soon = async <T>(work: () => T): Promise<T> => await withStorageFault(async () => await Promise.resolve(work()));
  return {
    byName: async (name) => await soon(() => accounts.byName(name)),
    byId: async (id) => await soon(() => accounts.byId(id)),
    list: async () => await soon(() => accounts.list()),
    put: async (record) => await soon(() => accounts.put(record)),
    key: async (id) => await soon(() => accounts.key(id)),
    keys: async (account) => await soon(() => accounts.keys(account)),
    addKey: async (key) => await soon(() => accounts.addKey(key)),
    touchKey: async (id, atMs) => await soon(() => accounts.touchKey(id, atMs)),
    removeKey: async (id) => await soon(() => accounts.removeKey(id)),
    removeKeys: async (account) => await soon(() => accounts.removeKeys(account)),
  };
}

function makeNotices() {
  const listeners = new Map<string, Set<(top: number) => void>>();
  return {
    tell: (account: string, top: number): void => {
      for (const listener of listeners.get(account) ?? []) listener(top);
    },
    listen: (account: string, listener: (top: number) => void): (() => void) => {
      const set = listeners.get(account) ?? new Set();
      listeners.set(account, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(account) === set) listeners.delete(account);
      };
    },
  };
}

/** In memory: one process holds the directory, and who makes it restart can read the files anyway. */
function makeThrottle(clock: Clock): Throttle {
  const buckets = new Map<string, { readonly tally: Tally; readonly expiresMs: number }>();
  const drop = (): void => {
    for (const [name, { expiresMs }] of buckets) if (expiresMs <= clock.monoMs()) buckets.delete(name);
    const oldest = [...buckets].toSorted((a, b) => a[1].expiresMs - b[1].expiresMs).slice(0, Math.max(0, buckets.size - BUCKETS_LEFT));
    for (const [name] of oldest) buckets.delete(name);
  };
  return {
    get: async (bucket) => {
      const found = buckets.get(bucket);
      await Promise.resolve();
      return found === undefined || found.expiresMs <= clock.monoMs() ? null : found.tally;
    },
    put: async (bucket, tally, expiresMs) => {
      buckets.set(bucket, { tally, expiresMs });
      if (buckets.size > BUCKETS_MAX) drop();
      await Promise.resolve();
    },
    clear: async (bucket) => {
      buckets.delete(bucket);
      await Promise.resolve();
    },
  };
}
