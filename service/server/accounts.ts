/** Who may come in: accounts, logins that cost guesses time, and device keys (RELIABILITY §5.2, AU01–AU09). */
import { hash, timingSafeEqual } from "node:crypto";

import type { Clock, SecretRandom } from "../core/ports.ts";
import type { AccountRecord, DeviceKey } from "../core/server-rows.ts";
import type { Passwords } from "./passwords.ts";
import type { Storage } from "./storage.ts";
import { guard, type Guard } from "./throttle.ts";
import { Slots } from "./turn.ts";

/** Hashes at once in the whole process (each takes 128 MiB), and logins that may wait for one. */
const HASHES_AT_ONCE = 2;
const LOGINS_WAITING = 8;
/** A key's last use is written down at most this often. */
const TOUCH_MS = 60_000;
/** Beyond this the key unused longest goes with each new login. */
const KEYS_MAX = 200;
const NAME_BYTES_MAX = 255;
const CLIENT_MAX = 100;

export type Known = { readonly account: string; readonly key: string };
export type LoginResult =
  | { readonly kind: "key"; readonly key: string; readonly account: string }
  | { readonly kind: "refused" }
  | { readonly kind: "later"; readonly retryAfterMs: number };
export type Login = {
  readonly user: string;
  readonly password: string;
  /** What the client calls itself. */
  readonly client: string;
  /** Where it comes from, for counting. */
  readonly address: string;
};
/** An account that the environment names at each start. `secret`: the password, or its PBKDF2 string where `hashed`. */
export type EnvironmentAccount = { readonly name: string; readonly secret: string; readonly hashed: boolean };

export interface AccountService {
  login(login: Login): Promise<LoginResult>;
  /** The account and key behind a host key; null: unknown, revoked, or the account is disabled. */
  known(key: string): Promise<Known | null>;
  /** Makes the environment's accounts what it says; those it names no more are disabled, their data stays. */
  adopt(accounts: readonly EnvironmentAccount[]): Promise<void>;
  add(name: string, password: string): Promise<AccountRecord>;
  /** Revokes all keys. False: no such account. */
  setPassword(name: string, password: string): Promise<boolean>;
  /** No login and no key of it works any more; its data stays. False: no such account. */
  disable(name: string): Promise<boolean>;
  revoke(keyId: string): Promise<boolean>;
}

export type AccountOptions = {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly secrets: SecretRandom;
  readonly passwords: Passwords;
  /** Told of logins, refusals and revocations; ids only. */
  readonly audit: (event: string, fields: Readonly<Record<string, string | number>>) => void;
};

/** An account's name that can't be one, in words. */
export class AccountError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AccountError";
  }
}

export function makeAccounts(options: AccountOptions): AccountService {
  const { storage, clock, secrets, passwords, audit } = options;
  const slots = new Slots(HASHES_AT_ONCE, LOGINS_WAITING);
  const throttle = guard(storage.throttle, clock);
  // A name that nobody has costs the same as one with a wrong password (X6, §5.2 point 14).
  let dummy: string | null = null;
  const dummyCredential = async (): Promise<string> => {
    const first = (await storage.accounts.list()).find(({ credential }) => credential !== null)?.credential;
    return first ?? (dummy ??= await passwords.hash(Buffer.from(secrets(16)).toString("hex")));
  };
  const newAccount = (name: string, origin: AccountRecord["origin"], credential: string): AccountRecord => ({
    id: Buffer.from(secrets(8)).toString("hex"),
    name,
    origin,
    credential,
    disabled: false,
    createdMs: clock.wallMs(),
  });
  const change = async (name: string, to: (account: AccountRecord) => AccountRecord, event: string): Promise<boolean> => {
    const account = await storage.accounts.byName(name.normalize("NFC"));
    if (account === null) return false;
    await storage.accounts.put(to(account));
    await storage.accounts.removeKeys(account.id);
    audit(event, { account: account.id });
    return true;
  };
  return {
    login: async (login) => await logIn(options, slots, throttle, dummyCredential, login),
    known: async (key) => await knownKey(options, key),
    adopt: async (accounts) => await adopt(options, newAccount, accounts),
    add: async (name, password) => {
      const clean = checkedName(name);
      refusePassword(password);
      if ((await storage.accounts.byName(clean)) !== null)
        throw new AccountError(`Could not add the account ${clean}: there is one of this name.`);
      const account = newAccount(clean, "command", await passwords.hash(password));
      await storage.accounts.put(account);
      audit("account added", { account: account.id });
      return account;
    },
    setPassword: async (name, password) => {
      refusePassword(password);
      const credential = await passwords.hash(password);
      return await change(name, (account) => ({ ...account, credential, disabled: false }), "password changed");
    },
    disable: async (name) => await change(name, (account) => ({ ...account, disabled: true }), "account disabled"),
    revoke: async (keyId) => {
      const removed = await storage.accounts.removeKey(keyId);
      if (removed) audit("key revoked", { key: keyId });
      return removed;
    },
  };
}

