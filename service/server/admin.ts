/** What the owner of a server can do: the functions behind `satchel server user|versions|restore|check`, with plain data in and out. */
import type { AccountRecord, KeptVersion } from "../core/server-rows.ts";
import * as z from "zod";

import type { Clock } from "../core/ports.ts";
import type { AccountService } from "./accounts.ts";
import { parseBursts, type Burst } from "./brake.ts";
import { BURSTS } from "./burst.ts";
import { StorageError, type Account, type Storage } from "./storage.ts";

/** The owner is told of a burst for this long: as long as everything deleted is kept. */
const TOLD_MS = 30 * 86_400_000;

/** The owner asked for what can't be done. The message is for people. */
export class AdminError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "AdminError";
  }
}

const text = z.string();
const account = z.object({ name: text });
/** Every call with what it takes; the same over the link to a running server. */
export const ADMIN_CALLS = {
  "user/list": z.object({}),
  "user/add": z.object({ name: text, password: text }),
  "user/password": z.object({ name: text, password: text }),
  /** No device of it gets in any more; its data stays on the disk. */
  "user/remove": account,
  "user/keys": account,
  /** `key` null: all of them. */
  "user/revoke": z.object({ name: text, key: text.nullable() }),
  /** `path` null: of all files. The newest first. */
  versions: z.object({ name: text, path: text.nullable() }),
  /** `sha1` null: the newest kept. */
  restore: z.object({ name: text, path: text, sha1: text.nullable() }),
  /** `name` null: every account. Reads every byte. */
  check: z.object({ name: text.nullable() }),
  /** After a backup was put back: every device compares all it has, and nothing is deleted for it. `name` null: every account. */
  "epoch/renew": z.object({ name: text.nullable() }),
} as const;
export type AdminCall = keyof typeof ADMIN_CALLS;
export type AdminParams<C extends AdminCall> = z.output<(typeof ADMIN_CALLS)[C]>;

export type UserView = {
  readonly name: string;
  readonly id: string;
  readonly origin: AccountRecord["origin"];
  readonly disabled: boolean;
  readonly createdMs: number;
  readonly devices: number;
  readonly files: number;
  readonly bytes: number;
  /** Times that one of its devices deleted very much within an hour, of the last 30 days, newest first. */
  readonly bursts: readonly Burst[];
  /** Why its data can't be used; null: it can. */
  readonly fault: string | null;
};
export type KeyView = { readonly id: string; readonly client: string; readonly createdMs: number; readonly usedMs: number };
export type CheckView = {
  readonly name: string;
  readonly rows: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly faults: readonly string[];
  /** What the owner should know of though it is no fault, a sentence each. */
  readonly notes: readonly string[];
};
export type AdminResults = {
  "user/list": readonly UserView[];
  "user/add": { readonly id: string };
  "user/password": { readonly id: string };
  "user/remove": { readonly id: string };
  "user/keys": readonly KeyView[];
  "user/revoke": { readonly revoked: number };
  versions: readonly KeptVersion[];
  restore: { readonly name: string; readonly sha1: string; readonly usn: number };
  check: readonly CheckView[];
  "epoch/renew": { readonly accounts: number };
};

type Handlers = { readonly [C in AdminCall]: (params: AdminParams<C>) => Promise<AdminResults[C]> };

/** @throws AdminError, AccountError, StorageError from every call */
export interface Admin {
  call<C extends AdminCall>(name: C, params: AdminParams<C>): Promise<AdminResults[C]>;
}

export function makeAdmin(storage: Storage, accounts: AccountService, clock: Clock): Admin {
  const handlers = makeHandlers(storage, accounts, clock);
  return { call: async (name, params) => await handlers[name](params) };
}

