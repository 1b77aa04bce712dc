/**
 * The password that the user asked this editor to remember, one per account, in the editor's secret storage. It only fills in the last question of a
 * sign-in, and is used when the user presses Enter: never by itself, so that revoking a device's key keeps its meaning.
 */
import type { SecretStorage } from "vscode";

import { logTrouble, type Log } from "./log-words.ts";

export type Account = { readonly url: string; readonly user: string };

export class Remembered {
  readonly #secrets: Pick<SecretStorage, "get" | "store" | "delete">;
  readonly #log: Log;

  constructor(secrets: Pick<SecretStorage, "get" | "store" | "delete">, log: Log) {
    this.#secrets = secrets;
    this.#log = log;
  }

  /** undefined: none is remembered, or the storage does not open (EX06): then it is asked for. */
  async password(account: Account): Promise<string | undefined> {
    try {
      return await this.#secrets.get(keyOf(account));
    } catch (error) {
      logTrouble(this.#log, "warn", "the editor's secret storage could not be read", error);
      return undefined;
    }
  }

  /** False: the storage did not take it (EX06), so it is as if the user had not asked. */
  async keep(account: Account, password: string): Promise<boolean> {
    try {
      await this.#secrets.store(keyOf(account), password);
      return true;
    } catch (error) {
      logTrouble(this.#log, "warn", "the editor's secret storage took no password", error);
      return false;
    }
  }

  /** False: the storage did not let go of it, and somebody must be told. */
  async forget(account: Account): Promise<boolean> {
    try {
      await this.#secrets.delete(keyOf(account));
      return true;
    } catch (error) {
      logTrouble(this.#log, "warn", "the editor's secret storage kept a password", error);
      return false;
    }
  }
}

/** `https://host` and `https://host/` are one server. */
function keyOf({ url, user }: Account): string {
  return `password ${JSON.stringify([new URL(url).href, user])}`;
}