/** HMAC fills keys up with NULs, so "x" and "x\0" would be one password (AU04). null: it may be one. */
function passwordFault(password: string): string | null {
  if (password === "") return "it is empty";
  return password.includes("\0") ? "it holds a NUL character" : null;
}

function refusePassword(password: string): void {
  const fault = passwordFault(password);
  if (fault !== null) throw new AccountError(`Could not use this password: ${fault}.`);
}

/** The name in NFC. @throws AccountError */
function checkedName(name: string): string {
  const clean = name.normalize("NFC");
  if (clean === "" || !clean.isWellFormed() || Buffer.byteLength(clean) > NAME_BYTES_MAX || /\p{Cc}/u.test(clean))
    throw new AccountError(`Could not use an account's name: it must have 1 to ${String(NAME_BYTES_MAX)} bytes and no control characters.`);
  return clean;
}

async function logIn(
  { storage, clock, secrets, passwords, audit }: AccountOptions,
  slots: Slots,
  throttle: Guard,
  dummyCredential: () => Promise<string>,
  { user, password, client, address }: Login,
): Promise<LoginResult> {
  const name = user.normalize("NFC");
  const waitMs = await throttle.mayTry(name, address);
  if (waitMs > 0) return { kind: "later", retryAfterMs: waitMs };
  const account = await storage.accounts.byName(name);
  const usable = account !== null && !account.disabled && account.credential !== null && passwordFault(password) === null ? account : null;
  const free = await slots.take();
  if (free === null) return { kind: "later", retryAfterMs: 1000 };
  let right: boolean;
  try {
    right = await passwords.verify(password, usable?.credential ?? (await dummyCredential()));
  } finally {
    free();
  }
  if (!right || usable === null) {
    await throttle.failed(name, address);
    audit("login refused", { address, ...(account === null ? {} : { account: account.id }) });
    return { kind: "refused" };
  }
  await throttle.succeeded(name);
  const secret = Buffer.from(secrets(32)).toString("base64url");
  const id = Buffer.from(secrets(6)).toString("hex");
  const nowMs = clock.wallMs();
  await storage.accounts.addKey({
    id,
    account: usable.id,
    digest: hash("sha256", secret),
    client: client.slice(0, CLIENT_MAX),
    createdMs: nowMs,
    usedMs: nowMs,
  });
  await dropOldKeys(storage, usable.id);
  audit("login", { account: usable.id, key: id, address });
  return { kind: "key", key: `${id}_${secret}`, account: usable.id };
}

async function dropOldKeys(storage: Storage, account: string): Promise<void> {
  const keys = await storage.accounts.keys(account);
  if (keys.length <= KEYS_MAX) return;
  const oldest = keys.toSorted((a, b) => a.usedMs - b.usedMs).slice(0, keys.length - KEYS_MAX);
  for (const { id } of oldest) await storage.accounts.removeKey(id);
}

const NOBODY = Buffer.from(hash("sha256", "nobody's secret"), "hex");

/** Found by its id, decided by its secret, in a time that does not depend on the secret (AU03). */
async function knownKey({ storage, clock }: AccountOptions, key: string): Promise<Known | null> {
  const parts = /^([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/.exec(key);
  const found = await storage.accounts.key(parts?.[1] ?? "");
  const digest = Buffer.from(hash("sha256", parts?.[2] ?? ""), "hex");
  const right = timingSafeEqual(digest, found === null ? NOBODY : Buffer.from(found.digest, "hex"));
  if (found === null || !right) return null;
  const account = await storage.accounts.byId(found.account);
  if (account === null || account.disabled) return null;
  await touch(storage, found, clock.wallMs());
  return { account: account.id, key: found.id };
}

async function touch(storage: Storage, key: DeviceKey, nowMs: number): Promise<void> {
  if (Math.abs(nowMs - key.usedMs) > TOUCH_MS) await storage.accounts.touchKey(key.id, nowMs);
}

async function adopt(
  { storage, passwords, audit }: AccountOptions,
  newAccount: (name: string, origin: "environment", credential: string) => AccountRecord,
  accounts: readonly EnvironmentAccount[],
): Promise<void> {
  const named = new Set<string>();
  for (const { name, secret, hashed } of accounts) {
    const clean = checkedName(name);
    if (!hashed) refusePassword(secret);
    named.add(clean);
    const known = await storage.accounts.byName(clean);
    const same = known?.credential != null && (hashed ? known.credential === secret : await passwords.verify(secret, known.credential));
    if (known !== null && same && !known.disabled) continue;
    const credential = same && known.credential !== null ? known.credential : hashed ? secret : await passwords.hash(secret);
    if (known === null) await storage.accounts.put(newAccount(clean, "environment", credential));
    else {
      await storage.accounts.put({ ...known, credential, disabled: false });
      // A key stands for the password it was given for.
      if (!same) await storage.accounts.removeKeys(known.id);
      audit(same ? "account enabled" : "password changed", { account: known.id });
    }
  }
  for (const account of await storage.accounts.list()) {
    if (account.origin !== "environment" || named.has(account.name) || account.disabled) continue;
    await storage.accounts.put({ ...account, disabled: true });
    audit("account disabled", { account: account.id });
  }
}
