import type { AccountRecord, DeviceKey } from "../core/server-rows.ts";
import { openDatabase } from "./database.ts";
import { withFault } from "./errors.ts";
import { ACCOUNTS_SCHEMA } from "./server-schema.ts";

/** Keys and accounts that are remembered, each; every request asks for one of both. */
const REMEMBERED = 1000;

/** What was read last, until anything is written. */
class Remembered<T> {
  private readonly known = new Map<string, T>();

  get(id: string, read: () => T): T {
    const found = this.known.get(id);
    if (found !== undefined) return found;
    const fresh = read();
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(id, fresh);
    return fresh;
  }

  forget(): void {
    this.known.clear();
  }
}

/** Who may come in. `source`: a file, `:memory:`, or an image. One owner. @throws StoreError from every method */
export function openServerAccounts(source: string | Buffer) {
  const { db } = openDatabase(source, ACCOUNTS_SCHEMA);
  const accountColumns = "id, name, origin, credential, disabled, created_ms AS createdMs";
  type Raw = Omit<AccountRecord, "disabled"> & { readonly disabled: number };
  const byName = db.prepare<[string], Raw>(`SELECT ${accountColumns} FROM account WHERE name = ?`);
  const byId = db.prepare<[string], Raw>(`SELECT ${accountColumns} FROM account WHERE id = ?`);
  const list = db.prepare<[], Raw>(`SELECT ${accountColumns} FROM account ORDER BY name`);
  const put = db.prepare<[string, string, string, string | null, number, number]>(
    `INSERT INTO account VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
       name = excluded.name, origin = excluded.origin, credential = excluded.credential, disabled = excluded.disabled`,
  );
  const keyColumns = "id, account, digest, client, created_ms AS createdMs, used_ms AS usedMs";
  const key = db.prepare<[string], DeviceKey>(`SELECT ${keyColumns} FROM device_key WHERE id = ?`);
  const keys = db.prepare<[string], DeviceKey>(`SELECT ${keyColumns} FROM device_key WHERE account = ? ORDER BY created_ms, id`);
  const addKey = db.prepare<[string, string, string, string, number, number]>("INSERT INTO device_key VALUES (?, ?, ?, ?, ?, ?)");
  const touch = db.prepare<[number, string]>("UPDATE device_key SET used_ms = ? WHERE id = ?");
  const remove = db.prepare<[string]>("DELETE FROM device_key WHERE id = ?");
  const removeAll = db.prepare<[string]>("DELETE FROM device_key WHERE account = ?");
  const flag = (row: Raw): AccountRecord => ({ ...row, disabled: row.disabled === 1 });
  const maybe = (row: Raw | undefined): AccountRecord | null => (row === undefined ? null : flag(row));
  // One process has the file (its lock says so), so nobody else writes.
  const accounts = new Remembered<AccountRecord | null>();
  const deviceKeys = new Remembered<DeviceKey | null>();
  const writing = <T>(what: string, work: () => T): T => {
    accounts.forget();
    deviceKeys.forget();
    return withFault(what, work);
  };
  return {
    byName: (name: string) => withFault("find an account", () => maybe(byName.get(name))),
    byId: (id: string) => accounts.get(id, () => withFault("find an account", () => maybe(byId.get(id)))),
    list: () => withFault("list the accounts", () => list.all().map(flag)),
    put: (account: AccountRecord): void =>
      writing("store an account", () => {
        const { id, name, origin, credential, disabled, createdMs } = account;
        put.run(id, name, origin, credential, Number(disabled), createdMs);
      }),
    key: (id: string): DeviceKey | null => deviceKeys.get(id, () => withFault("find a key", () => key.get(id) ?? null)),
    keys: (account: string) => withFault("list the keys", () => keys.all(account)),
    addKey: ({ id, account, digest, client, createdMs, usedMs }: DeviceKey): void =>
      writing("store a key", () => void addKey.run(id, account, digest, client, createdMs, usedMs)),
    touchKey: (id: string, atMs: number): void => writing("date a key", () => void touch.run(atMs, id)),
    removeKey: (id: string): boolean => writing("remove a key", () => remove.run(id).changes > 0),
    removeKeys: (account: string): number => writing("remove the keys", () => removeAll.run(account).changes),
    serialize: (): Buffer => withFault("copy the accounts", () => db.serialize()),
    close: (): void => withFault("close the accounts", () => void db.close()),
  };
}