function makeHandlers(storage: Storage, accounts: AccountService, clock: Clock): Handlers {
  const find = async (name: string): Promise<AccountRecord> => {
    const found = await storage.accounts.byName(name.normalize("NFC"));
    if (found === null) throw new AdminError(`There is no account ${JSON.stringify(name)}: \`satchel server user list\` shows them.`);
    return found;
  };
  const those = async (name: string | null): Promise<readonly AccountRecord[]> =>
    name === null ? await storage.accounts.list() : [await find(name)];
  return {
    "user/list": async () => {
      const views: UserView[] = [];
      for (const record of await storage.accounts.list()) views.push(await viewOf(storage, record, clock));
      return views;
    },
    "user/add": async ({ name, password }) => ({ id: (await accounts.add(name, password)).id }),
    "user/password": async ({ name, password }) => {
      const { id, origin } = await find(name);
      if (origin === "environment") throw fromEnvironment(name, "change its password there");
      await accounts.setPassword(name, password);
      return { id };
    },
    "user/remove": async ({ name }) => {
      const { id, origin } = await find(name);
      if (origin === "environment") throw fromEnvironment(name, "remove it there, and restart the server");
      await accounts.disable(name);
      return { id };
    },
    "user/keys": async ({ name }) => {
      const keys = await storage.accounts.keys((await find(name)).id);
      return keys.map(({ id, client, createdMs, usedMs }) => ({ id, client, createdMs, usedMs }));
    },
    "user/revoke": async ({ name, key }) => {
      const keys = await storage.accounts.keys((await find(name)).id);
      const chosen = key === null ? keys : keys.filter(({ id }) => id === key);
      if (key !== null && chosen.length === 0)
        throw new AdminError(
          `No device of ${JSON.stringify(name)} has the key ${JSON.stringify(key)}: \`satchel server user keys\` shows them.`,
        );
      for (const { id } of chosen) await accounts.revoke(id);
      return { revoked: chosen.length };
    },
    versions: async ({ name, path }) => {
      const data = await storage.account((await find(name)).id);
      return await data.change({ durable: false, files: [] }, async (tx) => await tx.versions(path));
    },
    restore: async ({ name, path, sha1 }) => await restore(await storage.account((await find(name)).id), path, sha1),
    check: async ({ name }) => {
      const views: CheckView[] = [];
      for (const record of await those(name)) views.push(await checkOne(storage, record, clock));
      return views;
    },
    "epoch/renew": async ({ name }) => {
      const found = await those(name);
      for (const { id } of found) {
        const data = await storage.account(id);
        await data.change({ durable: true, files: [] }, async (tx) => await tx.newEpoch());
      }
      return { accounts: found.length };
    },
  };
}

function fromEnvironment(name: string, next: string): AdminError {
  return new AdminError(`The account ${JSON.stringify(name)} comes from a variable SYNC_USERn: ${next}.`);
}

/** One account's damage is told beside the others' (X5). */
async function checkOne(storage: Storage, record: AccountRecord, clock: Clock): Promise<CheckView> {
  const { name } = record;
  try {
    const data = await storage.account(record.id);
    const notes = (await burstsOf(data, clock)).map((burst) => noteOf(burst));
    return { name, ...(await data.check()), notes };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { name, rows: 0, blobs: 0, bytes: 0, faults: [error.message], notes: [] };
  }
}

async function burstsOf(data: Account, clock: Clock): Promise<readonly Burst[]> {
  const known = await data.change({ durable: false, files: [] }, async (tx) => await tx.memory(BURSTS));
  return parseBursts(known).filter(({ toMs }) => clock.wallMs() - toMs < TOLD_MS);
}

function noteOf({ key, fromMs, files, back }: Burst): string {
  const what = `The device with the key ${key} deleted ${String(files)} files within an hour, from ${new Date(fromMs).toISOString()} on.`;
  return back
    ? `${what} They were brought back. If it was meant, delete them there once more; if not, look what happened to its media folder.`
    : `${what} Its user had confirmed it. \`satchel server restore\` brings back what was not meant.`;
}

async function viewOf(storage: Storage, record: AccountRecord, clock: Clock): Promise<UserView> {
  const { id, name, origin, disabled, createdMs } = record;
  const devices = (await storage.accounts.keys(id)).length;
  const known = { name, id, origin, disabled, createdMs, devices };
  try {
    const data = await storage.account(id);
    const { live, liveBytes } = await data.change({ durable: false, files: [] }, async (tx) => await tx.state());
    return { ...known, files: live, bytes: liveBytes, bursts: await burstsOf(data, clock), fault: null };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { ...known, files: 0, bytes: 0, bursts: [], fault: error.message };
  }
}

/** Kept bytes become current again, as a change like any other: every device gets them, and what they replace is kept. */
async function restore(data: Account, name: string, sha1: string | null): Promise<AdminResults["restore"]> {
  return await data.change({ durable: true, files: [] }, async (tx) => {
    const kept = await tx.versions(name);
    const version = kept.find((one) => sha1 === null || one.sha1 === sha1);
    if (version === undefined)
      throw new AdminError(`No such version of ${JSON.stringify(name)} is kept: \`satchel server versions\` shows them.`);
    const { top } = await tx.state();
    if ((await tx.rows([name])).get(name)?.sha1 === version.sha1) return { name, sha1: version.sha1, usn: top };
    const entry = { usn: top + 1, name, sha1: version.sha1, sizeBytes: version.sizeBytes, real: true };
    await tx.write([entry], { device: "owner", session: "restore" });
    return { name, sha1: version.sha1, usn: top + 1 };
  });
}
