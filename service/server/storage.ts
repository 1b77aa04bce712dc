/**
 * What the sync server keeps, as one asynchronous interface: accounts and device keys, rows with their feed, blobs, change notices,
 * throttles. A directory with SQLite implements it now; a database server with an object store can, where several server processes share
 * one account: so nothing above this line remembers anything of an account between two requests. Contract: `test/storage-contract.ts`.
 */
import type { Sha1 } from "../core/model.ts";
import type {
  AccountRecord,
  AccountState,
  CollectionVersion,
  DeviceKey,
  Entry,
  KeptVersion,
  Logged,
  Renumbered,
  Row,
  Sender,
  Sent,
} from "../core/server-rows.ts";

/** `full`: no room may be used up further. `io`: the disk or the database refused. `gone`: no such account any more. `damaged`: this account can't be
 * used until its owner does something; the message says what. */
export type StorageFault = "full" | "io" | "gone" | "damaged";
/** The storage could not do it. Nothing of the change was applied. */
export class StorageError extends Error {
  readonly fault: StorageFault;
  constructor(fault: StorageFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StorageError";
    this.fault = fault;
  }
}

/** What one transaction may do. Every method belongs to it; none may be called after it. */
export interface AccountTx {
  state(): Promise<AccountState>;
  /** The rows of these names, tombstones too; absent where there never was one. */
  rows(names: readonly string[]): Promise<ReadonlyMap<string, Row>>;
  /** Strictly after `usn`, ascending, at most `limit`, without tombstones up to `bornAt`. */
  feed(usn: number, limit: number, bornAt?: number): Promise<readonly Row[]>;
  /** Writes and logs the entries (ascending usns, above `top`) and raises `top`; where the leader of a shadow goes, the shadow gets the next usn, and is returned. Replaced and deleted bytes become versions. Bytes must be
   * among the change's files or stored already. @throws StorageError io where they are not (S11) */
  write(entries: readonly Entry[], sender: Sender): Promise<readonly Renumbered[]>;
  /** Names with bytes that differ in case alone from one that came before them (W13). */
  shadows(): Promise<ReadonlySet<string>>;
  /** The log strictly after `usn`, ascending; null: it does not reach back so far. */
  log(usn: number): Promise<readonly Logged[] | null>;
  /** Who took these usns; absent where the log does not reach back so far. */
  uploads(usns: readonly number[]): Promise<ReadonlyMap<number, Sent>>;
  /** What the server remembers of a device key; null: nothing. */
  memory(device: string): Promise<string | null>;
  remember(device: string, memory: string): Promise<void>;
  /** All that is remembered of any device key. */
  memories(): Promise<readonly (readonly [device: string, memory: string])[]>;
  /** The data went back in time: a new epoch, above which nothing counts as read. */
  newEpoch(): Promise<void>;
  /** Newest first; `name` null: of all names (a bounded number). */
  versions(name: string | null): Promise<readonly KeptVersion[]>;
}

export type Change = {
  /** False: may be lost by a power cut (never by a kill). For what is remembered only to serve better. */
  readonly durable: boolean;
  /** Bytes that `write` may name: durable before any row that names them is seen. */
  readonly files: readonly { readonly sha1: Sha1; readonly bytes: Uint8Array }[];
};

export interface Account {
  readonly id: string;
  /** How the account stands, where that is known without asking for a turn: no change is under way. null: ask by `change`. */
  glance(): AccountState | null;
  /** One transaction; nobody else's change of this account comes between. Everything of it is applied, or nothing. */
  change<T>(options: Change, work: (tx: AccountTx) => Promise<T>): Promise<T>;
  /** Stored bytes, verified against their hash; null: not here, or damaged. Room for one reply only: the caller bounds the sizes. */
  read(sha1s: readonly Sha1[]): Promise<readonly (Uint8Array | null)[]>;
  /** These bytes could not be read: finds whatever else is missing or damaged near them and removes all rows and versions that need it,
   * without tombstones, so that devices that still have the files send them again (W10). Returns the names. */
  withdraw(sha1s: readonly Sha1[]): Promise<readonly string[]>;
  readonly collection: {
    current(): Promise<CollectionVersion | null>;
    /** Streams the bytes in, then makes them current; older ones are kept (a number of them). @throws the error of `bytes`; nothing is kept then.
     * Resolves with null for what is no Anki collection. */
    store(bytes: AsyncIterable<Uint8Array>): Promise<CollectionVersion | null>;
    /** The bytes in pieces. */
    load(version: CollectionVersion): AsyncIterable<Uint8Array>;
  };
  /** Runs what is due: old versions go, dead bytes are given back. */
  housekeep(rules: Retention): Promise<void>;
  /** Compares rows, versions and blobs with each other and reads every byte once. */
  check(): Promise<CheckReport>;
}

export type Retention = {
  /** Versions younger than this stay, whatever the size (S21). */
  readonly keepMs: number;
  /** Older ones go, oldest first, while all of them together have more than this. */
  readonly capBytes: number;
};
export type CheckReport = {
  readonly rows: number;
  readonly blobs: number;
  readonly bytes: number;
  /** One sentence per fault found. */
  readonly faults: readonly string[];
};

/** Accounts and keys; each method is one durable transaction. */
export interface Accounts {
  byName(name: string): Promise<AccountRecord | null>;
  byId(id: string): Promise<AccountRecord | null>;
  list(): Promise<readonly AccountRecord[]>;
  /** Adds or replaces by id. */
  put(record: AccountRecord): Promise<void>;
  key(id: string): Promise<DeviceKey | null>;
  keys(account: string): Promise<readonly DeviceKey[]>;
  addKey(key: DeviceKey): Promise<void>;
  /** The key was used; may be forgotten by a power cut. */
  touchKey(id: string, atMs: number): Promise<void>;
  /** False: there is no such key. */
  removeKey(id: string): Promise<boolean>;
  removeKeys(account: string): Promise<number>;
}

/** Counted guesses. `bucket` names what is counted, e.g. "account:…" or "address:…". */
export type Tally = { readonly failures: number; readonly firstMs: number; readonly lastMs: number };
export interface Throttle {
  get(bucket: string): Promise<Tally | null>;
  put(bucket: string, tally: Tally, expiresMs: number): Promise<void>;
  clear(bucket: string): Promise<void>;
}

export interface Storage {
  readonly accounts: Accounts;
  readonly throttle: Throttle;
  /** @throws StorageError gone */
  account(id: string): Promise<Account>;
  /** Told after each change of an account's rows, with its top usn; hints, may come late or twice. Returns the unsubscribe. */
  onChange(account: string, listener: (top: number) => void): () => void;
  close(): Promise<void>;
}
