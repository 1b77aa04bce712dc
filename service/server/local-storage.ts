/** The storage of one server process: a directory with one SQLite file and packs of blobs per account. */
import path from "node:path";

import type { Clock, Compute, Disk, Faults, SecretRandom } from "../core/ports.ts";
import { openServerAccount } from "../store/server-account.ts";
import { openServerAccounts } from "../store/server-accounts.ts";
import type { CollectionFacts } from "../store/server-collection.ts";
import { epochOf, withStorageFault } from "./local-context.ts";
import { openLocalAccount, type LocalAccount } from "./local-account.ts";
import { StorageError, type Accounts, type Storage, type Tally, type Throttle } from "./storage.ts";

/** Accounts kept open at once; beyond it the one unused longest is closed (a database and its cache each). */
const OPEN_MAX = 200;
/** An account is not closed before it was unused for this long: no request lasts longer between asking for it and using it. */
const IDLE_MS = 10 * 60_000;
/** Buckets of the throttle; beyond it the ones that expire first go. */
const BUCKETS_MAX = 20_000;

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

  const openAccount = async (id: string): Promise<LocalAccount> => {
    if (accounts.byId(id) === null) throw new StorageError("gone", "There is no such account.");
    const home = path.join(homes, id);
    await disk.mkdir(home, 0o700);
    await disk.fsyncDir(homes);
    const file = path.join(home, "rows.db");
    const rows = openServerAccount({ source: database(file), firstEpoch: epochOf(options.secrets) });
    options.onOpen?.(file, rows);
    return await openLocalAccount({ ...options, id, home, rows, changed: (top) => notices.tell(id, top) });
  };
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
      if (known === undefined) slot.opening.catch(() => open.delete(id));
      const account = await slot.opening;
      slot.opened = account;
      if (open.size > OPEN_MAX) await closeOne();
      return account;
    },
    async close() {
      for (const { opening } of open.values()) await (await opening).close();
      open.clear();
      accounts.close();
    },
  };
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
    const oldest = [...buckets].toSorted((a, b) => a[1].expiresMs - b[1].expiresMs).slice(0, Math.max(0, buckets.size - BUCKETS_MAX));
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
